//! What a login is made of.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use zk_proto::{ErrorCode, HostPort};

/// How a client authenticates, on every connection anew. The page of [`sasl`](crate::sasl) has an example.
pub trait Login: fmt::Debug + Send + Sync + 'static {
    /// The name of its mechanism, for errors: `DIGEST-MD5`, `GSSAPI`.
    fn mechanism(&self) -> &str;

    /// Prepares for one connection to `host`, before it is dialled: the place to fetch or renew a
    /// ticket. That may take long without being taken for a server that does not answer
    /// (ZOOKEEPER-4275). The caller limits how long.
    ///
    /// `host` is the connect string's, or from a source that may not be authenticated: the DNS
    /// (`dns-srv://`), or an ensemble's configuration that was read without TLS. A mechanism that
    /// authenticates the server by its host name, as Kerberos does, should take that name from its own
    /// configuration then.
    ///
    /// # Errors
    /// After [`SaslError::Unavailable`] the client tries again (ZOOKEEPER-4477); every other error ends
    /// it.
    ///
    /// # Cancel safety
    /// Dropping the future must leave nothing behind.
    fn begin<'a>(&'a self, host: &'a HostPort) -> Beginning<'a>;
}

/// The login that it points to, so that the kind of login can be chosen at run time.
impl<T: Login + ?Sized> Login for Arc<T> {
    fn mechanism(&self) -> &str {
        (**self).mechanism()
    }

    fn begin<'a>(&'a self, host: &'a HostPort) -> Beginning<'a> {
        (**self).begin(host)
    }
}

/// The future of [`Login::begin`].
pub type Beginning<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Mechanism>, SaslError>> + Send + 'a>>;

/// The client's side of one exchange. It runs in the client's task, so it must not block.
pub trait Mechanism: Send + 'static {
    /// The answer to the server's challenge; the first call has none.
    ///
    /// # Errors
    /// Any reason to end the exchange. After [`SaslError::Unavailable`] the client tries again; every
    /// other error ends it.
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError>;
}

/// What a mechanism does next.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends a token, and expects another challenge. An empty token is sent, too.
    Respond(Vec<u8>),
    /// Sends a last token; the server only has to accept it. GSSAPI ends like that.
    Final(Vec<u8>),
    /// The exchange is complete, and the server is authenticated if the mechanism can do that.
    Done,
}

/// Leaves the tokens out.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Respond(token) => write!(f, "Respond({} bytes)", token.len()),
            Step::Final(token) => write!(f, "Final({} bytes)", token.len()),
            Step::Done => f.write_str("Done"),
        }
    }
}

/// Why a login failed. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The server refused: an unknown user, a wrong password or ticket. It does not tell them apart.
    #[error(
        "the server refused the login (code {}); the user is unknown to it, or the proof is wrong",
        .0.code()
    )]
    Refused(ErrorCode),
    /// The server has not been set up for SASL.
    #[error("the server offers no SASL; it has no login configuration for it")]
    NotOffered,
    /// The server accepted without having authenticated itself, or continued after a failed login.
    #[error("the server ended the exchange without proving that it knows the password, too")]
    Unproven,
    /// The server's challenge cannot be answered.
    #[error("the server's challenge cannot be answered: {0}")]
    Challenge(String),
    /// The mechanism cannot be used with what it was given.
    #[error("{0}")]
    Unusable(String),
    /// The connection was lost in the middle of it.
    #[error("the server closed the connection during the login")]
    Closed,
    /// The mechanism lacks something at the moment, such as a ticket.
    #[error("{0}; the client tries again")]
    Unavailable(String),
}

impl SaslError {
    /// Whether the next login may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, SaslError::Closed | SaslError::Unavailable(_))
    }
}
