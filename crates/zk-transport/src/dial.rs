//! Opening a stream to a host.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zk_proto::HostPort;

use crate::Disconnect;
use crate::resolve::{Resolve, SystemResolver};

/// A byte stream to a server: TCP, TLS, or a pipe in a simulation.
///
/// It may have a buffer: whatever has been offered to `poll_write` counts as possibly sent, whether the
/// call was acknowledged, failed or is still pending.
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
    /// TLS could not be had.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
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
            #[cfg(feature = "tls")]
            DialError::Tls(e) => e.fmt(f),
            DialError::Other(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for DialError {}

impl From<DialError> for Disconnect {
    fn from(error: DialError) -> Self {
        match error {
            #[cfg(feature = "tls")]
            DialError::Tls(error) => Disconnect::Tls(error),
            other => Disconnect::Dial(other.to_string()),
        }
    }
}

/// Dials TCP, with `TCP_NODELAY`: a small request behind an fsync-bound one must not wait for a
/// delayed acknowledgement.
///
/// The name is resolved anew for each attempt (ZOOKEEPER-2184), and all its addresses are tried, the
/// next one beside those before it after a share of [`stagger`](Self::stagger), or as soon as one
/// fails, so that dead addresses among them cost little, however many (ZOOKEEPER-3100).
#[derive(Debug, Clone)]
pub struct TcpDial {
    /// Within which time all addresses of a name have been tried; 200 ms by default, and that is
    /// how long the first of two is given.
    pub stagger: Duration,
    /// How names are resolved; by the operating system by default.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for TcpDial {
    fn default() -> Self {
        TcpDial {
            stagger: Duration::from_millis(200),
            resolver: Arc::new(SystemResolver),
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
        let addresses = self
            .resolver
            .resolve(host)
            .await
            .map_err(DialError::Resolve)?;
        let connect = |address| Box::pin(TcpStream::connect(address)) as Connecting<TcpStream>;
        let stream = first_of(addresses, self.stagger, connect).await?;
        stream
            .set_nodelay(!zk_proto::seeded_bug!("D7"))
            .map_err(DialError::Other)?;
        Ok(stream)
    }
}

impl Dial for TcpDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move { Ok(Box::new(self.connect(host).await?) as Box<dyn Stream>) })
    }
}

type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// The first of the addresses that can be connected to. All have been tried after `stagger`.
async fn first_of<S>(
    addresses: Vec<SocketAddr>,
    stagger: Duration,
    connect: impl Fn(SocketAddr) -> Connecting<S>,
) -> Result<S, DialError> {
    let Some(others) = addresses.len().checked_sub(1) else {
        return Err(DialError::NoAddresses);
    };
    let stagger = stagger / u32::try_from(others).unwrap_or(u32::MAX).max(1);
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<(SocketAddr, Connecting<S>)> = Vec::new();
    let mut failures = Vec::new();
    let mut next = std::pin::pin!(tokio::time::sleep(stagger));
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
            // The first is not waited for: a timer takes its millisecond even for no time at all.
            if failed || attempts.is_empty() || next.as_mut().poll(cx).is_ready() {
                let Some(address) = waiting.next() else {
                    if attempts.is_empty() {
                        return Poll::Ready(Err(DialError::Connect(std::mem::take(&mut failures))));
                    }
                    return Poll::Pending;
                };
                attempts.push((address, connect(address)));
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
    async fn a27_d17_b34_dead_addresses_do_not_hide_a_living_one() {
        let (_open, address) = listener().await;
        let dead = [refused().await, refused().await];
        let connect = |address| Box::pin(TcpStream::connect(address)) as Connecting<TcpStream>;
        let addresses = vec![dead[0], dead[1], address];
        let stream = first_of(addresses, Duration::from_secs(60), connect)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn every_failure_is_named() {
        let dead = vec![refused().await, refused().await];
        let connect = |address| Box::pin(TcpStream::connect(address)) as Connecting<TcpStream>;
        let error = first_of(dead.clone(), Duration::ZERO, connect)
            .await
            .unwrap_err()
            .to_string();
        for address in dead {
            assert!(error.contains(&address.to_string()), "{error}");
        }
        assert!(error.contains("refused"), "{error}");
    }

    /// Whether it comes early or late in the answer, it is found within the least time a server is
    /// given.
    #[tokio::test(start_paused = true)]
    async fn b34_x16_nine_black_holes_do_not_hide_the_tenth_address() {
        let address = |n| SocketAddr::from(([192, 0, 2, n], 2181));
        for living in 0..10 {
            let connect = |to: SocketAddr| {
                if to == address(living) {
                    Box::pin(std::future::ready(Ok(to))) as Connecting<SocketAddr>
                } else {
                    Box::pin(std::future::pending())
                }
            };
            let started = tokio::time::Instant::now();
            let stagger = TcpDial::default().stagger;
            let found = first_of((0..10).map(address).collect(), stagger, connect).await;
            assert_eq!(found.unwrap(), address(living));
            assert!(started.elapsed() <= Duration::from_millis(210));
            assert!(living > 0 || started.elapsed().is_zero());
        }
    }

    /// Answers each question with the next of its answers, and with the last one from then on.
    #[derive(Debug)]
    struct Answers(std::sync::Mutex<Vec<io::Result<Vec<SocketAddr>>>>);

    impl Resolve for Answers {
        fn resolve<'a>(&'a self, _: &'a HostPort) -> crate::resolve::Resolving<'a> {
            Box::pin(async {
                let mut answers = self.0.lock().unwrap();
                if answers.len() > 1 {
                    answers.remove(0)
                } else {
                    Ok(answers[0].as_ref().unwrap().clone())
                }
            })
        }
    }

    #[tokio::test]
    async fn b33_a27_d17_x16_every_attempt_asks_again_and_takes_the_answer_it_gets() {
        let (_open, address) = listener().await;
        let dead = refused().await;
        let nxdomain = io::Error::new(io::ErrorKind::NotFound, "no such name");
        let answers = vec![
            Err(nxdomain),
            Ok(vec![]),
            Ok(vec![dead]),
            Ok(vec![dead, address]),
        ];
        let dial = TcpDial {
            resolver: Arc::new(Answers(answers.into())),
            ..TcpDial::default()
        };
        let host: HostPort = "zk.example.com".parse().unwrap();
        let mut failures = Vec::new();
        for _ in 0..3 {
            failures.push(dial.connect(&host).await.unwrap_err());
        }
        assert!(matches!(
            failures[..],
            [
                DialError::Resolve(_),
                DialError::NoAddresses,
                DialError::Connect(_)
            ]
        ));
        let stream = dial.connect(&host).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
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
    async fn a27_b33_a_name_that_does_not_exist_is_said_to_be_unresolvable() {
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
