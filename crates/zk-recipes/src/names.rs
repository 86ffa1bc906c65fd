//! The order of a line, read from the names of its znodes.

use zk_client::path;

use crate::layout::{Layout, Role};

/// Which names are those of contenders. All others are nothing to us.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    exclusive: Vec<String>,
    shared: Vec<String>,
}

/// A contender in a line, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) sequence: i32,
    /// Whether it stands aside for others that share.
    pub(crate) shared: bool,
}

impl Names {
    pub(crate) fn new(layout: Layout, role: Role) -> Self {
        let owned = |marks: &[&str]| marks.iter().map(|&mark| mark.to_owned()).collect();
        Names {
            exclusive: owned(layout.exclusive(role)),
            shared: owned(layout.shared(role)),
        }
    }

    /// Takes names with this before the number for those of contenders as well.
    pub(crate) fn add(&mut self, mark: &str) {
        self.exclusive.push(mark.to_owned());
    }

    /// The contenders among the children, the head first.
    pub(crate) fn contenders<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<Contender> {
        let mut line: Vec<_> = names.filter_map(|name| self.contender(name)).collect();
        if zk_proto::seeded_bug!("L2") {
            let any = line.first().map_or(0, |c| c.sequence);
            line.sort_by_key(|c| (c.sequence.wrapping_sub(any), c.shared));
            return line;
        }
        line.sort_by(|a, b| a.order_from(0).cmp(&b.order_from(0)));
        let head = head(&line);
        line.rotate_left(head);
        if zk_proto::seeded_bug!("B81") {
            line.sort_by(|a, b| a.name.cmp(&b.name));
        }
        if zk_proto::seeded_bug!("B82") {
            line.sort_by_key(|c| c.sequence);
        }
        line
    }

    fn contender(&self, name: &str) -> Option<Contender> {
        // As `%010d` writes it: ten digits, a minus sign and nine of them, or one and ten.
        [11, 10].into_iter().find_map(|length| {
            let (head, number) = name.split_at_checked(name.len().checked_sub(length)?)?;
            let sequence = path::sequence_after(number, "")?;
            let is_marked = |marks: &[String]| marks.iter().any(|mark| head.ends_with(&**mark));
            let shared = is_marked(&self.shared);
            (shared || is_marked(&self.exclusive)).then(|| Contender {
                name: name.to_owned(),
                sequence,
                shared,
            })
        })
    }
}

impl Contender {
    /// Its place in a line, counted from the number `origin`. The ensemble's counter runs over, so a
    /// number says nothing without another one; a line is never half the number space long.
    fn order_from(&self, origin: i32) -> (i32, bool, &str) {
        // Curator gives a writer that becomes a reader a second znode with the same number.
        (self.sequence.wrapping_sub(origin), self.shared, &self.name)
    }
}

/// Which contender of a sorted line is its head: the one behind the widest gap in the circle of
/// numbers.
fn head(line: &[Contender]) -> usize {
    let numbers = || line.iter().map(|c| c.sequence);
    let before = line.last().map(|c| c.sequence).into_iter().chain(numbers());
    let gaps = numbers()
        .zip(before)
        .map(|(n, before)| n.wrapping_sub(before).cast_unsigned());
    let widest = gaps
        .enumerate()
        .max_by_key(|&(at, gap)| (gap, std::cmp::Reverse(at)));
    widest.map_or(0, |(at, _)| at)
}

