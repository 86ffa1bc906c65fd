//! How two znodes differ, and two trees.

use std::cmp::Ordering;

use zk_client::Acl;

use super::order::{compare, is_at_or_below};
use super::{Node, Record};

/// What differs between two znodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) data: bool,
    pub(crate) acl: bool,
    pub(crate) kind: bool,
}

impl Difference {
    pub(crate) fn between(one: &Node, other: &Node) -> Self {
        Difference {
            data: one.data != other.data,
            acl: !same_acl(&one.acl, &other.acl),
            kind: one.kind.differs(other.kind),
        }
    }

    /// What differs and is not to be ignored.
    pub(crate) fn without(self, ignored: Difference) -> Self {
        Difference {
            data: self.data && !ignored.data,
            acl: self.acl && !ignored.acl,
            kind: self.kind && !ignored.kind,
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self == Difference::default()
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        let all = [(self.data, "data"), (self.acl, "acl"), (self.kind, "kind")];
        all.iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| *name)
            .collect()
    }
}

/// Whether two ACLs have the same entries: their order has no meaning. ClickHouse Keeper shows an ACL that permits
/// every client everything as an empty one.
fn same_acl(one: &[Acl], other: &[Acl]) -> bool {
    if one == other {
        return true;
    }
    let sorted = |acl: &[Acl]| {
        let key = |entry: &Acl| {
            (
                entry.id.scheme.clone(),
                entry.id.id.clone(),
                entry.perms.bits(),
            )
        };
        let mut keys: Vec<_> = match acl.is_empty() {
            true => Acl::open().iter().map(key).collect(),
            false => acl.iter().map(key).collect(),
        };
        keys.sort_unstable();
        keys
    };
    sorted(one) == sorted(other)
}

/// A comparison of two trees whose elements come in order.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    ignored: Difference,
    /// The last znode of either tree that could not be read: what is below it in the other tree cannot be compared.
    unread: [Option<String>; 2],
}

/// Which elements a step has compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Left,
    Right,
    Both,
}

/// What a step has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Same,
    OnlyLeft,
    OnlyRight,
    Changed(Difference),
    /// One of the trees has a znode there that could not be read.
    Unknown,
}

impl Comparison {
    pub(crate) fn ignoring(ignored: Difference) -> Self {
        Comparison {
            ignored,
            unread: [None, None],
        }
    }

    /// Compares the next elements of both trees; `None` after the last of both. The caller reads on in the tree, or
    /// trees, of which the step took the element.
    pub(crate) fn step(
        &mut self,
        left: Option<&Record>,
        right: Option<&Record>,
    ) -> Option<(Taken, Finding)> {
        let (left, right) = match (left, right) {
            (None, None) => return None,
            (Some(left), None) => return Some((Taken::Left, self.alone(0, left))),
            (None, Some(right)) => return Some((Taken::Right, self.alone(1, right))),
            (Some(left), Some(right)) => (left, right),
        };
        Some(match compare(left.path(), right.path()) {
            Ordering::Less => (Taken::Left, self.alone(0, left)),
            Ordering::Greater => (Taken::Right, self.alone(1, right)),
            Ordering::Equal => (Taken::Both, self.both(left, right)),
        })
    }

    fn alone(&mut self, side: usize, record: &Record) -> Finding {
        let other = self.unread.get(1 - side).and_then(Option::as_deref);
        let is_hidden = other.is_some_and(|unread| is_at_or_below(record.path(), unread));
        self.note(side, record);
        match (record, side) {
            (Record::Unread { .. }, _) => Finding::Unknown,
            _ if is_hidden => Finding::Unknown,
            (_, 0) => Finding::OnlyLeft,
            _ => Finding::OnlyRight,
        }
    }

    fn both(&mut self, left: &Record, right: &Record) -> Finding {
        self.note(0, left);
        self.note(1, right);
        let (Record::Node(left), Record::Node(right)) = (left, right) else {
            return Finding::Unknown;
        };
        let difference = Difference::between(left, right).without(self.ignored);
        match difference.is_none() {
            true => Finding::Same,
            false => Finding::Changed(difference),
        }
    }

