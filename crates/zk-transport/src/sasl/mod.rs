//! Logging in with SASL.
//!
//! ZooKeeper has no negotiation: the client begins with the mechanism that is configured, and a
//! server that expects another one fails. The exchange follows the handshake on every connection, and
//! until it has succeeded nothing else is written: no credentials, no watches, no requests.
//!
//! A client is configured with a [`Login`]; that makes a [`Mechanism`] for each connection, which
//! answers the server's challenges and is independent of the connection. `Digest` (feature `sasl`) is
//! DIGEST-MD5, and the crate `zk-sasl-gssapi` has GSSAPI, which is Kerberos. ZooKeeper's servers have no other
//! mechanism. One that a server of yours has, such as PLAIN behind TLS, is a [`Login`] of yours:
//!
//! ```
//! use std::future::ready;
//! use zk_transport::sasl::{Beginning, Login, Mechanism, SaslError, Step};
//! use zk_proto::HostPort;
//!
//! #[derive(Debug)]
//! struct Plain;
//!
//! impl Login for Plain {
//!     fn mechanism(&self) -> &str {
//!         "PLAIN"
//!     }
//!     fn begin<'a>(&'a self, _: &'a HostPort) -> Beginning<'a> {
//!         Box::pin(ready(Ok(Box::new(Plain) as Box<dyn Mechanism>)))
//!     }
//! }
//!
//! impl Mechanism for Plain {
//!     fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError> {
//!         match challenge {
//!             None => Ok(Step::Final(b"\0user\0password".to_vec())),
//!             Some(_) => Err(SaslError::Challenge("PLAIN has none".to_owned())),
//!         }
//!     }
//! }
//! ```

#[cfg(feature = "sasl")]
mod digest_md5;
#[cfg(feature = "sasl")]
mod digest_md5_server;
#[cfg(feature = "sasl")]
mod directives;
mod mechanism;
#[cfg(feature = "sasl")]
mod password;

#[cfg(feature = "sasl")]
pub use digest_md5::{Challenge, Digest, DigestMd5};
#[cfg(feature = "sasl")]
pub use digest_md5_server::{DigestMd5Server, ServerStep};
pub use mechanism::{Beginning, Login, Mechanism, SaslError, Step};
