//! Locks, elections, membership, service discovery, counters, queues and watches that survive
//! reconnects and session expiry, on top of [`zk_client`].
//!
//! The recipes use the public API of `zk_client` and a few items of it that are hidden from its
//! documentation. The layer above is your program.
//!
//! ```no_run
//! # #[cfg(feature = "locks")]
//! # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
//! use zk_recipes::Lock;
//!
//! let lock = Lock::new(&zk, "/locks/ledger").identifier("worker-7");
//! let guard = lock.acquire().await?;
//! guard.fenced().set("/ledger", "42").commit().await?;
//! guard.release().await?;
//! # Ok(()) }
//! ```
//!
//! The [`guide`](guide/index.html) begins with a quick start and says what to do when something fails.
//!
//! # Locks are leases
//!
//! No lock service can stop a process that was suspended while it held a lock and has not noticed
//! that the lock has another holder now. So a lock here is not a boolean but a `Guard` with a
//! deadline and a fencing token. The page [`fencing`] says how to use them.
//!
//! # After a crash
//!
//! A process that crashes leaves its ephemeral znodes to its session, which lasts for its timeout. If the
//! next process resumes the session in that time, with [`zk_client::SessionStore`], it has all of them: its
//! place in the queue of a lock, its lease, its registration. It takes them up as follows. It is one option
//! for all recipes whose names contain a random id, and another for those whose names the caller chooses:
//!
//! | recipes | option |
//! |---|---|
//! | `Lock`, `ReadLock`, `WriteLock`, members of a `MultiLock`, `Semaphore`, `Election`, `LeaderLatch`, `Party`, `ShallowParty`, `NonBlockingLease` | `adopt_by(id)`, with an id that the program keeps |
//! | `PersistentNode`, `GroupMember`, `ServiceDiscovery` | `adopting()` |
//!
//! ```no_run
//! # #[cfg(feature = "locks")]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use zk_client::{Client, Guid, SessionStore};
//! use zk_recipes::Lock;
//!
//! let id: Guid = "7b0e8f6c-3a52-4c1e-9d0b-5f1e2a6c9d10".parse()?; // of this program
//! let store = SessionStore::open("/var/lib/app/session")?;
//! let (zk, restored) = Client::builder("zk1:2181").restore(store).await?;
//! // The place that this program had before, or a new one.
//! let guard = Lock::new(&zk, "/locks/ledger").adopt_by(id).acquire().await?;
//! println!("{restored}; held with the token {}", guard.token());
//! # Ok(()) }
//! ```
//!
//! A znode of another session is never taken up. What a process does not take up stays as long as the
//! resumed session, and nothing releases it: the claims of a `Queue`, the locks and the member of a
//! `SetPartitioner`, the members of a `DoubleBarrier` or a `ServerSet`, and whatever was acquired without
//! an id. Such a program should not resume its session, or delete what it finds in
//! [`zk_client::Client::ephemerals`] before it begins.
//!
//! # Modules
//!
//! The modules are private except [`fencing`] and `guide`, which are documentation only; their types are
//! exported here. This list is the map of the code.
//!
//! | module | types | what it holds |
//! |---|---|---|
//! | `locks` | [`Lock`], [`ReadLock`], [`WriteLock`], [`MultiLock`], [`Semaphore`] | one holder at a time; readers and writers; several locks, all or none; a limited number of leases |
//! | `election` | [`Election`], [`LeaderLatch`], [`LeaderStream`] | one leader at a time; the same with Curator's znodes; a stream of the leaders |
//! | `queue` | [`Contender`], [`Layout`] | the queue of sequential znodes behind locks and elections, its order, its names, and the options that its users share |
//! | `guard` | [`Guard`], [`Token`], [`FencedMulti`], [`Handover`], [`LeaseBasis`], [`revoke`] | what a lock or an election returns: its deadline, its renewal, its loss, fenced writes, revocation, handing it over with its session |
//! | `tree_cache` | [`TreeCache`], [`Snapshot`], [`Cached`], [`CacheEvent`], [`CacheEvents`] | a copy of a subtree, kept up to date |
//! | `barrier` | [`Barrier`], [`DoubleBarrier`] | blocks its waiters until it is opened; lets a number of members pass together |
//! | `membership` | [`PersistentNode`], [`PersistentTtlNode`], [`GroupMember`], [`Party`], [`ShallowParty`] | znodes that are kept in existence, and the groups of programs that announce themselves by them |
//! | `partition` | [`SetPartitioner`], [`Allocations`], [`Share`] | a set of items divided among the members of a group |
//! | `leases` | [`NonBlockingLease`], [`MultiNonBlockingLease`] | leases with an end on the clock, which outlive sessions |
//! | `watch` | [`DataWatch`], [`ChildrenWatch`], [`PatientChildrenWatch`], [`PersistentWatch`] | streams of the latest state of a znode; a stream of events through sessions |
//! | `typed` | [`TypedNode`], [`Model`], [`PathTemplate`], [`ChildrenWithData`], [`TypedCache`], [`ChildrenCache`] | znodes whose data are values of a type |
//! | `codec` | [`Codec`], [`Raw`], [`Text`], `Json`, `Gzip` | values as the data of znodes |
//! | `counters` | [`SharedValue`], [`SharedCount`], [`Counter`], [`AtomicLong`], [`AtomicInteger`], [`AtomicValue`], [`IdBlocks`] | values that programs share: watched, counted with, changed by compare-and-set, and unique ids |
//! | `discovery` | `ServiceDiscovery`, `ServiceInstance`, `ServiceCache`, `ServiceProvider`, `ServerSet` | registers instances of services and finds them, as Curator does; server sets |
//! | `queues` | [`Queue`], [`Put`], [`Claim`], [`QueueLayout`] | work items that are delivered at least once |
//! | `error` | [`Error`], [`GuardLost`], [`CacheError`] | what can go wrong |
//! | [`fencing`] | | a page on locks that are lost |
//! | [`guide`](guide/index.html) | | the guide, in the documentation only |
//! | `retry`, `connections`, `latest`, `readers`, `paths` | | backoff between attempts, notice of reconnects, a slot for the latest value, readers of what a task writes, checks of paths |
//!
//! # Features
//!
//! Each family of recipes has a feature, so that a program compiles only what it uses. A family that is
//! built on another enables it, as the table says. `Guard`, `Layout` and `Contender` come with `locks`
//! and with `election`.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `locks` | yes | `Lock`, `ReadLock`, `WriteLock`, `MultiLock`, `Semaphore` |
//! | `election` | yes | `Election`, `LeaderLatch`, `LeaderStream` |
//! | `barrier` | yes | `Barrier`, `DoubleBarrier` |
//! | `watches` | yes | `DataWatch`, `ChildrenWatch`, `PatientChildrenWatch`, `PersistentWatch` |
//! | `tree-cache` | yes | `TreeCache` |
//! | `membership` | yes | `PersistentNode`, `PersistentTtlNode`, `GroupMember`, `Party`, `ShallowParty`; includes `tree-cache` |
//! | `counters` | yes | `SharedValue`, `SharedCount`, `Counter`, `AtomicLong`, `AtomicInteger`, `AtomicValue`, `IdBlocks` |
//! | `queues` | yes | `Queue`, `Put`, `Claim`, `QueueLayout`; also enables `locks` |
//! | `partition` | yes | `SetPartitioner`; also enables `locks`, `membership` and `watches` |
//! | `leases` | yes | `NonBlockingLease`, `MultiNonBlockingLease`; also enables `locks`, and serde_json |
//! | `typed` | yes | `TypedNode`, `Model`, `PathTemplate`, `ChildrenWithData`; with `tree-cache` also `TypedCache` and `ChildrenCache`; enables `watches` |
//! | `gzip` | no | `Gzip`, for data that are compressed as Curator does |
//! | `serde` | no | `Json` and `DataWatch::json` for znodes that contain JSON; `Token` can be serialized, as a number |
//! | `discovery` | no | `ServiceDiscovery`, `ServerSet` and their caches and providers; implies `membership` and `serde` |
//! | `tower` | no | `ServiceCache::discover`, a stream of the instances for the load balancers of `tower` |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "barrier")]
mod barrier;
mod codec;
#[cfg_attr(
    not(feature = "default"),
    allow(dead_code, reason = "each family uses a part")
)]
mod connections;
#[cfg(feature = "counters")]
mod counters;
#[cfg(feature = "discovery")]
mod discovery;
#[cfg(feature = "election")]
mod election;
mod error;
pub mod fencing;
#[cfg(any(feature = "locks", feature = "election", feature = "barrier"))]
#[cfg_attr(
    not(feature = "default"),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "each family uses a part"
    )
)]
mod guard;
// Documentation only. Its programs use all families, and a program that is compiled has no part of it.
#[cfg(all(any(doc, doctest), feature = "default"))]
pub mod guide;
#[cfg_attr(
    not(feature = "default"),
    allow(dead_code, reason = "each family uses a part")
)]
mod latest;
#[cfg(feature = "leases")]
mod leases;
#[cfg(feature = "locks")]
mod locks;
#[cfg(feature = "membership")]
mod membership;
#[cfg(feature = "partition")]
mod partition;
#[cfg_attr(
    not(feature = "default"),
    allow(dead_code, reason = "each family uses a part")
)]
mod paths;
#[cfg(any(feature = "locks", feature = "election"))]
mod queue;
#[cfg(feature = "queues")]
mod queues;
#[cfg(feature = "tree-cache")]
mod readers;
#[cfg(any(
    feature = "barrier",
    feature = "membership",
    feature = "locks",
    feature = "election",
    feature = "typed"
))]
#[cfg_attr(
    not(feature = "default"),
    allow(dead_code, reason = "each family uses a part")
)]
mod reads;
#[cfg_attr(
    not(feature = "default"),
    allow(dead_code, reason = "each family uses a part")
)]
mod retry;
#[cfg(feature = "tree-cache")]
mod tree_cache;
#[cfg(feature = "typed")]
mod typed;
#[cfg(any(feature = "watches", feature = "counters"))]
#[cfg_attr(
    not(feature = "watches"),
    allow(dead_code, unreachable_pub, reason = "each family uses a part")
)]
mod watch;

