//! Hash tables that release memory when they shrink.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Tables with at most this capacity are not shrunk.
const SMALL: usize = 64;

/// After a removal: halves a table of which less than a quarter is used. As many entries were removed
/// since the last time as are moved now, so a removal costs the same on average.
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
