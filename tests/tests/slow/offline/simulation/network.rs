//! The network between clients and servers: it carries every byte, and can do to it what networks
//! do.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use zk_client::{Dial, DialError, HostPort, Transport};
use zk_embedded::Server;
use zk_proto::SessionId;

use super::history::Recorder;
use super::link::{Link, carry_to_client, carry_to_server};
use super::pipe::{End, Endpoint, Pipe};
use super::wire::Observer;

/// What happens to an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialFault {
    /// No server answers.
    Hang,
    /// It is accepted, and nothing follows.
    Mute,
    Refused,
    Unresolved,
    Unreachable,
    /// The session is expired when the client's handshake arrives.
    Expire,
    /// The connection is cut when the first of several batches of watches has been armed anew.
    CutBetweenRearms,
}

impl DialFault {
    /// Its name, if making it is all there is to it.
    fn name(self) -> Option<&'static str> {
        Some(match self {
            DialFault::CutBetweenRearms => return None,
            DialFault::Hang => "X6 connect hangs",
            DialFault::Mute => "X6 accepted and never answered",
            DialFault::Refused => "X9 refused",
            DialFault::Unresolved => "X16 not resolved",
            DialFault::Unreachable => "X16 unreachable",
            DialFault::Expire => "X12 expired in the handshake",
        })
    }
}

#[derive(Debug, Default)]
struct Inner {
    links: BTreeMap<usize, Arc<Link>>,
    next_link: usize,
    dials: Vec<(usize, DialFault)>,
    /// Which clients cannot reach which members.
    blocked: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) server: Server,
    pub(crate) recorder: Arc<Recorder>,
    seed: u64,
    inner: Mutex<Inner>,
}

impl Network {
    pub(crate) fn new(server: Server, recorder: Arc<Recorder>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            server,
            recorder,
            seed,
            inner: Mutex::default(),
        })
    }

    /// The links that carry a session, oldest first.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        let mut inner = self.inner.lock().unwrap();
        inner.links.retain(|_, link| !link.is_dead());
        inner.links.values().cloned().collect()
    }

    /// Lets a client's next attempts to connect fail.
    pub(crate) fn next_dials(&self, client: usize, fault: DialFault, times: usize) {
        let mut inner = self.inner.lock().unwrap();
        inner.dials.extend((0..times).map(|_| (client, fault)));
    }

    /// Cuts a client off from a member: nothing gets through until [`heal`](Self::heal), and
    /// nothing that was sent is lost.
    pub(crate) fn block(&self, client: usize, member: usize) {
        self.inner.lock().unwrap().blocked.push((client, member));
        for link in self.links() {
            if link.client == client && link.member == member {
                link.hold(true, true, None);
            }
        }
    }

    pub(crate) fn heal(&self) {
        let blocked = std::mem::take(&mut self.inner.lock().unwrap().blocked);
        for link in self.links() {
            if blocked.contains(&(link.client, link.member)) {
                link.release();
            }
        }
    }

    /// Ends a session before its time; whether there was one.
    pub(crate) fn expire(&self, session: SessionId) -> bool {
        // Before it happens: at the same moment the next one may have what it held.
        self.recorder
            .with(|history| history.ended_early.insert(session.0));
        self.server.expire_session(session)
    }

    /// Ends every fault. What is dead stays so.
    pub(crate) fn calm(&self) {
        self.heal();
        self.inner.lock().unwrap().dials.clear();
        for link in self.links() {
            link.calm();
        }
    }

    fn take_dial_fault(&self, client: usize) -> Option<DialFault> {
        let mut inner = self.inner.lock().unwrap();
        let index = inner
            .dials
            .iter()
            .position(|(dialler, _)| *dialler == client)?;
        Some(inner.dials.remove(index).1)
    }

    fn is_blocked(&self, client: usize, member: usize) -> bool {
        let inner = self.inner.lock().unwrap();
        inner.blocked.contains(&(client, member))
    }

    async fn dial(self: Arc<Self>, client: usize, host: &HostPort) -> Result<Endpoint, DialError> {
        let member: usize = host.host.trim_start_matches('m').parse().unwrap();
        let fault = self.take_dial_fault(client);
        if let Some(name) = fault.and_then(DialFault::name) {
            self.recorder.fault(name);
        }
        sleep(Duration::from_millis(1)).await;
        let unreachable = || io::Error::from(io::ErrorKind::HostUnreachable);
        match fault {
            Some(DialFault::Hang) => return std::future::pending().await,
            Some(DialFault::Refused) => {
                return Err(DialError::Other(io::ErrorKind::ConnectionRefused.into()));
            }
            Some(DialFault::Unresolved) => {
                return Err(DialError::Resolve(io::Error::other("NXDOMAIN")));
            }
            Some(DialFault::Unreachable) => {
                let address = ([10, 0, 0, 1], 2181).into();
                return Err(DialError::Connect(vec![(address, unreachable())]));
            }
            _ => {}
        }
        if self.is_blocked(client, member) {
            return std::future::pending().await;
        }
        self.open(client, member, fault).map_err(DialError::Other)
    }

    fn open(
        self: Arc<Self>,
        client: usize,
        member: usize,
        fault: Option<DialFault>,
    ) -> io::Result<Endpoint> {
        let (from_client, to_client) = (Pipe::default(), Pipe::default());
        let (from_server, to_server) = (Pipe::default(), Pipe::default());
        let far = Endpoint {
            incoming: to_server.clone(),
            outgoing: from_server.clone(),
            watcher: None,
            records: None,
        };
        let id = {
            let mut inner = self.inner.lock().unwrap();
            inner.next_link += 1;
            inner.next_link
        };
        let observer = Arc::new(Observer::new(self.recorder.clone(), client, id));
        let pipes = [
            from_client.clone(),
            to_client.clone(),
            from_server,
            to_server,
        ];
        let seed = self.seed.wrapping_mul(31).wrapping_add(id as u64);
        let link = Link::new(
            client,
            member,
            pipes,
            observer.clone(),
            self.recorder.clone(),
            seed,
        );
        let link = Arc::new(link);
        if fault == Some(DialFault::Mute) {
            // The far end is kept open, and not read.
            link.keep(far);
        } else {
            self.server.serve(member, far)?;
        }
        if self.server.deposed_leader() == Some(member) {
            self.recorder.fault("X26 client on a deposed leader");
        }
        if fault == Some(DialFault::CutBetweenRearms) {
            link.cut_between_rearms();
        }
        let expire = fault == Some(DialFault::Expire);
        tokio::spawn(carry_to_server(link.clone(), self.clone(), expire));
        tokio::spawn(carry_to_client(link.clone()));
        self.inner.lock().unwrap().links.insert(id, link);
        Ok(Endpoint {
            incoming: to_client,
            outgoing: from_client,
            watcher: Some(observer),
            records: [None, Some(16), Some(64)][id % 3],
        })
    }
}

/// How one client connects.
#[derive(Debug, Clone)]
pub(crate) struct SimDial {
    pub(crate) network: Arc<Network>,
    pub(crate) client: usize,
}

impl Dial for SimDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> zk_client::Dialing<'a> {
        Box::pin(async move {
            let stream = self.network.clone().dial(self.client, host).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}

/// Waits until `until`, or for ever.
pub(crate) async fn until(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutAt {
    /// After so many more bytes.
    pub(crate) bytes: usize,
    pub(crate) how: End,
}

/// How many requests to arm watches anew a link has carried.
pub(crate) fn rearms(observer: &Observer) -> usize {
    observer.rearms.load(Ordering::Relaxed)
}
