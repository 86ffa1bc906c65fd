//! Sets of operations that not every server has.

use zk_proto::OpCode;

/// A set of operations that not every server has. The others are as old as the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OpSet(u16);

impl OpSet {
    pub(crate) const NONE: OpSet = OpSet(0);

    pub(crate) const ALL: OpSet = OpSet((1 << 12) - 1);

    /// The operation, if not every server has it.
    #[inline]
    pub(crate) const fn of(op: OpCode) -> Self {
        OpSet(match op {
            OpCode::Create2 => 1,
            OpCode::Reconfig => 1 << 1,
            OpCode::CheckWatches => 1 << 2,
            OpCode::RemoveWatches => 1 << 3,
            OpCode::CreateContainer => 1 << 4,
            OpCode::CreateTtl => 1 << 5,
            OpCode::MultiRead => 1 << 6,
            OpCode::GetEphemerals => 1 << 7,
            OpCode::GetAllChildrenNumber => 1 << 8,
            OpCode::SetWatches2 => 1 << 9,
            OpCode::AddWatch => 1 << 10,
            OpCode::WhoAmI => 1 << 11,
            _ => 0,
        })
    }

    pub(crate) fn of_all(ops: &[OpCode]) -> Self {
        ops.iter()
            .fold(OpSet::NONE, |set, op| set.with(OpSet::of(*op)))
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn is_single(self) -> bool {
        self.0.is_power_of_two()
    }

    /// The intersection.
    #[inline]
    pub(crate) fn and(self, other: OpSet) -> Self {
        OpSet(self.0 & other.0)
    }

    /// The union.
    pub(crate) fn with(self, other: OpSet) -> Self {
        OpSet(self.0 | other.0)
    }

    /// The difference.
    pub(crate) fn without(self, other: OpSet) -> Self {
        OpSet(self.0 & !other.0)
    }

    /// Adds `addWatch` if `setWatches2` is in the set, and the reverse: servers gained both in the same
    /// version, so a server that lacks one lacks the other.
    pub(super) fn with_twins(self) -> Self {
        let twins = OpSet::of(OpCode::AddWatch).with(OpSet::of(OpCode::SetWatches2));
        match self.and(twins).is_empty() {
            true => self,
            false => self.with(twins),
        }
    }

    pub(crate) fn contains(self, op: OpCode) -> bool {
        !self.and(OpSet::of(op)).is_empty()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = OpCode> {
        OpCode::ALL
            .iter()
            .copied()
            .filter(move |op| self.contains(*op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_place_of_its_own() {
        let mut all = OpSet::NONE;
        for op in OpSet::ALL.iter() {
            let one = OpSet::of(op);
            assert!(one.is_single() && all.and(one).is_empty(), "{op}");
            all = all.with(one);
        }
        assert_eq!(all, OpSet::ALL);
    }
}
