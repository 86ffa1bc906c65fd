//! The order of a queue, read from the names of its znodes.

use zk_client::path;

use super::layout::{Layout, Role};
use super::names::NamePattern;

/// Which names are those of entries. All other children are ignored.
#[derive(Debug, Clone)]
pub(crate) struct EntryPatterns {
    exclusive: Vec<String>,
    shared: Vec<String>,
    /// In place of those of a layout.
    named: Option<NamePattern>,
}

/// A contender's znode in a queue, read from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueEntry {
    pub(crate) name: String,
    pub(crate) sequence: i32,
    /// Whether the contender shares the lock with others: a reader.
    pub(crate) shared: bool,
}

impl EntryPatterns {
    pub(crate) fn new(layout: Layout, role: Role) -> Self {
        let owned = |marks: &[&str]| marks.iter().map(|&mark| mark.to_owned()).collect();
        EntryPatterns {
            exclusive: owned(layout.exclusive(role)),
            shared: owned(layout.shared(role)),
            named: None,
        }
    }

    /// Counts only names of this pattern, as exclusive entries.
    pub(crate) fn named(pattern: NamePattern) -> Self {
        EntryPatterns {
            exclusive: Vec::new(),
            shared: Vec::new(),
            named: Some(pattern),
        }
    }

    /// Also counts names with this mark before the number as exclusive entries.
    pub(crate) fn add(&mut self, mark: &str) {
        self.exclusive.push(mark.to_owned());
    }

    /// The entries among the children, the head first.
    pub(crate) fn entries<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<QueueEntry> {
        let mut queue: Vec<_> = names.filter_map(|name| self.entry(name)).collect();
        queue.sort_by(|a, b| a.order_from(0).cmp(&b.order_from(0)));
        let head = head(&queue);
        queue.rotate_left(head);
        queue
    }

    fn entry(&self, name: &str) -> Option<QueueEntry> {
        // The format is `%010d`: ten digits, or a minus sign and nine or ten digits.
        [11, 10].into_iter().find_map(|length| {
            let (head, number) = name.split_at_checked(name.len().checked_sub(length)?)?;
            let sequence = path::sequence_after(number, "")?;
            let is_marked = |marks: &[String]| marks.iter().any(|mark| head.ends_with(&**mark));
            let shared = is_marked(&self.shared);
            let is_named = self.named.as_ref().is_some_and(|named| named.matches(head));
            (shared || is_named || is_marked(&self.exclusive)).then(|| QueueEntry {
                name: name.to_owned(),
                sequence,
                shared,
            })
        })
    }
}

impl QueueEntry {
    /// The sort key, counted from the number `origin`. The ensemble's counter overflows, so numbers
    /// are compared by their distance; a queue is never half the number space long.
    fn order_from(&self, origin: i32) -> (i32, bool, &str) {
        // When a writer becomes a reader, Curator creates a second znode with the same number.
        (self.sequence.wrapping_sub(origin), self.shared, &self.name)
    }
}

/// The index of the head in a sorted queue: the entry behind the widest gap in the circle of
/// numbers.
fn head(queue: &[QueueEntry]) -> usize {
    let numbers = || queue.iter().map(|c| c.sequence);
    let before = queue
        .last()
        .map(|c| c.sequence)
        .into_iter()
        .chain(numbers());
    let gaps = numbers()
        .zip(before)
        .map(|(n, before)| n.wrapping_sub(before).cast_unsigned());
    let widest = gaps
        .enumerate()
        .max_by_key(|&(at, gap)| (gap, std::cmp::Reverse(at)));
    widest.map_or(0, |(at, _)| at)
}

