//! What differs between servers: the table that each pose fills in.

use std::time::Duration;

use zk_proto::{CreateMode, ErrorCode};

use super::ops::OpSet;

/// What differs between servers, one table for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    /// The version in four-letter words.
    pub(crate) version: &'static str,
    pub(crate) texts: Texts,
    /// The four-letter words that are answered.
    pub(crate) words: &'static [&'static str],
    /// The operations that the server executes outside a multi.
    pub(crate) ops: OpSet,
    /// The operations that the server executes in a multi.
    pub(crate) ops_in_multi: OpSet,
    pub(crate) unknown_op: UnknownOp,
    pub(crate) unreadable: Unreadable,
    pub(crate) handshake: Handshake,
    /// The shortest and the longest session timeout granted; 2 and 20 ticks if `None`.
    pub(crate) session_timeouts: Option<(Duration, Duration)>,
    /// The nodes of a new server beside the root, parents first, with their data.
    pub(crate) system_nodes: &'static [(&'static str, &'static [u8])],
    /// The server's own subtree, if no client may write to it.
    pub(crate) reserved: Option<&'static str>,
    pub(crate) create_flags: CreateFlags,
    /// Whether a creation in a multi is decided by its flags alone, and not by its operation
    /// (ZOOKEEPER-4026).
    pub(crate) flags_decide_in_multi: bool,
    /// Whether null data is stored as empty data.
    pub(crate) null_is_empty: bool,
    pub(crate) acls: AclRules,
    /// Whether `exists` needs the permission to read.
    pub(crate) exists_checks_acl: bool,
    /// Whether a deletion leaves the parent's `pzxid` unchanged.
    pub(crate) keeps_pzxid: bool,
    /// Whether `setData` advances the parent's `cversion`.
    pub(crate) set_moves_cversion: bool,
    /// Whether the reply to `getChildren` ends with the node's stat.
    pub(crate) stat_with_children: bool,
    pub(crate) watches: WatchKinds,
    /// Whether events are withheld from clients that may not read the node.
    pub(crate) events_check_acl: bool,
    /// Whether events carry the zxid of the change.
    pub(crate) events_have_zxid: bool,
    /// Whether the reply to `addWatch` has a body.
    pub(crate) add_watch_has_body: bool,
    /// Whether a `check` outside a multi is answered when it succeeds.
    pub(crate) answers_check: bool,
    /// Whether `closeSession` is answered before the connection closes.
    pub(crate) answers_close: bool,
    /// Whether the server can read a client's `deleteContainer`.
    pub(crate) reads_delete_container: bool,
    /// The error of `reconfig` while it is disabled.
    pub(crate) reconfig_disabled: ErrorCode,
}

impl Behaviour {
    /// The mode of a creation with these flags, if the server knows them.
    pub(crate) fn mode(&self, flags: i32) -> Option<CreateMode> {
        match self.create_flags {
            CreateFlags::UpTo(max) => CreateMode::from_flags(flags).filter(|_| flags <= max),
            CreateFlags::TwoBits => CreateMode::from_flags(flags & 3),
        }
    }

    pub(crate) fn is_special(&self, path: &str) -> bool {
        path == "/"
            || self
                .system_nodes
                .iter()
                .any(|(special, _)| *special == path)
    }

    /// Whether the path is in the subtree that no client may write to.
    pub(crate) fn is_reserved(&self, path: &str) -> bool {
        self.reserved.is_some_and(|root| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The reaction to an unknown operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownOp {
    /// `Unimplemented`, then the connection closes.
    AnswerAndClose,
    /// The connection closes.
    Close,
}

/// The reaction to a request that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// `MarshallingError`; a write takes a zxid.
    TakesZxid,
    /// `MarshallingError`; only a multi takes a zxid.
    TakesNone,
    /// The connection closes.
    Closes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Sessions are resumed by id and password.
    Apache,
    /// Every handshake is granted a new session; ids count from 1.
    Keeper,
}

/// Which flags of a creation are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateFlags {
    /// The numbers up to this one; others are refused.
    UpTo(i32),
    /// Ephemeral and sequential; other bits are ignored.
    TwoBits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AclRules {
    /// `world`, `auth`, `digest` and `ip`; invalid entries are refused.
    Apache,
    /// `world`, `auth` and `digest`; other entries are dropped, and so are entries for `world:anyone`.
    KeeperOld,
    /// The same, but an entry for `world:anyone` is kept unless it grants everything.
    KeeperNew,
}

/// How several kinds of watch on one path combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchKinds {
    /// A connection has the kind that it set last (ZOOKEEPER-4466). `removeWatches` knows three types,
    /// each of which matches every kind.
    LastSet,
    /// A connection has every kind that it set, and gets one event for all of them.
    OneEvent,
    /// A connection gets an event for each kind. That of a recursive watch names the watched node.
    EventEach,
}

/// The style of the answers to four-letter words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Apache's before 3.6, with whole milliseconds.
    ApacheOld,
    Apache,
    Keeper,
}
