//! The options of a client.

mod start;

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{Acl, ConnectTarget};
use zk_transport::{BackoffPolicy, Dial, Login, Resolve, SystemResolver, TcpDial};

use crate::client::Client;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::session::identity::SessionPolicy;
use crate::shared::SuspendedTime;

/// ZooKeeper's default `jute.maxbuffer`: a server closes the connection on a larger request.
const SERVER_FRAME_LIMIT: usize = 0xf_ffff;

/// Credentials, which `Debug` does not show.
#[derive(Clone)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A connect string, which `Debug` shows only if it is valid: another one may hold a password.
#[derive(Clone)]
struct GivenHosts(String);

impl std::fmt::Debug for GivenHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.parse::<ConnectTarget>() {
            Ok(target) => write!(f, "\"{target}\""),
            Err(_) => f.write_str("[invalid]"),
        }
    }
}

impl Client {
    /// Connects to an ensemble with the default options: `host:port,host:port/chroot`. The port is
    /// 2181 unless given, IPv6 addresses stand in brackets, the chroot is optional. Or the name of a
    /// service, whose SRV records in the DNS are the servers (ZOOKEEPER-4956):
    /// `dns-srv://_zookeeper._tcp.example.com/chroot`.
    ///
    /// # Errors
    /// See [`ClientBuilder::connect`].
    ///
    /// # Panics
    /// Outside a tokio runtime; see [`ClientBuilder::start`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(hosts: impl Into<String>) -> Result<Client> {
        Self::builder(hosts).connect().await
    }

    /// The options of a client, before it connects.
    pub fn builder(hosts: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(hosts)
    }
}

/// Makes a [`Client`].
#[derive(Debug, Clone)]
#[must_use = "call connect() or start()"]
pub struct ClientBuilder {
    hosts: GivenHosts,
    session_timeout: Duration,
    connect_timeout: Duration,
    deadline: Option<Duration>,
    policy: SessionPolicy,
    acl: Arc<[Acl]>,
    credentials: Vec<(String, Secret)>,
    login: Option<Arc<dyn Login>>,
    max_request: usize,
    max_reply: usize,
    max_outstanding: usize,
    max_outstanding_bytes: usize,
    max_watch_events: usize,
    max_watch_bytes: usize,
    close_timeout: Duration,
    backoff: BackoffPolicy,
    seed: Option<u64>,
    dial: Arc<dyn Dial>,
    read_only: bool,
    follow_config: bool,
    #[cfg(feature = "tls")]
    tls: Option<zk_transport::TlsConfig>,
    resolver: Arc<dyn Resolve>,
    srv_refresh: Duration,
    suspended: Suspended,
}

/// Where the time that the machine was suspended comes from, if the caller says.
#[derive(Clone, Default)]
struct Suspended(Option<SuspendedTime>);

impl std::fmt::Debug for Suspended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = self.0.as_ref().map_or("the platform", |_| "the caller");
        f.write_str(source)
    }
}

