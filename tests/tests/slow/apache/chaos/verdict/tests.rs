//! The judge is judged: what must not happen is seen.

use zk_client::SessionId;

use super::*;

const OWN: i64 = 7;

fn created(path: &str, data: &str) -> Change {
    Change::Created {
        path: format!("{ROOT}{path}"),
        data: data.into(),
    }
}

fn set(path: &str, data: &str, version: i32) -> Change {
    Change::Set {
        path: format!("{ROOT}{path}"),
        data: data.into(),
        version,
    }
}

fn log(transactions: Vec<Vec<Change>>) -> Log {
    let txns = (1..).zip(transactions).map(|(zxid, changes)| {
        let session = OWN;
        let txn = Txn {
            zxid,
            session,
            changes,
        };
        ((zxid, session), txn)
    });
    Log::new(&txns.collect())
}

fn attempt(op: Op, id: &str, fate: Fate) -> Attempt {
    Attempt {
        op,
        id: id.to_owned(),
        fate,
        session: Some(SessionId(OWN)),
    }
}

fn acknowledged(path: &str) -> Fate {
    Fate::Acknowledged(path.to_owned())
}

/// The violations of these attempts, given what was logged and what is there.
fn violations(attempts: &[Attempt], log: &Log, there: &[&str]) -> Vec<String> {
    let mut truth = Tree::default();
    truth.names.extend(there.iter().map(ToString::to_string));
    let run = Run::default();
    Verdict::default().judge_writes(attempts, log, &truth, &run);
    run.violations()
}

#[test]
fn repeated_or_lost_write_is_found() {
    let once = log(vec![vec![created("/p/0/a", "a")]]);
    let twice = log(vec![vec![set("/s/0", "a", 1)], vec![set("/s/0", "a", 2)]]);
    let never = log(Vec::new());
    let create = |fate| [attempt(Op::Create, "a", fate)];
    let write = |fate| [attempt(Op::Set, "a", fate)];
    let there = ["/p/0/a"];
    assert!(violations(&create(acknowledged("/p/0/a")), &once, &there).is_empty());
    assert!(violations(&create(Fate::Unknown), &once, &there).is_empty());
    assert!(violations(&create(Fate::Unknown), &never, &[]).is_empty());
    assert!(violations(&create(Fate::NotSent), &never, &[]).is_empty());

    assert_eq!(
        violations(&create(acknowledged("/p/0/a")), &never, &[]).len(),
        1
    );
    assert_eq!(violations(&create(Fate::NotSent), &once, &there).len(), 1);
    assert_eq!(violations(&create(Fate::Rejected), &once, &there).len(), 1);
    assert_eq!(
        violations(&write(acknowledged("/s/0")), &twice, &[]).len(),
        1
    );
    assert_eq!(violations(&write(Fate::Unknown), &twice, &[]).len(), 1);
}

#[test]
fn write_in_another_session_is_found() {
    let log = log(vec![vec![created("/p/0/a", "a")]]);
    let mut of_another = attempt(Op::Create, "a", acknowledged("/p/0/a"));
    of_another.session = Some(SessionId(OWN + 1));
    assert_eq!(violations(&[of_another], &log, &["/p/0/a"]).len(), 1);
}

#[test]
fn half_a_transaction_is_seen() {
    let whole = log(vec![vec![created("/m/0/a", "a"), set("/t/0", "a", 1)]]);
    let half = log(vec![vec![created("/m/0/a", "a")]]);
    let attempts = [attempt(Op::Multi, "a", acknowledged("/m/0/a"))];
    assert!(violations(&attempts, &whole, &["/m/0/a"]).is_empty());
    assert_eq!(violations(&attempts, &half, &["/m/0/a"]).len(), 1);
}

#[test]
fn logged_but_missing_is_the_servers_loss() {
    let log = log(vec![vec![created("/p/0/a", "a")]]);
    let run = Run::default();
    let mut verdict = Verdict::default();
    let attempts = [attempt(Op::Create, "a", acknowledged("/p/0/a"))];
    verdict.judge_writes(&attempts, &log, &Tree::default(), &run);
    assert_eq!((verdict.lost_by_servers, run.violations().len()), (1, 0));
}

fn deleted(path: &str) -> Change {
    Change::Deleted {
        path: format!("{ROOT}{path}"),
    }
}

