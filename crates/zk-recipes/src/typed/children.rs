//! The children of a znode with their data.

use std::collections::BTreeMap;

use bytes::Bytes;
use zk_client::{Client, ReadResult, Stat, path::join};

use crate::error::{Error, Result};
use crate::reads::{get_all, read};

/// The most that a consistent read asks for in one request.
const MAX_CHILDREN: usize = 1024;
const MAX_BYTES: usize = 512 << 10;
/// How often a consistent read starts again because a child came or went.
const MAX_ATTEMPTS: u32 = 10;

/// Reads the children of a znode with their data.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::ChildrenWithData;
///
/// let workers = ChildrenWithData::new(&zk, "/workers").read().await?;
/// for (name, (data, stat)) in &workers.children {
///     println!("{name}, version {}: {} bytes", stat.version, data.len());
/// }
/// # Ok(()) }
/// ```
///
/// # Consistency
///
/// Each child is as it was at some time during the call, and not all at the same. A child that is
/// deleted between the list and the read of its data is left out. With
/// [`consistent`](Self::consistent) all are from one state of the server.
///
/// # Losing the session
///
/// The client sends the reads again on the next connection, also in the next session.
///
/// # Znodes
///
/// None. The counterpart is `childrenWithData` of Curator's `AsyncWrappers`, which has no consistent
/// read. kazoo has none.
///
/// # Cost
///
/// A request for the list, and one for each child; a round trip for the list, and one for each
/// [window](Self::window) of children. A consistent read takes one request and one round trip more,
/// which transfers everything again, and as many again for each time that a child came or went.
///
/// # Cancel safety
///
/// A dropped [`read`](Self::read) has no effect.
#[derive(Debug, Clone)]
#[must_use = "call read()"]
pub struct ChildrenWithData<'a> {
    client: &'a Client,
    path: &'a str,
    window: usize,
    consistent: bool,
}

/// The children of a znode with their data. Made by [`ChildrenWithData::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildrenRead {
    /// The stat of the znode when its children were listed.
    pub stat: Stat,
    /// The data and the stats of the children, by name.
    pub children: BTreeMap<String, (Bytes, Stat)>,
}

impl<'a> ChildrenWithData<'a> {
    /// Reads the children of `path`.
    pub fn new(client: &'a Client, path: &'a str) -> Self {
        ChildrenWithData {
            client,
            path,
            window: 64,
            consistent: false,
        }
    }

    /// The number of reads in flight at once; 64 unless given, at least 1, and at most a quarter of the
    /// client's [`max_outstanding`](zk_client::ClientBuilder::max_outstanding). Unprocessed replies take
    /// memory, up to a megabyte each.
    pub fn window(mut self, reads: usize) -> Self {
        self.window = reads.max(1);
        self
    }

    /// Reads all children from one state of the server, with one request of several reads. Needs
    /// servers of version 3.6 or newer, at most 1,024 children, and at most 512 KiB of paths and data.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`NoNode`](zk_client::ErrorKind::NoNode) if the znode does not exist, and those of the reads: a child that
    /// may not be read is an error, with its path. Of a consistent read also
    /// [`Unimplemented`](zk_client::ErrorKind::Unimplemented) on older servers, and [`Error::Unsupported`] if the
    /// children are too many or too large, or came and went ten times during the call.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn read(self) -> Result<ChildrenRead> {
        for _ in 0..MAX_ATTEMPTS {
            let listed = self.listed().await?;
            if !self.consistent {
                return Ok(listed);
            }
            if let Some(children) = self.at_once(&listed.children).await? {
                return Ok(ChildrenRead {
                    stat: listed.stat,
                    children,
                });
            }
        }
        Err(Error::Unsupported(
            "a consistent read of children that come and go all the time (read without consistent())",
        ))
    }

    /// The children, each at its own time.
    async fn listed(&self) -> Result<ChildrenRead> {
        let list = |zk: Client| async move { zk.children(self.path).stat().await };
        let (names, stat) = read(self.client, list).await?;
        let znodes = names.into_iter().map(|name| {
            let path = join(self.path, &name);
            (name, path)
        });
        let got = get_all(self.client, znodes.collect(), self.window).await?;
        let children = got
            .into_iter()
            .map(|(name, _, data, stat)| (name, (data, stat)));
        Ok(ChildrenRead {
            stat,
            children: children.collect(),
        })
    }

    /// The children from one state of the server, unless one of them came or went since.
    async fn at_once(
        &self,
        known: &BTreeMap<String, (Bytes, Stat)>,
    ) -> Result<Option<BTreeMap<String, (Bytes, Stat)>>> {
        let bytes = known.iter().map(|(name, (data, _))| {
            let stat_and_lengths = 100;
            2 * name.len() + self.path.len() + data.len() + stat_and_lengths
        });
        if known.len() > MAX_CHILDREN || bytes.sum::<usize>() > MAX_BYTES {
            return Err(Error::Unsupported(
                "a consistent read of more than 1,024 children or 512 KiB (read without consistent())",
            ));
        }
        let client = self.client.wait_for_room().await?;
        let mut multi = client.multi_read().children(self.path);
        for name in known.keys() {
            multi = multi.get(&join(self.path, name));
        }
        Ok(same_children(known.keys(), multi.await?))
    }
}

/// The data in the results of one list and of one read for each of `names`; `None` if other names are
/// listed.
fn same_children<'n>(
    names: impl ExactSizeIterator<Item = &'n String>,
    results: Vec<ReadResult>,
) -> Option<BTreeMap<String, (Bytes, Stat)>> {
    let mut results = results.into_iter();
    let Some(ReadResult::Children(listed)) = results.next() else {
        return None;
    };
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    if listed.len() != names.len() {
        return None;
    }
    let read = names.zip(listed).zip(results);
    read.map(|((name, listed), result)| match result {
        ReadResult::Data(data, stat) if *name == listed => {
            Some((listed, (Bytes::copy_from_slice(&data), stat)))
        }
        _ => None,
    })
    .collect()
}
