//! Trees of znodes as values: what `export` writes, `import` applies and `diff` compares. Nothing in here reads a
//! server or a file.
//!
//! - [`format`]: the lines of an export.
//! - [`order`]: the order of the znodes in it.
//! - [`difference`]: two znodes, two trees in that order.
//! - [`plan`]: what an import does with a znode.
//! - [`pattern`], [`sizes`]: for `find` and `du`.

pub(crate) mod difference;
pub(crate) mod format;
pub(crate) mod order;
pub(crate) mod pattern;
pub(crate) mod plan;
pub(crate) mod sizes;

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Stat, path};

/// A znode of a tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Below the root of the tree, which is `/`.
    pub(crate) path: String,
    /// `None` for null, which is not the same as empty data.
    pub(crate) data: Option<Bytes>,
    /// Empty if it was not read.
    pub(crate) acl: Vec<Acl>,
    pub(crate) kind: Kind,
    /// `None` for a znode of a file.
    pub(crate) stat: Option<Stat>,
}

/// What a server shows of the kind of a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Persistent; on the servers that do not show them, also a container or a znode with a time to live.
    Plain,
    Ephemeral,
    Container,
    Ttl(Duration),
}

impl Kind {
    pub(crate) fn of(stat: &Stat) -> Self {
        if stat.is_ephemeral() {
            Kind::Ephemeral
        } else if stat.is_container() {
            Kind::Container
        } else {
            stat.ttl().map_or(Kind::Plain, Kind::Ttl)
        }
    }

    /// The name in JSON; `None` for [`Kind::Plain`].
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Kind::Plain => None,
            Kind::Ephemeral => Some("ephemeral"),
            Kind::Container => Some("container"),
            Kind::Ttl(_) => Some("ttl"),
        }
    }

    /// Whether two kinds cannot be the same. [`Kind::Plain`] may stand for two others.
    pub(crate) fn differs(self, other: Kind) -> bool {
        match (self, other) {
            (Kind::Plain, Kind::Container | Kind::Ttl(_))
            | (Kind::Container | Kind::Ttl(_), Kind::Plain) => false,
            (one, other) => one != other,
        }
    }
}

impl Node {
    /// Whether the name ends with a number as servers append it to the names of sequential znodes.
    pub(crate) fn is_sequence(&self) -> bool {
        has_sequence(&self.path)
    }

    /// Whether an entry of the ACL lacks the hash of its password, because the server hid that from the reader: no
    /// client could prove the identity.
    pub(crate) fn has_masked_acl(&self) -> bool {
        self.acl
            .iter()
            .any(|entry| entry.id.is_digest_without_hash())
    }
}

pub(crate) fn has_sequence(path: &str) -> bool {
    path::sequence(path::name(path)).is_some()
}

/// An element of a tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Node(Node),
    /// A znode that exists, but that could not be read, or whose children could not.
    Unread {
        path: String,
        /// The error, which names the znode.
        why: String,
    },
}

impl Record {
    pub(crate) fn path(&self) -> &str {
        match self {
            Record::Node(node) => &node.path,
            Record::Unread { path, .. } => path,
        }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn node(path: &str, data: &str) -> Node {
        Node {
            path: path.to_owned(),
            data: Some(Bytes::copy_from_slice(data.as_bytes())),
            acl: Acl::open(),
            kind: Kind::Plain,
            stat: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_kind_may_be_any_that_stays() {
        let ttl = |seconds| Kind::Ttl(Duration::from_secs(seconds));
        for (one, other, differs) in [
            (Kind::Plain, Kind::Container, false),
            (Kind::Plain, ttl(1), false),
            (Kind::Plain, Kind::Ephemeral, true),
            (Kind::Container, ttl(1), true),
            (ttl(1), ttl(2), true),
            (ttl(1), ttl(1), false),
        ] {
            assert_eq!(one.differs(other), differs, "{one:?} {other:?}");
            assert_eq!(other.differs(one), differs, "{other:?} {one:?}");
        }
    }

    #[test]
    fn a_masked_digest_is_recognized() {
        let mut node = samples::node("/a", "");
        assert!(!node.has_masked_acl());
        let all = zk_client::Permissions::ALL;
        node.acl.push(Acl::digest("user", "password", all));
        assert!(!node.has_masked_acl());
        node.acl.push(Acl::new(all, "digest", "user:x"));
        assert!(node.has_masked_acl());
    }

    #[test]
    fn sequences_are_recognized_by_name() {
        assert!(has_sequence("/q/item-0000000012"));
        assert!(has_sequence("/q/0000000012"));
        assert!(!has_sequence("/q/item-12") && !has_sequence("/q-0000000012/item"));
    }
}
