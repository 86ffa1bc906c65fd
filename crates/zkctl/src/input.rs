//! Data from the command line or standard input.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;

use crate::failure::Failure;

/// What a server takes unless its `jute.maxbuffer` was changed; the request has to fit in as well.
const LIMIT: u64 = 0xf_ffff;

/// The data given, or those on standard input if given as `-`.
pub(crate) fn data(given: OsString) -> Result<Vec<u8>, Failure> {
    if given == "-" {
        stdin()
    } else {
        Ok(given.into_vec())
    }
}

/// All of standard input.
pub(crate) fn stdin() -> Result<Vec<u8>, Failure> {
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
        .take(LIMIT + 1)
        .read_to_end(&mut data)
        .map_err(|error| Failure::io("read standard input", error))?;
    if data.len() > usize::try_from(LIMIT).unwrap_or(usize::MAX) {
        return Err(Failure::Failed(format!(
            "standard input has more than {LIMIT} bytes, and a znode cannot"
        )));
    }
    Ok(data)
}
