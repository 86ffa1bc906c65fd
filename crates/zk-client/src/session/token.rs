//! Tokens of detached sessions.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{SessionId, SessionPassword, Zxid};

use crate::error::{Error, Result};

/// A session that was detached from its client by [`Client::detach`](crate::Client::detach), to be
/// resumed by [`ClientBuilder::resume`](crate::ClientBuilder::resume): in this process, or in the one that
/// replaces it.
///
/// Its ephemeral znodes stay if it is resumed within its timeout. Its watches have ended.
///
/// A token is a secret: it gives access to the session, with everything that its credentials are
/// allowed. So it is not `Clone`, its `Debug` shows the id only, and only [`expose`](Self::expose)
/// returns its text. Two clients that resume the same session disconnect each other repeatedly: a server
/// that accepts one closes the connection of the other.
pub struct SessionToken {
    pub(crate) id: SessionId,
    pub(crate) password: SessionPassword,
    pub(crate) timeout: Duration,
    pub(crate) last_zxid: Zxid,
}

/// The version of the text, its first part.
const VERSION: &str = "zk1";

impl SessionToken {
    /// The session's id, as servers print it in their logs.
    pub fn session(&self) -> SessionId {
        self.id
    }

    /// The session's timeout: the ensemble ends the session this long after
    /// [`Client::detach`](crate::Client::detach) unless it is resumed.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The token as text, to be kept secret; [`parse`](str::parse) reads it.
    pub fn expose(&self) -> String {
        let mut text = format!(
            "{VERSION}-{:016x}-{:016x}-{:x}-",
            self.id.0,
            self.last_zxid.0,
            self.timeout.as_millis()
        );
        for byte in self.password.as_bytes() {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken")
            .field("session", &format_args!("{}", self.id))
            .field("password", &self.password)
            .finish_non_exhaustive()
    }
}

impl FromStr for SessionToken {
    type Err = Error;

    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), without the text, which may be most of
    /// a secret.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            Error::invalid_argument(format!(
                "not a session token: {VERSION}- and four groups of hexadecimal digits are expected"
            ))
        })
    }
}

fn parse(text: &str) -> Option<SessionToken> {
    let mut parts = text.trim().split('-');
    if parts.next()? != VERSION {
        return None;
    }
    let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
    let (id, zxid, timeout) = (number()?, number()?, number()?);
    let password = unhex(parts.next()?)?;
    let token = SessionToken {
        id: SessionId(id.cast_signed()),
        password: SessionPassword::new(password),
        timeout: Duration::from_millis(timeout),
        last_zxid: Zxid(zxid.cast_signed()),
    };
    (parts.next().is_none() && !token.id.is_none()).then_some(token)
}

fn unhex(text: &str) -> Option<Bytes> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    (pairs.iter())
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn token() -> SessionToken {
        SessionToken {
            id: SessionId(i64::MIN + 7),
            password: SessionPassword::new(Bytes::from_static(b"0123456789abcde\xff")),
            timeout: Duration::from_secs(6),
            last_zxid: Zxid(0x1_0000_0002),
        }
    }

    #[test]
    fn the_text_is_the_token() {
        let text = token().expose();
        let read: SessionToken = format!(" {text}\n").parse().unwrap();
        assert_eq!(read.expose(), text);
        assert_eq!(read.id, token().id);
        assert_eq!(read.password, token().password);
        assert_eq!(
            (read.timeout, read.last_zxid),
            (token().timeout, token().last_zxid)
        );
    }

    #[test]
    fn the_password_is_shown_on_request_only() {
        let shown = format!("{:?}", token());
        assert!(shown.contains("0x8000000000000007"), "{shown}");
        let text = token().expose();
        let secret = text.rsplit('-').next().unwrap();
        assert!(
            !shown.contains(secret) && !shown.contains("0123"),
            "{shown}"
        );
    }

    #[test]
    fn an_invalid_token_is_not_repeated() {
        let text = token().expose();
        for bad in [
            "",
            "zk1",
            "zk2-1-2-3-00",
            "zk1-0-2-3-00",
            "zk1-1-2-3-0",
            "zk1-1-2-3-zz",
            "zk1-1-2-3-00-4",
            "zk1-1--3-00",
            &text[1..],
        ] {
            let error = bad.parse::<SessionToken>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
            assert!(bad.len() < 5 || !error.to_string().contains(bad), "{error}");
        }
    }
}
