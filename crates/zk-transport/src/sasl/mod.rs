//! Logging in with SASL.
//!
//! ZooKeeper has no negotiation: the client begins with the mechanism that is configured, and a
//! server that expects another one fails. The exchange follows the handshake on every connection, and
//! until it has succeeded nothing else is written: no credentials, no watches, no requests.
//!
//! A client is configured with a [`Login`]; that makes a [`Mechanism`] for each connection, which
//! answers the server's challenges and is independent of the connection. `Digest` (feature `sasl`) is
//! DIGEST-MD5. For Kerberos, implement the two traits with a GSSAPI library.

#[cfg(feature = "sasl")]
mod digest_md5;
#[cfg(feature = "sasl")]
mod digest_md5_server;
#[cfg(feature = "sasl")]
mod directives;
mod mechanism;

#[cfg(feature = "sasl")]
pub use digest_md5::{Challenge, Digest, DigestMd5};
#[cfg(feature = "sasl")]
pub use digest_md5_server::{DigestMd5Server, ServerStep};
pub use mechanism::{Beginning, Login, Mechanism, SaslError, Step};