/// A client that deletes what it has created, such as by a clean-up, must not pass for a server that
/// loses it.
#[test]
fn a_deletion_by_no_worker_is_no_loss() {
    for (op, path) in [
        (Op::Create, "/p/0/a"),
        (Op::Sequential, "/q/0/n-1"),
        (Op::Multi, "/m/0/a"),
        (Op::Ephemeral, "/e/a"),
    ] {
        let mut made = vec![created(path, "a")];
        made.extend((op == Op::Multi).then(|| set("/t/0", "a", 1)));
        let log = log(vec![made, vec![deleted(path)]]);
        let run = Run::default();
        let mut verdict = Verdict::default();
        let attempts = [attempt(op, "a", acknowledged(path))];
        verdict.judge_writes(&attempts, &log, &Tree::default(), &run);
        let found = (verdict.lost_by_servers, run.violations().len());
        assert_eq!(found, (0, 1), "{op:?}");
    }
    let log = log(vec![vec![created("/p/0/a", "a")], vec![deleted("/p/0/a")]]);
    let attempts = [
        attempt(Op::Create, "a", acknowledged("/p/0/a")),
        attempt(Op::Delete, "/p/0/a", Fate::Unknown),
    ];
    assert!(violations(&attempts, &log, &[]).is_empty());
}

/// Its writer reads the version again and continues from there, so that neither a count of versions nor
/// the data show it.
#[test]
fn a_version_that_is_given_twice_is_a_loss() {
    let history = |versions: [i32; 3]| {
        let ids = ["a", "b", "c"].into_iter().zip(versions);
        log(ids
            .map(|(id, version)| vec![set("/s/0", id, version)])
            .collect())
    };
    let acknowledged = ["a", "b", "c"].map(|id| attempt(Op::Set, id, acknowledged("/s/0")));
    for (versions, lost) in [([1, 2, 3], 0), ([1, 1, 2], 1), ([1, 2, 1], 2)] {
        let run = Run::default();
        let mut verdict = Verdict::default();
        let log = history(versions);
        verdict.judge_writes(&acknowledged, &log, &Tree::default(), &run);
        assert_eq!((verdict.lost_by_servers, run.violations().len()), (lost, 0));
    }
}

#[test]
fn only_old_servers_are_excused() {
    for (keeps, lost, violations, excused) in [
        (false, 0, 1, 0),
        (false, 1, 0, 1),
        (true, 0, 1, 0),
        (true, 1, 2, 0),
    ] {
        let run = Run::default();
        run.suspicion(Vec::new(), "a read came late");
        let mut verdict = Verdict {
            lost_by_servers: lost,
            ..Verdict::default()
        };
        verdict.settle(keeps, &run);
        let found = (run.violations().len(), verdict.excused.len());
        assert_eq!(found, (violations, excused), "{keeps} {lost}");
    }
}

#[test]
fn a_loss_excuses_only_what_is_near() {
    let in_epoch = |epoch: i64| (epoch << 32) + 1;
    let run = Run::default();
    for epoch in 1..=9 {
        run.suspicion(vec![in_epoch(epoch)], "an event is missing");
    }
    let mut verdict = Verdict::default();
    verdict.lose(&[(in_epoch(3), OWN)]);
    verdict.diverged.push("server 2".to_owned());
    verdict.note_epochs([in_epoch(7)]);
    verdict.settle(false, &run);
    // 2 to 4 and 6 to 8.
    assert_eq!((verdict.excused.len(), run.violations().len()), (6, 3));
}

