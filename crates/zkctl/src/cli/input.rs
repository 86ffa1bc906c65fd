//! Data from the command line, standard input or a file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use base64ct::{Base64, Encoding};
use zk_recipes::{Codec, Gzip, Raw};

use super::data::Given;
use crate::output::failure::Failure;

/// The default of the servers' `jute.maxbuffer`. The path and the header have to fit in as well.
const DEFAULT_LIMIT: usize = 0xf_ffff;

/// The data of `create`: empty unless given.
pub(crate) fn data(
    data: Option<OsString>,
    given: &Given,
    limit: Option<usize>,
) -> Result<Vec<u8>, Failure> {
    match (data, &given.file) {
        (None, None) => decoded(Vec::new(), given),
        (data, _) => read(data.unwrap_or_default(), given, limit),
    }
}

/// The data of `set`: standard input unless given. Empty input is an error then, because it is the sign
/// of a mistake, as in `zkctl set /a $EMPTY </dev/null`.
pub(crate) fn implicit_data(
    data: Option<OsString>,
    given: &Given,
    limit: Option<usize>,
) -> Result<Vec<u8>, Failure> {
    if given.null {
        return Ok(Vec::new());
    }
    if data.is_some() || given.file.is_some() {
        return read(data.unwrap_or_default(), given, limit);
    }
    let data = stdin(limit)?;
    if data.is_empty() && !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "no data are given and standard input is empty; for a znode without data give '' or -"
                .to_owned(),
        ));
    }
    decoded(data, given)
}

/// The file, standard input if `data` are `-`, or the data themselves.
fn read(data: OsString, given: &Given, limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    let data = match &given.file {
        Some(path) => file(path, limit)?,
        None if data == "-" => stdin(limit)?,
        None => data.into_vec(),
    };
    decoded(data, given)
}

fn decoded(mut data: Vec<u8>, given: &Given) -> Result<Vec<u8>, Failure> {
    if given.base64 {
        data = from_base64(&data)?;
    }
    if given.gzip {
        let compressed = Gzip::new(Raw).encode(&data.into());
        let compressed =
            compressed.map_err(|error| Failure::Failed(format!("cannot compress: {error}")))?;
        return Ok(compressed.to_vec());
    }
    Ok(data)
}

/// Bytes that are written as base64, with white space in between or without.
pub(crate) fn from_base64(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let is_letter = |byte: &u8| !byte.is_ascii_whitespace();
    let letters: Vec<u8> = text.iter().copied().filter(is_letter).collect();
    let text = std::str::from_utf8(&letters).unwrap_or("?");
    Base64::decode_vec(text).map_err(|_| {
        Failure::Usage("the data are not base64, or lack the = signs at its end".to_owned())
    })
}

/// All of a file, which has to fit into a request.
fn file(path: &Path, limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    File::open(path)
        .and_then(|file| all(file, limit))
        .map_err(|error| Failure::io(&format!("read {name}"), error))?
        .map_err(|limit| too_long(&name.to_string(), limit))
}

/// All of standard input.
pub(crate) fn stdin(limit: Option<usize>) -> Result<Vec<u8>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // If standard error is closed, the terminal's cursor still shows that input is expected.
        let _ = writeln!(
            io::stderr(),
            "zkctl: reading the data; end them with Ctrl-D"
        );
    }
    all(stdin.lock(), limit)
        .map_err(|error| Failure::io("read standard input", error))?
        .map_err(|limit| too_long("standard input", limit))
}

/// All bytes, or the limit if there are more.
fn all(source: impl Read, limit: Option<usize>) -> io::Result<Result<Vec<u8>, usize>> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let mut data = Vec::new();
    source
        .take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_end(&mut data)?;
    Ok(if data.len() > limit {
        Err(limit)
    } else {
        Ok(data)
    })
}

fn too_long(source: &str, limit: usize) -> Failure {
    Failure::Failed(format!(
        "{source} has more than {limit} bytes; where the servers' jute.maxbuffer allows more, give it as \
         --max-request-bytes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_have_line_breaks() {
        let decode = |text: &str| from_base64(text.as_bytes()).ok();
        assert_eq!(decode("/wA=\n"), Some(vec![0xff, 0]));
        assert_eq!(decode("/w\r\n A="), Some(vec![0xff, 0]));
        assert_eq!(decode(""), Some(vec![]));
        for text in ["/wA", "/w A", "hunter", "é==="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
