//! I7, I8: what watches deliver has happened, in order; what happened is delivered, or lies in a gap.

use std::collections::BTreeSet;

use zk_client::NodeEventKind;

use super::Verdict;
use super::log::{Log, parent};
use crate::offline::simulation::history::{
    Change, Class, Delivered, History, Lasting, OneShot, Read,
};

pub(super) fn check(
    history: &History,
    log: &Log<'_>,
    forged: &BTreeSet<usize>,
    verdict: &mut Verdict,
) {
    for overtaken in &history.overtaken {
        // A client with a wrong zxid may get events of changes that it has seen.
        let holds = forged.contains(&overtaken.client);
        verdict.holds(
            "I7",
            holds,
            format_args!("a read was ahead of a watch: {overtaken:?}"),
        );
    }
    for one_shot in &history.one_shots {
        if !forged.contains(&one_shot.client) {
            fired(one_shot, log, verdict);
        }
    }
    for lasting in &history.lasting {
        if !forged.contains(&lasting.client) {
            followed(lasting, log, verdict);
        }
    }
}

/// The first transaction that a one-shot watch has to deliver.
fn due(watch: &OneShot, log: &Log<'_>) -> Option<i64> {
    match (watch.class, watch.seen) {
        (Class::Child, Read::Children { pzxid }) => log.next_children(&watch.path, pzxid),
        (_, Read::Data { mzxid, .. } | Read::Present { mzxid }) => {
            log.next_data(&watch.path, mzxid)
        }
        // When exactly it was missing is not known.
        _ => log.next_write(&watch.path, watch.armed),
    }
}

fn fired(watch: &OneShot, log: &Log<'_>, verdict: &mut Verdict) {
    let Some(delivered) = &watch.delivered else {
        let missed = due(watch, log)
            .zip(watch.due)
            .filter(|(zxid, due)| zxid <= due);
        return verdict.holds(
            "I8",
            missed.is_none(),
            format_args!("did not deliver {missed:?}: {watch:?}"),
        );
    };
    let Delivered::Node { kind, path, zxid } = delivered else {
        return;
    };
    let fits = match watch.class {
        Class::Child => matches!(
            kind,
            NodeEventKind::ChildrenChanged | NodeEventKind::Deleted
        ),
        _ => *kind != NodeEventKind::ChildrenChanged,
    };
    let known = match watch.seen {
        Read::Data { mzxid, .. } | Read::Present { mzxid } => mzxid,
        Read::Children { pzxid } => pzxid,
        Read::Absent => 0,
    };
    let happened = |zxid: i64| match kind {
        NodeEventKind::ChildrenChanged => log.children(path).contains(&zxid),
        _ => log.data(path).iter().any(|(at, _)| *at == zxid),
    };
    let happened = match zxid {
        Some(zxid) => *zxid > known && happened(*zxid),
        None => match watch.class {
            Class::Child => log.next_children(path, known).is_some(),
            _ => log.next_data(path, known).is_some(),
        },
    };
    verdict.holds(
        "I7",
        fits && happened && *path == watch.path,
        format_args!("delivered what did not happen: {watch:?}"),
    );
}

/// What a lasting watch has to deliver.
type Due<'a> = (i64, NodeEventKind, &'a str);

fn expected<'a>(watch: &Lasting, log: &Log<'a>) -> Vec<Due<'a>> {
    let mut due = Vec::new();
    let prefix = format!("{}/", watch.path.trim_end_matches('/'));
    for commit in log.commits {
        for change in &commit.changes {
            let (path, kind) = match change {
                Change::Create { path, .. } => (path, NodeEventKind::Created),
                Change::Set { path, .. } => (path, NodeEventKind::DataChanged),
                Change::Delete { path } => (path, NodeEventKind::Deleted),
                Change::Check => continue,
            };
            let below = watch.recursive && path.starts_with(&prefix);
            if *path == watch.path || below {
                due.push((commit.zxid, kind, path.as_str()));
            } else if !watch.recursive
                && kind != NodeEventKind::DataChanged
                && parent(path) == watch.path
            {
                let kind = NodeEventKind::ChildrenChanged;
                due.push((commit.zxid, kind, parent(path)));
            }
        }
    }
    due
}

