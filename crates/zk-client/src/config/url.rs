//! URLs: `zk://zk1:2181,zk2:2181/chroot?session_timeout=20s`, and `zks://` for TLS.

use crate::config::options::{AUTH, SERVERS};
use crate::error::{Error, Result};

/// What is in a URL that no URL may have.
const CREDENTIALS: &str = "the URL of the servers has credentials, which do not belong in a URL, as URLs \
     are logged; write zk://host:port,host:port/chroot, and give the credentials to the client's builder or \
     in the configuration";

/// Whether the text is a URL, and whether it demands TLS.
pub(crate) fn scheme(text: &str) -> Option<(bool, &str)> {
    let text = text.trim();
    let plain = text.strip_prefix("zk://").map(|rest| (false, rest));
    plain.or_else(|| text.strip_prefix("zks://").map(|rest| (true, rest)))
}

/// What a URL consists of.
pub(super) struct Parts<'a> {
    pub(super) secure: bool,
    /// The connect string.
    pub(super) servers: String,
    /// The names and values of the options.
    pub(super) options: Vec<(&'a str, String)>,
}

/// Takes a URL apart.
pub(super) fn parse(text: &str) -> Result<Parts<'_>> {
    let Some((secure, rest)) = scheme(text) else {
        return Err(Error::invalid_argument(
            "the URL of the servers does not begin with zk:// or zks://",
        ));
    };
    if rest.contains('#') {
        return Err(Error::invalid_argument(
            "the URL of the servers has a \"#\"; in the chroot or an option, write %23",
        ));
    }
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (hosts, chroot) = place.split_at(place.find('/').unwrap_or(place.len()));
    // A password may contain a slash or a question mark, and the part with the "@" is then elsewhere.
    if rest.contains('@') {
        return Err(Error::invalid_argument(CREDENTIALS));
    }
    let chroot = decoded(chroot.strip_suffix('/').unwrap_or(chroot))?;
    let mut options = Vec::new();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|it| !it.is_empty())
    {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Error::invalid_argument(
                "the URL of the servers has an option without a value; write ?name=value&name=value",
            ));
        };
        if [AUTH, "user", "username", "password", "digest"].contains(&name) {
            return Err(Error::invalid_argument(CREDENTIALS));
        }
        if name == SERVERS {
            return Err(Error::invalid_argument(
                "the URL names its servers twice; they come before the \"?\"",
            ));
        }
        options.push((name, decoded(value)?));
    }
    Ok(Parts {
        secure,
        servers: format!("{hosts}{chroot}"),
        options,
    })
}

/// The text with each `%XX` decoded.
fn decoded(text: &str) -> Result<String> {
    let bad = || {
        Error::invalid_argument(
            "the URL of the servers has a \"%\" that is not followed by two hexadecimal digits, or that \
             encodes no UTF-8; write %25 for \"%\"",
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, behind @ ..] = rest else {
            return Err(bad());
        };
        rest = behind;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(bad());
        };
        bytes.push(u8::try_from(16 * high + low).map_err(|_| bad())?);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}
