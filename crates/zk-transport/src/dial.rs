//! Opening a stream to a host.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zk_proto::HostPort;

/// A byte stream to a server: TCP, TLS, or a pipe in a simulation.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// The future of [`Dial::dial`].
pub type Dialing<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, DialError>> + Send + 'a>>;

/// How streams are opened. The seam for TLS and for simulated networks.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `host`. The caller limits how long it takes.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt and leaves nothing behind.
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a>;
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
    /// Something else.
    Other(io::Error),
}

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
            DialError::Other(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for DialError {}

/// Dials TCP, with `TCP_NODELAY`: a small request behind an fsync-bound one must not wait for a
/// delayed acknowledgement.
///
/// The name is resolved anew for each attempt (ZOOKEEPER-2184), and all its addresses are tried, a
/// new one every [`stagger`](Self::stagger) or as soon as one fails, so that dead addresses among
/// them cost little (ZOOKEEPER-3100).
#[derive(Debug, Clone)]
pub struct TcpDial {
    /// How long an address is given before the next is tried beside it.
    pub stagger: Duration,
}

impl Default for TcpDial {
    fn default() -> Self {
        TcpDial {
            stagger: Duration::from_millis(200),
        }
    }
}

impl TcpDial {
    /// Opens a TCP connection to `host`.
    ///
    /// # Errors
    /// The name could not be resolved, or none of its addresses could be connected to.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt and leaves nothing behind.
    pub async fn connect(&self, host: &HostPort) -> Result<TcpStream, DialError> {
        let addresses = tokio::net::lookup_host((host.host.as_str(), host.port))
            .await
            .map_err(DialError::Resolve)?;
        let stream = first_of(addresses.collect(), self.stagger).await?;
        stream.set_nodelay(true).map_err(DialError::Other)?;
        Ok(stream)
    }
}

impl Dial for TcpDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move { Ok(Box::new(self.connect(host).await?) as Box<dyn Stream>) })
    }
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

async fn first_of(addresses: Vec<SocketAddr>, stagger: Duration) -> Result<TcpStream, DialError> {
    if addresses.is_empty() {
        return Err(DialError::NoAddresses);
    }
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<(SocketAddr, Connecting)> = Vec::new();
    let mut failures = Vec::new();
    let mut next = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        loop {
            let mut failed = false;
            let mut connected = None;
            attempts.retain_mut(|(address, attempt)| {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => connected = Some(stream),
                    Poll::Ready(Err(error)) => {
                        failures.push((*address, error));
                        failed = true;
                    }
                    Poll::Pending => return true,
                }
                false
            });
            if let Some(stream) = connected {
                return Poll::Ready(Ok(stream));
            }
            if failed || next.as_mut().poll(cx).is_ready() {
                let Some(address) = waiting.next() else {
                    if attempts.is_empty() {
                        return Poll::Ready(Err(DialError::Connect(std::mem::take(&mut failures))));
                    }
                    return Poll::Pending;
                };
                attempts.push((address, Box::pin(TcpStream::connect(address))));
                next.as_mut().reset(tokio::time::Instant::now() + stagger);
            } else {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn refused() -> SocketAddr {
        listener().await.1
    }

    #[tokio::test]
    async fn dead_addresses_do_not_hide_a_living_one() {
        let (_open, address) = listener().await;
        let dead = [refused().await, refused().await];
        let stream = first_of(vec![dead[0], dead[1], address], Duration::from_secs(60))
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn every_failure_is_named() {
        let dead = vec![refused().await, refused().await];
        let error = first_of(dead.clone(), Duration::ZERO)
            .await
            .unwrap_err()
            .to_string();
        for address in dead {
            assert!(error.contains(&address.to_string()), "{error}");
        }
        assert!(error.contains("refused"), "{error}");
    }

    /// D7.
    #[tokio::test]
    async fn d7_nodelay_is_set() {
        let (_open, address) = listener().await;
        let host = HostPort {
            host: address.ip().to_string(),
            port: address.port(),
        };
        assert!(
            TcpDial::default()
                .connect(&host)
                .await
                .unwrap()
                .nodelay()
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_said_to_be_unresolvable() {
        let host = HostPort {
            host: "no-such-host.invalid".into(),
            port: 2181,
        };
        let Err(error) = TcpDial::default().dial(&host).await else {
            panic!("it resolved")
        };
        assert!(matches!(error, DialError::Resolve(_)), "{error}");
    }
}