fn followed(watch: &Lasting, log: &Log<'_>, verdict: &mut Verdict) {
    let dated = |delivered: &Delivered| !matches!(delivered, Delivered::Node { zxid: None, .. });
    if !watch.delivered.iter().all(dated) {
        // A server before 3.9 does not say which of several like changes an event is of.
        return;
    }
    let expected = expected(watch, log);
    let mut next = 0;
    // What was committed up to here may have been missed.
    let mut excused = watch.armed;
    let missed = |from: usize, to: usize, excused: i64| {
        let between = expected[from..to].iter();
        between.copied().find(|(zxid, ..)| *zxid > excused)
    };
    let up_to = |zxid: i64| expected.partition_point(|(at, ..)| *at <= zxid);
    for (place, delivered) in watch.delivered.iter().enumerate() {
        match delivered {
            Delivered::Node { kind, path, zxid } => {
                let zxid = zxid.unwrap_or_default();
                let event = (zxid, *kind, path.as_str());
                let found = expected[next..].iter().position(|due| *due == event);
                verdict.holds(
                    "I7",
                    found.is_some(),
                    format_args!(
                        "number {place}, {delivered:?}, did not happen or is out of order: {watch:?}"
                    ),
                );
                let Some(found) = found else { return };
                let missed = missed(next, next + found, excused);
                verdict.holds(
                    "I8",
                    missed.is_none(),
                    format_args!("{missed:?} is left out before number {place}: {watch:?}"),
                );
                next += found + 1;
            }
            Delivered::Gap { since, until } => {
                let missed = missed(next, up_to(*since).max(next), excused);
                verdict.holds(
                    "I8",
                    missed.is_none(),
                    format_args!("{missed:?} is left out before gap {place}: {watch:?}"),
                );
                excused = excused.max(*until);
                // The next server may be one that has yet to do what the last one had done.
                next = next.min(up_to(*since));
            }
            Delivered::Lagged { until } => {
                excused = excused.max(*until);
                // A gap that it stands for is one after which events come again.
                next = 0;
            }
            Delivered::Ended => {
                verdict.holds(
                    "I8",
                    place + 1 == watch.delivered.len(),
                    format_args!("an event after the end: {watch:?}"),
                );
                return;
            }
        }
    }
    if let Some(due) = watch.due {
        let missed = missed(next, up_to(due).max(next), excused);
        verdict.holds(
            "I8",
            missed.is_none(),
            format_args!("{missed:?} is not delivered: {watch:?}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;
    use crate::offline::simulation::history::{Commit, Overtaken};

    fn commit(zxid: i64, changes: Vec<Change>) -> Commit {
        Commit {
            zxid,
            session: 9,
            closes: false,
            changes,
        }
    }

    fn set(path: &str) -> Change {
        Change::Set {
            path: path.to_owned(),
            value: None,
            token: None,
        }
    }

    fn create(path: &str) -> Change {
        Change::Create {
            path: path.to_owned(),
            value: None,
            owner: 0,
        }
    }

    fn log() -> Vec<Commit> {
        vec![
            commit(1, vec![create("/a")]),
            commit(2, vec![set("/a")]),
            commit(3, vec![create("/a/c")]),
            commit(4, vec![set("/a")]),
        ]
    }

    fn one_shot(class: Class, seen: Read, delivered: Option<Delivered>) -> OneShot {
        OneShot {
            client: 0,
            path: "/a".to_owned(),
            class,
            seen,
            armed: 2,
            delivered,
            due: Some(4),
        }
    }

    fn node(kind: NodeEventKind, path: &str, zxid: i64) -> Delivered {
        Delivered::Node {
            kind,
            path: path.to_owned(),
            zxid: Some(zxid),
        }
    }

    fn with_one_shot(watch: OneShot) -> Vec<String> {
        wrong(&History {
            one_shots: vec![watch],
            log: log(),
            credentials: vec![0],
            ..History::default()
        })
    }

    fn with_lasting(recursive: bool, delivered: Vec<Delivered>) -> Vec<String> {
        wrong(&History {
            lasting: vec![Lasting {
                client: 0,
                path: "/a".to_owned(),
                recursive,
                armed: 1,
                delivered,
                due: Some(4),
            }],
            log: log(),
            credentials: vec![0],
            ..History::default()
        })
    }

    const SET: NodeEventKind = NodeEventKind::DataChanged;

    /// Guards: I7.
    #[test]
    fn read_ahead_of_a_watch_is_found() {
        let history = History {
            overtaken: vec![Overtaken {
                client: 0,
                path: "/a".to_owned(),
                known: 1,
                read: 2,
            }],
            ..History::default()
        };
        assert_eq!(wrong(&history).len(), 1);
    }

    /// Guards: I8.
    #[test]
    fn missed_one_shot_event_is_found() {
        let known = Read::Present { mzxid: 2 };
        let delivered = Some(node(SET, "/a", 4));
        assert!(with_one_shot(one_shot(Class::Data, known, delivered)).is_empty());
        assert_eq!(with_one_shot(one_shot(Class::Data, known, None)).len(), 1);
        let known = Read::Present { mzxid: 4 };
        assert!(with_one_shot(one_shot(Class::Data, known, None)).is_empty());
        let children = Read::Children { pzxid: 1 };
        assert_eq!(
            with_one_shot(one_shot(Class::Child, children, None)).len(),
            1
        );
        assert_eq!(
            with_one_shot(one_shot(Class::Data, Read::Absent, None)).len(),
            1
        );
        let gap = Some(Delivered::Gap { since: 2, until: 4 });
        assert!(with_one_shot(one_shot(Class::Data, Read::Absent, gap)).is_empty());
    }

    /// Guards: I7.
    #[test]
    fn invented_one_shot_event_is_found() {
        let known = Read::Present { mzxid: 2 };
        let old = Some(node(SET, "/a", 2));
        assert_eq!(with_one_shot(one_shot(Class::Data, known, old)).len(), 1);
        let other = Some(node(NodeEventKind::ChildrenChanged, "/a", 3));
        assert_eq!(with_one_shot(one_shot(Class::Data, known, other)).len(), 1);
        let undated = Delivered::Node {
            kind: SET,
            path: "/a".to_owned(),
            zxid: None,
        };
        let known = Read::Present { mzxid: 4 };
        let watch = one_shot(Class::Data, known, Some(undated));
        assert_eq!(with_one_shot(watch).len(), 1);
    }

    /// Guards: I8.
    #[test]
    fn missed_lasting_event_is_found() {
        let all = vec![
            node(SET, "/a", 2),
            node(NodeEventKind::Created, "/a/c", 3),
            node(SET, "/a", 4),
        ];
        assert!(with_lasting(true, all.clone()).is_empty());
        for left_out in 0..3 {
            let mut delivered = all.clone();
            delivered.remove(left_out);
            assert_eq!(with_lasting(true, delivered).len(), 1, "{left_out}");
        }
        let mut children = all;
        children[1] = node(NodeEventKind::ChildrenChanged, "/a", 3);
        assert!(with_lasting(false, children).is_empty());
    }

    /// Guards: I8.
    #[test]
    fn gap_excuses_only_changes_inside_it() {
        let gap = |since, until| Delivered::Gap { since, until };
        let last = node(SET, "/a", 4);
        let first = node(SET, "/a", 2);
        assert!(with_lasting(true, vec![first.clone(), gap(2, 3), last.clone()]).is_empty());
        // What was known before the gap had to be delivered before it.
        assert_eq!(with_lasting(true, vec![gap(2, 3), last.clone()]).len(), 1);
        // What came after it had to be delivered after it.
        assert_eq!(with_lasting(true, vec![first.clone(), gap(2, 3)]).len(), 1);
        assert!(with_lasting(true, vec![first, Delivered::Lagged { until: 3 }, last]).is_empty());
    }

    #[test]
    fn events_since_last_reply_may_repeat() {
        let (first, last) = (node(SET, "/a", 2), node(SET, "/a", 4));
        let between = node(NodeEventKind::Created, "/a/c", 3);
        let gap = Delivered::Gap { since: 2, until: 3 };
        let again = vec![first.clone(), between.clone(), gap, between, last.clone()];
        assert!(with_lasting(true, again).is_empty());
        let gap = Delivered::Gap { since: 2, until: 3 };
        let too_old = vec![first.clone(), gap, first, last];
        assert_eq!(with_lasting(true, too_old).len(), 1);
    }

    /// Guards: I7.
    #[test]
    fn wrong_event_sequence_is_found() {
        let (first, last) = (node(SET, "/a", 2), node(SET, "/a", 4));
        let between = node(NodeEventKind::Created, "/a/c", 3);
        let twice = vec![first.clone(), first.clone(), between.clone(), last.clone()];
        assert_eq!(with_lasting(true, twice).len(), 1);
        let out_of_order = vec![between, first, last.clone()];
        assert!(!with_lasting(true, out_of_order).is_empty());
        let invented = vec![node(SET, "/b", 2), last];
        assert_eq!(with_lasting(true, invented).len(), 1);
    }

    /// Guards: I8.
    #[test]
    fn events_after_the_end_are_found() {
        let delivered = vec![node(SET, "/a", 2), Delivered::Ended, node(SET, "/a", 4)];
        assert_eq!(with_lasting(true, delivered).len(), 1);
        assert!(with_lasting(true, vec![Delivered::Ended]).is_empty());
    }
}
