//! What can go wrong with a recipe.

#[cfg(feature = "tree-cache")]
use std::sync::Arc;

#[cfg(feature = "tree-cache")]
use zk_client::ErrorCode;
use zk_client::{ErrorKind, LeaseLost, Outcome};

/// The result of a recipe.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a recipe failed.
///
/// [`kind`](Self::kind), [`outcome`](Self::outcome), [`path`](Self::path) and
/// [`is_retryable`](Self::is_retryable) answer the usual questions without a match over the variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request to the ensemble failed.
    #[error(transparent)]
    Client(#[from] zk_client::Error),
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
    /// A cache has ended.
    #[cfg(feature = "tree-cache")]
    #[error(transparent)]
    Cache(#[from] CacheError),
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
}

impl Error {
    /// The failed request, if one is the cause.
    pub fn client(&self) -> Option<&zk_client::Error> {
        match self {
            Error::Client(error) => Some(error),
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
            Error::Undecodable { path, .. } | Error::ConflictingOptions { path } => Some(path),
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
