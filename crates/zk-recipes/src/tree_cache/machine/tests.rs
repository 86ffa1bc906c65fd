//! The machine, step by step.

use zk_client::Zxid;

use super::simulation::LIMITS;
use super::*;

fn query(machine: &mut Machine) -> (String, Read) {
    let query = machine.next_query().unwrap();
    (query.path.to_string(), query.read)
}

fn stat(czxid: i64, children: i32) -> Stat {
    let mut stat = Stat::default();
    (stat.czxid, stat.mzxid) = (Zxid(czxid), Zxid(czxid));
    stat.num_children = children;
    stat
}

fn answer(machine: &mut Machine, path: &str, read: Read, answer: Answer) -> Result<(), CacheError> {
    let query = machine.next_query().unwrap();
    assert_eq!((&*query.path, query.read), (path, read));
    machine.answered(&query, answer)
}

/// A machine that has read a root whose stat has this many children.
fn with_root(limits: Limits, children: i32) -> Machine {
    let mut machine = Machine::new("/", limits);
    machine.load(false);
    answer(&mut machine, "/", Read::Sync, Answer::Synced).unwrap();
    let root = Answer::Data(Bytes::new(), stat(1, children));
    answer(&mut machine, "/", Read::Data, root).unwrap();
    machine
}

/// A name counts like its node, so that a tree that is too large ends the cache before it fills the
/// memory.
///
/// Guards: B103.
#[test]
fn too_many_nodes_fail_before_they_are_held() {
    let limits = Limits {
        nodes: 10,
        ..LIMITS
    };
    let mut machine = with_root(limits, 11);
    let names = (0..11).map(|n| n.to_string()).collect();
    let listed = answer(
        &mut machine,
        "/",
        Read::Names,
        Answer::Names(names, stat(1, 11)),
    );
    assert!(matches!(
        listed,
        Err(CacheError::TooManyNodes { limit: 10 })
    ));

    let mut machine = with_root(limits, 5);
    let names = (0..5).map(|n| n.to_string()).collect();
    answer(
        &mut machine,
        "/",
        Read::Names,
        Answer::Names(names, stat(1, 5)),
    )
    .unwrap();
    let node = Answer::Data(Bytes::new(), stat(2, 5));
    answer(&mut machine, "/0", Read::Data, node).unwrap();
    // Two nodes, and the four names of the first list that are left.
    let names = (0..5).map(|n| n.to_string()).collect();
    let names = Answer::Names(names, stat(2, 5));
    let over = answer(&mut machine, "/0", Read::Names, names);
    assert!(matches!(over, Err(CacheError::TooManyNodes { limit: 10 })));
}

#[test]
fn more_bytes_than_allowed_are_an_error() {
    let limits = Limits {
        bytes: 1000,
        ..LIMITS
    };
    let mut machine = with_root(limits, 0);
    machine.touch("/a", Facet::Node);
    let large = Answer::Data(vec![0; 800].into(), stat(2, 0));
    let over = answer(&mut machine, "/a", Read::Data, large);
    assert!(matches!(
        over,
        Err(CacheError::TooManyBytes { limit: 1000 })
    ));
}

/// Guards: M4.
#[test]
fn unread_paths_count_and_start_over() {
    let limits = Limits {
        bytes: 1 << 20,
        ..LIMITS
    };
    let mut machine = with_root(limits, 0);
    let (mut most, mut gaps) = (0, 0);
    for n in 0..100_000 {
        machine.touch(&format!("/some-path/{n:010}"), Facet::Node);
        most = most.max(machine.worklist.bytes());
        if let Some((_, events)) = machine.take_changes() {
            let is_gap = |event: &&CacheEvent| matches!(event, CacheEvent::Gap { .. });
            gaps += events.iter().filter(is_gap).count();
        }
    }
    assert!(gaps > 10, "{gaps}");
    assert!(most <= limits.bytes, "{most}");
    // The known nodes stay, unconfirmed until they have been read again.
    assert_eq!(machine.snapshot().len(), 1);
    assert!(!machine.snapshot().is_complete());
    answer(&mut machine, "/", Read::Sync, Answer::Synced).unwrap();
    while let Some(query) = machine.next_query() {
        let found = match (&*query.path, query.read) {
            ("/", Read::Stat) => Answer::Stat(stat(1, 0)),
            ("/", _) => Answer::Data("again".into(), stat(1, 0)),
            _ => Answer::Absent,
        };
        machine.answered(&query, found).unwrap();
    }
    assert!(machine.snapshot().is_complete());
    assert_eq!(machine.worklist.bytes(), 0);
}

