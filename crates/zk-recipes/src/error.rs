//! What can go wrong with a recipe.

use std::error::Error as _;
use std::fmt;
#[cfg(any(feature = "tree-cache", feature = "membership"))]
use std::sync::Arc;

#[cfg(feature = "tree-cache")]
use zk_client::ErrorCode;
#[cfg(feature = "membership")]
use zk_client::SessionId;
use zk_client::{ErrorKind, LeaseLost, Outcome};

/// The result of a recipe.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a recipe failed.
///
/// [`kind`](Self::kind), [`outcome`](Self::outcome), [`path`](Self::path) and
/// [`is_retryable`](Self::is_retryable) answer the usual questions without a match over the variants.
///
/// `Debug` is the text with its causes behind it, as of [`zk_client::Error`], so that a `main` that returns
/// the error prints a sentence.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request to the ensemble failed.
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    /// A request of a recipe's task in the background failed.
    #[cfg(feature = "membership")]
    #[error(transparent)]
    Background(Arc<zk_client::Error>),
    /// A znode of another client, or of another recipe of this one, has the path of a persistent node. It
    /// has not been changed.
    #[cfg(feature = "membership")]
    #[error(
        "{path} exists already and {}; it was not changed, and the znode of this node is created when \
         that one is deleted",
        owned_by(owner)
    )]
    Occupied {
        /// The path.
        path: String,
        /// The session that the other znode ends with; `None` if it is not ephemeral.
        owner: Option<SessionId>,
    },
    /// The persistent node was closed through a shared reference.
    #[cfg(feature = "membership")]
    #[error("the persistent node was closed, and its znode is not kept any more; start another")]
    NodeClosed,
    /// The guard that the operation depends on is lost. A fenced transaction has written nothing then;
    /// the work of a guard's `run` may have had effects before it was dropped.
    #[error("the guard was lost; acquire again, and look at what was done under it")]
    Lost(#[from] GuardLost),
    /// A wait for a lock, an election or a lease gave up: this many entries of it in the queue were
    /// lost one after the other, each sooner than a session lasts. Each was lost with its session, or
    /// another client deleted its znode.
    #[error(
        "the wait gave up: {count} of its entries in the queue were lost one after the other, with \
         their sessions or by deletion; nothing is held (look for what ends the sessions: the \
         network, the servers, or an operation that the servers do not have)"
    )]
    PlacesLost {
        /// The number of entries.
        count: u32,
    },
    /// The data of a znode could not be decoded.
    #[error("cannot decode the data of {path}, version {version}")]
    Undecodable {
        /// The znode's path.
        path: String,
        /// The version of the data.
        version: i32,
        /// The decoder's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value could not be encoded. Nothing was sent.
    #[error("cannot encode the value for {path}; nothing was sent")]
    Unencodable {
        /// The znode's path.
        path: String,
        /// The encoder's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A cache has ended.
    #[cfg(feature = "tree-cache")]
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A number would leave the range of its format. Nothing was written.
    #[cfg(feature = "counters")]
    #[error("the number at {path} would leave the range of its format; nothing was written")]
    Overflow {
        /// The znode's path.
        path: String,
    },
    /// The layout does not support the operation: other participants would not understand its znodes.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// A `MultiLock` contains one lock twice, with different options. No lock is held.
    #[error(
        "the lock at {path} is given twice with different options, and none of the locks is held; \
         give each lock once"
    )]
    ConflictingOptions {
        /// The lock's path from the root of the ensemble, chroots included.
        path: String,
    },
    /// More leases were requested than the semaphore has. No lease is held.
    #[error(
        "requested {requested} leases, the semaphore has {max}; none is held (request fewer, or raise \
         the limit)"
    )]
    TooManyLeases {
        /// The number of leases requested.
        requested: usize,
        /// The number of leases of the semaphore.
        max: usize,
    },
    /// The stored number of leases of a semaphore is not that of this program, or is not a number.
    #[error(
        "the semaphore's stored number of leases is {stored:?}, not {expected}; no lease was taken \
         (make all programs agree on the number)"
    )]
    LeaseCountMismatch {
        /// What is stored.
        stored: String,
        /// What this program expects.
        expected: String,
    },
    /// The claim of a queue's item is lost, with its session or by deletion. The item was not
    /// acknowledged by its holder.
    #[cfg(feature = "queues")]
    #[error(
        "the claim of {path} was lost, with its session or by deletion; the item was not acknowledged \
         and is delivered to another consumer (do nothing more for it)"
    )]
    ClaimLost {
        /// The item's path.
        path: String,
    },
    /// A program that takes no claims has removed a queue's item that was claimed.
    #[cfg(feature = "queues")]
    #[error(
        "{path} was removed by a consumer that takes no claims, before it was acknowledged; that \
         consumer may process it, too"
    )]
    ItemRemoved {
        /// The item's path.
        path: String,
    },
    /// The queue has its maximum of items. Nothing was put.
    #[cfg(feature = "queues")]
    #[error(
        "the queue at {path} has its maximum of {max} items; nothing was put (put again later)"
    )]
    TooManyItems {
        /// The queue's path.
        path: String,
        /// The maximum.
        max: u32,
    },
}