#[test]
fn the_changes_between_two_trees_are_found() {
    let log = log(vec![
        vec![created("/p/0/a", "a")],
        vec![created("/p/0/b", "b")],
        vec![deleted("/p/0/b")],
        vec![created("/q/0/n-1", "c")],
        vec![set("/s/0", "d", 1)],
        vec![set("/s/0", "e", 2)],
    ]);
    let mut truth = Tree::default();
    truth.names.insert("/p/0/a".to_owned());
    truth.versions.insert("/s/0".to_owned(), 2);
    assert!(log.between(&truth, &truth).is_empty());
    let mut tree = Tree::default();
    tree.names.insert("/p/0/b".to_owned());
    tree.data.insert("/q/0/n-1".to_owned(), "c".to_owned());
    tree.versions.insert("/s/0".to_owned(), 1);
    let mut zxids = log.between(&truth, &tree);
    zxids.sort_unstable();
    assert_eq!(zxids, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn duplicate_protected_znode_is_found() {
    let mut truth = Tree::default();
    let log = log(Vec::new());
    let attempts = [attempt(Op::Sequential, "a", acknowledged("/q/0/n-1"))];
    let run = Run::default();
    truth.data.insert("/q/0/n-1".to_owned(), "a".to_owned());
    Verdict::default().judge_writes(&attempts, &log, &truth, &run);
    assert!(run.violations().is_empty());
    truth.data.insert("/q/0/n-2".to_owned(), "a".to_owned());
    Verdict::default().judge_writes(&attempts, &log, &truth, &run);
    assert_eq!(run.violations().len(), 1);
}

#[test]
fn wrong_register_version_is_found() {
    let attempts = [
        attempt(Op::Set, "0-1", acknowledged("/s/0")),
        attempt(Op::Set, "0-2", Fate::Unknown),
        attempt(Op::Set, "0-3", Fate::NotSent),
    ];
    for (version, right) in [(0, false), (1, true), (2, true), (3, false)] {
        let mut truth = Tree::default();
        truth.versions.insert("/s/0".to_owned(), version);
        let run = Run::default();
        judge_registers(&attempts, &truth, &run);
        let seen = run.violations().len() + run.take_suspicions().len();
        assert_eq!(seen == 0, right, "{version}");
    }
}

#[test]
fn missed_event_without_gap_is_found() {
    let changes = vec![
        vec![created("/p/0", "")],
        vec![created("/p/0/a", "a")],
        vec![created("/p/0/b", "b")],
        vec![created("/p/0/c", "c")],
    ];
    let log = log(changes);
    let made = |path: &str| Seen::Node(NodeEventKind::Created, format!("/p/0/{path}"));
    let judge = |seen: &[Seen]| {
        let run = Run::default();
        judge_watch(seen, &log, &run);
        run.violations().len() + run.take_suspicions().len()
    };
    assert_eq!(judge(&[made("a"), made("b"), made("c")]), 0);
    assert_eq!(judge(&[made("a"), Seen::Gap, made("c")]), 0);
    assert_eq!(judge(&[Seen::Gap, made("c")]), 0);
    // A server behind the last one sends the event again.
    assert_eq!(
        judge(&[made("a"), made("b"), Seen::Gap, made("b"), made("c")]),
        0
    );

    assert_eq!(judge(&[made("a"), made("c")]), 1);
    assert_eq!(judge(&[made("b"), made("c")]), 1, "the first one is missed");
    assert_eq!(judge(&[made("a"), made("a"), made("b"), made("c")]), 1);
    assert_eq!(judge(&[made("b"), made("a")]), 2);
    assert_eq!(judge(&[made("a"), made("x"), made("b")]), 1);
}

/// The creation is lost in one epoch; the server logs the deletion much later, refuses it, and has no
/// event to deliver.
#[test]
fn a_lost_znode_excuses_its_deletion() {
    let in_epoch = |epoch: i64| (epoch << 32) + 1;
    let txn = |zxid, change| {
        let changes = vec![change];
        let session = OWN;
        let txn = Txn {
            zxid,
            session,
            changes,
        };
        ((zxid, session), txn)
    };
    let txns = [
        txn(in_epoch(2), created("/p/0/a", "a")),
        txn(in_epoch(8), deleted("/p/0/a")),
        txn(in_epoch(9), created("/p/0/b", "b")),
    ];
    let log = Log::new(&txns.into());
    let attempts = [attempt(Op::Delete, "/p/0/a", Fate::Rejected)];
    let seen = [
        Seen::Node(NodeEventKind::Created, "/p/0/a".to_owned()),
        Seen::Node(NodeEventKind::Created, "/p/0/b".to_owned()),
    ];
    for (lost_in, excused, violations) in [(3, 2, 0), (5, 0, 2)] {
        let run = Run::default();
        let mut verdict = Verdict::default();
        verdict.judge_writes(&attempts, &log, &Tree::default(), &run);
        judge_watch(&seen, &log, &run);
        verdict.lose(&[(in_epoch(lost_in), OWN)]);
        verdict.settle(false, &run);
        let found = (verdict.excused.len(), run.violations().len());
        assert_eq!(found, (excused, violations), "{lost_in}");
    }
}