#[cfg(feature = "barrier")]
pub use barrier::{Barrier, DoubleBarrier, Entered};
#[cfg(feature = "gzip")]
pub use codec::Gzip;
#[cfg(feature = "serde")]
pub use codec::Json;
pub use codec::{Codec, CodecError, Raw, Text};
#[cfg(feature = "counters")]
pub use counters::{
    AtomicInteger, AtomicLong, AtomicValue, Changed, Counter, CounterNumber, IdBlocks, SharedCount,
    SharedValue, Versioned,
};
#[cfg(feature = "tower")]
pub use discovery::Discover;
#[cfg(feature = "discovery")]
pub use discovery::{
    DownPolicy, Endpoint, InvalidUriSpec, Random, Registration, RoundRobin, ServerSet,
    ServerSetMember, ServerSetMembership, ServiceCache, ServiceChange, ServiceChanges,
    ServiceDiscovery, ServiceInstance, ServiceProvider, ServiceSnapshot, ServiceType, Sticky,
    Strategy, UriSpec, Weighted,
};
#[cfg(feature = "election")]
pub use election::{Election, LeaderStream, Term, leader_latch::LeaderLatch};
#[cfg(feature = "tree-cache")]
pub use error::CacheError;
pub use error::{Error, GuardLost, Result};
#[cfg(any(feature = "locks", feature = "election"))]
pub use guard::{
    Guard, LeaseBasis, Token,
    fenced::FencedMulti,
    handover::{Handover, InvalidHandover},
    revoke::revoke,
};
#[cfg(feature = "leases")]
pub use leases::{LeaseHolder, MultiNonBlockingLease, NonBlockingLease, ObtainedLease};
#[cfg(feature = "locks")]
pub use locks::{
    Lock, LockGuard, MultiGuard, MultiLock, MultiLockMember, ReadLock, Semaphore, SemaphoreLease,
    WriteGuard, WriteLock,
};
#[cfg(feature = "membership")]
pub use membership::{
    DataWrite, GroupMember, GroupView, Membership, NodeState, NodeStates, Parents, Party,
    PersistentNode, PersistentNodeBuilder, PersistentTtlNode, ShallowParty,
};
#[cfg(feature = "partition")]
pub use partition::{Allocation, Allocations, SetPartitioner, Share};
#[cfg(any(feature = "locks", feature = "election"))]
pub use queue::{Contender, Layout};
#[cfg(feature = "queues")]
pub use queues::{Claim, Put, Queue, QueueLayout};
#[cfg(feature = "tree-cache")]
pub use tree_cache::{CacheEvent, CacheEvents, Cached, Snapshot, TreeCache, TreeCacheBuilder};
#[cfg(all(feature = "typed", feature = "tree-cache"))]
pub use typed::{ChildrenCache, TypedCache, TypedChildren};
#[cfg(feature = "typed")]
pub use typed::{
    ChildrenRead, ChildrenWithData, Model, NodeOptions, PathTemplate, TypedNode, TypedValue,
};
#[cfg(feature = "watches")]
pub use watch::{
    ChildrenState, ChildrenWatch, DataState, DataWatch, GapCause, PatientChildrenWatch,
    PersistentEvent, PersistentWatch, StateChange,
};

// Compiles the examples of the README.
#[cfg(all(doctest, feature = "locks"))]
#[doc = include_str!("../README.md")]
struct Readme;