/// Guards: M4.
#[test]
fn names_to_be_read_count_as_bytes() {
    let limits = Limits {
        bytes: 1 << 20,
        ..LIMITS
    };
    let mut machine = with_root(limits, 20_000);
    let names = (0..20_000).map(|n| format!("{n:0100}")).collect();
    let names = Answer::Names(names, stat(1, 20_000));
    let over = answer(&mut machine, "/", Read::Names, names);
    let limit = limits.bytes;
    assert!(matches!(over, Err(CacheError::TooManyBytes { limit: l }) if l == limit));
}

/// Guards: M4.
#[test]
fn a_list_replaces_the_one_before() {
    let limits = Limits {
        nodes: 10,
        ..LIMITS
    };
    for one_shot in [false, true] {
        let mut machine = with_root(limits, 8);
        machine.one_shot = one_shot;
        for round in 0..20 {
            // The parent changes faster than its children can be read.
            if round > 0 && one_shot {
                machine.touch("/", Facet::Children);
            } else if round > 0 {
                machine.gap();
                machine.load(false);
                answer(&mut machine, "/", Read::Sync, Answer::Synced).unwrap();
                answer(&mut machine, "/", Read::Stat, Answer::Stat(stat(1, 8))).unwrap();
            }
            let names = (0..8).map(|n| n.to_string()).collect();
            let names = Answer::Names(names, stat(1, 8));
            answer(&mut machine, "/", Read::Names, names).unwrap();
            assert_eq!(machine.worklist.new_names(), 8);
        }
        while let Some(query) = machine.next_query() {
            let node = Answer::Data(Bytes::new(), stat(2, 0));
            let names = Answer::Names(Vec::new(), stat(2, 0));
            let found = if query.read == Read::Names {
                names
            } else {
                node
            };
            machine.answered(&query, found).unwrap();
        }
        assert!(machine.snapshot().is_complete());
        assert_eq!(machine.snapshot().len(), 9);
        assert!(machine.worklist.is_empty());
    }
}

/// Guards: M4.
#[test]
fn impossible_names_and_paths_are_not_read() {
    let mut machine = with_root(LIMITS, 3);
    let names = ["", ".", "..", "a/b", "/", "a\0", "fine"].map(str::to_owned);
    let names = Answer::Names(names.to_vec(), stat(1, 7));
    answer(&mut machine, "/", Read::Names, names).unwrap();
    for path in ["//", "/a//b", "/a/", "/a/../b", "/\u{1}"] {
        machine.touch(path, Facet::Node);
    }
    assert_eq!(query(&mut machine), ("/fine".to_owned(), Read::Data));
    assert_eq!(machine.next_query(), None);
}

#[test]
fn a_tree_too_deep_is_an_error() {
    let mut machine = with_root(LIMITS, 0);
    let mut path = String::new();
    for depth in 1.. {
        path.push_str("/d");
        machine.touch(&path, Facet::Node);
        let put = answer(
            &mut machine,
            &path,
            Read::Data,
            Answer::Data(Bytes::new(), stat(depth, 0)),
        );
        if let Err(error) = put {
            assert!(matches!(error, CacheError::TooDeep { limit: DEPTH_LIMIT }));
            assert_eq!(depth, DEPTH_LIMIT as i64 + 1);
            return;
        }
    }
}

/// A refused root ends the cache.
#[test]
fn refused_nodes_are_reported_and_left_out() {
    let mut machine = with_root(LIMITS, 1);
    let names = Answer::Names(vec!["secret".to_owned()], stat(1, 1));
    answer(&mut machine, "/", Read::Names, names).unwrap();
    machine.take_changes();
    let refused = || Answer::Refused(ErrorCode::NoAuth);
    answer(&mut machine, "/secret", Read::Data, refused()).unwrap();
    let (snapshot, events) = machine.take_changes().unwrap();
    assert!(snapshot.is_complete());
    assert_eq!(snapshot.len(), 1);
    let path = "/secret".to_owned();
    let code = ErrorCode::NoAuth;
    assert_eq!(events[0], CacheEvent::Refused { path, code });
    machine.touch("/", Facet::Node);
    let root = answer(&mut machine, "/", Read::Data, refused());
    assert!(matches!(
        root,
        Err(CacheError::Refused {
            code: ErrorCode::NoAuth
        })
    ));
}

/// And a branch is read before the next one begins.
#[test]
fn paths_with_events_are_read_first() {
    let mut machine = with_root(LIMITS, 2);
    let names = vec!["a".to_owned(), "b".to_owned()];
    answer(
        &mut machine,
        "/",
        Read::Names,
        Answer::Names(names, stat(1, 2)),
    )
    .unwrap();
    machine.touch("/new", Facet::Node);
    assert_eq!(query(&mut machine), ("/new".to_owned(), Read::Data));
    let a = machine.next_query().unwrap();
    machine
        .answered(&a, Answer::Data(Bytes::new(), stat(2, 7)))
        .unwrap();
    assert_eq!(query(&mut machine), ("/a".to_owned(), Read::Names));
    assert_eq!(query(&mut machine), ("/b".to_owned(), Read::Data));
    assert_eq!(machine.next_query(), None);
}

