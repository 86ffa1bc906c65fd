//! One znode.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{Acl, Stat, Zxid};

use crate::core::tree::children::Children;

/// An access control list shared by the nodes that have it.
pub(crate) type AclList = Arc<[Acl]>;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) data: Option<Bytes>,
    pub(crate) acl: AclList,
    pub(crate) children: Children,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    /// Number of children ever created, which is the next sequence number. The `cversion` of a stat
    /// counts their deletions too.
    pub(crate) creates: i32,
    /// The part of `cversion` that is neither a creation nor a deletion.
    pub(crate) extra_cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) owner: i64,
}

impl Node {
    pub(crate) fn new(data: Option<Bytes>, acl: AclList, owner: i64, zxid: i64, time: i64) -> Self {
        Self {
            data,
            acl,
            children: Children::new(),
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            creates: 0,
            extra_cversion: 0,
            aversion: 0,
            owner,
        }
    }

    /// A stat with the owner only, to read the marks of containers and times to live from.
    fn marks(&self) -> Stat {
        let mut stat = Stat::default();
        stat.ephemeral_owner = self.owner;
        stat
    }

    pub(crate) fn is_ephemeral(&self) -> bool {
        self.marks().is_ephemeral()
    }

    pub(crate) fn is_container(&self) -> bool {
        self.marks().is_container()
    }

    pub(crate) fn ttl(&self) -> Option<Duration> {
        self.marks().ttl()
    }

    pub(crate) fn stat(&self) -> Stat {
        let children = saturate(self.children.len());
        let mut stat = Stat::default();
        stat.czxid = Zxid(self.czxid);
        stat.mzxid = Zxid(self.mzxid);
        stat.ctime = self.ctime;
        stat.mtime = self.mtime;
        stat.version = self.version;
        // Creations and deletions: all children ever created, minus those present, were deleted.
        stat.cversion = self
            .creates
            .wrapping_mul(2)
            .wrapping_sub(children)
            .wrapping_add(self.extra_cversion);
        stat.aversion = self.aversion;
        // Real servers do not show the marks of containers and times to live.
        stat.ephemeral_owner = if self.is_ephemeral() { self.owner } else { 0 };
        stat.data_length = self.data.as_ref().map_or(0, |data| saturate(data.len()));
        stat.num_children = children;
        stat.pzxid = Zxid(self.pzxid);
        stat
    }
}

pub(crate) fn saturate(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}
