//! I1, I7, I10: what a client reads has been written, and is never older than what it has seen.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use super::log::Log;
use crate::offline::simulation::history::{History, Kind, Outcome, Read};

pub(super) fn check(
    history: &History,
    log: &Log<'_>,
    forged: &BTreeSet<usize>,
    verdict: &mut Verdict,
) {
    // Of each client: the epoch, and the last transaction it knows of.
    let mut known: BTreeMap<usize, (u64, i64)> = BTreeMap::new();
    for op in &history.ops {
        if forged.contains(&op.client) || !is_one_request(op.kind) {
            continue;
        }
        let (epoch, floor) = known.entry(op.client).or_default();
        if *epoch != op.epoch {
            (*epoch, *floor) = (op.epoch, 0);
        }
        // An answer of the next session need not know what this one has seen.
        let same_session = op.end_epoch == op.epoch;
        let least = if same_session { *floor } else { 0 };
        let evidence = match &op.outcome {
            Outcome::Read(read) => {
                let (seen, holds) = judge(&op.path, *read, log, least);
                verdict.holds(
                    "I10",
                    holds,
                    format_args!("after {least:#x} was known: {op:?}"),
                );
                seen
            }
            Outcome::Written { zxid, .. } => zxid.unwrap_or_default(),
            _ => 0,
        };
        if same_session {
            *floor = (*floor).max(evidence);
        }
    }
}

fn is_one_request(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::CreateProtected | Kind::MultiRetried | Kind::Lock | Kind::Lead
    )
}

/// What a read proves its client to know, and whether it can be.
fn judge(path: &str, read: Read, log: &Log<'_>, least: i64) -> (i64, bool) {
    let current = |next: Option<i64>| next.is_none_or(|next| next > least);
    match read {
        Read::Data { mzxid, value } => {
            let written = log.written(path, mzxid) == Some(value);
            (mzxid, written && current(log.next_data(path, mzxid)))
        }
        Read::Present { mzxid } => {
            let written = log.written(path, mzxid).is_some();
            (mzxid, written && current(log.next_data(path, mzxid)))
        }
        Read::Absent => (0, log.absent_since(path, least)),
        Read::Children { pzxid } => {
            let changed = log.children(path).contains(&pzxid) || log.written(path, pzxid).is_some();
            (pzxid, changed && current(log.next_children(path, pzxid)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;
    use crate::offline::simulation::history::{Change, Commit, Op};

    fn read(id: u64, read: Read) -> Op {
        Op {
            id,
            client: 0,
            session: 7,
            epoch: 1,
            kind: Kind::Get,
            path: "/a".to_owned(),
            outcome: Outcome::Read(read),
            end_epoch: 1,
            error: String::new(),
            from: 0,
            to: 0,
        }
    }

    fn commit(zxid: i64, change: Change) -> Commit {
        Commit {
            zxid,
            session: 9,
            closes: false,
            changes: vec![change],
        }
    }

    fn create(path: &str) -> Change {
        Change::Create {
            path: path.to_owned(),
            value: None,
            owner: 0,
        }
    }

    fn set(value: u64) -> Change {
        Change::Set {
            path: "/a".to_owned(),
            value: Some(value),
            token: None,
        }
    }

    fn log() -> Vec<Commit> {
        let delete = Change::Delete {
            path: "/a".to_owned(),
        };
        vec![
            commit(1, create("/a")),
            commit(2, set(50)),
            commit(3, create("/a/c")),
            commit(4, set(51)),
            commit(5, delete),
        ]
    }

    fn verdict(ops: Vec<Op>) -> Vec<String> {
        wrong(&History {
            ops,
            log: log(),
            credentials: vec![0],
            ..History::default()
        })
    }

    fn data(mzxid: i64, value: u64) -> Read {
        Read::Data {
            mzxid,
            value: Some(value),
        }
    }

    #[test]
    fn reads_that_go_forward_are_right() {
        let ops = vec![
            read(0, Read::Absent),
            read(1, Read::Present { mzxid: 1 }),
            read(2, data(2, 50)),
            read(3, Read::Children { pzxid: 3 }),
            read(4, data(4, 51)),
            read(5, Read::Absent),
        ];
        assert!(verdict(ops).is_empty());
    }

    /// Guards: I10.
    #[test]
    fn read_of_unwritten_data_is_found() {
        assert!(!verdict(vec![read(0, data(2, 51))]).is_empty());
        assert!(!verdict(vec![read(0, Read::Present { mzxid: 9 })]).is_empty());
        assert!(!verdict(vec![read(0, Read::Children { pzxid: 9 })]).is_empty());
    }

    /// Guards: I10.
    #[test]
    fn read_older_than_the_session_is_found() {
        assert!(!verdict(vec![read(0, data(4, 51)), read(1, data(2, 50))]).is_empty());
        let ops = vec![read(0, data(4, 51)), read(1, Read::Children { pzxid: 1 })];
        assert!(!verdict(ops).is_empty());
    }

    /// Guards: I10.
    #[test]
    fn wrong_no_node_is_found() {
        let mut there = log();
        there.pop();
        let history = History {
            ops: vec![read(0, data(2, 50)), read(1, Read::Absent)],
            log: there,
            credentials: vec![0],
            ..History::default()
        };
        assert!(!wrong(&history).is_empty());
    }

    #[test]
    fn a_new_session_may_see_less() {
        let mut late = read(1, data(2, 50));
        (late.epoch, late.end_epoch) = (2, 2);
        assert!(verdict(vec![read(0, data(4, 51)), late]).is_empty());
    }
}