/// The nearest contender ahead of `own` that must be gone before it can have what it wants.
///
/// What is ahead is judged from `own`'s number, not from the head of the line: of two contenders one
/// is always ahead of the other, whatever else is among the children.
pub(crate) fn obstacle<'a>(line: &'a [Contender], own: &Contender) -> Option<&'a Contender> {
    let conflicts = |c: &&Contender| !(own.shared && c.shared);
    if zk_proto::seeded_bug!("L2") {
        let place = line.iter().position(|c| c == own)?;
        return line.iter().take(place).rfind(conflicts);
    }
    if zk_proto::seeded_bug!("B93") && own.shared {
        return line.iter().rfind(conflicts);
    }
    let place = |c: &'a Contender| c.order_from(own.sequence);
    let ahead = line
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

    fn names(line: &[Contender]) -> Vec<&str> {
        line.iter().map(|c| c.name.as_str()).collect()
    }

    fn lock(layout: Layout) -> Names {
        Names::new(layout, Role::Lock)
    }

    /// ZOOKEEPER-2931: by number, not by name.
    #[test]
    fn b81_the_order_is_that_of_the_numbers_whatever_the_ids() {
        let children = [
            "_c_z-lock-0000000001",
            "_c_a-lock-0000000003",
            "_c_m-lock-0000000002",
        ];
        let line = lock(Layout::Default).contenders(children.into_iter());
        assert_eq!(
            names(&line),
            [
                "_c_z-lock-0000000001",
                "_c_m-lock-0000000002",
                "_c_a-lock-0000000003"
            ]
        );
        assert_eq!(obstacle(&line, &line[0]), None);
        assert_eq!(obstacle(&line, &line[2]), Some(&line[1]));
    }

    /// ZOOKEEPER-4372.
    #[test]
    fn b82_the_order_survives_the_overflow_of_the_counter() {
        let mut children = [
            "x-lock-2147483646",
            "x-lock-2147483647",
            "x-lock--2147483648",
            "x-lock--2147483647",
        ];
        for _ in 0..children.len() {
            children.rotate_left(1);
            let line = lock(Layout::Curator).contenders(children.into_iter());
            assert_eq!(
                names(&line),
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
            assert!(lock(layout).contenders(foreign.into_iter()).is_empty());
        }
    }

    #[test]
    fn each_layout_sees_its_own_and_the_default_both() {
        let children = ["a__lock__0000000001", "_c_b-lock-0000000002"];
        let seen = |layout| lock(layout).contenders(children.into_iter()).len();
        assert_eq!(seen(Layout::Default), 2);
        assert_eq!((seen(Layout::Kazoo), seen(Layout::Curator)), (1, 1));
        let mut kazoo = lock(Layout::Kazoo);
        kazoo.add("-lock-");
        assert_eq!(kazoo.contenders(children.into_iter()).len(), 2);
    }

    /// CURATOR-621, and readers of go-zk that waited for a later writer.
    #[test]
    fn b93_a_reader_waits_for_the_nearest_writer_ahead_and_a_writer_for_whoever_is() {
        let children = [
            "a-__WRIT__0000000001",
            "a-__READ__0000000001",
            "b-__READ__0000000002",
            "c-__WRIT__0000000003",
            "d-__READ__0000000004",
            "e-__WRIT__0000000005",
        ];
        let line = Names::new(Layout::Curator, Role::Read).contenders(children.into_iter());
        let waits_for = |n: usize| obstacle(&line, &line[n]).map(|c| &c.name[..1]);
        assert_eq!(names(&line), children);
        assert_eq!(waits_for(0), None);
        assert_eq!(waits_for(2), Some("a"));
        assert_eq!(waits_for(3), Some("b"));
        assert_eq!(waits_for(4), Some("c"));
        assert_eq!(waits_for(5), Some("d"));
        // The writer has become a reader: the next may enter, a writer may not.
        assert_eq!(obstacle(&line[1..], &line[2]), None);
        assert_eq!(obstacle(&line[1..], &line[3]), Some(&line[2]));
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

    /// What may be among the children beside contenders: whatever, and names like theirs.
    fn strangers() -> impl Strategy<Value = Vec<String>> {
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
        fn no_two_hold_whatever_is_among_the_children(
            layout in layouts(),
            role in roles(),
            first in any::<i32>(),
            gaps in prop::collection::vec((1..1000i32, any::<prop::sample::Index>()), 1..12),
            strangers in strangers(),
            shuffle in any::<u64>(),
        ) {
            let marks = [layout.exclusive(role), layout.shared(role)].concat();
            let mut sequence = first;
            let mut own = Vec::new();
            for (gap, mark) in gaps {
                sequence = sequence.wrapping_add(gap);
                own.push(format!("own{}{sequence:010}", mark.get(&marks)));
            }
            let read = Names::new(layout, role);
            let all_ours = read.contenders(strangers.iter().map(String::as_str)).is_empty();
            let mut children = [own.clone(), strangers].concat();
            fastrand::Rng::with_seed(shuffle).shuffle(&mut children);
            let line = read.contenders(children.iter().map(String::as_str));
            let holds = |name: &&String| {
                let own = line.iter().find(|c| c.name == **name).unwrap();
                obstacle(&line, own).is_none().then_some(own.shared)
            };
            let holders: Vec<_> = own.iter().filter_map(|name| holds(&name)).collect();
            prop_assert!(holders.len() <= 1 || holders.iter().all(|shared| *shared), "{line:?}");
            if all_ours {
                prop_assert!(!holders.is_empty());
                prop_assert_eq!(names(&line), own);
            }
        }

        /// A70, ZOOKEEPER-4372: whatever the number, the layout and the ids, and across the overflow.
        #[test]
        fn a70_b82_a_line_is_in_the_order_of_arrival(
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
            let read = Names::new(layout, role);
            let line = read.contenders(children.iter().map(String::as_str));
            prop_assert_eq!(names(&line), expected);
            for (n, own) in line.iter().enumerate() {
                let obstacle = obstacle(&line, own);
                let conflicts = |c: &&Contender| !(c.shared && own.shared);
                prop_assert_eq!(obstacle, line[..n].iter().rfind(conflicts));
            }
        }

        #[test]
        fn fz9_no_name_is_too_strange(name in "\\PC{0,40}", layout in layouts(), role in roles()) {
            Names::new(layout, role).contenders([name.as_str()].into_iter());
        }
    }
}
