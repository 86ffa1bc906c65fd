//! What the model requests, and what it receives.

use bytes::Bytes;
use zk_client::{Acl, Stat, State};

/// Something that the model cannot do itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Read the names of a znode's children.
    Children(String),
    /// Read a znode's data, stat and ACL.
    Read(String),
    /// Deliver the events of a znode, until [`Unwatch`](Self::Unwatch).
    Watch(String),
    Unwatch(String),
    /// Search the names below a znode; the results carry the number.
    Find {
        number: u64,
        below: String,
        word: String,
    },
    StopFind,
    Set {
        path: String,
        data: Bytes,
        version: i32,
    },
    Create {
        path: String,
        data: Bytes,
    },
    /// Count what is below a znode.
    Count(String),
    /// Delete a znode of this version, or also what is below it.
    Delete {
        path: String,
        version: Option<i32>,
    },
    /// Let an editor change the data.
    Edit {
        path: String,
        data: Bytes,
    },
    /// Put text into the clipboard.
    Copy(String),
    Quit,
}

/// What has been read of a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) data: Result<Bytes, String>,
    pub(super) stat: Option<Stat>,
    pub(super) acl: Result<Vec<Acl>, String>,
}

/// What a request, the session or the clock has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Children {
        path: String,
        names: Result<Vec<String>, Unread>,
    },
    Read {
        path: String,
        content: Result<Content, Unread>,
    },
    /// The znode is watched now, or may have been changed unnoticed.
    Stale(String),
    DataChanged(String),
    ChildrenChanged(String),
    Deleted(String),
    /// The znode is not watched; why.
    NotWatched {
        path: String,
        why: String,
    },
    Found {
        number: u64,
        paths: Vec<String>,
        visited: usize,
    },
    FindEnded {
        number: u64,
        visited: usize,
        error: Option<String>,
    },
    Set {
        path: String,
        data: Bytes,
        done: Result<(), Refused>,
    },
    Created {
        path: String,
        done: Result<(), String>,
    },
    Counted {
        path: String,
        count: Result<u64, String>,
    },
    Deletion {
        path: String,
        done: Result<(), String>,
    },
    /// The data after the editor.
    Edited {
        path: String,
        data: Result<Bytes, Unfinished>,
    },
    /// `server` is the one that the client is connected to.
    State {
        state: State,
        server: Option<String>,
    },
}

/// Why a znode was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It does not exist.
    Gone,
    Failed(String),
}

/// An edit whose result is not to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub(super) why: String,
    /// What the editor has left, if it can be read.
    pub(super) data: Option<Bytes>,
}

/// Why data were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another client has changed them.
    Version,
    Failed(String),
    /// They may be written nevertheless.
    Unknown(String),
}
