//! An in-process, in-memory ZooKeeper server for development and tests.
//!
//! It serves ZooKeeper's protocol on real sockets or inside the process, behaves as Apache
//! ZooKeeper 3.9 does or as another server ([`Pose`]: Apache ZooKeeper 3.4 to 3.9, ClickHouse Keeper), and
//! does what a real server cannot be made to do: [lose a reply after applying a write](Faults::drop_reply_after_apply),
//! [execute a write and answer with an error](Faults::misreport_after_apply),
//! [expire a session now](Faults::expire_session), [cut a connection](Faults::cut) at any byte of
//! any frame. It needs no JVM and is up in about a millisecond.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = zk_embedded::Server::start().await?;
//! let zk = zk_client::Client::connect(server.connect_string()).await?;
//! zk.create("/config", "v1").await?; // … the code under test …
//! assert_eq!(server.node("/config").unwrap().data.as_deref(), Some(&b"v1"[..]));
//! server.faults().lose_next_reply(); // the next write happens, and nobody hears of it
//! let error = zk.set("/config", "v2").await.unwrap_err();
//! assert_eq!(error.outcome(), zk_client::Outcome::Unknown);
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! Time is tokio's. In a test with `#[tokio::test(start_paused = true)]`, waiting for a session of
//! 30 seconds to expire takes a millisecond. Real sockets and a paused clock do not go together:
//! tokio advances the clock while bytes are on their way. Use
//! [`in_memory`](Builder::in_memory) and [`connect_in_memory`](Server::connect_in_memory) there.
//! The times in stats are the system's, or with [`WallClock::From`] those of the same clock.
//!
//! # Ensembles
//!
//! [`Builder::members`] starts several members on one state: each has a port, a copy of the tree
//! and the watches of its clients; [`Builder::observers`] have no vote. They run no election and no
//! quorum protocol. Clients can [reconfigure](Builder::reconfig_enabled) them, and a test controls what a
//! client could see of such a protocol: members [lag](Server::set_lag),
//! [change their leader](Server::change_leader), [fall apart](Server::partition),
//! [lose their leader](Server::set_astray) and go on answering, [have two leaders](Server::depose_leader)
//! of which one does not know that it has been deposed, are [stopped](Faults::stop) one by one.
//!
//! # Faults
//!
//! [`Server::faults`] is the handle for all members, [`Server::member`] for one. Whole connections:
//! refuse, slam, never answer, freeze, delay, dribble, half-open. Single requests: a script of
//! [rules](fault::Rule), each a [matcher](fault::Matcher) and an [action](fault::Action):
//!
//! ```
//! use zk_embedded::fault::{Action, on};
//! use zk_proto::{ErrorCode, OpCode};
//!
//! # async fn demo(server: zk_embedded::Server) {
//! server.faults().script([
//!     on(OpCode::Create).path("/lock").then(Action::DropReply),
//!     on(OpCode::GetData).after(2).then(Action::Refuse(ErrorCode::ThrottledOp)).times(3),
//! ]);
//! # }
//! ```
//!
//! # Layout
//!
//! - [`core`]: the server as a state machine without sockets, tasks or a clock; drive it yourself
//!   for a simulation
//! - `server`, `listener`, `connection`, `stream`: the machine on tokio
//! - [`fault`], `faults`, `gate`: what can go wrong, and how it is told to
//! - `shared`: the lock between them, and the task that lets time pass
//!
//! The layer below is [`zk_proto`], the records.
//!
//! # What it is not
//!
//! A production store. Everything is in memory and gone when it is dropped, there is one lock, no
//! replication and no TLS. Production is an Apache ZooKeeper ensemble.
//!
//! # Poses
//!
//! A [`Pose`] makes the server one of another release, or ClickHouse Keeper, as far as a client can see
//! it: `Server::builder().pose(Pose::KeeperOld)`. Its documentation says what each does, and by which
//! sources. It is the same state machine in every pose, so that all of the following differs from real
//! servers in the older poses of Apache too; only 3.8 and 3.9 are compared with them.
//!
//! # Differences from Apache ZooKeeper
//!
//! Random traces of three sessions are compared with Apache ZooKeeper 3.8.0 and 3.9.5, each with the
//! server of its [`Pose`], reply by reply and event by event, and must not differ beyond this list:
//!
//! - All four-letter words are allowed, and nodes with a time to live enabled, by default.
//! - Children are listed in the order of Java's hash table. If that has 64 buckets or more, names that
//!   meet in one with more than eight come in another order on Apache; and a server that loads a
//!   snapshot fills its tables anew, in the order in which they were listed.
//! - A path that is not valid UTF-8 (Java's CESU-8 included) is `MarshallingError`, even for reads.
//! - A `createSession` sent by a client is refused as unknown; Apache answers with a handshake.
//! - Null lists in `setWatches`, and null ids in an ACL, are not told apart from what is near them.
//! - What is sent back of a path outside the basic plane is UTF-8, not CESU-8.
//! - A `createTTL` by itself with the flags of another mode and no time is `BadArguments`; Apache's
//!   server ends with it, and does not start again.
//! - `checkWatches` and `removeWatches` of a path without a leading slash find no watch; Apache's
//!   fail to read it once there has been a recursive watch.
//! - The identities that `auth` stands for in an ACL are listed in the order in which they were
//!   proven, on Apache in none.
//! - Ephemerals of a session that ends go in the order in which they were created, on Apache in none.
//! - Sequence numbers overflow from 2147483647 to -2147483648, as the documentation of ZooKeeper
//!   says; servers of today stop counting instead.
//! - A member that lags catches up when a write or a `sync` is sent to it, and lags again after it.
//! - An election takes no time, and a deposed leader notices exactly `syncLimit` ticks after the cut;
//!   Apache's notices up to a tick later, or sooner if its followers' connections are reset.
//! - `reconfig` starts and stops no member and moves no port ([`Builder::reconfig_enabled`]); it is
//!   never found in progress, hierarchical quorums (`group.N`, `weight.N`) are `BadArguments`, and the
//!   reply always arrives before the connections close that the change closes.
//! - Latencies in four-letter words are 0, and what only a JVM has is `<NA>`; `dirs`, `hash`, `lead`,
//!   `stmk` and `zabs` say little.
//! - Audit logs, metrics providers, the admin server, request throttling by size, local sessions
//!   outside read-only mode, the schemes `x509` and `key`, and SASL mechanisms other than DIGEST-MD5 do
//!   not exist. The nonces of DIGEST-MD5 are the same in every run.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod core;
pub mod fault;
mod net;
mod options;
mod server;

pub use crate::core::{Pose, UnknownPose};
pub use options::{Options, SaslUsers, WallClock};
pub use server::faults::Faults;
pub use server::{Builder, Server};

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
