//! The sizes of subtrees, from the znodes of a tree in order.

use zk_client::Stat;

/// The size of a subtree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) path: String,
    pub(crate) depth: usize,
    /// The znode itself included.
    pub(crate) nodes: u64,
    /// Of data.
    pub(crate) bytes: u64,
    pub(crate) ephemerals: u64,
}

/// Adds up the sizes of subtrees.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// The znodes from the root down to the last one.
    open: Vec<Size>,
}

impl Sizes {
    /// Adds the next znode, and returns the subtrees that ended before it, the lowest first.
    pub(crate) fn add(&mut self, path: &str, depth: usize, stat: Option<&Stat>) -> Vec<Size> {
        let ended = self.end(depth);
        let bytes = stat.map_or(0, |stat| stat.data_length);
        self.open.push(Size {
            path: path.to_owned(),
            depth,
            nodes: 1,
            bytes: u64::try_from(bytes).unwrap_or_default(),
            ephemerals: u64::from(stat.is_some_and(Stat::is_ephemeral)),
        });
        ended
    }

    /// The subtrees that end with the tree.
    pub(crate) fn finish(mut self) -> Vec<Size> {
        self.end(0)
    }

    fn end(&mut self, depth: usize) -> Vec<Size> {
        let mut ended = Vec::new();
        while let Some(size) = self.open.pop_if(|size| size.depth >= depth) {
            if let Some(parent) = self.open.last_mut() {
                parent.nodes += size.nodes;
                parent.bytes += size.bytes;
                parent.ephemerals += size.ephemerals;
            }
            ended.push(size);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_contains_those_below_it() {
        let mut sizes = Sizes::default();
        let mut ended = Vec::new();
        for (path, depth, bytes, owner) in [
            ("/", 0, 1, 0),
            ("/a", 1, 10, 0),
            ("/a/b", 2, 100, 7),
            ("/a/c", 2, 1000, 0),
            ("/d", 1, 10_000, 0),
        ] {
            let mut stat = Stat::default();
            (stat.data_length, stat.ephemeral_owner) = (bytes, owner);
            ended.extend(sizes.add(path, depth, Some(&stat)));
        }
        ended.extend(sizes.finish());
        let seen: Vec<_> = ended
            .iter()
            .map(|it| (it.path.as_str(), it.nodes, it.bytes, it.ephemerals))
            .collect();
        let expected = [
            ("/a/b", 1, 100, 1),
            ("/a/c", 1, 1000, 0),
            ("/a", 3, 1110, 1),
            ("/d", 1, 10_000, 0),
            ("/", 5, 11_111, 1),
        ];
        assert_eq!(seen, expected);
    }
}
