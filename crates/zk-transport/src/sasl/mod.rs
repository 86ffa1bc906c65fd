//! Logging in with SASL.
//!
//! ZooKeeper has no negotiation: the client begins with the mechanism it was told to use, and a
//! server that wants another one fails. The exchange follows the handshake on every connection, and
//! until it has ended well nothing else is written: no credentials, no watches, no requests.
//!
//! A [`Login`] is what a client is given; it makes a [`Mechanism`] for each connection, which
//! answers the server's challenges and knows nothing of connections. `Digest` (feature `sasl`) is
//! DIGEST-MD5. For Kerberos, implement the two over a GSSAPI library.

#[cfg(feature = "sasl")]
mod digest_md5;
#[cfg(feature = "sasl")]
mod digest_md5_server;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use zk_proto::{ErrorCode, HostPort};

#[cfg(feature = "sasl")]
pub use digest_md5::{Challenge, Digest, DigestMd5};
#[cfg(feature = "sasl")]
pub use digest_md5_server::{DigestMd5Server, ServerStep};

/// How a client proves who it is, on every connection anew.
pub trait Login: fmt::Debug + Send + Sync + 'static {
    /// The name of its mechanism, for errors: `DIGEST-MD5`, `GSSAPI`.
    fn mechanism(&self) -> &str;

    /// Prepares for one connection to `host`, before it is dialled: the place to fetch or renew a
    /// ticket, which may take its time without being taken for a server that does not answer
    /// (ZOOKEEPER-4275). The caller limits how long that is.
    ///
    /// `host` is the connect string's, or from a source that nothing may have authenticated: the DNS
    /// (`dns-srv://`), or an ensemble's configuration that was read without TLS. A mechanism that
    /// authenticates the server by its host name, as Kerberos does, should take that name from the
    /// user there.
    ///
    /// # Errors
    /// [`SaslError::Unavailable`] is tried again after a while (ZOOKEEPER-4477); everything else is
    /// the end of the client.
    ///
    /// # Cancel safety
    /// Dropping the future must leave nothing behind.
    fn begin<'a>(&'a self, host: &'a HostPort) -> Beginning<'a>;
}

/// The future of [`Login::begin`].
pub type Beginning<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Mechanism>, SaslError>> + Send + 'a>>;

/// The client's side of one exchange. It runs in the client's driver, so it must not block.
pub trait Mechanism: Send + 'static {
    /// What to answer the server's challenge with; the first call has none.
    ///
    /// # Errors
    /// Any reason not to go on. [`SaslError::Unavailable`] is tried again after a while; everything
    /// else is the end of the client.
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError>;
}

/// What a mechanism does next.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends a token, and expects another challenge. An empty token is sent, too.
    Respond(Vec<u8>),
    /// Sends a last token; the server only has to accept it. GSSAPI ends like that.
    Final(Vec<u8>),
    /// All is said, and the server has proved who it is if the mechanism has a way to.
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
    /// The server refused: an unknown user, a wrong password or ticket. It does not say which.
    #[error(
        "the server refused the login (code {}); the user is unknown to it, or the proof is wrong",
        .0.code()
    )]
    Refused(ErrorCode),
    /// The server has not been set up for SASL.
    #[error("the server offers no SASL; it has no login configuration for it")]
    NotOffered,
    /// The server accepted without having proved who it is, or went on after a failed login.
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
    /// What the mechanism needs is not there at the moment.
    #[error("{0}; it is tried again")]
    Unavailable(String),
}

impl SaslError {
    /// Whether it may be different the next time.
    pub fn is_temporary(&self) -> bool {
        matches!(self, SaslError::Closed | SaslError::Unavailable(_))
    }
}
