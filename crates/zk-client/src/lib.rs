//! A client for Apache ZooKeeper that tells what it knows.
//!
//! Below it are [`zk_proto`], the records, and [`zk_transport`], one connection. Above it is
//! `zk-recipes`: locks, elections, watches that survive everything.
//!
//! ```no_run
//! # async fn run() -> zk_client::Result<()> {
//! use zk_client::Client;
//!
//! let zk = Client::connect("zk1:2181,zk2:2181,zk3:2181/app").await?;
//! zk.create("/config", "v1").await?;
//! let (data, stat) = zk.get("/config").await?;
//! zk.set("/config", "v2").version(stat.version).await?;
//! let (data, stat, watch) = zk.get("/config").watch().await?;
//! let event = watch.await; // somebody changed it: look again
//! zk.close().await?;
//! # Ok(()) }
//! ```
//!
//! # Pipelining
//!
//! A request is on the wire when its future is made: by [`submit`](Get::submit), or by `.await` on
//! the builder, which does both. Replies come in the order of submission. So this costs one round
//! trip, not three:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
//! let (a, b, c) = (zk.get("/a").submit(), zk.get("/b").submit(), zk.get("/c").submit());
//! let (a, b, c) = (a.await?, b.await?, c.await?);
//! # Ok(()) }
//! ```
//!
//! # Fresh reads
//!
//! A server answers reads from what it knows, which may be less than another client has already
//! seen. [`synced`](Get::synced) has it catch up with the leader first, and
//! [`linearizable`](Get::linearizable) has a quorum commit an empty transaction first; both cost one
//! round trip, for they go out together with the read:
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
//! let (data, stat) = zk.get("/config").synced().await?;
//! # Ok(()) }
//! ```
//!
//! # When the connection is lost
//!
//! The session lives on at the servers for the negotiated timeout, and the client looks for another
//! server meanwhile. What happens to requests:
//!
//! | request | what happens |
//! |---|---|
//! | read, in flight or waiting | is sent again after the reconnect |
//! | write, in flight: offered to the stream as a whole | fails with [`Outcome::Unknown`]: it may have been executed |
//! | write, not or not wholly sent, behind one in flight | fails with [`Outcome::NotSent`], for executing it could skip its predecessor |
//! | write, not sent, none in flight | is sent after the reconnect |
//! | watch | is armed again; what happened meanwhile is delivered, or reported as a [`WatchEvent::Gap`] |
//!
//! A read is not sent again without end: one that is next to be answered when the server closes the
//! connection, ten times in a row, fails.
//!
//! # When the server answers with an error
//!
//! An [`ErrorCode`] that means "not executed"
//! ([`is_refusal`](ErrorCode::is_refusal)) is [`Outcome::Rejected`]. With any other, servers
//! say that they do not know what became of the request, so the outcome is [`Outcome::Unknown`], as if
//! the connection had been lost. [`protected`](Create::protected) creations and conditional writes with
//! a [`RetryPolicy`] find out.
//!
//! # When the client ends
//!
//! End a program with [`Client::close`]: it waits until the session has ended and the clean-ups of
//! dropped guards and futures are done. The drop of the last handle does so in the background, for
//! which the runtime must live on; see [`Client`](Client#the-end).
//!
//! # When the session expires
//!
//! [`State::Expired`] is never lost on the way to a [`StateStream`]. Watches end with
//! [`WatchEvent::SessionEnded`]. No write submitted in one session is executed in the next: it
//! fails with [`ErrorKind::SessionExpired`]. Reads are answered in the next session. Whether there
//! is one is up to [`SessionPolicy`].
//!
//! # Trying again
//!
//! An [`Error`] says whether the operation took effect. [`Client::retry`] and a [`RetryPolicy`] try
//! again what had none; [`Set::retry`] and [`Delete::retry`] find out what became of a conditional
//! write whose reply was lost; [`Create::protected`] creates exactly once.
//!
//! # Which server
//!
//! The servers of the connect string are tried in an order shuffled once, and of a name with several
//! addresses one after the other: an attempt that fails in the handshake, or in that of TLS, is followed
//! by one to the next address. The list can change while
//! the client lives: by [`Client::update_hosts`], by the DNS ([`ClientBuilder::srv_refresh`]), or by the
//! ensemble itself, when the client follows its configuration ([`ClientBuilder::follow_config`]), which
//! loses none of the servers that the configuration does not name. Clients then move such that every
//! server has its equal share of them; one that moves keeps its session, and waits for its requests
//! in flight before. With [`ClientBuilder::read_only`] a server without a quorum will do for reads, until
//! there is one with.
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
//! Both fail closed. Only the CAs given are trusted, and only for the hosts that the connect string
//! names; as answers of the DNS are not authenticated, a `dns-srv://` connect string needs
//! `TlsConfig::server_name` or an explicit opt-in. Nothing is ever said in the clear instead. A login
//! comes before anything else on every connection, and one that the server refuses, or does not take
//! part in, is the end of the client, be it on the first connection or the hundredth. `connect()` says
//! so at once: when a login is refused, and when no server can be trusted. Kerberos and other mechanisms are a
//! [`sasl::Login`] of yours, over a GSSAPI library: this crate brings none, as those need C headers.
//!
//! A server that requires a login lets a client without one connect, and refuses its first request:
//! [`ErrorKind::AuthFailed`]. And Apache's server, seen with 3.8.0, checks the password of a SASL user
//! whom it does not know against that of whoever logged in last, and lets them in by it: give no
//! rights to names that are not among its users.
//!
//! # Modules
//! - `client`, `config`: handles and their options.
//! - `cleanup`: removing in the background what a drop has left. `repetition`: bounds for requests
//!   that are made again.
//! - `call`: a request's future. `read`, `fresh`, `write`, `create`, `protected`, `multi`, `acl`,
//!   `tree`, `descendants`, `identity`, `ensemble`: the operations.
//! - `retry`: trying again, only what can be tried again without harm.
//! - `watch`: what is armed, and who is told.
//! - `session`, `leader`, `state`, `state_stream`, `lease`: how long a session lasts and who wants to know. `token`: a
//!   session that is handed over to another client.
//! - `statistics`: what a client has done and holds.
//! - `blocking`: the client for programs without a runtime.
//! - `observe`: spans and events.
//! - [`cost`]: a page on where the time of a request goes.
//! - `session`, `shared`: the state behind the lock. `driver`: the one task, which plugs the session into
//!   `zk_transport::reconnect`, with `quorum_search`,
//!   the search for a server with a quorum, and `srv_discovery`, the list of servers from the DNS.
//!
//! # What it tells those who look on
//!
//! [`Client::statistics`] is a snapshot of all that a client has done and holds.
//!
//! Spans and events of `tracing`, never with a credential or a session's password in them:
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
//! | `backoff` | no | any backoff of the crate `backoff`, which is unmaintained, can drive a [`RetryPolicy`] |
//! | `blocking` | no | a client for programs without a runtime: the module `blocking`, and `wait()` on every operation |
//! | `metrics` | no | counters, gauges and histograms for the facade `metrics`, listed above |
//! | `serde` | no | `Serialize` and `Deserialize` on the data people see, such as [`Stat`] |
//! | `sasl` | no | `ClientBuilder::sasl_digest`, the mechanism DIGEST-MD5; `ClientBuilder::sasl` is always there |
//! | `tls` | no | `ClientBuilder::tls`, on rustls with ring |
//!
//! There is also `testkit`, for this project's own fuzzing and tests. It is no part of the API
//! and may change at any time.

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

