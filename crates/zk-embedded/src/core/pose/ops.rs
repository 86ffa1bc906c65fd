//! Sets of operations.

use zk_proto::OpCode;

/// A set of operations, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpSet(u128);

impl OpSet {
    pub(crate) const fn of(mut ops: &[OpCode]) -> Self {
        let mut bits = 0;
        while let [op, rest @ ..] = ops {
            bits |= Self::bit(*op);
            ops = rest;
        }
        Self(bits)
    }

    pub(crate) const fn with(self, ops: &[OpCode]) -> Self {
        Self(self.0 | Self::of(ops).0)
    }

    pub(crate) const fn without(self, ops: &[OpCode]) -> Self {
        Self(self.0 & !Self::of(ops).0)
    }

    pub(crate) fn has(self, op: OpCode) -> bool {
        self.0 & Self::bit(op) != 0
    }

    /// Numbers of operations lie between -11 and 107; the negative ones take the highest bits.
    const fn bit(op: OpCode) -> u128 {
        1 << (op as i32 & 127)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_bit_of_its_own() {
        for &op in OpCode::ALL {
            let only = OpSet::of(&[op]);
            for &other in OpCode::ALL {
                assert_eq!(only.has(other), op == other, "{op} {other}");
            }
            assert!(!OpSet::of(OpCode::ALL).without(&[op]).has(op));
            assert!(OpSet::of(&[]).with(&[op]).has(op));
        }
    }
}
