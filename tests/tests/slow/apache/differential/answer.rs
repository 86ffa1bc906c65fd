//! What a server said, in words that are the same on every server: zxids are counted from the
//! beginning of the trace, sessions numbered, times reduced to whether there is one, and what has
//! no order is sorted.

use std::collections::HashMap;

use bytes::Bytes;
use zk_proto::records::*;
use zk_proto::{Acl, Decode, DecodeError, OpCode, ReplyHeader, Stat, Zxid, decode_frame};

/// How one server's numbers are made comparable.
#[derive(Default)]
pub(crate) struct Names {
    /// The last zxid before the trace.
    pub(crate) base: i64,
    sessions: HashMap<i64, usize>,
}

impl Names {
    /// Gives a session the next number.
    pub(crate) fn add(&mut self, session: i64) {
        let next = self.sessions.len() + 1;
        self.sessions.entry(session).or_insert(next);
    }

    pub(crate) fn session(&self, id: i64) -> String {
        match self.sessions.get(&id) {
            Some(number) => format!("session {number}"),
            None => format!("{id:#x}"),
        }
    }

    pub(crate) fn zxid(&self, zxid: i64) -> String {
        match zxid {
            // No transaction: the beginning of time, or none at all.
            ..=0 => zxid.to_string(),
            _ => format!("+{}", zxid - self.base),
        }
    }

    fn stat(&self, stat: &Stat) -> String {
        let Stat {
            czxid: Zxid(czxid),
            mzxid: Zxid(mzxid),
            pzxid: Zxid(pzxid),
            ..
        } = *stat;
        // Two transactions may fall into one millisecond, but one is never in two.
        let times = match (stat.ctime, stat.mtime) {
            (0, 0) => "never",
            (0, _) | (_, 0) => "half",
            (ctime, mtime) if czxid == mzxid && ctime != mtime => "torn",
            _ => "times",
        };
        format!(
            "{{c {} m {} p {} {times} v {} cv {} av {} owner {} len {} children {}}}",
            self.zxid(czxid),
            self.zxid(mzxid),
            self.zxid(pzxid),
            stat.version,
            stat.cversion,
            stat.aversion,
            self.session(stat.ephemeral_owner),
            stat.data_length,
            stat.num_children,
        )
    }

    fn result(&self, result: &MultiResult) -> String {
        match result {
            MultiResult::Create2 { path, stat } => format!("created {path} {}", self.stat(stat)),
            MultiResult::SetData { stat } => format!("set {}", self.stat(stat)),
            MultiResult::GetData { data, stat } => {
                format!("{} {}", shown(data.as_ref()), self.stat(stat))
            }
            MultiResult::Children { children } => listed(children),
            MultiResult::Create { .. }
            | MultiResult::Delete
            | MultiResult::Check
            | MultiResult::Error(_) => format!("{result:?}"),
        }
    }

    /// A whole reply, but for its xid.
    pub(crate) fn reply(&self, op: i32, header: &ReplyHeader, frame: &Bytes) -> String {
        let body = match OpCode::from_i32(op) {
            _ if frame.len() == ReplyHeader::LEN => String::new(),
            Some(op) if header.err == 0 => self
                .body(op, frame)
                .unwrap_or_else(|error| format!("{error}: {:?}", &frame[ReplyHeader::LEN..])),
            _ => format!("{:?}", &frame[ReplyHeader::LEN..]),
        };
        format!(
            "err {} at {} {} bytes {body}",
            header.err,
            self.zxid(header.zxid.0),
            frame.len() - ReplyHeader::LEN,
        )
    }

    fn body(&self, op: OpCode, frame: &Bytes) -> Result<String, DecodeError> {
        fn read<'a, T: Decode<'a>>(frame: &'a Bytes) -> Result<T, DecodeError> {
            decode_frame(frame, ReplyHeader::LEN)
        }
        Ok(match op {
            OpCode::Create => read::<CreateResponse>(frame)?.path,
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                let Create2Response { path, stat } = read(frame)?;
                format!("{path} {}", self.stat(&stat))
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => {
                self.stat(&read::<StatResponse>(frame)?.stat)
            }
            OpCode::GetData => {
                let GetDataResponse { data, stat } = read(frame)?;
                format!("{} {}", shown(data.as_ref()), self.stat(&stat))
            }
            OpCode::GetAcl => {
                let GetAclResponse { mut acl, stat } = read(frame)?;
                sort_proven(&mut acl);
                format!("{acl:?} {}", self.stat(&stat))
            }
            OpCode::GetChildren => listed(&read::<GetChildrenResponse>(frame)?.children),
            OpCode::GetChildren2 => {
                let GetChildren2Response { children, stat } = read(frame)?;
                format!("{} {}", listed(&children), self.stat(&stat))
            }
            OpCode::GetEphemerals => sorted(&read::<GetEphemeralsResponse>(frame)?.paths),
            OpCode::GetAllChildrenNumber => {
                format!("{:?}", read::<GetAllChildrenNumberResponse>(frame)?)
            }
            OpCode::Sync => format!("{:?}", read::<SyncResponse>(frame)?),
            OpCode::AddWatch => format!("{:?}", read::<ErrorResponse>(frame)?),
            OpCode::WhoAmI => {
                let mut clients = read::<WhoAmIResponse>(frame)?.clients;
                clients.sort_by(|a, b| (&a.auth_scheme, &a.user).cmp(&(&b.auth_scheme, &b.user)));
                format!("{clients:?}")
            }
            OpCode::Multi | OpCode::MultiRead => {
                let results = read::<MultiResponse>(frame)?.results;
                let results: Vec<_> = results.iter().map(|result| self.result(result)).collect();
                format!("{results:?}")
            }
            _ => format!("{:?}", &frame[ReplyHeader::LEN..]),
        })
    }
}

/// What `auth` stands for in an ACL is a hash set in Java. Only neighbours that can have come from
/// one such entry are sorted: the order of all others is the client's, and must be kept.
fn sort_proven(acl: &mut [Acl]) {
    let proven = |entry: &Acl| entry.id.scheme == "digest";
    for run in acl.chunk_by_mut(|a, b| proven(a) && proven(b) && a.perms == b.perms) {
        run.sort_by(|a, b| a.id.id.cmp(&b.id.id));
    }
}

fn listed(names: &Children) -> String {
    format!("{:?}", names.to_vec())
}

/// The paths of a session's ephemerals are a hash set in Java.
fn sorted(names: &Children) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    format!("{names:?}")
}

fn shown(data: Option<&Bytes>) -> String {
    match data {
        Some(data) if data.len() > 64 => format!("{}× {:?}", data.len(), data.slice(..8)),
        _ => format!("{data:?}"),
    }
}
