//! I1, I3 to I6: what was said of a write is what the log says of it.

use std::collections::BTreeMap;

use super::Verdict;
use super::log::Log;
use crate::offline::simulation::history::{Change, Commit, History, Kind, Op, Outcome, Wire};

pub(super) fn check(history: &History, log: &Log<'_>, verdict: &mut Verdict) {
    for op in &history.ops {
        verdict.holds(
            "I3",
            op.outcome != Outcome::Pending,
            format_args!("never completed: {op:?}"),
        );
        if op.kind.writes() {
            write(op, log, verdict);
        }
        if op.kind == Kind::CreateProtected {
            protected(op, log, verdict);
        }
    }
    order(history, log, verdict);
    deletes(history, verdict);
    for session in &history.closed {
        let closes = |commit: &&Commit| commit.session == *session && commit.closes;
        verdict.holds(
            "I12",
            log.commits.iter().any(|commit| closes(&commit)),
            format_args!("session {session:#x} was closed, and the log does not say so"),
        );
    }
}

fn write(op: &Op, log: &Log<'_>, verdict: &mut Verdict) {
    let commits: Vec<&Commit> = log.writers(op.id).collect();
    let once = op.kind != Kind::CreateProtected;
    match &op.outcome {
        Outcome::Written { zxid, .. } => {
            let there = zxid.is_none_or(|zxid| commits.iter().any(|commit| commit.zxid == zxid));
            verdict.holds(
                "I4",
                !commits.is_empty() && there,
                format_args!("acknowledged and not in the log: {op:?}; {commits:?}"),
            );
        }
        Outcome::NotSent | Outcome::Rejected if once => verdict.holds(
            "I4",
            commits.is_empty(),
            format_args!("said to have had no effect: {op:?}; {commits:?}"),
        ),
        _ => {}
    }
    if once {
        verdict.holds(
            "I6",
            commits.len() <= 1,
            format_args!("executed more than once: {op:?}; {commits:?}"),
        );
        // What was submitted in one session is not executed in another. A later attempt of a retried
        // transaction may be submitted in the next one.
        if op.session != 0 && op.kind != Kind::MultiRetried {
            verdict.holds(
                "I4",
                commits.iter().all(|commit| commit.session == op.session),
                format_args!("executed in another session: {op:?}; {commits:?}"),
            );
        }
    }
}

/// At most one node of those that one creation made is left, and its caller knows it.
fn protected(op: &Op, log: &Log<'_>, verdict: &mut Verdict) {
    let mut made = Vec::new();
    for commit in log.writers(op.id) {
        for change in &commit.changes {
            if let Change::Create { path, value, .. } = change
                && *value == Some(op.id)
            {
                made.push(path.as_str());
            }
        }
    }
    let is_left = |path: &&str| {
        let data = log.data(path);
        data.last()
            .is_some_and(|(_, data)| *data != super::log::Data::Deleted)
    };
    let left: Vec<&str> = made.iter().copied().filter(|path| is_left(path)).collect();
    let right = match &op.outcome {
        Outcome::Written {
            path: Some(path), ..
        } => made.contains(&path.as_str()) && left.iter().all(|left| left == path),
        Outcome::NotSent | Outcome::Rejected => left.is_empty(),
        _ => left.len() <= 1,
    };
    verdict.holds(
        "I5",
        right,
        format_args!("made were {made:?}, left are {left:?}: {op:?}"),
    );
}

/// A session's writes take effect in the order in which they were submitted. One whose outcome was
/// unknown when its session was given up may still be on its way while the next session writes.
fn order(history: &History, log: &Log<'_>, verdict: &mut Verdict) {
    let mut last: BTreeMap<(usize, i64), (i64, u64)> = BTreeMap::new();
    for op in &history.ops {
        // These are several requests.
        if !op.kind.writes() || matches!(op.kind, Kind::CreateProtected | Kind::MultiRetried) {
            continue;
        }
        for commit in log.writers(op.id) {
            let (zxid, before) = last.entry((op.client, commit.session)).or_default();
            verdict.holds(
                "I1",
                commit.zxid > *zxid,
                format_args!("{op:?} took effect before operation {before}: {commit:?}"),
            );
            (*zxid, *before) = (commit.zxid, op.id);
        }
    }
}

