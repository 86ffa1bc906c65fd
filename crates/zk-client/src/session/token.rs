//! Tokens of sessions, by which another client continues them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{SessionId, SessionPassword, Zxid};

use crate::error::{Error, Result};

/// A session, to be continued by [`ClientBuilder::resume`](crate::ClientBuilder::resume): in this
/// process, or in the one that replaces it. Made by [`Client::detach`](crate::Client::detach), which
/// ends the client, by [`Client::session_token`](crate::Client::session_token) while the client
/// lives, or from the id and the password of another client library by [`new`](Self::new).
///
/// The session's ephemeral znodes stay if it is resumed within its timeout. Its watches have ended.
///
/// A token is a secret: it gives access to the session, with everything that its credentials are
/// allowed. So it is not `Clone`, its `Debug` shows the id only, and only
/// [`expose`](Self::expose), [`expose_password`](Self::expose_password) and its serialization with
/// the feature `serde` return the secret. Two clients that resume the same session disconnect each
/// other repeatedly: a server that accepts one closes the connection of the other. A
/// [`SessionStore`](crate::SessionStore) excludes that for processes on one machine.
#[derive(PartialEq, Eq)]
#[doc(alias = "client_id")]
pub struct SessionToken {
    pub(crate) id: SessionId,
    pub(crate) password: SessionPassword,
    /// As the server has granted it; none in a token of another client library.
    pub(crate) timeout: Option<Duration>,
    pub(crate) last_zxid: Zxid,
}

/// The version of the text, its first part.
const VERSION: &str = "zk1";

impl SessionToken {
    /// The token of a session of another client library: kazoo's `client_id` is this pair, and
    /// Java's client has it in `getSessionId` and `getSessionPasswd`.
    ///
    /// The client that resumes it requests
    /// [`ClientBuilder::session_timeout`](crate::ClientBuilder::session_timeout). Its first reads
    /// can be older than what the other client has seen, if it connects to a server that lags
    /// behind; a [`sync`](crate::Client::sync) excludes that.
    ///
    /// ```
    /// use zk_client::{SessionId, SessionToken};
    ///
    /// // client.client_id in Python: (72057976883478528, b'\x9e...')
    /// let (id, password) = (72_057_976_883_478_528, [0x9e; 16]);
    /// let token = SessionToken::new(SessionId(id), password);
    /// assert_eq!(token.session(), SessionId(id));
    /// ```
    #[doc(alias = "getSessionPasswd")]
    pub fn new(session: SessionId, password: impl AsRef<[u8]>) -> Self {
        SessionToken {
            id: session,
            password: SessionPassword::new(Bytes::copy_from_slice(password.as_ref())),
            timeout: None,
            last_zxid: Zxid::ZERO,
        }
    }

    /// The session's id, as servers print it in their logs.
    pub fn session(&self) -> SessionId {
        self.id
    }

    /// The session's timeout: the ensemble ends the session this long after the last contact with
    /// its client unless it is resumed. `None` in a token made by [`new`](Self::new).
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The session's password, to be kept secret.
    #[doc(alias = "getSessionPasswd")]
    pub fn expose_password(&self) -> &[u8] {
        self.password.as_bytes()
    }

    /// The token as text, to be kept secret; [`parse`](str::parse) reads it.
    pub fn expose(&self) -> String {
        let mut text = format!(
            "{VERSION}-{:016x}-{:016x}-{:x}-",
            self.id.0,
            self.last_zxid.0,
            self.timeout.unwrap_or_default().as_millis()
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

/// As the secret text of [`expose`](SessionToken::expose).
#[cfg(feature = "serde")]
impl serde::Serialize for SessionToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for SessionToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of a text that is no token does not repeat it.
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
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
        timeout: (timeout > 0).then(|| Duration::from_millis(timeout)),
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
            timeout: Some(Duration::from_secs(6)),
            last_zxid: Zxid(0x1_0000_0002),
        }
    }

    #[test]
    fn the_text_is_the_token() {
        let text = token().expose();
        let read: SessionToken = format!(" {text}\n").parse().unwrap();
        assert_eq!(read.expose(), text);
        assert_eq!(read, token());
        assert_eq!(read.timeout(), Some(Duration::from_secs(6)));
    }

    #[test]
    fn a_pair_of_another_client_is_a_token() {
        let token = SessionToken::new(SessionId(-7), [0xa5; 16]);
        assert_eq!((token.session(), token.timeout()), (SessionId(-7), None));
        assert_eq!(token.expose_password(), [0xa5; 16]);
        let read: SessionToken = token.expose().parse().unwrap();
        assert_eq!(read, token);
        assert!(!format!("{token:?}").contains("a5"), "{token:?}");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_token_is_serialized_as_its_text() {
        let text = serde_json::to_string(&token()).unwrap();
        assert_eq!(text, format!("{:?}", token().expose()));
        assert_eq!(
            serde_json::from_str::<SessionToken>(&text).unwrap(),
            token()
        );
        let secret = "zk1-5ecre7";
        let error = serde_json::from_str::<SessionToken>(&format!("{secret:?}")).unwrap_err();
        assert!(!error.to_string().contains("5ecre7"), "{error}");
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