/// It is written more often than it can be read.
#[test]
fn a_node_that_always_changes_is_published() {
    let mut machine = with_root(LIMITS, 0);
    for zxid in 2..10 {
        machine.touch("/", Facet::Node);
        let query = machine.next_query().unwrap();
        machine.touch("/", Facet::Node);
        assert_eq!(machine.next_query(), None, "one read under way for a path");
        let mut now = stat(1, 0);
        now.mzxid = Zxid(zxid);
        machine
            .answered(&query, Answer::Data(zxid.to_string().into(), now))
            .unwrap();
        assert_eq!(machine.snapshot().get("/").unwrap().data, zxid.to_string());
    }
}

/// The answer that was on its way at the deletion is not the last one.
///
/// Guards: A74.
#[test]
fn a_node_deleted_while_read_does_not_stay() {
    let mut machine = with_root(LIMITS, 0);
    machine.touch("/a", Facet::Node);
    let query = machine.next_query().unwrap();
    machine.touch_deleted("/a");
    let read = Answer::Data(Bytes::new(), stat(2, 0));
    machine.answered(&query, read).unwrap();
    answer(&mut machine, "/a", Read::Data, Answer::Absent).unwrap();
    assert_eq!(machine.snapshot().len(), 1);
    machine.touch_deleted("/a");
    assert_eq!(
        machine.next_query(),
        None,
        "nothing is known that could be gone"
    );
}

/// An older answer of a server that lags is ignored.
///
/// Guards: A74, I23.
#[test]
fn a_node_never_goes_back() {
    let mut machine = with_root(LIMITS, 0);
    for (mzxid, data) in [(5, "new"), (4, "old")] {
        machine.touch("/", Facet::Node);
        let mut now = stat(1, 0);
        now.mzxid = Zxid(mzxid);
        answer(
            &mut machine,
            "/",
            Read::Data,
            Answer::Data(data.into(), now),
        )
        .unwrap();
    }
    assert_eq!(machine.snapshot().get("/").unwrap().data, "new");
}

/// Guards: M1.
#[test]
fn another_session_may_have_another_history() {
    let mut machine = with_root(LIMITS, 0);
    for (zxid, data) in [(1, "old"), (0, "older"), (1, "equal")] {
        machine.session_ended();
        machine.load(false);
        answer(&mut machine, "/", Read::Sync, Answer::Synced).unwrap();
        // Reads the data, since the stat may be equal by chance.
        let root = Answer::Data(data.into(), stat(zxid, 0));
        answer(&mut machine, "/", Read::Data, root).unwrap();
        let (snapshot, _) = machine.take_changes().unwrap();
        assert!(snapshot.is_complete());
        assert_eq!(snapshot.get("/").unwrap().data, data);
    }
}

/// Guards: M1.
#[test]
fn an_answer_from_before_a_gap_is_not_kept() {
    let mut machine = with_root(LIMITS, 0);
    machine.touch("/", Facet::Node);
    let asked = machine.next_query().unwrap();
    machine.session_ended();
    machine.load(false);
    let late = Answer::Data("late".into(), stat(7, 0));
    machine.answered(&asked, late).unwrap();
    assert_eq!(machine.snapshot().get("/").unwrap().data, "");
    answer(&mut machine, "/", Read::Sync, Answer::Synced).unwrap();
    let root = Answer::Data("true".into(), stat(2, 0));
    answer(&mut machine, "/", Read::Data, root).unwrap();
    assert!(machine.snapshot().is_complete());
    assert_eq!(machine.snapshot().get("/").unwrap().data, "true");
}

/// The children of a node that was found by an event belong to the load.
///
/// Guards: B104.
#[test]
fn it_is_complete_only_with_event_nodes() {
    let mut machine = with_root(LIMITS, 1);
    let listing = machine.next_query().unwrap();
    machine.touch("/a", Facet::Node);
    let found = Answer::Data(Bytes::new(), stat(2, 1));
    answer(&mut machine, "/a", Read::Data, found).unwrap();
    let names = Answer::Names(vec!["a".to_owned()], stat(1, 1));
    machine.answered(&listing, names).unwrap();
    assert!(!machine.snapshot().is_complete());
    let names = Answer::Names(vec!["b".to_owned()], stat(2, 1));
    answer(&mut machine, "/a", Read::Names, names).unwrap();
    assert!(!machine.snapshot().is_complete());
    let last = Answer::Data(Bytes::new(), stat(3, 0));
    answer(&mut machine, "/a/b", Read::Data, last).unwrap();
    assert!(machine.snapshot().is_complete());
}
