//! What can go wrong with a recipe.

use zk_client::LeaseLost;

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
    #[error("the guard was lost: {0}")]
    Lost(#[from] Lost),
}

/// Why a guard no longer guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The session that held it is over.
    #[error("the session is over")]
    SessionEnded,
    /// No server has answered for so long that the ensemble may have ended the session and given
    /// away what it held. A guard does not come back from this, even if the session does.
    #[error("no server has answered for so long that it may have been given away")]
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
