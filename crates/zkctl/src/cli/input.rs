//! Data from the command line or standard input.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;

use crate::output::failure::Failure;

/// The default of the servers' `jute.maxbuffer`. The path and the header have to fit in as well.
const DEFAULT_LIMIT: usize = 0xf_ffff;

/// The data given, or standard input if `-` is given.
pub(crate) fn data(given: OsString, limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    if given == "-" {
        stdin(limit)
    } else {
        Ok(given.into_vec())
    }
}

/// Standard input, for a command without the argument for data. Empty input is an error then, because
/// it is the sign of a mistake, as in `zkctl set /a $EMPTY </dev/null`.
pub(crate) fn implicit_data(limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    let data = stdin(limit)?;
    if data.is_empty() && !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "no data are given and standard input is empty; for a znode without data give '' or -"
                .to_owned(),
        ));
    }
    Ok(data)
}

/// All of standard input.
fn stdin(limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // If standard error is closed, the terminal's cursor still shows that input is expected.
        let _ = writeln!(
            io::stderr(),
            "zkctl: reading the data; end them with Ctrl-D"
        );
    }
    let mut data = Vec::new();
    stdin
        .lock()
        .take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_end(&mut data)
        .map_err(|error| Failure::io("read standard input", error))?;
    if data.len() > limit {
        return Err(Failure::Failed(format!(
            "standard input has more than {limit} bytes; where the servers' jute.maxbuffer allows \
             more, give it as --max-request-bytes"
        )));
    }
    Ok(data)
}
