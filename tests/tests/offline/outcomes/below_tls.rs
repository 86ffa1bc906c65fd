//! Connections that end at every byte below TLS, in both directions.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zk_client::{BackoffPolicy, Client, Dial, DialError, Dialing, HostPort, Outcome, Transport};
use zk_embedded::Server;
use zk_proto::CreateMode;

use crate::common::certificates::{Authority, rustls_client};

/// Small, so that a short burst of requests is many records.
const RECORD: usize = 64;

/// How a connection ends for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Its write fails, after what was passed on has arrived.
    InWrite,
    /// Its read fails.
    InRead,
    /// Its read comes to the end of the stream.
    AtEnd,
}

/// Where the connection in use ends: after so many more bytes.
#[derive(Debug, Default)]
struct Cut {
    at: Option<(Ends, usize)>,
    /// Bytes since [`Wire::arm`], to the server and to the client.
    passed: (usize, usize),
}

/// A way to an embedded server, with TLS over streams that can be cut.
#[derive(Clone)]
struct Wire {
    server: Arc<Server>,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    cut: Arc<Mutex<Cut>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    async fn new() -> Self {
        let authority = Authority::new("ours");
        let mut client = rustls_client(&authority);
        client.max_fragment_size = Some(RECORD);
        let mut server = authority.issue(&["localhost"]).server();
        server.max_fragment_size = Some(RECORD);
        Wire {
            server: Arc::new(Server::builder().in_memory().start().await.unwrap()),
            connector: Arc::new(client).into(),
            acceptor: Arc::new(server).into(),
            cut: Arc::default(),
        }
    }

    async fn client(&self) -> Client {
        Client::builder("localhost:1")
            .backoff(BackoffPolicy::new(
                Duration::from_millis(1),
                Duration::from_millis(20),
            ))
            .dial(self.clone())
            .connect()
            .await
            .unwrap()
    }

    fn arm(&self, at: Option<(Ends, usize)>) {
        *self.cut.lock().unwrap() = Cut { at, passed: (0, 0) };
    }

    fn is_armed(&self) -> bool {
        self.cut.lock().unwrap().at.is_some()
    }
}

impl Dial for Wire {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(1 << 20);
            let (acceptor, server) = (self.acceptor.clone(), self.server.clone());
            tokio::spawn(async move {
                // A client whose connection is cut in the handshake is not served.
                if let Ok(stream) = acceptor.accept(far).await {
                    server.serve(0, stream).unwrap();
                }
            });
            let near = Cuttable {
                stream: near,
                cut: self.cut.clone(),
                is_cut: None,
            };
            let name = ServerName::try_from("localhost").unwrap();
            let stream = self.connector.connect(name, near).await;
            Ok(Box::new(stream.map_err(DialError::Other)?) as Box<dyn Transport>)
        })
    }
}

/// The stream below TLS.
struct Cuttable {
    stream: DuplexStream,
    cut: Arc<Mutex<Cut>>,
    is_cut: Option<Ends>,
}

impl Cuttable {
    /// How many of `most` bytes may pass; none once the connection is cut.
    fn may_pass(&mut self, to_server: bool, most: usize) -> usize {
        let mut cut = self.cut.lock().unwrap();
        if self.is_cut.is_some() {
            return 0;
        }
        match cut.at {
            Some((ends, left)) if (ends == Ends::InWrite) == to_server => {
                if left == 0 {
                    self.is_cut = Some(ends);
                    // The next connection is good.
                    cut.at = None;
                }
                left.min(most)
            }
            _ => most,
        }
    }

    fn passed(&self, to_server: bool, bytes: usize) {
        let mut cut = self.cut.lock().unwrap();
        match to_server {
            true => cut.passed.0 += bytes,
            false => cut.passed.1 += bytes,
        }
        if let Some((ends, left)) = &mut cut.at
            && (*ends == Ends::InWrite) == to_server
        {
            *left -= bytes;
        }
    }

