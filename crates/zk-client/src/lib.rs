//! An async client for Apache ZooKeeper and ClickHouse Keeper that says, for every failed request,
//! whether it took effect.
//!
//! The crates below are [`zk_proto`], the records of the protocol, and [`zk_transport`],
//! connections. The crate above is `zk-recipes`: locks, elections, and watches that follow a znode
//! through everything.
//!
//! ```no_run
//! # async fn run() -> zk_client::Result<()> {
//! use zk_client::Client;
//!
//! let zk = Client::connect("zk1:2181,zk2:2181,zk3:2181/app").await?;
//! zk.create("/config", "v1").parents().await?;
//! let (data, stat) = zk.get("/config").await?;
//! zk.set("/config", "v2").version(stat.version).await?;
//! let (data, stat, watch) = zk.get("/config").watch().await?;
//! let event = watch.await; // the znode has changed: read it again
//! zk.close().await?;
//! # Ok(()) }
//! ```
//!
//! # Contents
//!
//! - Requests: [pipelining](#pipelining), [consistent reads](#consistent-reads),
//!   [retries](#retries), [chroot](#chroot)
//! - Failures: [errors](#errors), [lost connections](#lost-connections),
//!   [expired sessions](#expired-sessions), [closing](#closing)
//! - Servers: [choosing servers](#choosing-servers), [TLS and SASL](#tls-and-sasl)
//! - Operation: [runtimes](#runtimes), [tracing and metrics](#tracing-and-metrics), [cost]
//! - [Types by topic](#types-by-topic), [names in other clients](#names-in-other-clients),
//!   [features](#features), [public dependencies](#public-dependencies),
//!   [layout of the code](#layout-of-the-code)
//!
//! The [guide](https://docs.rs/zk-recipes/latest/zk_recipes/guide/) of `zk-recipes` leads from the first program
//! to production, with pages on sessions, errors, watches and tests.
//!
//! The folder `examples` of this crate has a program for each of these topics: `znodes`, `watches`,
//! `sessions`, `transactions`, `servers`, `blocking` and `secure`. The
//! [guide](https://docs.rs/zk-recipes/latest/zk_recipes/guide/) begins with an empty directory and ends in
//! production.
//!
//! # Pipelining
//!
//! Each method of [`Client`] for an operation makes a builder. `.await` on the builder sends the
//! request and waits for the reply. [`submit`](Get::submit) puts the request on the wire at once,
//! and returns a future that borrows nothing. Replies come in the order of submission. So this
//! costs one round trip, not three:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
//! let (a, b, c) = (zk.get("/a").submit(), zk.get("/b").submit(), zk.get("/c").submit());
//! let (a, b, c) = (a.await?, b.await?, c.await?);
//! # Ok(()) }
//! ```
//!
//! Builders are `IntoFuture` and not `Future`. Whatever needs a future, such as `tokio::spawn`,
//! `join_all`, `FuturesUnordered` or the macro `join!`, takes what `submit` returns:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
//! let reading = tokio::spawn(zk.get("/a").submit());
//! let creating = tokio::spawn(zk.create("/b/c", "").parents().submit());
//! # Ok(()) }
//! ```
//!
//! At most [`max_outstanding`](ClientBuilder::max_outstanding) requests can be outstanding; one more
//! fails with [`ErrorKind::QueueFull`]. A program that makes more at a time waits for room before each:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client, paths: Vec<String>) -> zk_client::Result<()> {
//! for path in &paths {
//!     tokio::spawn(zk.wait_for_room().await?.set(path, "x").submit());
//! }
//! # Ok(()) }
//! ```
//!
//! # Consistent reads
//!
//! A server answers reads from its own copy of the data, which may lag behind what another client
//! has already seen. [`synced`](Get::synced) lets the server catch up with the leader first, and
//! [`linearizable`](Get::linearizable) first lets a quorum commit an empty transaction. Both go out
//! together with the read and cost one round trip:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
//! let (data, stat) = zk.get("/config").synced().await?;
//! # Ok(()) }
//! ```
//!
//! # Chroot
//!
//! All paths are below the chroot of the connect string (`…:2181/app`), and below that of a handle
//! made by [`Client::chroot`]. Neither the client nor the servers create its znodes by themselves:
//! [`ensure_path("/")`](Client::ensure_path) does, and so does [`parents`](Create::parents), which
//! creates everything that is missing. The text of a [`NoNode`](ErrorKind::NoNode) error names the
//! chroot.
//!
//! # Errors
//!
//! Every [`Error`] has an [`Outcome`]: the request was not sent, was rejected, or its effect is
//! unknown. `match` on [`Error::kind`] for what happened:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
//! use zk_client::{ErrorKind, Outcome};
//!
//! match zk.set("/config", "v2").version(3).await {
//!     Ok(stat) => println!("version {}", stat.version),
//!     Err(error) if error.kind() == ErrorKind::BadVersion => println!("another writer was faster"),
//!     Err(error) if error.outcome() == Outcome::Unknown => println!("read it again: {error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(()) }
//! ```
//!
//! An [`ErrorCode`] of a server that means "not executed" ([`is_refusal`](ErrorCode::is_refusal))
//! is [`Outcome::Rejected`]. With any other code the servers do not say whether they executed the
//! request, so the outcome is [`Outcome::Unknown`], as after the loss of the connection.
//! [`protected`](Create::protected) creations and conditional writes with a [`RetryPolicy`] find
//! out whether the request took effect, and so do transactions ([`Multi::retry`]).
//!
//! # Lost connections
//!
//! The session continues at the servers for the negotiated timeout, and the client connects to
//! another server meanwhile. What happens to requests:
//!
//! | request | what happens |
//! |---|---|
//! | read, in flight or waiting | is sent again after the reconnect |
//! | write, in flight: offered to the stream as a whole | fails with [`Outcome::Unknown`]: it may have been executed |
//! | write, not or not wholly sent, behind one in flight | fails with [`Outcome::NotSent`], since to execute it could skip its predecessor |
//! | write, not sent, none in flight | is sent after the reconnect |
//! | watch | is armed again; the client delivers what happened meanwhile, or reports a [`WatchEvent::Gap`] |
//!
//! The client does not send a read again without end: a read that is next to be answered when the
//! server closes the connection, ten times in a row, fails.
//!
//! # Expired sessions
//!
//! [`State::Expired`] reaches every [`StateStream`]. Watches end with
//! [`WatchEvent::SessionEnded`]. No write submitted in one session is executed in the next: it
//! fails with [`ErrorKind::SessionExpired`]. Reads are answered in the next session. Whether there
//! is one depends on [`SessionPolicy`].
//!
//! # Closing
//!
//! End a program with [`Client::close`]: it waits until the session has ended and the clean-ups of
//! dropped guards and futures are done. The drop of the last handle does so in the background, for
//! which the runtime must still run; see [`Client`](Client#the-end). If no server acknowledges the
//! end of the session, the error is [`ErrorKind::CloseUnacknowledged`].
//!
//! # Retries
//!
//! [`Client::retry`] and a [`RetryPolicy`] retry operations that had no effect, and
//! [`Client::retry_read`] operations that may be executed twice. [`Set::retry`] and
//! [`Delete::retry`] find out whether a conditional write whose reply was lost took effect, and
//! [`Multi::retry`] whether a transaction did.
//! [`Create::protected`] creates a znode exactly once. [`Client::update`] changes data by
//! compare-and-set, as often as other clients are faster.
//!
//! # Choosing servers
//!
//! The servers are a connect string, a list of [`HostPort`], or a URL with options
//! ([`ClientConfig`], which also reads the environment and files). The client tries them in an order
//! that it shuffles once, or in that of [`ClientBuilder::order`]: as given, or with a preference, to
//! which it returns while it is connected to another server ([`ClientBuilder::prefer`],
//! [`HostOrder::FirstAvailable`], [`HostOrder::Nearest`]). [`Client::hosts`] lists them, with what is
//! wrong with each, and [`Client::leave_server`] leaves the present one.
//!
//! A name with several addresses is as many servers. It is looked up for each attempt, its addresses
//! are shuffled, and each has its own failures: one that accepts connections and does not serve is
//! tried last for 10 s, and longer after each further failure. An attempt takes a part of the
//! session's time only, so such an address costs no session. TLS and SASL use the name, whatever the
//! address is.
//!
//! The list can change while the client lives: by
//! [`Client::update_hosts`], by the DNS ([`ClientBuilder::srv_refresh`]), or by the ensemble
//! itself, if the client follows its configuration ([`ClientBuilder::follow_config`]), in which
//! case it keeps the servers that the configuration does not name. The addresses of names are looked
//! up again with [`ClientBuilder::dns_refresh`]. Clients then move such that every server, or every
//! address, gets an equal share of them. A client that moves keeps its session, and waits for
//! its requests in flight before. With [`ClientBuilder::read_only`] the client uses a server
//! without a quorum for reads, until it finds one with a quorum.
//!
//! # TLS and SASL
//!
//! With the features `tls` and `sasl`:
//!
//! ```no_run
//! # #[cfg(all(feature = "tls-no-provider", feature = "sasl"))]
//! # async fn run(password: String) -> zk_client::Result<()> {
//! use zk_client::{Client, TlsConfig};
//!
//! let zk = Client::builder("zk1:2281,zk2:2281,zk3:2281")
//!     .tls(TlsConfig::new().ca_file("/etc/zk/ca.pem"))
//!     .sasl_digest("worker", password)
//!     .connect()
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! Certificates and keys are in PEM or DER; with the feature `tls-stores` also in PKCS#12 and JKS, and
//! encrypted. Files are read again for every connection, and [`Client`]'s method `replace_tls` replaces
//! what is in memory. A self-signed certificate is pinned with `TlsConfig::pin_sha256`. An error about a
//! file names the format that was found and the command that converts it.
//!
//! Both fail closed. The client trusts only the given CAs, and only for the hosts that the connect
//! string names; as answers of the DNS are not authenticated, a `dns-srv://` connect string needs
//! `TlsConfig::server_name` or an explicit opt-in. The client never falls back to plaintext. On
//! every connection the client logs in before anything else, and ends if the server refuses the
//! login or does not take part in it. `connect()` returns at once when a login is refused, and when
//! no server can be trusted.
//!
//! | login | with |
//! |---|---|
//! | DIGEST-MD5 | `ClientBuilder::sasl_digest`; with a realm, a password file or a callback for the password, [`ClientBuilder::sasl`] with a `sasl::Digest`. A section `Server` of the server's JAAS file has `org.apache.zookeeper.server.auth.DigestLoginModule` and a line `user_NAME="PASSWORD"` |
//! | GSSAPI, which is Kerberos | [`ClientBuilder::sasl`] with `Gssapi` of the crate `zk-sasl-gssapi`, whose first page has the server's configuration and a table of errors. It is a crate of its own because its build needs C headers |
//! | others, such as PLAIN | [`ClientBuilder::sasl`] with a [`sasl::Login`] of yours ([an example](sasl)). Apache's servers have none |
//!
//! The protocol has no negotiation, so there is no list of mechanisms to choose from: a client has one, and a server
//! that expects another refuses the login.
//!
//! | error of a login with DIGEST-MD5 | look at |
//! |---|---|
//! | the server refused the login | the user, the password, and the line `user_NAME` on the server that the error names; its log |
//! | the server offers no SASL | its system property `java.security.auth.login.config`, and the section `Server` in that file |
//! | its challenge cannot be answered | the section `Server` may be for Kerberos |
//! | the server has no realm | leave the realm out |
//! | the server requires clients to authenticate | the server has `sessionRequireClientSASLAuth=true`, and the client has no login |
//!
//! A server that requires a login lets a client without one connect, and refuses its first request:
//! [`ErrorKind::AuthFailed`]. And Apache's server, seen with 3.8.0, checks the password of a SASL
//! user that it does not have against the password of the user that logged in last, and accepts the
//! login if it matches: give no rights to names that are not among its users.
//!
//! # Runtimes
//!
//! A client is one task of a tokio runtime. Its futures, those of `zk-recipes` included, can be polled
//! by any executor, such as smol's or one of a GUI: connect with the runtime, which may be one thread
//! in the background, and keep its timers within reach of the threads that poll
//! ([`Handle::enter`](tokio::runtime::Handle::enter), or the crate `async-compat`). Programs without
//! any executor use the feature `blocking`.
//!
//! There is no client for another runtime, on purpose. The session machine itself has no runtime, so
//! one could be written; but the timing of sessions, locks and their tests depend on one clock, tokio's,
//! which tests pause. A second timer would have to pass the same tests before a lock could be trusted
//! on it, and would save no more than that one thread. What needs no session needs no runtime either:
//! `zk-proto`, and `zk-transport` without its feature `io`, have none among their dependencies and
//! build for `wasm32-unknown-unknown`.
//!
//! # Tracing and metrics
//!
//! [`Client::statistics`] is a snapshot of everything that a client has done and holds.
//!
//! While a client cannot connect, for example because a port is refused, requests wait, and
//! [`connect`](Client::connect) waits for 15 s. In the meantime only a subscriber of `tracing`
//! shows why: with `tracing_subscriber::fmt::init()` at the start of the program, the first failure
//! of an outage is a warning "cannot connect, and keeps trying" with the reason at each server.
//! Each failed attempt is an event "no connection" at the level DEBUG. [`Client::connected`] and
//! [`Client::states`] report the connection to the program.
//!
//! Spans and events never contain a credential or a session's password:
//!
//! | what | level | fields |
//! |---|---|---|
//! | span `zk.client`, for each client | INFO | `id`, `name`, `session`, `chroot` |
//! | span `zk.connection`, for each attempt | INFO | `server`, `attempt` since the session was last served |
//! | span `zk.request`, for each request, in the caller's | DEBUG | `op`, `path`, `xid`, `zxid`, `kind`, `outcome`, `otel.kind`, `otel.name`, `otel.status_code` |
//! | connected, suspended, session expired, closed, authentication failed | INFO to ERROR | `session`, `epoch`, `timeout`, `server`, `left` |
//! | connection lost, no connection | WARN, DEBUG | `server`, `reason` |
//! | cannot connect: once for each outage | WARN | `failures` |
//! | arming watches again; gaps; events dropped | DEBUG | `batches`, `watches`, `gaps`, `events` |
//! | trying again | DEBUG | `attempt`, `delay`, `error` |
//! | submitted, answered, failed, given up | TRACE | `op`, `path`, `xid`, `zxid`, `code`, `kind`, `outcome`, `latency` |
//! | ping answered | TRACE | `ping` |
//!
//! The span of a request begins with its submission and ends with its reply, or when the caller drops
//! it. Its parent is the span in which the request is submitted, so that with `tracing-opentelemetry`
//! each request is a client span of the caller's trace. Its target is `zk_client::request`: a filter
//! such as `info,zk_client::request=debug` has the spans without the client's events at that level, and
//! `debug,zk_client::request=off` has the events without the spans. A request for which no subscriber
//! takes spans costs no allocation.
//!
//! With the feature `metrics`, of all clients of the process together, or, for clients with a
//! [`name`](ClientBuilder::name), of those with the same name, which is the label `client`:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `zk_requests_total` | counter | `op`, `outcome`: `ok`, `rejected`, `not_sent`, `unknown`, `dropped` |
//! | `zk_request_seconds` | histogram, s | `op` |
//! | `zk_outstanding_requests`, `zk_connected_clients` | gauge | |
//! | `zk_connections_total`, `zk_connection_failures_total`, `zk_connections_lost_total` | counter | |
//! | `zk_sessions_total`, `zk_session_resumed_total`, `zk_session_expired_total` | counter | |
//! | `zk_watch_events_total`, `zk_watch_events_dropped_total`, `zk_watch_gaps_total` | counter | |
//! | `zk_rearm_batches_total`, `zk_rearmed_watches_total` | counter | |
//! | `zk_sent_bytes_total`, `zk_received_bytes_total` | counter, bytes | |
//! | `zk_ping_seconds` | histogram, s | |
//!
//! A panel for each of these rows shows most of what goes wrong. The queries are for Prometheus, with
//! an exporter that makes buckets of the histograms:
//!
//! | panel | query | look closer when |
//! |---|---|---|
//! | connected clients | `min by (client) (zk_connected_clients)` | it is below the number of clients in a process for longer than a session timeout |
//! | sessions lost | `sum by (client) (increase(zk_session_expired_total[5m]))` | it is above 0: ephemeral znodes and locks are gone |
//! | connections lost | `sum by (client) (rate(zk_connections_lost_total[5m]))` | it is above 0 without a restart of servers |
//! | requests that failed | `sum by (client, op, outcome) (rate(zk_requests_total{outcome!="ok"}[5m]))` | `unknown` is above 0: writes of unknown effect |
//! | slow requests | `histogram_quantile(0.99, sum by (le, op) (rate(zk_request_seconds_bucket[5m])))` | it nears the deadline |
//! | slow servers | `histogram_quantile(0.99, sum by (le) (rate(zk_ping_seconds_bucket[5m])))` | it nears a tenth of the session timeout |
//! | requests in flight | `sum by (client) (zk_outstanding_requests)` | it only grows |
//! | lost events | `sum by (client) (increase(zk_watch_events_dropped_total[5m]))` | it is above 0: a reader of watches is too slow |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `backoff` | no | `RetryPolicy::from_backoff`, for backoffs of the unmaintained crate `backoff` |
//! | `blocking` | no | a client for programs without a runtime: the module `blocking`, and `wait()` on every operation |
//! | `metrics` | no | counters, gauges and histograms for the facade `metrics`, listed above |
//! | `serde` | no | `Serialize` on [`WatchEvent`], [`State`], [`SessionInfo`], [`Statistics`], [`Stat`], [`Acl`] and the other data, and `Deserialize` where it makes sense and on [`ClientConfig`]; [`SessionToken`] is serialized with its secret |
//! | `sasl` | no | `ClientBuilder::sasl_digest` and `sasl::Digest`, the mechanism DIGEST-MD5; `ClientBuilder::sasl` is always there |
//! | `tls` | no | `ClientBuilder::tls`, on rustls with ring |
//! | `tls-aws-lc-rs` | no | the same with aws-lc-rs, which needs a C compiler to build, and on some platforms CMake |
//! | `tls-no-provider` | no | the same with a provider of cryptography that the program brings, such as one for FIPS 140: `TlsConfig::crypto_provider`, `TlsConfig::require_fips` |
//! | `tls-native-roots` | no | `TlsConfig::system_roots`, the CAs of the operating system, by `rustls-native-certs` |
//! | `tls-stores` | no | encrypted private keys, and key stores in PKCS#12 and JKS: `TlsConfig::key_passphrase`, `identity_store`, `ca_store` |
//!
//! There is also `testkit`, for this project's own fuzzing and tests. It is no part of the API
//! and may change at any time.
//!
//! # Public dependencies
//!
//! Types of these crates are part of this one's API, besides those of `zk-proto` and
//! `zk-transport`. A new major version of one of them (a minor version, if the major one is 0)
//! comes with a new major version of this crate (until 1.0, a new minor version), also if an optional feature brings it:
//!
//! | crate | where |
//! |---|---|
//! | `bytes` 1 | the data of [`Client::get`] and of transactions |
//! | `tokio` 1 | [`Client::runtime`]; [`Transport`] extends its `AsyncRead` and `AsyncWrite` |
//! | `futures-core` 0.3 | [`StateStream`], [`WatchStream`] and the iterators of `blocking` |
//! | `rustls` 0.23 | with `tls`: `TlsConfig::from_rustls`, `TlsConfig::crypto_provider` and the re-export `rustls` |
//! | `backoff` 0.4 | with `backoff`: `RetryPolicy::from_backoff` |
//! | `serde` 1 | with `serde`: its traits |
//!
//! The API has no types of `metrics` 0.24 and `tracing` 0.1, but a recorder or subscriber has to be
//! for the same version.
//!
//! # Types by topic
//!
//! The public modules are [`admin`] (what servers answer to four-letter words), `blocking` (the client for programs
//! without a runtime), [`cost`] (a page about performance), [`path`] (validation, parents, sequence numbers) and
//! [`sasl`] (logins). Everything else is at the root:
//!
//! - The client: [`Client`], [`ClientBuilder`], [`RetryPolicy`]
//! - Errors: [`Error`], [`ErrorKind`], [`ErrorCode`], [`Outcome`]
//! - Results: [`Stat`], [`Created`], [`Children`], [`OpResult`], [`ReadResult`],
//!   [`EnsembleConfig`], [`ClientInfo`], [`Acl`]
//! - Watches: [`Watch`], [`WatchStream`], [`WatchMode`], [`WatchEvent`], [`NodeEvent`],
//!   [`NodeEventKind`]
//! - Sessions: [`State`], [`StateStream`], [`SessionInfo`], [`SessionPolicy`], [`SessionToken`],
//!   [`SessionStore`], [`Restored`], [`Lease`]
//! - Monitoring: [`Statistics`], [`RequestCounts`]; [`Command`], [`admin`]
//! - Connections: [`Dial`], [`TcpDial`], [`Resolve`], [`BackoffPolicy`], [`Disconnect`],
//!   `TlsConfig`, [`sasl`]
//! - Builders of operations, which methods of [`Client`] return: [`Get`], [`Exists`],
//!   [`GetChildren`], [`Create`], [`Set`], [`Delete`], [`EnsurePath`], [`Multi`], [`MultiRead`],
//!   [`AddWatch`], [`SyncOp`] and others; their futures, of which [`Pending`] is the most frequent
//!
//! # Names in other clients
//!
//! The guide of `zk-recipes` has [a page for each client](https://docs.rs/zk-recipes/latest/zk_recipes/guide/migration/),
//! with all names, the same programs side by side, and what behaves differently. The search of this page
//! finds the names of Java's client, Curator and kazoo, too. What differs most:
//!
//! | there | here |
//! |---|---|
//! | kazoo's `retry` | [`Client::retry_read`]; [`Client::retry`] does not repeat what may have taken effect |
//! | kazoo's `client_id`, Java's `getSessionId` and `getSessionPasswd` | [`Client::session_token`], [`SessionToken::new`] |
//! | kazoo's `restart()` | [`ClientBuilder`] is `Clone`: [`close`](Client::close), and connect again with it |
//! | kazoo's `randomize_hosts`, Java's `HostProvider` and `shuffleDnsResponse`, C's `zoo_deterministic_conn_order` | [`ClientBuilder::order`] and [`ClientBuilder::prefer`]: with [`HostOrder::AsGiven`] also the addresses of a name are tried in the order in which they were found; a lookup of your own is a [`Resolve`] |
//! | Java's `ZKClientConfig` and its properties | [`ClientConfig`] |
//! | Java's `zookeeper.sasl.clientconfig` and `java.security.auth.login.config` | none: the login is given to [`ClientBuilder::sasl`], and no JAAS file is read |
//! | Java's `zookeeper.disableAutoWatchReset` | none: watches are always armed again, and the drop of a watch's handle ends it |
//! | kazoo's state `LOST` | [`State::Expired`] |
//! | a listener of states | the stream [`Client::states`] |
//! | a `Watcher`, called once for each event | the future [`Watch`], the stream [`WatchStream`] |
//! | kazoo's `command`, four-letter words | [`Client::command`], [`Client::server_version`], [`admin`] |
//! | Curator's `withProtection()` | [`Create::protected`] |
//! | Curator's `creatingParentsIfNeeded()`, kazoo's `makepath` | [`Create::parents`] |
//! | Curator's `ZKPaths`, `PathUtils` | [`path`]; [`Client::ensure_path`]; [`recursive`](Delete::recursive), with `children_only` for `deleteChildren` |
//! | Curator's `ProtectedUtils` | [`Guid::of`] and [`Guid::without`] |
//! | Curator's `checkExists().creatingParentsIfNeeded()` | [`ensure_path`](Client::ensure_path) of the parent, then [`exists`](Client::exists): Curator makes these requests one after the other as well |
//! | Curator's `SessionFailRetryLoop` | none: a write submitted in one session is never executed in the next ([expired sessions](#expired-sessions)), so a program repeats what belongs together when it gets [`SessionExpired`](ErrorKind::SessionExpired) |
//! | Curator's `RetryPolicy`, kazoo's `KazooRetry` | [`RetryPolicy`]: own [errors](RetryPolicy::retry_if), [delays](RetryPolicy::delays) and [jitter](BackoffPolicy::with_jitter); to interrupt a retry, drop its future |
//! | Curator's `aclProvider` | [`ClientBuilder::default_acl_by_path`]; for the znodes above, [`parents_acl`](CreateParents::parents_acl) |
//! | Curator's namespace | the chroot, which [`ensure_chroot`](ClientBuilder::ensure_chroot) creates |
//! | Curator's `enableCompression()`, `compressed()`, `decompressed()` | the codec `Gzip` of `zk-recipes`, of one znode or of all znodes of a type |
//! | Curator's `schemaSet()` | none: the typed data of `zk-recipes` are checked by their `Codec` when they are encoded and decoded |
//! | Curator's `ConnectionStateErrorPolicy` | `LeaseBasis` in `zk-recipes`: of each lock or leadership, and not of the client |
//! | Curator's circuit-breaking listener | none: [`State::Suspended`] says until when the session can live, so a program need not act on it before |
//! | Curator's `buildTemp()`, which closes an idle client | none: an idle client costs a connection and its pings; close it, and make another |
//! | Java's `ZKUtil.listSubTreeBFS`, `visitSubTreeDFS` | the stream [`Client::descendants`] |
//! | Curator's recipes, such as `InterProcessMutex`; `kazoo.recipe` | the crate `zk-recipes` |
//!
//! # Layout of the code
//!
//! A request goes from `ops`, where a method of [`Client`] makes a builder, through the lock of
//! `shared` into `session`, which encodes it; the task of `driver` writes it and hands the bytes of
//! the reply to `session`. [`cost`] follows one `get` on this way.
//!
//! - `client`: the handle. `builder`: its options, and how it connects.
//! - `ops/`: a file for each operation, such as `get`, `create`, `multi`. `ops/pending`: the future
//!   of a request. `ops/retry/`: retries. `ops/cleanup`: deletions in the background after a drop.
//! - `session/`: the state that outlives a connection, without sockets, tasks and clocks: requests
//!   that wait for replies, watches, the handshake, what happens after a disconnect or an expiry.
//!   `session/watches/`: which watches are armed, and their mailboxes.
//! - `session_store/`: a session in a file, to be resumed after a crash.
//! - `shared`: the lock around the session.
//! - `driver/`: the task that connects the session to [`zk_transport::reconnect`]; the lookup of
//!   servers in the DNS, the search for a server with a quorum.
//! - `watch`, `state_stream`, `lease`: handles for watches, for states, and for the validity of the
//!   session.
//! - `error/`: the text of errors.
//! - `telemetry/`: spans, events and metrics.
//! - `blocking`: the client for programs without a runtime.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod client;
mod config;
pub mod cost;
mod driver;
mod error;
mod lease;
mod ops;
mod retry_policy;
mod session;
mod session_store;
mod shared;
mod state_stream;
mod telemetry;
#[cfg(feature = "testkit")]
#[doc(hidden)]
pub mod testkit;
mod tls;
mod watch;

