//! The transactions, by path and by value.

use std::collections::BTreeMap;

use crate::offline::simulation::history::{Change, Commit};

/// What happened to the data of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Written(Option<u64>),
    Deleted,
}

#[derive(Debug, Default)]
pub(crate) struct Log<'a> {
    pub(crate) commits: &'a [Commit],
    data: BTreeMap<&'a str, Vec<(i64, Data)>>,
    children: BTreeMap<&'a str, Vec<i64>>,
    values: BTreeMap<u64, Vec<usize>>,
}

pub(crate) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

impl<'a> Log<'a> {
    pub(crate) fn new(commits: &'a [Commit]) -> Self {
        let mut log = Self {
            commits,
            ..Self::default()
        };
        for (index, commit) in commits.iter().enumerate() {
            let zxid = commit.zxid;
            for change in &commit.changes {
                let (path, data, of_parent) = match change {
                    Change::Create { path, value, .. } => (path, Data::Written(*value), true),
                    Change::Set { path, value, .. } => (path, Data::Written(*value), false),
                    Change::Delete { path } => (path, Data::Deleted, true),
                    Change::Check => continue,
                };
                log.data.entry(path).or_default().push((zxid, data));
                if of_parent && path != "/" {
                    log.children.entry(parent(path)).or_default().push(zxid);
                }
                if let Data::Written(Some(value)) = data {
                    let commits = log.values.entry(value).or_default();
                    if commits.last() != Some(&index) {
                        commits.push(index);
                    }
                }
            }
        }
        log
    }

    /// The transactions that wrote a value.
    pub(crate) fn writers(&self, value: u64) -> impl Iterator<Item = &'a Commit> {
        let indices = self.values.get(&value).into_iter().flatten();
        indices.map(|&index| &self.commits[index])
    }

    /// What happened to a node's data, in order.
    pub(crate) fn data(&self, path: &str) -> &[(i64, Data)] {
        self.data.get(path).map_or(&[], Vec::as_slice)
    }

    /// When children of a node were created or deleted, in order.
    pub(crate) fn children(&self, path: &str) -> &[i64] {
        self.children.get(path).map_or(&[], Vec::as_slice)
    }

    /// What a transaction wrote at a path.
    pub(crate) fn written(&self, path: &str, zxid: i64) -> Option<Option<u64>> {
        self.data(path)
            .iter()
            .rev()
            .find_map(|(at, data)| match data {
                Data::Written(value) if *at == zxid => Some(*value),
                _ => None,
            })
    }

    /// The first transaction after `zxid` that changed a node's data, or deleted it.
    pub(crate) fn next_data(&self, path: &str, zxid: i64) -> Option<i64> {
        let data = self.data(path);
        let first = data.partition_point(|(at, _)| *at <= zxid);
        data.get(first).map(|(at, _)| *at)
    }

    /// The first transaction after `zxid` that wrote a node.
    pub(crate) fn next_write(&self, path: &str, zxid: i64) -> Option<i64> {
        let written = |(at, data): &&(i64, Data)| *at > zxid && matches!(data, Data::Written(_));
        self.data(path).iter().find(written).map(|(at, _)| *at)
    }

    /// The first transaction after `zxid` that changed the list of a node's children, or deleted
    /// it.
    pub(crate) fn next_children(&self, path: &str, zxid: i64) -> Option<i64> {
        let children = self.children(path);
        let first = children.partition_point(|at| *at <= zxid);
        let deleted = self
            .data(path)
            .iter()
            .find(|(at, data)| *at > zxid && *data == Data::Deleted);
        let next = children.get(first).copied();
        [next, deleted.map(|(at, _)| *at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether a node was missing at `zxid` or later.
    pub(crate) fn absent_since(&self, path: &str, zxid: i64) -> bool {
        let data = self.data(path);
        let after = data.partition_point(|(at, _)| *at <= zxid);
        let missing =
            |place: Option<&(i64, Data)>| place.is_none_or(|(_, data)| *data == Data::Deleted);
        let before = after.checked_sub(1).and_then(|last| data.get(last));
        missing(before) || data[after..].iter().any(|(_, data)| *data == Data::Deleted)
    }
}
