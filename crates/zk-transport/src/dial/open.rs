//! The seam between the protocol and the streams it runs over.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use zk_proto::HostPort;

use crate::dns::resolve::Resolving;
use crate::error::Disconnect;
use crate::hosts::Addresses;
#[cfg(feature = "tls-no-provider")]
use crate::tls::error::TlsError;

/// A byte stream to a server: TCP, TLS, or a pipe in a simulation. Every type that can be read,
/// written and sent to another thread is one.
///
/// It may have a buffer: whatever has been offered to `poll_write` counts as possibly sent, whether the
/// call was acknowledged, failed or is still pending.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for S {}

/// The future of [`Dial::dial`].
pub type Dialing<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, DialError>> + Send + 'a>>;

/// How streams are opened. The seam for TLS and for simulated networks; a closure is enough for most
/// of them ([`dial_fn`](super::dial_fn)).
///
/// A `Dial` that wraps another passes each call on:
///
/// ```
/// use zk_proto::HostPort;
/// use zk_transport::dns::resolve::Resolving;
/// use zk_transport::{Addresses, Dial, Dialing};
///
/// #[derive(Debug)]
/// struct Printed<D>(D);
///
/// impl<D: Dial> Dial for Printed<D> {
///     fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
///         println!("connecting to {host}");
///         self.0.dial(host)
///     }
///     fn dial_next<'a>(&'a self, host: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
///         println!("connecting to {host}");
///         self.0.dial_next(host, addresses)
///     }
///     fn addresses<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
///         self.0.addresses(host)
///     }
///     fn authenticates_host(&self) -> bool {
///         self.0.authenticates_host()
///     }
/// }
/// ```
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `host`. The caller limits how long it takes.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt and leaves nothing behind.
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a>;

    /// Opens a stream to the next of the addresses of `host`, and notes in `addresses` which addresses
    /// the host has and which of them the stream is to. The caller keeps `addresses` from attempt to
    /// attempt, and notes there whether the attempt succeeded. An implementation that wraps another should
    /// pass the call on; by default each attempt begins anew, like [`dial`](Self::dial).
    ///
    /// # Cancel safety
    /// As [`dial`](Self::dial).
    fn dial_next<'a>(&'a self, host: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        let _ = addresses;
        self.dial(host)
    }

    /// Looks up the addresses of `host` without connecting, in any order; none if that is not how this
    /// `Dial` finds its peers, which is the default. An implementation that wraps another should pass the
    /// call on. The caller limits how long it takes.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the query.
    fn addresses<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
        let _ = host;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Whether the peer is authenticated by the name in `host`, as TLS does it. Names must then come
    /// from a source that is authenticated itself: a client refuses to take them from the DNS. True by
    /// default, because that is safe: an implementation that does not authenticate its peer by name
    /// should return false, and one that wraps another should return the result of the other.
    fn authenticates_host(&self) -> bool {
        true
    }
}

/// Why no stream could be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The name could not be resolved.
    Resolve(io::Error),
    /// The name has no addresses.
    NoAddresses,
    /// No address could be connected to; one failure for each.
    Connect(Vec<(SocketAddr, io::Error)>),
    /// The TLS handshake failed, or its configuration is unusable.
    #[cfg(feature = "tls-no-provider")]
    Tls(TlsError),
    /// Another failure.
    Other(io::Error),
}

// The text contains the causes, so none of them is a `source`: `Connect` has several, and the text
// is all that `Disconnect`, which is `Clone`, keeps.
impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Resolve(e) => write!(f, "cannot resolve the host name: {e}"),
            DialError::NoAddresses => f.write_str("the host name has no addresses"),
            DialError::Connect(failures) => {
                for (n, (address, error)) in failures.iter().enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}cannot connect to {address}: {error}")?;
                }
                Ok(())
            }
            #[cfg(feature = "tls-no-provider")]
            DialError::Tls(e) => e.fmt(f),
            DialError::Other(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for DialError {}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        DialError::Other(error)
    }
}

impl From<DialError> for Disconnect {
    fn from(error: DialError) -> Self {
        match error {
            #[cfg(feature = "tls-no-provider")]
            DialError::Tls(error) => Disconnect::Tls(error),
            // The server accepted the connection, and has closed it before this process looked.
            DialError::Connect(failures) if were_accepted(&failures) => {
                Disconnect::ClosedInHandshake
            }
            other => Disconnect::Dial(other.to_string()),
        }
    }
}

fn were_accepted(failures: &[(SocketAddr, io::Error)]) -> bool {
    let was_accepted = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    !failures.is_empty() && failures.iter().all(|(_, error)| was_accepted(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_closed_at_once_was_accepted() {
        let address = SocketAddr::from(([127, 0, 0, 1], 2181));
        let failed = |kinds: &[io::ErrorKind]| {
            let failures = kinds.iter().map(|kind| (address, (*kind).into()));
            Disconnect::from(DialError::Connect(failures.collect()))
        };
        let (closed, refused) = (io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionRefused);
        assert_eq!(failed(&[closed, closed]), Disconnect::ClosedInHandshake);
        for other in [&[closed, refused][..], &[refused], &[]] {
            assert!(matches!(failed(other), Disconnect::Dial(_)), "{other:?}");
        }
    }
}