// The client.
pub use builder::ClientBuilder;
pub use client::Client;
pub use config::ClientConfig;
pub use config::server_list::ServerList;
pub use error::{Error, ErrorKind, Outcome, Result};
pub use retry_policy::RetryPolicy;

// The session.
pub use lease::{Lease, LeaseLost};
pub use session::identity::{SessionInfo, SessionPolicy};
pub use session::servers::host_info::{AddressInfo, HostFailure, HostInfo};
pub use session::state::State;
pub use session::statistics::{RequestCounts, Statistics};
pub use session::token::SessionToken;
pub use session_store::restored::Restored;
pub use session_store::store::SessionStore;
pub use state_stream::StateStream;

// Watches.
pub use session::watches::event::{NodeEvent, NodeEventKind, WatchEvent};
pub use watch::{Watch, WatchMode, WatchStream};

// Operations.
pub use ops::acl::{GetAcl, SetAcl};
pub use ops::add_auth::AddAuth;
pub use ops::add_watch::AddWatch;
pub use ops::children::{Children, ChildrenWatched, GetChildren, GetChildrenStat};
pub use ops::command::{Command, ServerAnswer};
pub use ops::consistent_read::{BarrierRead, PendingBarrierRead, ReadOp};
pub use ops::create::{Create, Created};
pub use ops::create_or_exists::{CreateOrExists, PendingOrExists};
pub use ops::create_or_set::{CreateOrSet, CreatedOrSet};
pub use ops::create_parents::CreateParents;
pub use ops::create_protected::CreateProtected;
pub use ops::delete::{Delete, DeleteQuietly};
pub use ops::descendants::{Count, Ephemerals};
pub use ops::ensemble::{ConfigWatched, GetConfig, Reconfig};
pub use ops::ensure_path::EnsurePath;
pub use ops::exists::{Exists, ExistsWatched};
pub use ops::get::{Get, GetNullable, GetNullableWatched, GetWatched};
pub use ops::guid::Guid;
pub use ops::idempotent::Idempotent;
pub use ops::multi::{Multi, OpResult};
pub use ops::multi_read::{MultiRead, ReadResult};
pub use ops::pending::Pending;
pub use ops::recursive::DeleteRecursive;
pub use ops::retry::ConditionalRetry;
pub use ops::set::Set;
pub use ops::sync::SyncOp;
pub use ops::wait_for_room::WaitForRoom;
pub use ops::walk::{DescendantStream, Descendants};
pub use ops::whoami::{ClientInfo, WhoAmI};

// For zk-recipes, and no part of the API.
#[doc(hidden)]
pub use ops::cleanup::Pledge;
#[doc(hidden)]
pub use ops::retry::repetition::Repetition;
#[doc(hidden)]
pub use ops::window::Window;

// The layers below.
pub use zk_proto::admin;
pub use zk_proto::config::EnsembleConfig;
pub use zk_proto::{
    Acl, Chroot, CreateMode, ErrorCode, HostPort, Id, Permissions, SessionId, Stat, Zxid,
    digest_id, path,
};
pub use zk_transport::four_letter::Answer;
pub use zk_transport::sasl::{self, SaslError};
#[cfg(feature = "tls-stores")]
pub use zk_transport::tls::Passphrase;
pub use zk_transport::{
    Backoff, BackoffPolicy, Dial, DialError, DialFn, Dialing, Disconnect, HostOrder, Resolve,
    Resolving, Servers, SystemResolver, TcpDial, Transport, dial_fn,
};
#[cfg(feature = "tls-no-provider")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-no-provider"))))]
pub use zk_transport::{TlsConfig, TlsDial, TlsError, tls::rustls};

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
