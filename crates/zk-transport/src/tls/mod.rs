//! TLS, on rustls.
//!
//! [`TlsConfig`] holds the trusted CAs and this client's certificate; [`TlsDial`] opens streams with
//! it, over TCP or any other [`Dial`](crate::Dial); [`TlsError`] says why a handshake failed. The
//! configuration of rustls is made anew whenever one of its files has changed.

mod clock;
mod config;
mod contents;
mod der;
mod dial;
pub(crate) mod error;
mod formats;
mod locked;
mod material;
#[cfg(feature = "tls-stores")]
mod passphrase;
mod pins;
mod provider;
mod sections;
#[cfg(feature = "tls-stores")]
mod stores;
mod stream;
mod verify;

pub use config::TlsConfig;
pub use dial::TlsDial;
pub use error::TlsError;
#[cfg(feature = "tls-stores")]
pub use passphrase::Passphrase;
/// The crate below, for [`TlsConfig::from_rustls`].
pub use tokio_rustls::rustls;
