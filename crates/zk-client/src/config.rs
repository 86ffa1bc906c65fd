//! The options of a client.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{Acl, ConnectString};
use zk_transport::{BackoffPolicy, Dial, Hosts, TcpDial};

use crate::client::Client;
use crate::core::{Core, Limits};
use crate::driver::{Gone, drive};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::shared::{Shared, now};

/// ZooKeeper's default `jute.maxbuffer`: a server closes the connection on a larger request.
const SERVER_FRAME_LIMIT: usize = 0xf_ffff;

/// What follows when a session expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionPolicy {
    /// A new session is established, with the next epoch.
    #[default]
    Renew,
    /// The client is over; every later request fails.
    Close,
}

/// Makes a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "call connect() or start()"]
pub struct Builder {
    hosts: String,
    session_timeout: Duration,
    connect_timeout: Duration,
    deadline: Option<Duration>,
    policy: SessionPolicy,
    acl: Arc<[Acl]>,
    credentials: Vec<(String, Vec<u8>)>,
    max_request: usize,
    max_reply: usize,
    max_outstanding: usize,
    max_watch_events: usize,
    close_timeout: Duration,
    backoff: BackoffPolicy,
    seed: Option<u64>,
    dial: Arc<dyn Dial>,
}

impl Builder {
    pub(crate) fn new(hosts: impl Into<String>) -> Self {
        Builder {
            hosts: hosts.into(),
            session_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            deadline: Some(Duration::from_secs(30)),
            policy: SessionPolicy::default(),
            acl: Acl::open().into(),
            credentials: Vec::new(),
            max_request: SERVER_FRAME_LIMIT,
            max_reply: 8 * 1024 * 1024,
            max_outstanding: 131_072,
            max_watch_events: 1024,
            close_timeout: Duration::from_secs(10),
            backoff: BackoffPolicy::default(),
            seed: None,
            dial: Arc::new(TcpDial::default()),
        }
    }

    /// The session timeout to ask for; 10 s unless given. Servers allow 2 to 20 of their ticks (4 s
    /// to 40 s by default) and clamp what is outside; [`Client::session`] tells what was agreed.
    ///
    /// After this long without contact the ensemble ends the session and releases what it holds.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// How long [`connect`](Self::connect) waits for the first session; 15 s unless given.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an operation may take, waiting for a connection included; 30 s unless given, `None`
    /// for no limit. Each operation's own `deadline` takes precedence.
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// What follows when the session expires; [`SessionPolicy::Renew`] unless given.
    pub fn session_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The ACL of znodes created without one; open to the world unless given.
    pub fn default_acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.acl = acl.into().into();
        self
    }

    /// Credentials, sent first on every connection, in the order given. For the scheme `digest`
    /// they read `user:password`.
    pub fn auth(mut self, scheme: impl Into<String>, credentials: impl Into<Vec<u8>>) -> Self {
        self.credentials.push((scheme.into(), credentials.into()));
        self
    }

    /// The largest request to send, in bytes. Set it to the servers' `jute.maxbuffer`, which is
    /// 1,048,575 by default: a server closes the connection on a larger request without a word, so
    /// it is refused here.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// The largest reply to receive, in bytes; 8 MiB unless given. A larger one fails its request
    /// and costs the connection.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// How many requests may be outstanding; 131,072 unless given. One more fails with
    /// [`ErrorKind::QueueFull`].
    pub fn max_outstanding(mut self, requests: usize) -> Self {
        self.max_outstanding = requests;
        self
    }

    /// How many unread events a persistent watch holds; 1,024 unless given. Further ones are
    /// dropped and reported as [`WatchEvent::Lagged`](crate::WatchEvent::Lagged).
    pub fn max_watch_events(mut self, events: usize) -> Self {
        self.max_watch_events = events;
        self
    }

    /// How long [`Client::close`] tries to have the session ended by a server; 10 s unless given,
    /// and never longer than the session timeout, after which the session ends by itself.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// The delays between attempts to connect once every server has been tried in vain.
    pub fn backoff(mut self, policy: BackoffPolicy) -> Self {
        self.backoff = policy;
        self
    }

    /// Determines the order of servers and the jitter of delays, for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How connections are opened, for TLS and simulated networks; plain TCP unless given.
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Arc::new(dial);
        self
    }

    /// Makes the client without waiting for a session; requests wait for one. It keeps trying until
    /// it is closed, however long there is no server.
    ///
    /// # Errors
    /// The connect string is invalid.
    ///
    /// # Panics
    /// Outside a tokio runtime: the client's driver is a task of the current one.
    pub fn start(self) -> Result<Client> {
        let connect: ConnectString = self.hosts.parse().map_err(|e| {
            Error::invalid_argument(format!("invalid connect string: {e}")).with_source(e)
        })?;
        let limits = Limits {
            outstanding: self.max_outstanding,
            request_bytes: self.max_request,
            watch_events: self.max_watch_events.max(1),
            close_timeout: self.close_timeout,
        };
        // What the wire can say: milliseconds in an i32, almost 25 days.
        let timeout = self
            .session_timeout
            .min(Duration::from_millis(i32::MAX.unsigned_abs().into()));
        let mut core = Core::new(now(), timeout, self.policy, false, limits);
        for (scheme, secret) in self.credentials {
            core.preset_credential(scheme, secret);
        }
        let runtime = tokio::runtime::Handle::current();
        let shared = Arc::new(Shared::new(core, runtime.clone()));
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let hosts = Hosts::new(connect.hosts, self.backoff, seed);
        runtime.spawn(drive(
            Gone(shared.clone()),
            hosts,
            self.dial,
            self.max_reply,
        ));
        Ok(Client::new(shared, connect.chroot, self.deadline, self.acl))
    }

    /// Makes the client and waits for its first session.
    ///
    /// # Errors
    /// The connect string is invalid; the server refused the credentials; or no server could be
    /// reached in time, and then the error says what was wrong with each.
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(self) -> Result<Client> {
        let patience = self.connect_timeout;
        let client = self.start()?;
        match tokio::time::timeout(patience, client.connected()).await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => {
                let failures = client.connect_failures();
                let detail = if failures.is_empty() {
                    format!("no session within {} ms", patience.as_millis())
                } else {
                    format!("no session within {} ms: {failures}", patience.as_millis())
                };
                Err(Error::new(ErrorKind::ConnectTimeout, Outcome::NotSent).with_detail(detail))
            }
        }
    }
}
