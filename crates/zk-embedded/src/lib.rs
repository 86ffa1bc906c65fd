//! An in-process, in-memory ZooKeeper server for development and tests.
//!
//! It serves ZooKeeper's protocol on real sockets or inside the process, and behaves as Apache
//! ZooKeeper 3.9 does or as another server ([`Pose`]: Apache ZooKeeper 3.4 to 3.9, ClickHouse Keeper).
//! It produces failures that a real server does not produce on demand:
//! [lose a reply after applying a write](Faults::drop_reply_after_apply),
//! [execute a write and answer with an error](Faults::misreport_after_apply),
//! [expire a session now](Faults::expire_session), [cut a connection](Faults::cut) at any byte of
//! any frame. It needs no JVM and starts in about a millisecond.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = zk_embedded::Server::start().await?;
//! let zk = zk_client::Client::connect(server.connect_string()).await?;
//! zk.create("/config", "v1").await?; // … the code under test …
//! assert_eq!(server.node("/config").unwrap().data.as_deref(), Some(&b"v1"[..]));
//! server.faults().lose_next_reply(); // the next write is applied, its reply is lost
//! let error = zk.set("/config", "v2").await.unwrap_err();
//! assert_eq!(error.outcome(), zk_client::Outcome::Unknown);
//! # Ok(())
//! # }
//! ```
//!
//! The page [`testing`] shows tests of a service: sessions that end, partitions, paused time.
//!
//! # Time
//!
//! Time is tokio's. In a test with `#[tokio::test(start_paused = true)]`, waiting for a session of
//! 30 seconds to expire takes a millisecond. A paused clock does not work with real sockets: tokio
//! advances the clock while bytes are on their way. Use [`in_memory`](ServerBuilder::in_memory) and
//! [`Server::dial`] there.
//! The times in stats are the system's, or with [`WallClock::From`] those of the same clock.
//!
//! # Ensembles
//!
//! [`ServerBuilder::members`] starts several members on one state: each has a port, a copy of the tree
//! and the watches of its clients; [`ServerBuilder::observers`] have no vote. They run no election and no
//! quorum protocol. Clients can [reconfigure](ServerBuilder::reconfig_enabled) them, and a test controls what a
//! client could see of such a protocol: members [lag](Server::set_lag),
//! [change their leader](Server::change_leader), are [partitioned](Server::partition), lose
//! [contact with their leader](Server::isolate_from_leader) without noticing, have
//! [two leaders](Server::depose_leader) of which one has not noticed that it was deposed, and are
//! [stopped](Faults::stop) one by one.
//!
//! # Faults
//!
//! [`Server::faults`] is the handle for all members, [`Server::member`] for one. Whole connections:
//! refuse, slam, never answer, freeze, delay, dribble, half-open. Single requests: a script of
//! [rules](fault::Rule), each a [matcher](fault::Matcher) and an [action](fault::Action):
//!
//! ```
//! use zk_embedded::fault::{Action, ErrorCode, OpCode, on};
//!
//! # async fn demo(server: zk_embedded::Server) {
//! server.faults().script([
//!     on(OpCode::Create).path("/lock").then(Action::DropReply),
//!     on(OpCode::GetData).after(2).then(Action::Refuse(ErrorCode::ThrottledOp)).times(3),
//! ]);
//! # }
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tls` | servers with TLS and certificates of their own: `ServerTls` |
//!
//! None is a default.
//!
//! # Layout
//!
//! The module list is a map of the code:
//!
//! - `server`: [`Server`] and [`ServerBuilder`], by subject: ensembles, backups, inspection, and
//!   [`Faults`]
//! - `net`: ports, connections and their faults on tokio, and the lock that they share
//! - [`fault`]: the script: which requests, what is done to them, where connections are cut
//! - [`core`]: the server as a state machine without sockets, tasks or a clock, which a simulation can
//!   drive; in it `requests` (a file per family of operations), `tree` (nodes, ACLs, quotas,
//!   transactions), `ensemble` (members, elections, `reconfig`), `session`, `watch`, `four_letter`, and
//!   `pose`, a table of what differs between the servers imitated
//! - `options`: [`Options`], which all of them read
//!
//! The layers below are [`zk_proto`], the records, and [`zk_transport`], of which this crate uses the
//! server side of SASL and the trait [`Dial`](zk_transport::Dial).
//!
//! # What it is not
//!
//! A production store. All data is in memory and lost when the server is dropped; there is one lock and no
//! replication. Use an Apache ZooKeeper ensemble in production.
//!
//! # Poses
//!
//! With a [`Pose`] the server imitates another release, or ClickHouse Keeper, as far as a client can
//! observe it: `Server::builder().pose(Pose::KeeperOld)`. The documentation of [`Pose`] says what each
//! does, and by which sources. Only the poses 3.8 and 3.9 are compared with real servers. All poses share
//! one state machine, so the differences listed below apply to the older poses of Apache too.
//!
//! # Differences from Apache ZooKeeper
//!
//! Random traces of three sessions are compared with Apache ZooKeeper 3.8.0 and 3.9.5, each with the
//! server of its [`Pose`], reply by reply and event by event, and must not differ beyond this list:
//!
//! - All four-letter words are allowed, and nodes with a time to live enabled, by default.
//! - Children are listed in the order of Java's hash table. In a table of 64 buckets or more, the names in
//!   a bucket with more than eight come in another order on Apache; and a server that loads a snapshot
//!   fills its tables again, in the order in which the children were listed.
//! - A path that is not valid UTF-8 (Java's CESU-8 included) is `MarshallingError`, even for reads.
//! - A `createSession` sent by a client is refused as unknown; Apache answers with a handshake.
//! - Null lists in `setWatches` and null ids in an ACL are read as empty.
//! - Paths with characters outside the basic plane are sent back as UTF-8, not as CESU-8.
//! - A `createTTL` outside a multi with the flags of another mode and no time is `BadArguments`; Apache's
//!   server crashes, and does not start again.
//! - `checkWatches` and `removeWatches` of a path without a leading slash find no watch; Apache's
//!   fail to read it once there has been a recursive watch.
//! - The identities that `auth` stands for in an ACL are listed in the order in which they were
//!   proven, on Apache in no particular order.
//! - Ephemerals of a session that ends are deleted in the order in which they were created, on Apache in
//!   no particular order.
//! - Sequence numbers overflow from 2147483647 to -2147483648, as the documentation of ZooKeeper
//!   says; current servers stop counting instead.
//! - A member that lags catches up when it receives a write or a `sync`, and lags again after it.
//! - An election takes no time, and a deposed leader closes its connections exactly `syncLimit` ticks
//!   after the cut; Apache's does so up to a tick later, or sooner if its followers' connections are reset.
//! - `reconfig` starts and stops no member and moves no port ([`ServerBuilder::reconfig_enabled`]); it is
//!   never found in progress, hierarchical quorums (`group.N`, `weight.N`) are `BadArguments`, and the
//!   reply always arrives before the change closes any connection.
//! - Latencies in four-letter words are 0, and what only a JVM has is `<NA>`; `dirs`, `hash`, `lead`,
//!   `stmk` and `zabs` are stubs.
//! - Audit logs, metrics providers, the admin server, request throttling by size, local sessions
//!   outside read-only mode, the schemes `x509` and `key`, and SASL mechanisms other than DIGEST-MD5 do
//!   not exist. The nonces of DIGEST-MD5 are the same in every run.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod core;
pub mod fault;
mod net;
mod options;
mod server;
#[doc = include_str!("testing.md")]
pub mod testing {}

pub use crate::core::{Pose, UnknownPose};
pub use options::{Options, SaslUsers, WallClock};
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use server::ServerTls;
pub use server::{Faults, MemoryDial, Server, ServerBuilder};

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
