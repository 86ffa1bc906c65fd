//! Data from the command line or standard input.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;

use crate::failure::Failure;

/// What a server takes unless its `jute.maxbuffer` was changed; the request has to fit in as well.
const LIMIT: usize = 0xf_ffff;

/// The data given, or those on standard input if given as `-`.
pub(crate) fn data(given: OsString, limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    if given == "-" {
        stdin(limit)
    } else {
        Ok(given.into_vec())
    }
}

/// All of standard input, without having been asked for it: then nothing at all is the sign of a
/// mistake, as in `zkctl set /a $EMPTY </dev/null`.
pub(crate) fn unasked(limit: Option<usize>) -> Result<Vec<u8>, Failure> {
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
    let limit = limit.unwrap_or(LIMIT);
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // Without it there is still the blinking cursor.
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