impl ClientBuilder {
    pub(crate) fn new(hosts: impl Into<String>) -> Self {
        ClientBuilder {
            hosts: GivenHosts(hosts.into()),
            session_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            deadline: Some(Duration::from_secs(30)),
            policy: SessionPolicy::default(),
            acl: Acl::open().into(),
            credentials: Vec::new(),
            login: None,
            max_request: SERVER_FRAME_LIMIT,
            max_reply: 8 * 1024 * 1024,
            max_outstanding: 131_072,
            max_outstanding_bytes: 128 << 20,
            max_watch_events: 1024,
            max_watch_bytes: 1 << 20,
            close_timeout: Duration::from_secs(10),
            backoff: BackoffPolicy::default(),
            seed: None,
            dial: Arc::new(TcpDial::default()),
            read_only: false,
            follow_config: false,
            #[cfg(feature = "tls")]
            tls: None,
            resolver: Arc::new(SystemResolver),
            srv_refresh: Duration::from_secs(60),
            suspended: Suspended::default(),
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
    ///
    /// Without a deadline a request waits as long as no server can be reached. But a read, which is
    /// sent again after each lost connection, fails with [`ErrorKind::ConnectionLost`] when the
    /// server has closed ten connections in a row while this read was the next to be answered.
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
        self.credentials
            .push((scheme.into(), Secret(credentials.into())));
        self
    }

    /// Logs in with SASL and DIGEST-MD5 on every connection, before anything else is sent. See
    /// [`sasl`](Self::sasl).
    #[cfg(feature = "sasl")]
    pub fn sasl_digest(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.sasl(zk_transport::sasl::Digest::new(user, password))
    }

    /// Logs in with SASL on every connection, before anything else is sent, by the mechanism given
    /// and no other. A login that fails, on the first connection or a later one, is the end of the
    /// client: [`ErrorKind::AuthFailed`], which says why.
    pub fn sasl(mut self, login: impl Login) -> Self {
        self.login = Some(Arc::new(login));
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

    /// How many bytes outstanding requests may have together, those that wait for a connection and
    /// those that have not been answered; 128 MiB unless given. Once they have as many, one more
    /// request fails with [`ErrorKind::QueueFull`]; so they never have more than this and one
    /// request of [`max_request_bytes`](Self::max_request_bytes).
    pub fn max_outstanding_bytes(mut self, bytes: usize) -> Self {
        self.max_outstanding_bytes = bytes;
        self
    }

    /// How many bytes the paths of the unread events of a recursive watch may have together; 1 MiB
    /// unless given. Further events are dropped and reported as
    /// [`WatchEvent::Lagged`](crate::WatchEvent::Lagged).
    pub fn max_watch_bytes(mut self, bytes: usize) -> Self {
        self.max_watch_bytes = bytes;
        self
    }

    /// How many unread events a persistent watch holds; 1,024 unless given. Further ones are
    /// dropped and reported as [`WatchEvent::Lagged`](crate::WatchEvent::Lagged).
    pub fn max_watch_events(mut self, events: usize) -> Self {
        self.max_watch_events = events;
        self
    }

    /// How long [`Client::close`] takes at most; 10 s unless given. Three quarters of it are for
    /// clean-ups, if there are any. What is left, but never more than the session timeout, after
    /// which the session ends by itself, is for a server to end the session.
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

    /// Replaces the source of the time for which the machine has been suspended in all, which is not
    /// to go back. A [`Lease`](crate::Lease) counts that time although the clock stood still.
    ///
    /// The default is `CLOCK_BOOTTIME` less `CLOCK_MONOTONIC` on Linux and the like on Apple's
    /// systems; elsewhere, where no clock counts suspensions, it stays at zero. The function runs at
    /// every check of a lease and must not block.
    pub fn suspended_time(mut self, source: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.suspended = Suspended(Some(Arc::new(source)));
        self
    }

    /// Whether a server without a quorum will do as long as there is no other; it will not unless
    /// this is given. Servers have to be configured for it: `readonlymode.enabled`, and
    /// `localSessionsEnabled`, for without a quorum they can neither give nor renew any other session.
    ///
    /// It serves reads, of data that may be old, and refuses writes and `sync` with
    /// [`ErrorKind::ReadOnly`]. The state is then
    /// [`ConnectedReadOnly`](crate::State::ConnectedReadOnly), no lease can be trusted, and no lock
    /// be had. Meanwhile the client asks all other servers, again and again at intervals that grow
    /// from 0.1 s to a minute, whether they have a quorum, and moves to the first that has. A
    /// session that it had before goes on there, if it has not expired; otherwise the client gets
    /// its first one there, and its watches remain.
    ///
    /// While the session may live, a read-only server that does not know it is not used.
    pub fn read_only(mut self, allowed: bool) -> Self {
        self.read_only = allowed;
        self
    }

    /// Whether the list of servers follows the ensemble's configuration, as `reconfig` changes it;
    /// it does not unless this is given.
    ///
    /// The first configuration replaces the servers of the connect string; the chroot stays. With
    /// every later one clients move as with [`Client::update_hosts`], and so does one whose server
    /// was removed, with its session. Servers are reached at the client address that the
    /// configuration gives, or, where that is a wildcard, at the host name the other servers use;
    /// with TLS, at the secure client port, or at a plain one that the connect string names as well.
    ///
    /// No server is lost by what a configuration leaves out or gets wrong for this client:
    ///
    /// - The servers of the connect string that no configuration names are tried whenever none of
    ///   the configured ones answers, and a client that is connected to one of them stays there.
    /// - While the configuration does not say where this client reaches each server (no client port,
    ///   nothing but wildcards, a loopback address if the connect string has none, a line that cannot
    ///   be read), those servers of the connect string stay in the list. The log says why.
    /// - A server alone has no configuration, and that changes nothing.
    ///
    /// A server that a configuration has named and a later one lacks is not tried any more.
    pub fn follow_config(mut self, follow: bool) -> Self {
        self.follow_config = follow;
        self
    }

    /// How often the servers of a `dns-srv://` connect string are looked up again while the client
    /// lives; every 60 s unless given, zero for once only. On a change clients move as with
    /// [`Client::update_hosts`]. A lookup that fails, finds no server, or finds what the one before
    /// did changes nothing, so a list given otherwise stays until the service changes.
    pub fn srv_refresh(mut self, interval: Duration) -> Self {
        self.srv_refresh = interval;
        self
    }

    /// How the servers of a `dns-srv://` connect string are looked up; by the name servers of
    /// `/etc/resolv.conf` unless given. How the names of servers are resolved is up to
    /// [`TcpDial::resolver`].
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// How connections are opened, for tunnels and simulated networks; plain TCP unless given. One that
    /// wraps [`TcpDial`] should pass on [`Dial::dial_next`], by which all addresses of a name are tried.
    /// With a `dns-srv://` connect string, one without TLS has to say so by
    /// [`Dial::authenticates_host`].
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Arc::new(dial);
        self
    }

    /// Connects with TLS only. The servers' ports for it are their `secureClientPort`s.
    ///
    /// A server is verified by its host in the connect string, in the list given to
    /// [`Client::update_hosts`], or in the configuration of an ensemble that is followed, which comes
    /// from a verified server. Names out of the DNS are not authenticated: a `dns-srv://` connect string
    /// needs [`TlsConfig::server_name`](zk_transport::TlsConfig::server_name) or
    /// [`TlsConfig::danger_trust_dns_names`](zk_transport::TlsConfig::danger_trust_dns_names).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: zk_transport::TlsConfig) -> Self {
        self.tls = Some(config);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn in_runtime<T>(
        enable: fn(&mut tokio::runtime::Builder) -> &mut tokio::runtime::Builder,
        future: impl Future<Output = T>,
    ) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        enable(&mut runtime).build().unwrap().block_on(future)
    }

