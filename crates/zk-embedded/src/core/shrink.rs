//! Hash tables that give back what they have grown to.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Tables with fewer places stay as they are.
const SMALL: usize = 64;

/// After a removal: halves a table of which less than a quarter is used. It takes as many removals as
/// entries that are moved, so a removal costs the same on average.
pub(crate) fn shrink_map<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if is_sparse(map.len(), map.capacity()) {
        map.shrink_to(map.len() * 2);
    }
}

/// As [`shrink_map`].
pub(crate) fn shrink_set<T: Eq + Hash>(set: &mut HashSet<T>) {
    if is_sparse(set.len(), set.capacity()) {
        set.shrink_to(set.len() * 2);
    }
}

fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > SMALL && len < capacity / 4
}
