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
//! # When the connection is lost
//!
//! The session lives on at the servers for the negotiated timeout, and the client looks for another
//! server meanwhile. What happens to requests:
//!
//! | request | what happens |
//! |---|---|
//! | read, in flight or waiting | is sent again after the reconnect |
//! | write, in flight | fails with [`Outcome::Unknown`]: it may have been executed |
//! | write, not sent, behind one in flight | fails with [`Outcome::NotSent`], for executing it could skip its predecessor |
//! | write, not sent, none in flight | is sent after the reconnect |
//! | watch | is armed again; what happened meanwhile is delivered, or reported as a [`WatchEvent::Gap`] |
//!
//! # When the session expires
//!
//! [`State::Expired`] is never lost on the way to a [`StateStream`]. Watches end with
//! [`WatchEvent::SessionEnded`]. No write submitted in one session is executed in the next: it
//! fails with [`ErrorKind::SessionExpired`]. Reads are answered in the next session. Whether there
//! is one is up to [`SessionPolicy`].
//!
//! # Modules
//! - `client`, `config`: handles and their options.
//! - `call`: a request's future. `read`, `write`, `create`, `multi`, `acl`, `tree`: the operations.
//! - `watch`: what is armed, and who is told.
//! - `session`, `state`, `lease`: how long a session lasts and who wants to know.
//! - `core`, `slots`, `shared`: the state behind the lock. `driver`: the one task.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `serde` | no | `Serialize` and `Deserialize` on the data people see, such as [`Stat`] |

mod acl;
mod call;
mod client;
mod config;
mod core;
mod create;
mod driver;
mod error;
mod lease;
mod multi;
mod protected;
mod read;
mod session;
mod shared;
mod slots;
mod state;
mod tree;
mod watch;
mod write;

pub use acl::{GetAcl, SetAcl};
pub use call::Pending;
pub use client::{Client, SessionInfo, StateStream, Statistics};
pub use config::{Builder, SessionPolicy};
pub use create::{Create, CreateParents, Created};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use lease::{Lease, LeaseLost};
pub use multi::{Multi, MultiRead, OpResult, ReadResult};
pub use protected::{CreateProtected, Guid};
pub use read::{
    Children, ChildrenWatched, Exists, ExistsWatched, Get, GetChildren, GetChildrenStat,
    GetWatched, Sync,
};
pub use state::State;
pub use tree::{DeleteRecursive, EnsurePath};
pub use watch::{NodeEvent, NodeEventKind, Watch, WatchEvent, WatchMode, WatchStream};
pub use write::{Delete, Set};

pub use zk_proto::{
    Acl, Chroot, CreateMode, ErrorCode, HostPort, Id, Permissions, SessionId, Stat, Zxid,
    digest_id, path,
};
pub use zk_transport::{
    Backoff, BackoffPolicy, Dial, DialError, Dialing, Disconnect, Stream, TcpDial,
};
