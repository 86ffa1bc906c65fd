//! The feature flags of a ClickHouse Keeper.

use zk_proto::OpCode;

use crate::session::abilities::op_set::OpSet;

/// The znode that holds the flags.
pub(crate) const FEATURE_FLAGS: &str = "/keeper/feature_flags";

/// The numbers of the flags, and the operations that each stands for (`KeeperFeatureFlags.h`,
/// `ZooKeeperConstants.cpp`).
const FLAGS: [(usize, &[OpCode]); 3] = [
    (1, &[OpCode::MultiRead]),
    (
        7,
        &[
            OpCode::CheckWatches,
            OpCode::RemoveWatches,
            OpCode::SetWatches2,
            OpCode::AddWatch,
        ],
    ),
    (8, &[OpCode::Create2]),
];

/// Whether a flag is set: the first is the highest bit of the first byte.
fn is_set(flags: &[u8], number: usize) -> bool {
    let byte = flags.get(number / 8).copied().unwrap_or(0);
    byte & (0x80 >> (number % 8)) != 0
}

/// The operations that a Keeper with these flags has. No flag stands for `reconfig`.
pub(crate) fn features(flags: &[u8]) -> OpSet {
    let set = FLAGS.iter().filter(|(number, _)| is_set(flags, *number));
    set.fold(OpSet::NONE, |all, (_, ops)| all.with(OpSet::of_all(ops)))
}