impl Error {
    /// The failed request, if one is the cause.
    pub fn client(&self) -> Option<&zk_client::Error> {
        match self {
            Error::Client(error) => Some(error),
            #[cfg(feature = "membership")]
            Error::Background(error) => Some(error),
            #[cfg(feature = "tree-cache")]
            Error::Cache(CacheError::Client(error)) => Some(error),
            _ => None,
        }
    }

    /// The kind of the failed request; `None` if no request is the cause.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.client().map(zk_client::Error::kind)
    }

    /// What is known about the effect: that of the failed request;
    /// [`Unknown`](Outcome::Unknown) for a lost guard, as the error of `guard.run(work).await?` is the
    /// same whether `work` has had effects or not; and [`NotSent`](Outcome::NotSent) for all other
    /// errors, which are found before anything takes effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Lost(_) => Outcome::Unknown,
            error => error
                .client()
                .map_or(Outcome::NotSent, zk_client::Error::outcome),
        }
    }

    /// The znode that the error is about, as far as the error has a path.
    pub fn path(&self) -> Option<&str> {
        match self {
            Error::Undecodable { path, .. }
            | Error::Unencodable { path, .. }
            | Error::ConflictingOptions { path } => Some(path),
            #[cfg(feature = "counters")]
            Error::Overflow { path } => Some(path),
            #[cfg(feature = "membership")]
            Error::Occupied { path, .. } => Some(path),
            #[cfg(feature = "queues")]
            Error::ClaimLost { path }
            | Error::ItemRemoved { path }
            | Error::TooManyItems { path, .. } => Some(path),
            error => error.client()?.path(),
        }
    }

    /// Whether the same call may succeed when it is repeated, and repeating it cannot apply it twice:
    /// see [`zk_client::Error::is_retryable`]. False if no request is the cause: a lost guard has to
    /// be acquired again first.
    pub fn is_retryable(&self) -> bool {
        self.client().is_some_and(zk_client::Error::is_retryable)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "; caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(feature = "membership")]
fn owned_by(owner: &Option<SessionId>) -> String {
    match owner {
        Some(session) => format!("belongs to session {session}"),
        None => "is not ephemeral".to_owned(),
    }
}

/// Why a guard no longer guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GuardLost {
    /// The session of the guard has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The ensemble has not answered for so long that it may have ended the session and given the
    /// lock to another contender. The guard stays lost, even if the session resumes.
    #[error("the ensemble has not answered for so long that another client may hold the lock")]
    OutOfContact,
    /// A client deleted the guard's znode.
    #[error("the guard's znode was deleted")]
    Deleted,
    /// This program released the guard through a shared reference.
    #[error("the guard was released")]
    Released,
}

impl From<LeaseLost> for GuardLost {
    fn from(lost: LeaseLost) -> Self {
        match lost {
            LeaseLost::SessionEnded => GuardLost::SessionEnded,
            // A reason that this version does not know: the session may resume.
            _ => GuardLost::OutOfContact,
        }
    }
}

/// Why a [`TreeCache`](crate::TreeCache) has ended. Its contents are dropped with it, since nothing
/// would keep them up to date.
#[cfg(feature = "tree-cache")]
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The tree has more nodes than the cache may hold.
    #[error("the tree has more than the {limit} nodes that the cache may hold (raise max_nodes)")]
    TooManyNodes {
        /// The number of nodes that the cache may hold.
        limit: usize,
    },
    /// The nodes, or their names before they are read, take more memory than the cache may use.
    #[error("the tree takes more than the {limit} bytes that the cache may hold (raise max_bytes)")]
    TooManyBytes {
        /// The memory that the cache may use, in bytes.
        limit: usize,
    },
    /// The tree is deeper than any cache can hold. Set a
    /// [maximum depth](crate::TreeCacheBuilder::max_depth).
    #[error("the tree is deeper than {limit} levels (set max_depth)")]
    TooDeep {
        /// The number of levels below the root.
        limit: usize,
    },
    /// The server refuses to let the root be read.
    #[error("the server refuses to let the root of the cache be read: {code}")]
    Refused {
        /// The server's error code.
        code: ErrorCode,
    },
    /// A read failed for a reason that is not temporary, or the path of the cache is invalid.
    #[error(transparent)]
    Client(Arc<zk_client::Error>),
    /// The client was closed, or the cache was dropped.
    #[error("the client was closed, or the cache was dropped")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_the_text_with_its_causes() {
        assert_eq!(
            format!("{:?}", Error::from(GuardLost::SessionEnded)),
            "the guard was lost; acquire again, and look at what was done under it; caused by: the session \
             has ended"
        );
        let request = zk_client::Error::invalid_path("no path");
        let text = format!("{request:?}");
        assert_eq!(format!("{:?}", Error::from(request)), text);
    }

    #[test]
    fn an_error_answers_for_its_request() {
        let request = zk_client::Error::invalid_path("no path");
        let error = Error::from(request);
        assert_eq!(error.kind(), Some(ErrorKind::InvalidPath));
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(!error.is_retryable());
        assert_eq!(error.path(), error.client().unwrap().path());
        let error = Error::from(GuardLost::Deleted);
        assert!(error.client().is_none() && error.kind().is_none());
        assert_eq!(error.outcome(), Outcome::Unknown);
        let error = Error::ConflictingOptions {
            path: "/a".to_owned(),
        };
        assert_eq!(error.path(), Some("/a"));
    }
}
