//! The names of a znode's children, in the order in which Apache's server lists them; all poses
//! use it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Buckets of `new HashSet<>(8)`, which Apache's `DataNode` creates.
const INITIAL: u32 = 8;
/// A bucket with more names than this makes a small table grow (`TREEIFY_THRESHOLD`), as long as
/// that has fewer buckets than `MIN_TREEIFY_CAPACITY`.
const TREEIFY_THRESHOLD: usize = 8;
const MIN_TREEIFY_CAPACITY: u32 = 64;
/// As in Java, where the table does not grow further.
const MAXIMUM: u32 = 1 << 30;

/// Names of children in the iteration order of `java.util.HashSet`: by bucket, and within a bucket
/// by insertion. The number of buckets doubles when three quarters of it are exceeded, and never
/// shrinks.
///
/// Java turns a bucket of more than eight names into a tree if the table has 64 buckets or more, and
/// lists that bucket's names in another order; here they stay in the order of their insertion.
#[derive(Debug, Clone)]
pub(crate) struct Children {
    /// Sorted by bucket, and by a number that counts the insertions into the bucket.
    names: BTreeMap<(u32, u32), Box<str>>,
    /// Number of buckets, a power of two. Empty buckets take no memory.
    capacity: u32,
}

impl Children {
    pub(crate) fn new() -> Self {
        Self {
            names: BTreeMap::new(),
            capacity: INITIAL,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.values().map(|name| &**name)
    }

    /// Adds a name that is not in the set.
    pub(crate) fn insert(&mut self, name: &str) {
        let bucket = self.bucket(name);
        if self.last_of(bucket) == Some(u32::MAX) {
            self.arrange(self.capacity);
        }
        let number = self
            .last_of(bucket)
            .map_or(0, |last| last.saturating_add(1));
        self.names.insert((bucket, number), name.into());
        if self.capacity < MIN_TREEIFY_CAPACITY
            && self.names.range(slots(bucket)).count() > TREEIFY_THRESHOLD
        {
            self.arrange(self.capacity * 2);
        }
        let threshold = usize::try_from(self.capacity / 4 * 3).unwrap_or(usize::MAX);
        if self.names.len() > threshold && self.capacity < MAXIMUM {
            self.arrange(self.capacity * 2);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let mut bucket = self.names.range(slots(self.bucket(name)));
        let found = bucket.find(|(_, other)| &***other == name);
        if let Some(slot) = found.map(|(&slot, _)| slot) {
            self.names.remove(&slot);
        }
    }

    fn bucket(&self, name: &str) -> u32 {
        spread_hash(name) & (self.capacity - 1)
    }

    fn last_of(&self, bucket: u32) -> Option<u32> {
        let last = self.names.range(slots(bucket)).next_back();
        last.map(|(&(_, number), _)| number)
    }

    /// Distributes the names over this many buckets. Names of the same bucket keep the order in which
    /// they were listed, as in Java.
    fn arrange(&mut self, capacity: u32) {
        self.capacity = capacity;
        let names = std::mem::take(&mut self.names).into_values();
        let mut names: Vec<_> = names.map(|name| (self.bucket(&name), name)).collect();
        names.sort_by_key(|&(bucket, _)| bucket);
        let numbered = (0..).zip(names);
        self.names = numbered
            .map(|(number, (bucket, name))| ((bucket, number), name))
            .collect();
    }
}

fn slots(bucket: u32) -> RangeInclusive<(u32, u32)> {
    (bucket, 0)..=(bucket, u32::MAX)
}

/// `String.hashCode`, mixed as `HashMap` mixes it.
fn spread_hash(name: &str) -> u32 {
    let hash = java_hash(name);
    hash ^ (hash >> 16)
}

/// `String.hashCode`, which is computed over UTF-16.
fn java_hash(name: &str) -> u32 {
    let units = name.encode_utf16();
    units.fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        // Printed by Java; the second is a surrogate pair, which counts as two characters.
        for (name, hash) in [
            ("zookeeper", 1_600_681_804_u32),
            ("\u{1f600}", 1_772_899),
            ("ä/€", 228_929),
        ] {
            assert_eq!(spread_hash(name), hash ^ (hash >> 16), "{name}");
        }
    }

    /// The expected lists were printed by `java.util.HashSet`.
    #[test]
    fn names_are_listed_as_by_a_java_hash_set() {
        let all = "one two three four five six seven eight nine ten eleven twelve thirteen";
        let mut children = Children::new();
        let listed = |children: &Children| children.iter().collect::<Vec<_>>().join(",");
        all.split(' ').for_each(|name| children.insert(name));
        assert_eq!(
            listed(&children),
            "nine,six,one,seven,two,three,thirteen,eight,four,twelve,eleven,ten,five"
        );
        let removed = all.split(' ').take(7);
        removed.for_each(|name| children.remove(name));
        // The table does not shrink.
        assert_eq!(listed(&children), "nine,thirteen,eight,twelve,eleven,ten");
        children.insert("one");
        children.insert("two");
        assert_eq!(
            listed(&children),
            "nine,one,two,thirteen,eight,twelve,eleven,ten"
        );
    }

    #[test]
    fn a_full_bucket_makes_a_small_table_grow() {
        let halves = ["Aa", "BB"];
        let mut children = Children::new();
        children.insert("x1");
        children.insert("y2");
        for index in 0..9_usize {
            // All have the same hash.
            let name: String = (0..4).rev().map(|bit| halves[index >> bit & 1]).collect();
            children.insert(&name);
        }
        children.insert("a");
        children.insert("q");
        let listed: Vec<_> = children.iter().collect();
        assert_eq!(
            listed.join(","),
            "AaAaAaAa,AaAaAaBB,AaAaBBAa,AaAaBBBB,AaBBAaAa,AaBBAaBB,AaBBBBAa,AaBBBBBB,BBAaAaAa,\
             y2,a,q,x1"
        );
    }

    /// The expected sum was printed by a Java program that did the same with a `HashSet`.
    #[test]
    fn insertions_and_removals_agree_with_java() {
        let mut children = Children::new();
        let mut present = std::collections::HashSet::new();
        let (mut random, mut sum) = (1_u32, 0_i64);
        for step in 1..=20_000 {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
            let name = format!("n-{}", (random >> 8) % 7_000);
            if present.remove(&name) {
                children.remove(&name);
            } else {
                children.insert(&name);
                present.insert(name);
            }
            if step % 1_000 == 0 {
                let hash = children.iter().fold(0_i32, |hash, name| {
                    hash.wrapping_mul(31)
                        .wrapping_add(java_hash(name).cast_signed())
                });
                sum = sum.wrapping_mul(31).wrapping_add(hash.into());
            }
        }
        assert_eq!((sum, children.len()), (-7_337_146_803_700_031_548, 3_530));
    }
}
