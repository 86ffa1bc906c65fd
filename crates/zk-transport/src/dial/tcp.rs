//! Dialling TCP, with all addresses of a host considered.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use zk_proto::HostPort;

use super::open::{Dial, DialError, Dialing, Transport};
use crate::dns::resolve::{Resolve, Resolving, SystemResolver};
use crate::hosts::{Addresses, Order};

/// Dials TCP, with `TCP_NODELAY`: a small request behind an fsync-bound one must not wait for a
/// delayed acknowledgement.
///
/// The name is resolved anew for each attempt (ZOOKEEPER-2184), and all its addresses are tried, in an
/// order that the client shuffles unless its servers have a given one: the
/// next one beside those before it after a share of [`stagger`](Self::stagger), or as soon as one
/// fails, so that dead addresses among them cost little, however many (ZOOKEEPER-3100). An address that
/// accepted a connection which failed afterwards, in the handshake, is tried again only after the others.
#[derive(Debug, Clone)]
pub struct TcpDial {
    stagger: Duration,
    resolver: Arc<dyn Resolve>,
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
    /// The time within which an attempt begins to connect to each of a name's addresses; 200 ms by
    /// default, which is how long the first of two has before the second is tried beside it. At most a
    /// quarter of the time that the attempt may take.
    #[must_use]
    pub fn stagger(mut self, stagger: Duration) -> Self {
        self.stagger = stagger;
        self
    }

    /// How names are resolved; by the operating system by default.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Opens a TCP connection to `host`.
    ///
    /// # Errors
    /// The name could not be resolved, or none of its addresses could be connected to.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt and leaves nothing behind.
    pub async fn connect(&self, host: &HostPort) -> Result<TcpStream, DialError> {
        self.connect_next(host, &mut Addresses::default()).await
    }

    /// Opens a TCP connection to the next of the addresses of `host`, and notes it in `addresses`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn connect_next(
        &self,
        host: &HostPort,
        addresses: &mut Addresses,
    ) -> Result<TcpStream, DialError> {
        let found = self.resolver.resolve(host).await;
        let order = addresses.begin(found.map_err(DialError::Resolve)?);
        let pace = Pace::within(addresses.budget(), self.stagger);
        let connect = |address| {
            addresses.handle_tried(address);
            Box::pin(TcpStream::connect(address)) as Connecting<TcpStream>
        };
        let (address, stream) = first_of(order, pace, connect).await?;
        addresses.handle_connected(address);
        stream.set_nodelay(true).map_err(DialError::Other)?;
        Ok(stream)
    }
}

impl Dial for TcpDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move { Ok(Box::new(self.connect(host).await?) as Box<dyn Transport>) })
    }

    fn dial_next<'a>(&'a self, host: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.connect_next(host, addresses).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn addresses<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
        self.resolver.resolve(host)
    }

    fn authenticates_host(&self) -> bool {
        false
    }
}

/// How long the other addresses have before an attempt comes to the addresses that failed after they
/// had accepted a connection, which would be the first to accept again. At most a part of the attempt's
/// time.
const HEAD_START: Duration = Duration::from_secs(1);

/// How fast an attempt goes through the addresses of a name.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The time within which all fresh addresses have been tried.
    stagger: Duration,
    /// How long the fresh addresses have before the first of those that failed is tried, and the time
    /// within which all of those have been tried after it.
    head_start: Duration,
}

impl Pace {
    /// Leaves a quarter of the attempt's time for the address that is tried last.
    fn within(budget: Option<Duration>, stagger: Duration) -> Self {
        let most = budget.map_or(Duration::MAX, |budget| budget / 4);
        Pace {
            stagger: stagger.min(most),
            head_start: HEAD_START.min(most),
        }
    }
}

/// The delay between one of `count` addresses and the next, if all are tried within `whole`.
fn spread(whole: Duration, count: usize) -> Duration {
    whole / u32::try_from(count.saturating_sub(1).max(1)).unwrap_or(u32::MAX)
}

