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
//! - Operation: [tracing and metrics](#tracing-and-metrics), [cost]
//! - [Types by topic](#types-by-topic), [names in other clients](#names-in-other-clients),
//!   [features](#features), [public dependencies](#public-dependencies),
//!   [layout of the code](#layout-of-the-code)
//!
//! The folder `examples` of this crate has a program for each of these topics: `znodes`, `watches`,
//! `sessions`, `transactions`, `blocking` and `secure`.
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
//! out whether the request took effect.
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
//! [`Delete::retry`] find out whether a conditional write whose reply was lost took effect.
//! [`Create::protected`] creates a znode exactly once. [`Client::update`] changes data by
//! compare-and-set, as often as other clients are faster.
//!
//! # Choosing servers
//!
//! The client tries the servers of the connect string in an order that it shuffles once. It tries
//! the addresses of a name one after the other: an attempt that fails in the handshake, or in that
//! of TLS, is followed by one to the next address. The list can change while the client lives: by
//! [`Client::update_hosts`], by the DNS ([`ClientBuilder::srv_refresh`]), or by the ensemble
//! itself, if the client follows its configuration ([`ClientBuilder::follow_config`]), in which
//! case it keeps the servers that the configuration does not name. Clients then move such that
//! every server gets an equal share of them. A client that moves keeps its session, and waits for
//! its requests in flight before. With [`ClientBuilder::read_only`] the client uses a server
//! without a quorum for reads, until it finds one with a quorum.
//!
//! # TLS and SASL
//!
//! With the features `tls` and `sasl`:
//!
//! ```no_run
//! # #[cfg(all(feature = "tls", feature = "sasl"))]
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
//! Both fail closed. The client trusts only the given CAs, and only for the hosts that the connect
//! string names; as answers of the DNS are not authenticated, a `dns-srv://` connect string needs
//! `TlsConfig::server_name` or an explicit opt-in. The client never falls back to plaintext. On
//! every connection the client logs in before anything else, and ends if the server refuses the
//! login or does not take part in it. `connect()` returns at once when a login is refused, and when
//! no server can be trusted. Kerberos and other mechanisms are a [`sasl::Login`] of yours, over a
//! GSSAPI library: this crate brings none, as those need C headers.
//!
//! A server that requires a login lets a client without one connect, and refuses its first request:
//! [`ErrorKind::AuthFailed`]. And Apache's server, seen with 3.8.0, checks the password of a SASL
//! user that it does not have against the password of the user that logged in last, and accepts the
//! login if it matches: give no rights to names that are not among its users.
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
//! | span `zk.client`, for each client | INFO | `id`, `session`, `chroot` |
//! | span `zk.connection`, for each attempt | INFO | `server`, `attempt` since the session was last served |
//! | connected, suspended, session expired, closed, authentication failed | INFO to ERROR | `session`, `epoch`, `timeout`, `server`, `left` |
//! | connection lost, no connection | WARN, DEBUG | `server`, `reason` |
//! | cannot connect: once for each outage | WARN | `failures` |
//! | arming watches again; gaps; events dropped | DEBUG | `batches`, `watches`, `gaps`, `events` |
//! | trying again | DEBUG | `attempt`, `delay`, `error` |
//! | submitted, answered, failed, given up | TRACE | `op`, `path`, `xid`, `zxid`, `code`, `kind`, `outcome`, `latency` |
//! | ping answered | TRACE | `ping` |
//!
//! With the feature `metrics`, of all clients of the process together:
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
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `backoff` | no | `RetryPolicy::from_backoff`, for backoffs of the unmaintained crate `backoff` |
//! | `blocking` | no | a client for programs without a runtime: the module `blocking`, and `wait()` on every operation |
//! | `metrics` | no | counters, gauges and histograms for the facade `metrics`, listed above |
//! | `serde` | no | `Serialize` on [`WatchEvent`], [`State`], [`SessionInfo`], [`Statistics`], [`Stat`], [`Acl`] and the other data, and `Deserialize` where it makes sense; not on [`SessionToken`], a secret |
//! | `sasl` | no | `ClientBuilder::sasl_digest`, the mechanism DIGEST-MD5; `ClientBuilder::sasl` is always there |
//! | `tls` | no | `ClientBuilder::tls`, on rustls with ring |
//!
//! There is also `testkit`, for this project's own fuzzing and tests. It is no part of the API
//! and may change at any time.
//!
//! # Public dependencies
//!
//! Types of these crates are part of this one's API, besides those of `zk-proto` and
//! `zk-transport`. A new major version of one of them (a minor version, if the major one is 0)
//! comes with a new major version of this crate, also if an optional feature brings it:
//!
//! | crate | where |
//! |---|---|
//! | `bytes` 1 | the data of [`Client::get`] and of transactions |
//! | `tokio` 1 | [`Client::runtime`]; [`Transport`] extends its `AsyncRead` and `AsyncWrite` |
//! | `futures-core` 0.3 | [`StateStream`], [`WatchStream`] and the iterators of `blocking` |
//! | `rustls` 0.23 | with `tls`: `TlsConfig::from_rustls` and the re-export `rustls` |
//! | `backoff` 0.4 | with `backoff`: `RetryPolicy::from_backoff` |
//! | `serde` 1 | with `serde`: its traits |
//!
//! The API has no types of `metrics` 0.24 and `tracing` 0.1, but a recorder or subscriber has to be
//! for the same version.
//!
//! # Types by topic
//!
//! - The client: [`Client`], [`ClientBuilder`], [`RetryPolicy`]
//! - Errors: [`Error`], [`ErrorKind`], [`ErrorCode`], [`Outcome`]
//! - Results: [`Stat`], [`Created`], [`Children`], [`OpResult`], [`ReadResult`],
//!   [`EnsembleConfig`], [`ClientInfo`], [`Acl`]
//! - Watches: [`Watch`], [`WatchStream`], [`WatchMode`], [`WatchEvent`], [`NodeEvent`],
//!   [`NodeEventKind`]
//! - Sessions: [`State`], [`StateStream`], [`SessionInfo`], [`SessionPolicy`], [`SessionToken`],
//!   [`Lease`]
//! - Monitoring: [`Statistics`], [`RequestCounts`]
//! - Connections: [`Dial`], [`TcpDial`], [`Resolve`], [`BackoffPolicy`], [`Disconnect`],
//!   `TlsConfig`, [`sasl`]
//! - Builders of operations, which methods of [`Client`] return: [`Get`], [`Exists`],
//!   [`GetChildren`], [`Create`], [`Set`], [`Delete`], [`EnsurePath`], [`Multi`], [`MultiRead`],
//!   [`AddWatch`], [`SyncOp`] and others; their futures, of which [`Pending`] is the most frequent
//!
//! # Names in other clients
//!
//! The search of this page finds the names of Java's client, Curator and kazoo. What differs:
//!
//! | there | here |
//! |---|---|
//! | kazoo's `retry` | [`Client::retry_read`]; [`Client::retry`] does not repeat what may have taken effect |
//! | kazoo's state `LOST` | [`State::Expired`] |
//! | a listener of states | the stream [`Client::states`] |
//! | a `Watcher`, called once for each event | the future [`Watch`], the stream [`WatchStream`] |
//! | Curator's `withProtection()` | [`Create::protected`] |
//! | Curator's `creatingParentsIfNeeded()`, kazoo's `makepath` | [`Create::parents`] |
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
pub mod cost;
mod driver;
mod error;
mod lease;
mod ops;
mod session;
mod shared;
mod state_stream;
mod telemetry;
#[cfg(feature = "testkit")]
#[doc(hidden)]
pub mod testkit;
mod watch;