    /// Guards: P67.
    #[test]
    #[should_panic(expected = "timers are disabled")]
    fn a_runtime_without_timers_panics_at_start() {
        let _ = in_runtime(|it| it.enable_io(), async {
            ClientBuilder::new("127.0.0.1:1").start()
        });
    }

    /// Guards: P67.
    #[test]
    fn a_runtime_without_io_is_named_by_errors() {
        let errors = in_runtime(|it| it.enable_time(), async {
            let connecting = ClientBuilder::new("127.0.0.1:1").connect().await;
            let client = ClientBuilder::new("127.0.0.1:1").start().unwrap();
            let reading = client.get("/a").await;
            [connecting.unwrap_err(), reading.unwrap_err()]
        });
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.to_string().contains("enable_io"), "{error}");
        }
    }

    #[test]
    fn b75_credentials_are_not_shown() {
        let builder = ClientBuilder::new("localhost").auth("digest", "user:canary");
        let text = format!("{builder:?}");
        assert!(text.contains("digest") && text.contains("[redacted]"));
        assert!(
            !text.contains("canary") && !text.contains("99, 97"),
            "{text}"
        );
    }

    /// Guards: P27.
    #[test]
    fn a_password_in_hosts_or_acl_is_not_shown() {
        for hosts in ["user:hunter2@zk1:2181", "zk://user:hunter2@zk1/m"] {
            let acl = Acl::new(zk_proto::Permissions::ALL, "digest", "user:hunter2");
            let builder = ClientBuilder::new(hosts).default_acl([acl]);
            let shown = format!("{builder:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            let error = builder.start().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let shown = format!("{:?}", ClientBuilder::new("zk1,zk2/app"));
        assert!(shown.contains("zk1:2181,zk2:2181/app"), "{shown}");
    }
}
