//! The machine, step by step.

use zk_client::Zxid;

use super::world::LIMITS;
use super::*;

fn ask(machine: &mut Machine) -> (String, Read) {
    let ask = machine.next_ask().unwrap();
    (ask.path.to_string(), ask.read)
}

fn stat(czxid: i64, children: i32) -> Stat {
    Stat {
        czxid: Zxid(czxid),
        mzxid: Zxid(czxid),
        num_children: children,
        ..Stat::default()
    }
}

fn answer(machine: &mut Machine, path: &str, read: Read, answer: Answer) -> Result<(), CacheError> {
    let ask = machine.next_ask().unwrap();
    assert_eq!((&*ask.path, ask.read), (path, read));
    machine.answered(&ask, answer)
}

/// A machine that has read a root with this many children announced.
fn with_root(limits: Limits, children: i32) -> Machine {
    let mut machine = Machine::new("/", limits);
    machine.load(false);
    answer(&mut machine, "/", Read::Sync, Answer::Synced).unwrap();
    let root = Answer::Data(Bytes::new(), stat(1, children));
    answer(&mut machine, "/", Read::Data, root).unwrap();
    machine
}

/// B103: lists wait until the nodes of the last one have been counted, so that a tree that is too
/// large ends the cache before it fills the memory.
#[test]
fn b103_more_nodes_than_allowed_are_an_error_before_they_are_held() {
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
    for n in 0..5 {
        let node = Answer::Data(Bytes::new(), stat(2, 5));
        answer(&mut machine, &format!("/{n}"), Read::Data, node).unwrap();
    }
    let names = (0..5).map(|n| n.to_string()).collect();
    answer(
        &mut machine,
        "/0",
        Read::Names,
        Answer::Names(names, stat(2, 5)),
    )
    .unwrap();
    let mut over = Ok(());
    for n in 0..5 {
        assert!(over.is_ok());
        let node = Answer::Data(Bytes::new(), stat(2, 0));
        over = answer(&mut machine, &format!("/0/{n}"), Read::Data, node);
    }
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

#[test]
fn a_tree_too_deep_for_the_stack_is_an_error() {
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

#[test]
fn what_may_not_be_read_is_told_and_left_out_and_a_root_ends_the_cache() {
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

/// Lists come last, events first.
#[test]
fn what_something_has_happened_to_is_read_before_what_is_only_loaded() {
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
    assert_eq!(ask(&mut machine), ("/new".to_owned(), Read::Data));
    let a = machine.next_ask().unwrap();
    machine
        .answered(&a, Answer::Data(Bytes::new(), stat(2, 7)))
        .unwrap();
    assert_eq!(ask(&mut machine), ("/b".to_owned(), Read::Data));
    assert_eq!(ask(&mut machine), ("/a".to_owned(), Read::Names));
    assert_eq!(machine.next_ask(), None);
}

/// A node that is written to more often than it can be read is still seen to change.
#[test]
fn a_node_that_never_rests_is_published_all_the_same() {
    let mut machine = with_root(LIMITS, 0);
    for zxid in 2..10 {
        machine.touch("/", Facet::Node);
        let ask = machine.next_ask().unwrap();
        machine.touch("/", Facet::Node);
        assert_eq!(machine.next_ask(), None, "one read under way for a path");
        let now = Stat {
            mzxid: Zxid(zxid),
            ..stat(1, 0)
        };
        machine
            .answered(&ask, Answer::Data(zxid.to_string().into(), now))
            .unwrap();
        assert_eq!(machine.snapshot().get("/").unwrap().data, zxid.to_string());
    }
}

/// A74: a read that is on its way when its node is deleted is not the last word.
#[test]
fn a74_a_node_deleted_while_it_is_read_does_not_stay() {
    let mut machine = with_root(LIMITS, 0);
    machine.touch("/a", Facet::Node);
    let ask = machine.next_ask().unwrap();
    machine.touch_deleted("/a");
    let read = Answer::Data(Bytes::new(), stat(2, 0));
    machine.answered(&ask, read).unwrap();
    answer(&mut machine, "/a", Read::Data, Answer::Absent).unwrap();
    assert_eq!(machine.snapshot().len(), 1);
    machine.touch_deleted("/a");
    assert_eq!(
        machine.next_ask(),
        None,
        "nothing is known that could be gone"
    );
}

/// I23: what a server says that lags is not believed of a node that is known to be younger.
#[test]
fn a_node_never_goes_back() {
    let mut machine = with_root(LIMITS, 0);
    for (mzxid, data) in [(5, "new"), (4, "old")] {
        machine.touch("/", Facet::Node);
        let now = Stat {
            mzxid: Zxid(mzxid),
            ..stat(1, 0)
        };
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
        // Not the stat alone, which may be the same by chance.
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
    let asked = machine.next_ask().unwrap();
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

/// B104: what was found by an event is not left out of what is to be loaded.
#[test]
fn b104_it_is_complete_only_when_what_is_below_a_node_found_by_an_event_is_read() {
    let mut machine = with_root(LIMITS, 1);
    let listing = machine.next_ask().unwrap();
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