pub use builder::ClientBuilder;
pub use client::Client;
pub use error::{Error, ErrorKind, Outcome, Result};
pub use lease::{Lease, LeaseLost};
pub use ops::acl::{GetAcl, SetAcl};
pub use ops::add_auth::AddAuth;
pub use ops::add_watch::AddWatch;
pub use ops::children::{Children, ChildrenWatched, GetChildren, GetChildrenStat};
#[doc(hidden)]
pub use ops::cleanup::Pledge;
pub use ops::consistent_read::{BarrierRead, PendingBarrierRead, ReadOp};
pub use ops::create::{Create, CreateOrExists, CreateParents, Created, PendingOrExists};
pub use ops::create_protected::{CreateProtected, Guid};
pub use ops::delete::Delete;
pub use ops::descendants::{Count, Ephemerals};
pub use ops::ensemble::{ConfigWatched, GetConfig, Reconfig};
pub use ops::exists::{Exists, ExistsWatched};
pub use ops::get::{Get, GetWatched};
pub use ops::multi::{Multi, MultiRead, OpResult, ReadResult};
pub use ops::pending::Pending;
pub use ops::recursive::{DeleteRecursive, EnsurePath};
#[doc(hidden)]
pub use ops::retry::repetition::Repetition;
pub use ops::retry::{ConditionalRetry, RetryPolicy};
pub use ops::set::Set;
pub use ops::sync::SyncOp;
pub use ops::whoami::{ClientInfo, WhoAmI};
pub use session::identity::{SessionInfo, SessionPolicy};
pub use session::state::State;
pub use session::statistics::{RequestCounts, Statistics};
pub use session::token::SessionToken;
pub use session::watches::event::{NodeEvent, NodeEventKind, WatchEvent};
pub use state_stream::StateStream;
pub use watch::{Watch, WatchMode, WatchStream};

pub use zk_proto::config::EnsembleConfig;
pub use zk_proto::{
    Acl, Chroot, CreateMode, ErrorCode, HostPort, Id, Permissions, SessionId, Stat, Zxid,
    digest_id, path,
};
pub use zk_transport::sasl::{self, SaslError};
pub use zk_transport::{
    Backoff, BackoffPolicy, Dial, DialError, Dialing, Disconnect, Resolve, Resolving, Servers,
    SystemResolver, TcpDial, Transport,
};
#[cfg(feature = "tls")]
pub use zk_transport::{TlsConfig, TlsDial, TlsError, tls::rustls};

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