    fn note(&mut self, side: usize, record: &Record) {
        if let (Record::Unread { path, .. }, Some(unread)) = (record, self.unread.get_mut(side)) {
            *unread = Some(path.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::prelude::*;
    use zk_client::Permissions;

    use super::super::samples::node;
    use super::super::{Kind, Record};
    use super::*;

    fn run(left: &[Record], right: &[Record]) -> Vec<(String, Finding)> {
        let mut comparison = Comparison::default();
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        let mut found = Vec::new();
        while let Some((taken, finding)) =
            comparison.step(left.peek().copied(), right.peek().copied())
        {
            let record = match taken {
                Taken::Left => left.next(),
                Taken::Right => right.next(),
                Taken::Both => left.next().and(right.next()),
            };
            found.push((record.unwrap().path().to_owned(), finding));
        }
        found
    }

    fn records(tree: &BTreeMap<String, u8>) -> Vec<Record> {
        let mut nodes: Vec<_> = tree
            .iter()
            .map(|(path, data)| node(&format!("/{path}"), &data.to_string()))
            .collect();
        nodes.sort_by(|one, other| compare(&one.path, &other.path));
        nodes.into_iter().map(Record::Node).collect()
    }

    proptest! {
        #[test]
        fn every_znode_is_compared_once(
            left in btree_map("[a!]{1,2}(/[a!]{1,2}){0,2}", 0..3_u8, 0..12),
            right in btree_map("[a!]{1,2}(/[a!]{1,2}){0,2}", 0..3_u8, 0..12),
        ) {
            let found: BTreeMap<_, _> = run(&records(&left), &records(&right)).into_iter().collect();
            let all: BTreeMap<_, _> = left.keys().chain(right.keys()).map(|path| {
                let finding = match (left.get(path), right.get(path)) {
                    (Some(one), Some(other)) if one == other => Finding::Same,
                    (Some(_), Some(_)) => Finding::Changed(Difference { data: true, ..Difference::default() }),
                    (Some(_), None) => Finding::OnlyLeft,
                    _ => Finding::OnlyRight,
                };
                (format!("/{path}"), finding)
            }).collect();
            prop_assert_eq!(found, all);
        }
    }

    #[test]
    fn nothing_is_missing_below_an_unread_znode() {
        let unread = |path: &str| Record::Unread {
            path: path.to_owned(),
            why: String::new(),
        };
        let read = |path: &str| Record::Node(node(path, ""));
        let left = [
            read("/a"),
            read("/a/b"),
            read("/a/b/c"),
            read("/a-"),
            read("/b"),
        ];
        let right = [unread("/a"), unread("/b"), read("/b/d")];
        let found = run(&left, &right);
        let expected = [
            ("/a", Finding::Unknown),
            ("/a/b", Finding::Unknown),
            ("/a/b/c", Finding::Unknown),
            ("/a-", Finding::OnlyLeft),
            ("/b", Finding::Unknown),
            ("/b/d", Finding::OnlyRight),
        ];
        assert_eq!(found, expected.map(|(path, it)| (path.to_owned(), it)));
    }

    #[test]
    fn null_is_not_empty() {
        let (one, mut other) = (node("/a", ""), node("/a", ""));
        other.data = None;
        assert_eq!(Difference::between(&one, &other).names(), ["data"]);
    }

    #[test]
    fn an_empty_acl_permits_everything() {
        let (one, mut other) = (node("/a", ""), node("/a", ""));
        other.acl.clear();
        assert!(Difference::between(&one, &other).is_none());
        other.acl = Acl::read_only();
        assert_eq!(Difference::between(&one, &other).names(), ["acl"]);
    }

    #[test]
    fn the_order_of_an_acl_has_no_meaning() {
        let (mut one, mut other) = (node("/a", ""), node("/a", ""));
        let entry = Acl::new(Permissions::READ, "ip", "10.0.0.0/8");
        one.acl.push(entry.clone());
        other.acl.insert(0, entry.clone());
        assert!(Difference::between(&one, &other).is_none());
        other.acl.push(entry);
        other.kind = Kind::Ephemeral;
        let difference = Difference::between(&one, &other);
        assert_eq!(difference.names(), ["acl", "kind"]);
        let acl = Difference {
            acl: true,
            ..Difference::default()
        };
        assert_eq!(difference.without(acl).names(), ["kind"]);
    }
}