/// A deletion bears no mark, so they are counted: by client and path.
fn deletes(history: &History, verdict: &mut Verdict) {
    let mut owners: BTreeMap<i64, usize> = BTreeMap::new();
    for on_wire in &history.wire {
        if let Wire::Established { session, .. } = on_wire.what {
            owners.insert(session, on_wire.client);
        }
    }
    let mut counts: BTreeMap<(usize, &str), [usize; 3]> = BTreeMap::new();
    for op in history.ops.iter().filter(|op| op.kind.deletes()) {
        let count = counts.entry((op.client, &op.path)).or_default();
        match op.outcome {
            Outcome::Done => count[0] += 1,
            Outcome::Unknown | Outcome::Cancelled => count[1] += 1,
            _ => {}
        }
    }
    for commit in history.log.iter().filter(|commit| !commit.closes) {
        for change in &commit.changes {
            if let (Change::Delete { path }, Some(client)) = (change, owners.get(&commit.session))
                && let Some(count) = counts.get_mut(&(*client, path.as_str()))
            {
                count[2] += 1;
            }
        }
    }
    for ((client, path), [done, maybe, logged]) in counts {
        verdict.holds(
            "I4",
            (done..=done + maybe).contains(&logged),
            format_args!(
                "client {client} deleted {path} {done} times, and {maybe} times perhaps; the log \
                 has {logged}"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;
    use crate::offline::simulation::history::OnWire;

    fn op(id: u64, kind: Kind, outcome: Outcome) -> Op {
        Op {
            id,
            client: 0,
            session: 7,
            epoch: 1,
            kind,
            path: "/a".to_owned(),
            outcome,
            end_epoch: 1,
            error: String::new(),
            from: 0,
            to: 0,
        }
    }

    fn ok(zxid: i64) -> Outcome {
        Outcome::Written {
            zxid: Some(zxid),
            path: None,
        }
    }

    fn set(zxid: i64, value: u64) -> Commit {
        Commit {
            zxid,
            session: 7,
            closes: false,
            changes: vec![Change::Set {
                path: "/a".to_owned(),
                value: Some(value),
                token: None,
            }],
        }
    }

    fn history(ops: Vec<Op>, log: Vec<Commit>) -> History {
        History {
            ops,
            log,
            credentials: vec![0],
            ..History::default()
        }
    }

    fn found(history: &History, invariant: &str) -> bool {
        wrong(history)
            .iter()
            .any(|line| line.starts_with(invariant))
    }

    #[test]
    fn log_once_and_in_order_is_right() {
        let ops = vec![
            op(0, Kind::Set, ok(1)),
            op(1, Kind::Set, Outcome::Rejected),
            op(2, Kind::Set, Outcome::Unknown),
            op(3, Kind::Set, ok(4)),
        ];
        let right = history(ops, vec![set(1, 0), set(3, 2), set(4, 3)]);
        assert!(wrong(&right).is_empty(), "{:?}", wrong(&right));
    }

    /// Guards: I1.
    #[test]
    fn reordered_write_is_found() {
        let ops = vec![op(0, Kind::Set, ok(2)), op(1, Kind::Set, ok(1))];
        assert!(found(&history(ops, vec![set(1, 1), set(2, 0)]), "I1"));
    }

    /// Guards: I3.
    #[test]
    fn incomplete_operation_is_found() {
        let ops = vec![op(0, Kind::Get, Outcome::Pending)];
        assert!(found(&history(ops, Vec::new()), "I3"));
    }

    /// Guards: I4.
    #[test]
    fn lost_acknowledged_write_is_found() {
        let ops = vec![op(0, Kind::Set, ok(1))];
        assert!(found(&history(ops, Vec::new()), "I4"));
        let ops = vec![op(0, Kind::Set, ok(2))];
        assert!(found(&history(ops, vec![set(1, 0)]), "I4"));
    }

    /// Guards: I4.
    #[test]
    fn applied_rejected_write_is_found() {
        for outcome in [Outcome::NotSent, Outcome::Rejected] {
            let ops = vec![op(0, Kind::Create, outcome)];
            assert!(found(&history(ops, vec![set(1, 0)]), "I4"));
        }
    }

    /// Guards: I4.
    #[test]
    fn write_in_another_session_is_found() {
        let mut late = op(0, Kind::Set, ok(1));
        late.session = 6;
        assert!(found(&history(vec![late], vec![set(1, 0)]), "I4"));
    }

    /// Guards: I4.
    #[test]
    fn wrong_number_of_deletions_is_found() {
        let delete = Commit {
            changes: vec![Change::Delete {
                path: "/a".to_owned(),
            }],
            ..set(1, 0)
        };
        let wire = |history: &mut History| {
            history.wire.push(OnWire {
                at: 0,
                client: 0,
                connection: 0,
                what: Wire::Established {
                    session: 7,
                    timeout_ms: 1_000,
                },
            });
        };
        let mut missing = history(vec![op(0, Kind::Delete, Outcome::Done)], Vec::new());
        wire(&mut missing);
        assert!(found(&missing, "I4"));
        let rejected = vec![op(0, Kind::Delete, Outcome::Rejected)];
        let mut made = history(rejected, vec![delete]);
        wire(&mut made);
        assert!(found(&made, "I4"));
    }

    /// Guards: I5.
    #[test]
    fn second_protected_node_is_found() {
        let create = |zxid, path: &str| Commit {
            changes: vec![Change::Create {
                path: path.to_owned(),
                value: Some(0),
                owner: 0,
            }],
            ..set(zxid, 0)
        };
        let made = Outcome::Written {
            zxid: Some(2),
            path: Some("/p2".to_owned()),
        };
        let ops = vec![op(0, Kind::CreateProtected, made)];
        assert!(found(
            &history(ops, vec![create(1, "/p1"), create(2, "/p2")]),
            "I5"
        ));
        let ops = vec![op(0, Kind::CreateProtected, Outcome::Rejected)];
        assert!(found(&history(ops, vec![create(1, "/p1")]), "I5"));
    }

    /// Guards: I6.
    #[test]
    fn write_executed_twice_is_found() {
        let ops = vec![op(0, Kind::Set, Outcome::Unknown)];
        assert!(found(&history(ops, vec![set(1, 0), set(2, 0)]), "I6"));
    }

    /// Guards: I12.
    #[test]
    fn closed_session_that_continues_is_found() {
        let mut closed = history(Vec::new(), vec![set(1, 0)]);
        closed.closed.push(7);
        assert!(found(&closed, "I12"));
    }
}
