//! Reads a tree from a server, in order.

use std::collections::VecDeque;

use bytes::Bytes;
use zk_client::{Acl, Chroot, Client, Error, ErrorKind, Pending, Result, RetryPolicy, Stat};

use crate::commands::walk::{After, Visit, Walk, of_one_znode};
use crate::output::explain::explain;
use crate::tree::{Kind, Node, Record};

/// How many znodes are read at once.
const WINDOW: usize = 256;
/// How many bytes of data are read at once, unless a single znode has more.
const BYTES: usize = 4 << 20;

/// What is read of each znode.
pub(super) struct Reading {
    /// The data, and the stat that belongs to them.
    pub(super) data: bool,
    pub(super) acls: bool,
    pub(super) max_depth: Option<usize>,
    /// Also the servers' own data.
    pub(super) system: bool,
    /// Only what comes after this znode, whose path is below the root.
    pub(super) after: Option<After>,
    /// The znodes that are read, by path and stat; all if absent.
    pub(super) selects: Option<Selects>,
}

pub(super) type Selects = Box<dyn Fn(&str, &Stat) -> bool>;

impl Reading {
    /// All that an export has.
    pub(super) fn all() -> Self {
        Reading {
            data: true,
            acls: true,
            max_depth: None,
            system: false,
            after: None,
            selects: None,
        }
    }
}

/// Reads a tree. Of the data, and of the lists of children, it holds a limited part.
pub(super) struct Reader {
    client: Client,
    root: Chroot,
    walk: Walk,
    walk_ended: bool,
    ahead: VecDeque<Ahead>,
    /// The length of the data of `ahead`.
    bytes: usize,
    reading: Reading,
    policy: RetryPolicy,
}

/// A znode that is being read. Requests that are not needed are absent.
struct Ahead {
    visit: Visit,
    data: Option<Pending<(Option<Bytes>, Stat)>>,
    acl: Option<Pending<(Vec<Acl>, Stat)>>,
}

impl Reader {
    /// Begins with the znode `root`.
    pub(super) async fn begin(client: &Client, root: &str, reading: Reading) -> Result<Self> {
        let mut walk = Walk::begin(client, root, reading.max_depth).await?;
        let root = Chroot::new(root).map_err(|error| Error::invalid_path(error.to_string()))?;
        if !reading.system {
            walk = walk.without_system();
        }
        if let Some(After { path, is_listed }) = &reading.after {
            walk = walk.after(After {
                path: root.join(path),
                is_listed: *is_listed,
            });
        }
        Ok(Reader {
            client: client.clone(),
            root,
            walk,
            walk_ended: false,
            ahead: VecDeque::new(),
            bytes: 0,
            reading,
            policy: RetryPolicy::default(),
        })
    }

    /// The znode with which it began.
    pub(super) fn root(&self) -> &Chroot {
        &self.root
    }

    /// The next element; `None` after the last. A znode that is deleted meanwhile is left out.
    pub(super) async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            self.request_more().await?;
            let Some(front) = self.ahead.pop_front() else {
                return Ok(None);
            };
            self.bytes = self.bytes.saturating_sub(length(front.visit.stat));
            if let Some(record) = self.finish(front).await? {
                return Ok(Some(record));
            }
        }
    }

    /// Requests the next znodes: those that the walk has found, and at least one.
    async fn request_more(&mut self) -> Result<()> {
        while !self.walk_ended && self.ahead.len() < WINDOW {
            let next = match self.ahead.is_empty() {
                true => self.walk.next().await?,
                false if self.bytes >= BYTES => return Ok(()),
                false => match self.walk.next_now().await {
                    Some(next) => next?,
                    None => return Ok(()),
                },
            };
            match next {
                Some(visit) => self.request(visit),
                None => self.walk_ended = true,
            }
        }
        Ok(())
    }

    fn request(&mut self, visit: Visit) {
        let is_listed = visit.unread.is_none();
        if let (Some(selects), Some(stat), true) = (&self.reading.selects, &visit.stat, is_listed)
            && !selects(&visit.path, stat)
        {
            return;
        }
        let path = visit.path.as_str();
        let data = is_listed && self.reading.data;
        let data = data.then(|| self.client.get(path).nullable().submit());
        let acl = is_listed && self.reading.acls;
        let acl = acl.then(|| self.client.acl(path).submit());
        self.bytes += length(visit.stat);
        self.ahead.push_back(Ahead { visit, data, acl });
    }

    async fn finish(&self, front: Ahead) -> Result<Option<Record>> {
        let Ahead { visit, data, acl } = front;
        let full = visit.path;
        let path = self.root.strip(&full).unwrap_or(&full).to_owned();
        if let Some(error) = visit.unread {
            let why = explain(&error);
            return Ok(Some(Record::Unread { path, why }));
        }
        let stat = visit.stat.unwrap_or_default();
        let data = match data {
            None => Ok((None, stat)),
            Some(data) => match data.await {
                Err(error) if error.is_transient() => {
                    let read = || self.client.get(&full).nullable();
                    self.client.retry_read(&self.policy, read).await
                }
                data => data,
            },
        };
        let acl = match acl {
            None => Ok((Vec::new(), stat)),
            Some(acl) => match acl.await {
                Err(error) if error.is_transient() => {
                    let read = || self.client.acl(&full);
                    self.client.retry_read(&self.policy, read).await
                }
                acl => acl,
            },
        };
        let ((data, stat), (acl, _)) = match (data, acl) {
            (Ok(data), Ok(acl)) => (data, acl),
            (Err(error), _) | (_, Err(error)) => {
                if error.kind() == ErrorKind::NoNode {
                    return Ok(None);
                }
                let why = explain(&of_one_znode(error)?);
                return Ok(Some(Record::Unread { path, why }));
            }
        };
        Ok(Some(Record::Node(Node {
            path,
            data,
            acl,
            kind: Kind::of(&stat),
            stat: Some(stat),
        })))
    }
}

fn length(stat: Option<Stat>) -> usize {
    let length = stat.map_or(0, |stat| stat.data_length);
    usize::try_from(length).unwrap_or_default()
}