type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// The first of the addresses that can be connected to.
async fn first_of<S>(
    order: Order,
    pace: Pace,
    mut connect: impl FnMut(SocketAddr) -> Connecting<S>,
) -> Result<(SocketAddr, S), DialError> {
    if order.fresh.is_empty() && order.failed.is_empty() {
        return Err(DialError::NoAddresses);
    }
    let stagger = spread(pace.stagger, order.fresh.len());
    let next_failed = spread(pace.head_start, order.failed.len());
    let fresh = order.fresh.into_iter().map(|address| (address, stagger));
    let delays = std::iter::once(pace.head_start).chain(std::iter::repeat(next_failed));
    let failed = order.failed.into_iter().zip(delays);
    // Each address with the time that those before it have.
    let mut waiting = fresh.chain(failed).peekable();
    let mut attempts: Vec<(SocketAddr, Connecting<S>)> = Vec::new();
    let mut failures = Vec::new();
    let mut next = std::pin::pin!(tokio::time::sleep(stagger));
    poll_fn(|cx| {
        loop {
            let mut failed = false;
            let mut connected = None;
            attempts.retain_mut(|(address, attempt)| {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => connected = Some((*address, stream)),
                    Poll::Ready(Err(error)) => {
                        failures.push((*address, error));
                        failed = true;
                    }
                    Poll::Pending => return true,
                }
                false
            });
            if let Some(connected) = connected {
                return Poll::Ready(Ok(connected));
            }
            // tokio rounds up to 1 ms, so the first address skips the timer.
            if failed || attempts.is_empty() || next.as_mut().poll(cx).is_ready() {
                let Some((address, _)) = waiting.next() else {
                    if attempts.is_empty() {
                        return Poll::Ready(Err(DialError::Connect(std::mem::take(&mut failures))));
                    }
                    return Poll::Pending;
                };
                attempts.push((address, connect(address)));
                if let Some((_, delay)) = waiting.peek() {
                    next.as_mut().reset(tokio::time::Instant::now() + *delay);
                }
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

    fn fresh(addresses: Vec<SocketAddr>) -> Order {
        Addresses::default().begin(addresses)
    }

    /// Without a limit of the attempt's time.
    fn pace(stagger: Duration) -> Pace {
        Pace::within(None, stagger)
    }

    async fn refused() -> SocketAddr {
        listener().await.1
    }

    /// Guards: A27, B34, D17.
    #[tokio::test]
    async fn dead_addresses_do_not_hide_a_live_one() {
        let (_open, address) = listener().await;
        let dead = [refused().await, refused().await];
        let connect = |address| Box::pin(TcpStream::connect(address)) as Connecting<TcpStream>;
        let order = fresh(vec![dead[0], dead[1], address]);
        let (_, stream) = first_of(order, pace(Duration::from_secs(60)), connect)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn every_failure_is_named() {
        let dead = vec![refused().await, refused().await];
        let connect = |address| Box::pin(TcpStream::connect(address)) as Connecting<TcpStream>;
        let error = first_of(fresh(dead.clone()), pace(Duration::ZERO), connect)
            .await
            .unwrap_err()
            .to_string();
        for address in dead {
            assert!(error.contains(&address.to_string()), "{error}");
        }
        assert!(error.contains("refused"), "{error}");
    }

    /// The living address is found within the shortest budget, wherever it is in the answer.
    /// Guards: B34, X16.
    #[tokio::test(start_paused = true)]
    async fn nine_black_holes_do_not_hide_the_tenth() {
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
            let stagger = pace(TcpDial::default().stagger);
            let order = fresh((0..10).map(address).collect());
            let (found, _) = first_of(order, stagger, connect).await.unwrap();
            assert_eq!(found, address(living));
            assert!(started.elapsed() <= Duration::from_millis(210));
            assert!(living > 0 || started.elapsed().is_zero());
        }
    }

    /// The address that failed is near, and would be connected to first.
    /// Guards: P29.
    #[tokio::test(start_paused = true)]
    async fn an_address_that_failed_waits_for_others() {
        let address = |n| SocketAddr::from(([192, 0, 2, n], 2181));
        let answers_after = |to: SocketAddr, far: Duration| {
            Box::pin(async move {
                if to != address(1) {
                    tokio::time::sleep(far).await;
                }
                Ok(to)
            }) as Connecting<SocketAddr>
        };
        let stagger = pace(TcpDial::default().stagger);
        for (far, expected) in [(HEAD_START / 2, 2), (HEAD_START * 2, 1)] {
            let mut addresses = Addresses::default();
            addresses.begin(vec![address(1), address(2)]);
            addresses.handle_tried(address(1));
            addresses.handle_connected(address(1));
            addresses.handle_failed(std::time::Instant::now());
            let order = addresses.begin(vec![address(1), address(2)]);
            let connect = |to| answers_after(to, far);
            let (found, _) = first_of(order, stagger, connect).await.unwrap();
            assert_eq!(found, address(expected));
        }
        // With nothing else to try, there is no head start.
        let started = tokio::time::Instant::now();
        let order = Order {
            fresh: Vec::new(),
            failed: vec![address(1)],
        };
        let connect = |to| answers_after(to, HEAD_START);
        first_of(order, stagger, connect).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    /// Fresh addresses that do not answer leave time for one that failed before.
    /// Guards: P29.
    #[tokio::test(start_paused = true)]
    async fn a_failed_address_is_tried_in_the_budget() {
        let address = |n| SocketAddr::from(([192, 0, 2, n], 2181));
        for (fresh, failed) in [(1, 1), (3, 1), (3, 3), (0, 16), (16, 16)] {
            for budget in [200, 333, 1_000, 10_000].map(Duration::from_millis) {
                let last = address(fresh + failed);
                let connect = |to: SocketAddr| {
                    if to == last {
                        Box::pin(std::future::ready(Ok(to))) as Connecting<SocketAddr>
                    } else {
                        Box::pin(std::future::pending())
                    }
                };
                let order = Order {
                    fresh: (1..=fresh).map(address).collect(),
                    failed: (fresh + 1..=fresh + failed).map(address).collect(),
                };
                let addresses = Addresses::default().within(budget);
                let pace = Pace::within(addresses.budget(), TcpDial::default().stagger);
                let found = tokio::time::timeout(budget, first_of(order, pace, connect)).await;
                assert_eq!(found.expect("no time was left").unwrap().0, last);
            }
        }
    }

    /// Returns one answer after the other, and the last one from then on.
    #[derive(Debug)]
    struct Answers(std::sync::Mutex<Vec<io::Result<Vec<SocketAddr>>>>);

    impl Resolve for Answers {
        fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
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

    /// Guards: A27, B33, D17, X16.
    #[tokio::test]
    async fn every_attempt_resolves_the_name_anew() {
        let (_open, address) = listener().await;
        let dead = refused().await;
        let nxdomain = io::Error::new(io::ErrorKind::NotFound, "no such name");
        let answers = vec![
            Err(nxdomain),
            Ok(vec![]),
            Ok(vec![dead]),
            Ok(vec![dead, address]),
        ];
        let dial = TcpDial::default().resolver(Answers(answers.into()));
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

    /// Guards: D7.
    #[tokio::test]
    async fn nodelay_is_set() {
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

    /// Guards: A27, B33.
    #[tokio::test]
    async fn an_unknown_name_is_unresolvable() {
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