// The client.
pub use builder::ClientBuilder;
pub use client::Client;
pub use error::{Error, ErrorKind, Outcome, Result};
pub use ops::retry::RetryPolicy;

// The session.
pub use lease::{Lease, LeaseLost};
pub use session::identity::{SessionInfo, SessionPolicy};
pub use session::state::State;
pub use session::statistics::{RequestCounts, Statistics};
pub use session::token::SessionToken;
pub use state_stream::StateStream;

// Watches.
pub use session::watches::event::{NodeEvent, NodeEventKind, WatchEvent};
pub use watch::{Watch, WatchMode, WatchStream};

// Operations.
pub use ops::acl::{GetAcl, SetAcl};
pub use ops::add_auth::AddAuth;
pub use ops::add_watch::AddWatch;
pub use ops::children::{Children, ChildrenWatched, GetChildren, GetChildrenStat};
pub use ops::consistent_read::{BarrierRead, PendingBarrierRead, ReadOp};
pub use ops::create::{Create, Created};
pub use ops::create_or_exists::{CreateOrExists, PendingOrExists};
pub use ops::create_parents::CreateParents;
pub use ops::create_protected::CreateProtected;
pub use ops::delete::Delete;
pub use ops::descendants::{Count, Ephemerals};
pub use ops::ensemble::{ConfigWatched, GetConfig, Reconfig};
pub use ops::exists::{Exists, ExistsWatched};
pub use ops::get::{Get, GetWatched};
pub use ops::guid::Guid;
pub use ops::multi::{Multi, OpResult};
pub use ops::multi_read::{MultiRead, ReadResult};
pub use ops::pending::Pending;
pub use ops::recursive::{DeleteRecursive, EnsurePath};
pub use ops::retry::ConditionalRetry;
pub use ops::set::Set;
pub use ops::sync::SyncOp;
pub use ops::whoami::{ClientInfo, WhoAmI};

// For zk-recipes, and no part of the API.
#[doc(hidden)]
pub use ops::cleanup::Pledge;
#[doc(hidden)]
pub use ops::retry::repetition::Repetition;

// The layers below.
pub use zk_proto::config::EnsembleConfig;
pub use zk_proto::{
    Acl, Chroot, CreateMode, ErrorCode, HostPort, Id, Permissions, SessionId, Stat, Zxid,
    digest_id, path,
};
pub use zk_transport::sasl::{self, SaslError};
pub use zk_transport::{
    Backoff, BackoffPolicy, Dial, DialError, DialFn, Dialing, Disconnect, Resolve, Resolving,
    Servers, SystemResolver, TcpDial, Transport, dial_fn,
};
#[cfg(feature = "tls")]
pub use zk_transport::{TlsConfig, TlsDial, TlsError, tls::rustls};

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
