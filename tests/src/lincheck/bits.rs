//! A set of small numbers.

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn new(count: usize) -> Self {
        Bits(vec![0; count.div_ceil(64)])
    }

    pub(super) fn set(&mut self, index: usize, to: bool) {
        let bit = 1 << (index % 64);
        if let Some(word) = self.0.get_mut(index / 64) {
            if to {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }
}
