//! The options of a client.

mod placement;
mod restore;
mod start;

use std::sync::Arc;
use std::time::Duration;

use zk_proto::Acl;
use zk_transport::{BackoffPolicy, Dial, HostOrder, Login, Resolve, SystemResolver, TcpDial};

use crate::client::{Client, DefaultAcl};
use crate::config::server_list::ServerList;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{ErrorKind, Outcome};
use crate::retry_policy::RetryPolicy;
use crate::session::identity::SessionPolicy;
use crate::shared::SuspendedTime;

/// ZooKeeper's default `jute.maxbuffer`: a server closes the connection on a larger request.
const SERVER_FRAME_LIMIT: usize = 0xf_ffff;

/// What the requests of one operation that are sent together need at most.
const MIN_OUTSTANDING: usize = 2;

/// Credentials, which `Debug` does not show.
#[derive(Clone)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Client {
    /// Connects to an ensemble with the default options: `host:port,host:port/chroot`. The port is
    /// 2181 by default, IPv6 addresses are in brackets, the chroot is optional. Or the name of a
    /// service, whose SRV records in the DNS are the servers (ZOOKEEPER-4956):
    /// `dns-srv://_zookeeper._tcp.example.com/chroot`.
    ///
    /// All paths of the client are below the chroot. Its znodes need not exist: `ensure_path("/")`
    /// creates them, and so does [`parents`](crate::Create::parents).
    ///
    /// If no server can be reached, this takes 15 s, and the error then says why, for each server.
    /// Until then only a subscriber of `tracing` shows the failure: see
    /// [Tracing and metrics](crate#tracing-and-metrics).
    ///
    /// # Errors
    /// See [`ClientBuilder::connect`].
    ///
    /// # Panics
    /// In a tokio runtime without timers; see [`ClientBuilder::start`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(hosts: impl Into<ServerList>) -> Result<Client> {
        Self::builder(hosts).connect().await
    }

    /// The options of a client, before it connects. The servers are a connect string as of
    /// [`connect`](Self::connect), a list of servers, or a URL with options
    /// ([`ClientConfig`](crate::ClientConfig)), which the methods of the builder override.
    pub fn builder(hosts: impl Into<ServerList>) -> ClientBuilder {
        ClientBuilder::of_list(hosts.into())
    }
}

/// The options of a [`Client`]; [`connect`](Self::connect) makes it. Made by [`Client::builder`].
///
/// ```no_run
/// # async fn run() -> zk_client::Result<()> {
/// use std::time::Duration;
/// use zk_client::Client;
///
/// let zk = Client::builder("zk1:2181,zk2:2181,zk3:2181/app")
///     .session_timeout(Duration::from_secs(20))
///     .deadline(Duration::from_secs(5))
///     .auth("digest", "user:password")
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[doc(alias = "CuratorFrameworkFactory")]
#[derive(Debug, Clone)]
#[must_use = "call connect() or start()"]
pub struct ClientBuilder {
    hosts: ServerList,
    session_timeout: Duration,
    connect_timeout: Duration,
    deadline: Option<Duration>,
    policy: SessionPolicy,
    acl: DefaultAcl,
    retry: RetryPolicy,
    credentials: Vec<(String, Secret)>,
    login: Option<Arc<dyn Login>>,
    max_request: usize,
    max_reply: usize,
    max_outstanding: usize,
    max_outstanding_bytes: usize,
    max_watch_events: usize,
    max_watch_bytes: usize,
    close_timeout: Duration,
    detached: bool,
    backoff: BackoffPolicy,
    order: HostOrder,
    fail_eagerly: bool,
    max_connect_attempts: Option<u32>,
    max_outage: Option<Duration>,
    dns_refresh: Duration,
    seed: Option<u64>,
    dial: Arc<dyn Dial>,
    read_only: bool,
    ensure_chroot: bool,
    follow_config: bool,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<zk_transport::TlsConfig>,
    resolver: Arc<dyn Resolve>,
    srv_refresh: Duration,
    suspended: Suspended,
    name: Option<Arc<str>>,
}

/// The source of the time that the machine was suspended, if the caller gives one.
#[derive(Clone, Default)]
struct Suspended(Option<SuspendedTime>);

impl std::fmt::Debug for Suspended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = self.0.as_ref().map_or("the platform", |_| "the caller");
        f.write_str(source)
    }
}

