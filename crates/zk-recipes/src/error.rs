//! What can go wrong with a recipe.

use zk_client::LeaseLost;

use crate::tree_cache::CacheError;

/// The result of a recipe.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a recipe failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request to the ensemble failed.
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    /// What the operation depends on is no longer held.
    #[error("the guard was lost")]
    Lost(#[from] Lost),
    /// A wait for a lock, an election or a lease was given up: so many places in the line were lost
    /// one after the other, each sooner than a session lasts. Each was lost with its session, or its
    /// znode was deleted by another client.
    #[error(
        "the wait was given up: {count} places in the line were lost one after the other, with their \
         sessions or by deletion; nothing is held (look for what ends the sessions: the network, the \
         servers, or an operation that they do not know)"
    )]
    PlacesLost {
        /// How many.
        count: u32,
    },
    /// The data of a znode are not what they should be.
    #[error("cannot decode the data of {path}, version {version}")]
    Undecodable {
        /// The znode's path.
        path: String,
        /// The version of the data.
        version: i32,
        /// What is wrong with them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A cache has ended.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Those with whom it is shared would not understand it.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// A [`MultiLock`](crate::MultiLock) has one lock twice, with different options. No lock is
    /// held.
    #[error(
        "the lock at {path} is given twice with different options, and none of the locks is held; \
         give each lock once"
    )]
    ConflictingOptions {
        /// The lock's path from the root of the ensemble, chroots included.
        path: String,
    },
    /// More leases were asked for than there will ever be.
    #[error("{asked} leases of a semaphore that has {max}")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        max: usize,
    },
    /// The number of leases that is stored with a semaphore is not that of this program, or none.
    #[error("the leases of the semaphore are said to be {stored:?}, not {expected}")]
    Leases {
        /// What is stored.
        stored: String,
        /// What this program expects.
        expected: String,
    },
}

/// Why a guard no longer guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The session that held it is over.
    #[error("the session is over")]
    SessionEnded,
    /// The ensemble has not answered for so long that it may have ended the session and given away
    /// what it held. A guard does not come back from this, even if the session does.
    #[error("the ensemble has not answered for so long that it may have been given away")]
    OutOfContact,
    /// The guard's znode was deleted by somebody.
    #[error("its znode was deleted")]
    Deleted,
}

impl From<LeaseLost> for Lost {
    fn from(lost: LeaseLost) -> Self {
        match lost {
            LeaseLost::SessionEnded => Lost::SessionEnded,
            // A lease that cannot be trusted for a reason yet unknown is out of contact at best.
            _ => Lost::OutOfContact,
        }
    }
}