/// The nearest entry ahead of `own` that has to be deleted before `own` holds the lock.
///
/// What is ahead is decided from the number of `own`, not from the head of the queue: of two entries
/// one is always ahead of the other, whatever else is among the children.
pub(crate) fn obstacle<'a>(queue: &'a [QueueEntry], own: &QueueEntry) -> Option<&'a QueueEntry> {
    let conflicts = |c: &&QueueEntry| !(own.shared && c.shared);
    let place = |c: &'a QueueEntry| c.order_from(own.sequence);
    let ahead = queue
        .iter()
        .filter(|c| place(c) < own.order_from(own.sequence));
    ahead
        .filter(conflicts)
        .max_by(|a, b| place(a).cmp(&place(b)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(queue: &[QueueEntry]) -> Vec<&str> {
        queue.iter().map(|c| c.name.as_str()).collect()
    }

    fn lock(layout: Layout) -> EntryPatterns {
        EntryPatterns::new(layout, Role::Lock)
    }

    /// ZOOKEEPER-2931: by number, not by name.
    ///
    /// Guards: B81.
    #[test]
    fn entries_are_sorted_by_number_not_by_id() {
        let children = [
            "_c_z-lock-0000000001",
            "_c_a-lock-0000000003",
            "_c_m-lock-0000000002",
        ];
        let queue = lock(Layout::Default).entries(children.into_iter());
        assert_eq!(
            names(&queue),
            [
                "_c_z-lock-0000000001",
                "_c_m-lock-0000000002",
                "_c_a-lock-0000000003"
            ]
        );
        assert_eq!(obstacle(&queue, &queue[0]), None);
        assert_eq!(obstacle(&queue, &queue[2]), Some(&queue[1]));
    }

    /// ZOOKEEPER-4372.
    ///
    /// Guards: B82.
    #[test]
    fn the_order_survives_a_counter_overflow() {
        let mut children = [
            "x-lock-2147483646",
            "x-lock-2147483647",
            "x-lock--2147483648",
            "x-lock--2147483647",
        ];
        for _ in 0..children.len() {
            children.rotate_left(1);
            let queue = lock(Layout::Curator).entries(children.into_iter());
            assert_eq!(
                names(&queue),
                [
                    "x-lock-2147483646",
                    "x-lock-2147483647",
                    "x-lock--2147483648",
                    "x-lock--2147483647"
                ]
            );
        }
    }

    #[test]
    fn foreign_children_are_ignored() {
        let foreign = [
            "config",
            "lock",
            "-lock-",
            "x-lock-12",
            "x-lock-000000000a",
            "x-latch-0000000001",
            "x__rlock__0000000001",
            "é-lock-000000000",
            "0000000001",
        ];
        for layout in [Layout::Default, Layout::Kazoo, Layout::Curator] {
            assert!(lock(layout).entries(foreign.into_iter()).is_empty());
        }
    }

    #[test]
    fn the_default_layout_sees_both_schemes() {
        let children = ["a__lock__0000000001", "_c_b-lock-0000000002"];
        let seen = |layout| lock(layout).entries(children.into_iter()).len();
        assert_eq!(seen(Layout::Default), 2);
        assert_eq!((seen(Layout::Kazoo), seen(Layout::Curator)), (1, 1));
        let mut kazoo = lock(Layout::Kazoo);
        kazoo.add("-lock-");
        assert_eq!(kazoo.entries(children.into_iter()).len(), 2);
    }

    /// ZooKeeper's `WriteLock` in Java and in C, and its `LeaderElectionSupport`.
    #[test]
    fn names_of_ones_own_are_sorted_by_number() {
        let children = [
            "x--72057594037927936-0000000003",
            "x-01000a-0000000001",
            "x-72057594037927937-0000000002",
            "n_0000000002",
            "x-lock",
        ];
        let named = |pattern| EntryPatterns::named(NamePattern::new(pattern));
        let queue = named("x-{id}-").entries(children.into_iter());
        assert_eq!(names(&queue), [children[1], children[2], children[0]]);
        let queue = named("n_").entries(children.into_iter());
        assert_eq!(names(&queue), ["n_0000000002"]);
        let mut both = named("n_");
        both.add("-");
        assert_eq!(both.entries(children.into_iter()).len(), 4);
    }

    /// CURATOR-621, and readers of go-zk that waited for a later writer.
    ///
    /// Guards: B93.
    #[test]
    fn readers_wait_for_writers_writers_for_all() {
        let children = [
            "a-__WRIT__0000000001",
            "a-__READ__0000000001",
            "b-__READ__0000000002",
            "c-__WRIT__0000000003",
            "d-__READ__0000000004",
            "e-__WRIT__0000000005",
        ];
        let queue = EntryPatterns::new(Layout::Curator, Role::Read).entries(children.into_iter());
        let waits_for = |n: usize| obstacle(&queue, &queue[n]).map(|c| &c.name[..1]);
        assert_eq!(names(&queue), children);
        assert_eq!(waits_for(0), None);
        assert_eq!(waits_for(2), Some("a"));
        assert_eq!(waits_for(3), Some("b"));
        assert_eq!(waits_for(4), Some("c"));
        assert_eq!(waits_for(5), Some("d"));
        // The writer has become a reader: the next may enter, a writer may not.
        assert_eq!(obstacle(&queue[1..], &queue[2]), None);
        assert_eq!(obstacle(&queue[1..], &queue[3]), Some(&queue[2]));
    }

    fn layouts() -> impl Strategy<Value = Layout> {
        prop_oneof![
            Just(Layout::Default),
            Just(Layout::Kazoo),
            Just(Layout::Curator)
        ]
    }

    fn roles() -> impl Strategy<Value = Role> {
        prop_oneof![
            Just(Role::Lock),
            Just(Role::Read),
            Just(Role::Write),
            Just(Role::Latch)
        ]
    }

    /// Other children: arbitrary names, and names that resemble those of entries.
    fn others() -> impl Strategy<Value = Vec<String>> {
        let marks = [
            "-lock-",
            "lock-",
            "__lock__",
            "__rlock__",
            "-__WRIT__",
            "-__READ__",
            "-latch-",
        ];
        let ids = prop_oneof![
            Just("x".to_owned()),
            Just("_c_00000000-0000-4000-8000-000000000000".to_owned()),
            Just("0123456789abcdef0123456789abcdef".to_owned()),
            "[ -.0-~]{0,6}",
        ];
        let numbers = prop_oneof![
            any::<i32>().prop_map(|n| format!("{n:010}")),
            any::<i32>().prop_map(|n| n.to_string()),
            any::<u32>().prop_map(|n| format!("{n:010}")),
            "[-+0-9]{0,12}",
        ];
        let like = (ids, prop::sample::select(marks.to_vec()), numbers);
        let like = like.prop_map(|(id, mark, number)| format!("{id}{mark}{number}"));
        prop::collection::vec(prop_oneof![4 => like, 1 => "[!-.0-~]{1,20}"], 0..12)
    }

    proptest! {
        /// Guards: L2.
        #[test]
        fn two_never_hold_whatever_the_children(
            layout in layouts(),
            role in roles(),
            first in any::<i32>(),
            gaps in prop::collection::vec((1..1000i32, any::<prop::sample::Index>()), 1..12),
            others in others(),
            shuffle in any::<u64>(),
        ) {
            let marks = [layout.exclusive(role), layout.shared(role)].concat();
            let mut sequence = first;
            let mut own = Vec::new();
            for (gap, mark) in gaps {
                sequence = sequence.wrapping_add(gap);
                own.push(format!("own{}{sequence:010}", mark.get(&marks)));
            }
            let read = EntryPatterns::new(layout, role);
            let all_ours = read.entries(others.iter().map(String::as_str)).is_empty();
            let mut children = [own.clone(), others].concat();
            fastrand::Rng::with_seed(shuffle).shuffle(&mut children);
            let queue = read.entries(children.iter().map(String::as_str));
            let holds = |name: &&String| {
                let own = queue.iter().find(|c| c.name == **name).unwrap();
                obstacle(&queue, own).is_none().then_some(own.shared)
            };
            let holders: Vec<_> = own.iter().filter_map(|name| holds(&name)).collect();
            prop_assert!(holders.len() <= 1 || holders.iter().all(|shared| *shared), "{queue:?}");
            if all_ours {
                prop_assert!(!holders.is_empty());
                prop_assert_eq!(names(&queue), own);
            }
        }

        /// ZOOKEEPER-4372: for any number, layout and ids, and across the overflow.
        ///
        /// Guards: A70, B82.
        #[test]
        fn a_queue_is_in_the_order_of_arrival(
            layout in layouts(),
            role in roles(),
            first in any::<i32>(),
            gaps in prop::collection::vec((1..1000i32, any::<prop::sample::Index>(), "[ -~]{0,12}"), 1..40),
            shuffle in any::<u64>(),
        ) {
            let marks = [layout.exclusive(role), layout.shared(role)].concat();
            let mut sequence = first;
            let mut expected = Vec::new();
            for (gap, mark, id) in gaps {
                sequence = sequence.wrapping_add(gap);
                let mark = mark.get(&marks);
                expected.push(format!("{}{mark}{sequence:010}", id.replace('/', "_")));
            }
            let mut children = expected.clone();
            children.push("config".to_owned());
            fastrand::Rng::with_seed(shuffle).shuffle(&mut children);
            let read = EntryPatterns::new(layout, role);
            let queue = read.entries(children.iter().map(String::as_str));
            prop_assert_eq!(names(&queue), expected);
            for (n, own) in queue.iter().enumerate() {
                let obstacle = obstacle(&queue, own);
                let conflicts = |c: &&QueueEntry| !(c.shared && own.shared);
                prop_assert_eq!(obstacle, queue[..n].iter().rfind(conflicts));
            }
        }

        /// Guards: FZ9.
        #[test]
        fn no_name_panics(name in "\\PC{0,40}", layout in layouts(), role in roles()) {
            EntryPatterns::new(layout, role).entries([name.as_str()].into_iter());
        }
    }
}