    fn reset() -> io::Error {
        io::ErrorKind::ConnectionReset.into()
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.may_pass(false, buf.remaining());
        match self.is_cut {
            Some(Ends::AtEnd) => return Poll::Ready(Ok(())),
            Some(_) => return Poll::Ready(Err(Self::reset())),
            None => {}
        }
        let mut part = buf.take(most);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let filled = part.filled().len();
        // The part is the front of the buffer's unfilled rest.
        buf.initialize_unfilled_to(filled);
        buf.advance(filled);
        self.passed(false, filled);
        polled
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = self.may_pass(true, bytes.len());
        if self.is_cut.is_some() {
            return Poll::Ready(Err(Self::reset()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, &bytes[..most]);
        if let Poll::Ready(Ok(count)) = written {
            self.passed(true, count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What was said of a write that makes znodes of this name.
#[derive(Debug)]
struct Said {
    name: String,
    outcome: Result<(), Outcome>,
    ends: Option<(Ends, usize)>,
}

/// Several requests at once; what was said of each write.
async fn burst(zk: &Client, round: usize, ends: Option<(Ends, usize)>) -> Vec<Said> {
    let name = |what: &str| format!("/{what}-{round:06}-");
    let (first, second, third) = (name("first"), name("second"), name("third"));
    let mode = CreateMode::PersistentSequential;
    let creating = zk.create(&first, "").sequential().submit();
    let reading = zk.exists("/").submit();
    let committing = zk.multi().create_mode(&second, "", mode).commit();
    let last = zk.create(&third, "").sequential().submit();
    let (creating, committing) = (creating.await.map(drop), committing.await.map(drop));
    let last = last.await.map(drop);
    // Reads are sent again.
    assert!(reading.await.unwrap().is_some(), "{ends:?}");
    [(first, creating), (second, committing), (third, last)]
        .map(|(name, result)| Said {
            name,
            outcome: result.map_err(|error| error.outcome()),
            ends,
        })
        .into()
}

/// How often each outcome was said, and the writes had been executed.
type Tally = BTreeMap<(String, usize), usize>;

/// Cuts a connection at every byte that a burst of requests takes in this direction.
async fn cut_everywhere(ends: Ends) -> Tally {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    wire.arm(None);
    let mut said = burst(&zk, 0, None).await;
    let passed = wire.cut.lock().unwrap().passed;
    let bytes = if ends == Ends::InWrite {
        passed.0
    } else {
        passed.1
    };
    for at in 0..bytes {
        wire.arm(Some((ends, at)));
        said.extend(burst(&zk, at + 1, Some((ends, at))).await);
        assert!(
            !wire.is_armed(),
            "{ends:?} at {at} of {bytes}: nothing was cut"
        );
    }
    zk.close().await.unwrap();
    let paths = wire.server.paths();
    let mut tally = Tally::new();
    for said in said {
        let made = paths.iter().filter(|path| path.starts_with(&said.name));
        let made = made.count();
        let allowed = match said.outcome {
            Ok(()) => made == 1,
            Err(Outcome::Unknown) => made <= 1,
            Err(Outcome::NotSent | Outcome::Rejected) => made == 0,
        };
        let Said {
            name,
            outcome,
            ends,
        } = said;
        assert!(allowed, "{name} made {made} times, {ends:?}: {outcome:?}");
        *tally.entry((format!("{outcome:?}"), made)).or_default() += 1;
    }
    tally
}

fn seen(tally: &Tally, outcome: &str, made: usize) -> bool {
    tally.contains_key(&(outcome.to_owned(), made))
}

/// Guards: H2.
#[tokio::test(start_paused = true)]
async fn a_write_that_fails_below_tls() {
    let tally = cut_everywhere(Ends::InWrite).await;
    assert!(seen(&tally, "Err(Unknown)", 1), "{tally:?}");
    assert!(seen(&tally, "Err(Unknown)", 0), "{tally:?}");
}

/// Guards: H2.
#[tokio::test(start_paused = true)]
async fn a_read_that_fails_below_tls() {
    for ends in [Ends::InRead, Ends::AtEnd] {
        let tally = cut_everywhere(ends).await;
        assert!(seen(&tally, "Err(Unknown)", 1), "{tally:?}");
        assert!(seen(&tally, "Ok(())", 1), "{tally:?}");
        assert!(!seen(&tally, "Err(NotSent)", 0), "all was sent: {tally:?}");
    }
}