impl ClientBuilder {
    pub(crate) fn new(hosts: impl Into<ServerList>) -> Self {
        ClientBuilder {
            hosts: hosts.into(),
            session_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            deadline: Some(Duration::from_secs(30)),
            policy: SessionPolicy::default(),
            acl: DefaultAcl::Same(Acl::open().into()),
            retry: RetryPolicy::default(),
            credentials: Vec::new(),
            login: None,
            max_request: SERVER_FRAME_LIMIT,
            max_reply: 8 * 1024 * 1024,
            max_outstanding: 131_072,
            max_outstanding_bytes: 128 << 20,
            max_watch_events: 1024,
            max_watch_bytes: 1 << 20,
            close_timeout: Duration::from_secs(10),
            detached: false,
            backoff: BackoffPolicy::default(),
            order: HostOrder::default(),
            fail_eagerly: false,
            max_connect_attempts: None,
            max_outage: None,
            dns_refresh: Duration::ZERO,
            seed: None,
            dial: Arc::new(TcpDial::default()),
            read_only: false,
            ensure_chroot: false,
            follow_config: false,
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            resolver: Arc::new(SystemResolver),
            srv_refresh: Duration::from_secs(60),
            suspended: Suspended::default(),
            name: None,
        }
    }

    /// The session timeout to request; 10 s by default. Servers allow 2 to 20 of their ticks (4 s
    /// to 40 s by default) and clamp values outside; [`Client::session`] has the negotiated one.
    ///
    /// After this long without contact the ensemble ends the session and deletes its ephemeral
    /// znodes.
    #[doc(alias = "sessionTimeoutMs")]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// What an operator calls this client, if a process has several: the field `name` of its span, and
    /// the label `client` of its metrics. Without a name, its metrics have no such label.
    ///
    /// Metrics are kept for each name: use one of a fixed set, and not an id.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long [`connect`](Self::connect) waits for the first session; 15 s by default.
    ///
    /// In this time the client tries all servers again and again, also those that refuse
    /// connections: they may be starting.
    #[doc(alias = "connectionTimeoutMs")]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an operation may take, with the wait for a connection; 30 s by default, `None` for
    /// no limit. Each operation's own `deadline` takes precedence.
    ///
    /// Without a deadline a request waits as long as no server can be reached. But a read, which is
    /// sent again after each lost connection, fails with [`ErrorKind::ConnectionLost`] after the
    /// server has closed ten connections in a row while this read was the next to be answered.
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// What follows when the session expires; [`SessionPolicy::Renew`] by default.
    pub fn session_policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The ACL of znodes that are created without one; open to the world by default.
    pub fn default_acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.acl = DefaultAcl::Same(acl.into().into());
        self
    }

    /// The ACL of znodes that are created without one, as a function of their path: for trees whose
    /// branches belong to different identities.
    ///
    /// `acl_of` gets the path as the servers know it, with the chroot in front; of a sequential or
    /// [`protected`](crate::Create::protected) znode, the path that the caller gave. It is called
    /// for each znode, also for each that [`parents`](crate::Create::parents) and
    /// [`ensure_path`](Client::ensure_path) create, on the thread that makes the request, and must
    /// not block.
    ///
    /// ```no_run
    /// # async fn run() -> zk_client::Result<()> {
    /// use zk_client::{Acl, Client};
    ///
    /// let zk = Client::builder("zk1:2181")
    ///     .auth("digest", "app:secret")
    ///     .default_acl_by_path(|path| match path.starts_with("/secrets") {
    ///         true => Acl::creator_all(),
    ///         false => Acl::open(),
    ///     })
    ///     .connect()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "aclProvider")]
    #[doc(alias = "ACLProvider")]
    pub fn default_acl_by_path(
        mut self,
        acl_of: impl Fn(&str) -> Vec<Acl> + Send + Sync + 'static,
    ) -> Self {
        self.acl = DefaultAcl::ByPath(Arc::new(acl_of));
        self
    }

    /// The policy of [`Client::update`], and of all methods that are given
    /// [`Client::retry_policy`]; the default [`RetryPolicy`] by default. Other operations are not
    /// retried by a policy unless they are given one.
    #[doc(alias = "command_retry")]
    #[doc(alias = "retryPolicy")]
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Whether [`connect`](Self::connect) creates the missing znodes of the connect string's chroot,
    /// as `ensure_path("/")` does; false by default. Without it, and with [`start`](Self::start),
    /// requests in a chroot that does not exist fail with [`ErrorKind::NoNode`], and the error says
    /// so.
    #[doc(alias = "createNamespaceIfNeeded")]
    pub fn ensure_chroot(mut self, ensure: bool) -> Self {
        self.ensure_chroot = ensure;
        self
    }

    /// Credentials, sent first on every connection, in the order given. For the scheme `digest`
    /// they are `user:password`.
    #[doc(alias = "authorization")]
    #[doc(alias = "auth_data")]
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

    /// Logs in with SASL on every connection, before anything else is sent, with the mechanism of
    /// `login` only. A login that fails, on the first connection or a later one, ends the client
    /// with [`ErrorKind::AuthFailed`], and the error says why.
    pub fn sasl(mut self, login: impl Login) -> Self {
        self.login = Some(Arc::new(login));
        self
    }

    /// The largest request to send, in bytes; 1,048,575 by default, as the servers'
    /// `jute.maxbuffer`. Set both to the same value: the client refuses a larger request with
    /// [`ErrorKind::RequestTooLarge`], where a server would close the connection without an answer.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// The largest reply to receive, in bytes; 8 MiB by default. A larger one fails its request and
    /// costs the connection.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply = bytes;
        self
    }

    /// How many requests may be outstanding; 131,072 by default, and at least 2, which a smaller number
    /// is raised to: some operations, such as [synced](crate::Get::synced) reads, are two requests that
    /// are sent together. One more fails with [`ErrorKind::QueueFull`]; [`Client::wait_for_room`] waits
    /// instead.
    pub fn max_outstanding(mut self, requests: usize) -> Self {
        self.max_outstanding = requests.max(MIN_OUTSTANDING);
        self
    }

    /// How many bytes outstanding requests may have together, those that wait for a connection and
    /// those that have not been answered; 128 MiB by default. Once they have that many, the next
    /// request fails with [`ErrorKind::QueueFull`]; so the limit is exceeded by at most one request
    /// of [`max_request_bytes`](Self::max_request_bytes).
    pub fn max_outstanding_bytes(mut self, bytes: usize) -> Self {
        self.max_outstanding_bytes = bytes;
        self
    }

    /// How many bytes the paths of the unread events of a recursive watch may have together; 1 MiB
    /// by default. Further events are dropped and reported as
    /// [`WatchEvent::Lagged`](crate::WatchEvent::Lagged).
    pub fn max_watch_bytes(mut self, bytes: usize) -> Self {
        self.max_watch_bytes = bytes;
        self
    }

    /// How many unread events a persistent watch holds; 1,024 by default. Further ones are
    /// dropped and reported as [`WatchEvent::Lagged`](crate::WatchEvent::Lagged).
    pub fn max_watch_events(mut self, events: usize) -> Self {
        self.max_watch_events = events;
        self
    }

    /// How long [`Client::close`] takes at most; 10 s by default. Clean-ups may take three quarters
    /// of it. In the rest, but at most the session timeout, after which the session ends by itself,
    /// a server has to acknowledge the end of the session.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Whether the session outlives the client's handles; false by default. The last handle that is
    /// dropped then ends the client as [`Client::detach`] does, after the clean-ups that are under way:
    /// the session, with its ephemeral znodes, stays for its timeout, to be
    /// [resumed](Self::resume) with a token from [`Client::session_token`], or with a
    /// [`SessionStore`](crate::SessionStore). [`Client::close`] still ends the session.
    ///
    /// Requests that are not answered when the last handle is dropped may or may not be executed.
    #[doc(alias = "with_detached")]
    pub fn detached(mut self, detached: bool) -> Self {
        self.detached = detached;
        self
    }

    /// The delays between rounds of attempts to connect, after every server has failed.
    pub fn backoff(mut self, policy: BackoffPolicy) -> Self {
        self.backoff = policy;
        self
    }

    /// Makes the order of servers and the jitter of delays deterministic, for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Replaces the source of the total time for which the machine has been suspended, which must
    /// not decrease. A [`Lease`](crate::Lease) counts that time although the clock stood still.
    ///
    /// The default is `CLOCK_BOOTTIME` minus `CLOCK_MONOTONIC` on Linux and the equivalent on
    /// Apple's systems; on other systems, where no clock counts suspensions, it is zero. The
    /// function runs at every check of a lease and must not block.
    pub fn suspended_time(mut self, source: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.suspended = Suspended(Some(Arc::new(source)));
        self
    }

    /// Whether the client uses a server without a quorum as long as it finds no other; false by
    /// default. Servers have to be configured for it: `readonlymode.enabled`, and
    /// `localSessionsEnabled`, as without a quorum they can neither create nor renew other
    /// sessions.
    ///
    /// Such a server serves reads, of data that may be old, and refuses writes and `sync` with
    /// [`ErrorKind::ReadOnly`]. The state is then
    /// [`ConnectedReadOnly`](crate::State::ConnectedReadOnly), no lease is valid, and no lock can
    /// be acquired. Meanwhile the client checks all other servers for a quorum, at intervals that
    /// grow from 0.1 s to a minute, and moves to the first that has one. A session that the client
    /// had before continues there, if it has not expired; otherwise the client gets its first one
    /// there, and its watches remain. If the read-only server does not answer the requests in flight within
    /// a third of the session timeout, it is left nevertheless: reads are sent again, and a write, which
    /// it would refuse, ends as [`Unknown`](Outcome::Unknown).
    ///
    /// While the session may still be alive, the client does not use a read-only server that does
    /// not know it.
    #[doc(alias = "canBeReadOnly")]
    pub fn read_only(mut self, allowed: bool) -> Self {
        self.read_only = allowed;
        self
    }

    /// Whether the list of servers follows the ensemble's configuration, as `reconfig` changes it;
    /// false by default.
    ///
    /// The first configuration replaces the servers of the connect string; the chroot stays. With
    /// every later one clients move as with [`Client::update_hosts`], and so does a client whose
    /// server was removed, with its session. The client reaches servers at the client address in
    /// the configuration, or, where that is a wildcard, at the host name that the other servers
    /// use; with TLS, at the secure client port, or at a plain one that the connect string names as
    /// well.
    ///
    /// The client keeps servers that a configuration omits, or describes wrongly for this client:
    ///
    /// - The servers of the connect string that no configuration names are tried whenever none of
    ///   the configured ones answers, and a client that is connected to one of them stays there.
    /// - While the configuration does not say where this client reaches each server (no client
    ///   port, nothing but wildcards, a loopback address if the connect string has none, a line
    ///   that cannot be read), those servers of the connect string stay in the list. The log says
    ///   why.
    /// - A standalone server has no configuration, and the list stays as it is.
    ///
    /// The client stops using a server that one configuration named and a later one omits.
    #[doc(alias = "ensembleTracker")]
    pub fn follow_config(mut self, follow: bool) -> Self {
        self.follow_config = follow;
        self
    }

    /// How often the servers of a `dns-srv://` connect string are looked up again while the client
    /// lives; every 60 s by default, zero for a single lookup. On a change clients move as with
    /// [`Client::update_hosts`]. A lookup changes nothing if it fails, finds no server, or finds
    /// the same as the one before; so a list from another source stays until the service changes.
    pub fn srv_refresh(mut self, interval: Duration) -> Self {
        self.srv_refresh = interval;
        self
    }

    /// How the servers of a `dns-srv://` connect string are looked up; by default with the name
    /// servers of `/etc/resolv.conf`. The names of servers are resolved by [`TcpDial::resolver`].
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// How connections are opened, for tunnels and simulated networks; plain TCP by default. A
    /// `Dial` that wraps [`TcpDial`] should delegate [`Dial::dial_next`], which tries all addresses
    /// of a name. With a `dns-srv://` connect string, a `Dial` without TLS has to return false from
    /// [`Dial::authenticates_host`].
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Arc::new(dial);
        self
    }

    /// Connects with TLS only, to the servers' `secureClientPort`s.
    ///
    /// The client verifies a server by its host in the connect string, in the list given to
    /// [`Client::update_hosts`], or in the followed configuration of the ensemble, which comes from
    /// a verified server. Names from the DNS are not authenticated: a `dns-srv://` connect string
    /// needs [`TlsConfig::server_name`](zk_transport::TlsConfig::server_name) or
    /// [`TlsConfig::danger_trust_dns_names`](zk_transport::TlsConfig::danger_trust_dns_names).
    #[cfg(feature = "tls-no-provider")]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-no-provider"))))]
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

    #[test]
    fn to_connect_without_a_runtime_is_an_error() {
        let connecting = std::pin::pin!(Client::connect("127.0.0.1:1"));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(Err(error)) = connecting.poll(&mut cx) else {
            panic!("there is no runtime to wait in");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("tokio runtime"), "{error}");
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
    fn errors_name_a_runtime_without_io() {
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

    /// Guards: B75.
    #[test]
    fn credentials_are_not_shown() {
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
