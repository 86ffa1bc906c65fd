//! Why a step of the partition ended.

use zk_client::ErrorKind;

use crate::error::Error;

/// Why a step has ended before its result.
#[derive(Debug)]
pub(super) enum Stop {
    /// Members have come or gone.
    Changed,
    /// The program has given its share back.
    Returned,
    /// The guard of an item is lost.
    ItemLost,
    /// This member's session or znode is gone.
    MemberLost,
    /// The program leaves.
    Left,
    /// The client is closed, or the ensemble refuses.
    Over(Option<Error>),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Over((error.kind() != Some(ErrorKind::Closed)).then_some(error))
    }
}

impl From<zk_client::Error> for Stop {
    fn from(error: zk_client::Error) -> Self {
        Error::from(error).into()
    }
}
