//! Quotas: `/zookeeper/quota<path>/zookeeper_limits`, and `zookeeper_stats` with the usage.

use bytes::Bytes;
use zk_proto::ErrorCode;
use zk_proto::path;

use crate::core::tree::Tree;
use crate::core::tree::txn::Change;
use crate::options::Options;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// `count=4,bytes=5=;byteHardLimit=10;countHardLimit=10`; −1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    const NONE: Self = Self {
        count: -1,
        bytes: -1,
        count_hard: -1,
        bytes_hard: -1,
    };

    fn parse(data: Option<&Bytes>) -> Self {
        let mut track = Self::NONE;
        let text = data
            .map(|data| String::from_utf8_lossy(data))
            .unwrap_or_default();
        for pair in text.split([',', ';']) {
            let Some((key, value)) = pair.split_once('=') else {
                continue;
            };
            // Older servers read the bytes up to the second `=`.
            let Ok(value) = value.trim_end_matches('=').parse() else {
                continue;
            };
            match key {
                "count" => track.count = value,
                "bytes" => track.bytes = value,
                "countHardLimit" => track.count_hard = value,
                "byteHardLimit" => track.bytes_hard = value,
                _ => {}
            }
        }
        track
    }

    fn text(self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        if self.count_hard >= 0 || self.bytes_hard >= 0 {
            text += "=";
            if self.bytes_hard >= 0 {
                text += &format!(";byteHardLimit={}", self.bytes_hard);
            }
            if self.count_hard >= 0 {
                text += &format!(";countHardLimit={}", self.count_hard);
            }
        }
        text
    }
}

/// The closest node at or above `path` that has limits.
fn limited<'a>(tree: &Tree, path: &'a str) -> Option<&'a str> {
    if path.starts_with("/zookeeper/") || tree.get(ROOT).is_none_or(|n| n.children.is_empty()) {
        return None;
    }
    let mut at = Some(path).filter(|path| *path != "/");
    while let Some(path) = at {
        if tree.get(&format!("{ROOT}{path}/{LIMITS}")).is_some() {
            return Some(path);
        }
        at = path::parent(path).filter(|path| *path != "/");
    }
    None
}

pub(crate) fn check_create(
    tree: &Tree,
    options: &Options,
    path: &str,
    len: usize,
) -> Result<(), ErrorCode> {
    check(tree, options, path, 1, as_i64(len))
}

pub(crate) fn check_set(
    tree: &Tree,
    options: &Options,
    path: &str,
    before: usize,
    after: usize,
) -> Result<(), ErrorCode> {
    check(tree, options, path, 0, as_i64(after) - as_i64(before))
}

fn check(
    tree: &Tree,
    options: &Options,
    path: &str,
    nodes: i64,
    bytes: i64,
) -> Result<(), ErrorCode> {
    if !options.enforce_quota {
        return Ok(());
    }
    let Some(at) = limited(tree, path) else {
        return Ok(());
    };
    let read = |name: &str| {
        let node = tree.get(&format!("{ROOT}{at}/{name}"));
        Track::parse(node.and_then(|node| node.data.as_ref()))
    };
    let (limits, used) = (read(LIMITS), read(STATS));
    let over = |limit: i64, used: i64, more: i64| more != 0 && limit > -1 && used + more > limit;
    if over(limits.count_hard, used.count, nodes) || over(limits.bytes_hard, used.bytes, bytes) {
        return Err(ErrorCode::QuotaExceeded);
    }
    Ok(())
}

/// The length of the data that a change replaces or removes. Call it before the change is applied.
pub(crate) fn length_before(tree: &Tree, change: &Change) -> usize {
    let node = tree.get(change.path());
    node.and_then(|node| node.data.as_ref())
        .map_or(0, Bytes::len)
}

/// Updates the usage after `change` was applied.
pub(crate) fn update(tree: &mut Tree, change: &Change, before: usize) {
    let (nodes, after) = match change {
        Change::Create { data, .. } => (1, data.as_ref().map_or(0, Bytes::len)),
        Change::Delete { .. } => (-1, 0),
        Change::SetData { data, .. } => (0, data.as_ref().map_or(0, Bytes::len)),
        Change::SetAcl { .. } | Change::Check { .. } => return,
    };
    let path = change.path();
    if let Change::Create { .. } = change
        && let Some(at) = path.strip_prefix(ROOT).and_then(|p| p.strip_suffix(STATS))
        && let Some(at) = at.strip_suffix('/').filter(|at| !at.is_empty())
    {
        return recount(tree, path, at);
    }
    let Some(at) = limited(tree, path) else {
        return;
    };
    let stats = format!("{ROOT}{at}/{STATS}");
    let Some(node) = tree.get(&stats) else {
        return;
    };
    let mut used = Track::parse(node.data.as_ref());
    used.count += nodes;
    used.bytes += as_i64(after) - as_i64(before);
    tree.set_quietly(&stats, used.text().into());
}

fn recount(tree: &mut Tree, stats: &str, at: &str) {
    let inside = |path: &str| {
        path.strip_prefix(at)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut used = Track {
        count: 0,
        bytes: 0,
        ..Track::NONE
    };
    for (_, node) in tree.paths().filter(|(path, _)| inside(path)) {
        used.count += 1;
        used.bytes += as_i64(node.data.as_ref().map_or(0, Bytes::len));
    }
    tree.set_quietly(stats, used.text().into());
}

fn as_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_without_hard_ones_too() {
        let read = |text: &'static str| Track::parse(Some(&Bytes::from_static(text.as_bytes())));
        let track = Track {
            count: 4,
            bytes: 5,
            count_hard: 10,
            bytes_hard: 20,
        };
        let text = "count=4,bytes=5=;byteHardLimit=20;countHardLimit=10";
        assert_eq!(read(text), track);
        assert_eq!(track.text(), text);
        assert_eq!(read("count=4,bytes=5").count_hard, -1);
        assert_eq!(read("count=4,bytes=5").text(), "count=4,bytes=5");
        assert_eq!(Track::parse(None), Track::NONE);
        assert_eq!(read("nonsense,=,count=x"), Track::NONE);
    }
}
