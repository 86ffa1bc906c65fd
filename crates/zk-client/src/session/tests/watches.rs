//! Watches are armed again, and each event is delivered once.

use crate::session::tests::*;

/// Guards: A31, B73, B58.
#[test]
fn credentials_then_watches_then_requests() {
    let mut world = World::new();
    world
        .core
        .preset_credential("digest".into(), b"u:p".to_vec());
    world
        .core
        .preset_credential("digest".into(), b"v:q".to_vec());
    world.connect();
    world.server.change("/a", false);
    let watched = world.get("/a", true);
    world.settle();
    let _watch = world.watch(watched);
    world.cut();
    let read = world.get("/a", false);
    world.connect();
    assert_eq!(
        world.server.arrived,
        [
            OpCode::Auth,
            OpCode::Auth,
            OpCode::SetWatches,
            OpCode::GetData
        ]
    );
    world.ok(read);
}

/// B52: the Java client loses watches here. The reply to the first batch moves the last zxid on;
/// the second batch, never answered, must be re-armed from where it stood.
/// Guards: B52.
#[test]
fn an_unanswered_batch_keeps_its_zxid() {
    let mut world = World::connected();
    let paths: Vec<String> = (0..20)
        .map(|n| format!("/{n:02}{}", "x".repeat(9_000)))
        .collect();
    let watches: Vec<SubId> = paths
        .iter()
        .map(|path| {
            world.server.change(path, false);
            let record = GetDataRequest {
                path: path.as_str().into(),
                watch: true,
            };
            let limits = world.core.requests.limits.request_bytes;
            world.core.requests.limits.request_bytes = usize::MAX;
            let key = world
                .submit(OpCode::GetData, path, &record, true, Some(WatchKind::Data))
                .unwrap();
            world.core.requests.limits.request_bytes = limits;
            world.settle();
            world.watch(key)
        })
        .collect();
    let armed_at = world.server.zxid;
    world.cut();
    for path in &paths {
        world.server.change(path, false);
    }
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.deliver(140_000);
    let events = world.server.unsent();
    world.answer(events);
    assert_eq!(
        world.server.rearmed_from,
        [armed_at],
        "one batch has arrived"
    );
    world.cut();
    world.connect();
    assert!(
        world.server.rearmed_from[1..].contains(&armed_at),
        "{:?}",
        world.server.rearmed_from
    );
    for watch in watches {
        assert!(is_node(world.event(watch).as_ref()));
    }
}

/// Guards: A41, B53, B54.
#[test]
fn rearmed_persistent_watches_report_a_gap() {
    let mut world = World::connected();
    let key = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    let recursive = world.add_watch("/", AddWatchMode::PersistentRecursive, WatchKind::Recursive);
    world.settle();
    let (persistent, recursive) = (world.watch(key), world.watch(recursive));
    for round in 1..3 {
        world.cut();
        world.server.change("/p", false);
        world.connect();
        for watch in [persistent, recursive] {
            assert!(
                matches!(world.event(watch), Some(WatchEvent::Gap { .. })),
                "round {round}"
            );
        }
        world.server.change("/p", false);
        world.settle();
        for watch in [persistent, recursive] {
            assert!(is_node(world.event(watch).as_ref()));
            assert_eq!(world.event(watch), None);
        }
    }
}

/// Guards: A40. The one change that no server reports.
/// One transaction changes two znodes; the connection is lost between the two events.
/// Guards: B55.
#[test]
fn an_event_does_not_advance_the_zxid() {
    let mut world = World::connected();
    world.server.change("/a", false);
    world.server.change("/b", false);
    let (a, b) = (world.get("/a", true), world.get("/b", true));
    world.settle();
    let (a, b) = (world.watch(a), world.watch(b));
    world.server.change("/a", false);
    world.server.zxid -= 1;
    world.server.change("/b", false);
    world.answer(1);
    world.cut();
    world.connect();
    assert!(is_node(world.event(a).as_ref()));
    assert!(is_node(world.event(b).as_ref()));
}

/// Guards: A40.
#[test]
fn created_and_deleted_in_between_is_a_gap() {
    let mut world = World::connected();
    let (born, never) = (world.exists("/born"), world.exists("/never"));
    world.settle();
    let (born, never) = (world.watch(born), world.watch(never));
    world.cut();
    world.server.change("/born", false);
    world.connect();
    assert!(is_node(world.event(born).as_ref()));
    assert!(matches!(world.event(never), Some(WatchEvent::Gap { .. })));
    assert!(
        world.server.data_watches.is_empty(),
        "no subscriber is left"
    );
    assert_eq!(world.core.statistics().watches, 0);
}

/// Guards: A68.
#[test]
fn a_slow_reader_gets_the_dropped_count() {
    let mut world = World::connected();
    let key = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    world.settle();
    let watch = world.watch(key);
    for _ in 0..10 {
        world.server.change("/p", false);
    }
    world.settle();
    for _ in 0..4 {
        assert!(is_node(world.event(watch).as_ref()));
    }
    assert_eq!(world.event(watch), Some(WatchEvent::Lagged { dropped: 6 }));
    world.server.change("/p", false);
    world.settle();
    assert!(is_node(world.event(watch).as_ref()));
}

/// ZOOKEEPER-4466: a server before 3.9 keeps one mode per path, the last.
/// Guards: B65.
#[test]
fn a_one_shot_ends_no_persistent_watch() {
    let mut world = World::connected();
    world.server.old = true;
    world.server.change("/p", false);
    let lasting = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    // While the lasting one is on its way, and after it has come.
    let early = world.get("/p", true);
    world.settle();
    let late = world.children("/p");
    world.settle();
    let (lasting, early, late) = (world.watch(lasting), world.watch(early), world.watch(late));
    world.server.change("/p", false);
    world.server.change("/p/child", false);
    world.settle();
    assert!(is_node(world.event(early).as_ref()));
    assert!(is_node(world.event(late).as_ref()));
    for _ in 0..2 {
        assert!(is_node(world.event(lasting).as_ref()));
    }
    world.server.change("/p", false);
    world.settle();
    assert!(is_node(world.event(lasting).as_ref()), "it lasts");
}

/// Guards: B65.
#[test]
fn watches_on_one_path_get_their_own_events() {
    for (old, recursive_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = World::connected();
        world.server.old = old;
        world.server.change("/p", false);
        let mut keys = [WatchKind::Persistent, WatchKind::Recursive];
        if recursive_first {
            keys.reverse();
        }
        let mut subs = keys.map(|kind| {
            let mode = match kind {
                WatchKind::Recursive => AddWatchMode::PersistentRecursive,
                _ => AddWatchMode::Persistent,
            };
            let key = world.add_watch("/p", mode, kind);
            world.settle();
            world.watch(key)
        });
        if recursive_first {
            subs.reverse();
        }
        let [persistent, recursive] = subs;
        world.server.change("/p/x", false);
        world.settle();
        let events_of = |event: Option<WatchEvent>| match event {
            Some(WatchEvent::Node(event)) => (event.kind, event.path),
            other => panic!("{other:?}"),
        };
        let children = (crate::NodeEventKind::ChildrenChanged, "/p".to_owned());
        let created = (crate::NodeEventKind::Created, "/p/x".to_owned());
        assert_eq!(events_of(world.event(persistent)), children);
        assert_eq!(events_of(world.event(recursive)), created);
        assert_eq!(
            (world.event(persistent), world.event(recursive)),
            (None, None)
        );

        // The remaining watch gets its events as before.
        world.core.unsubscribe(world.now, recursive);
        world.server.change("/p/y", false);
        world.settle();
        assert_eq!(events_of(world.event(persistent)), children);
        assert_eq!(world.event(persistent), None);
        world.core.unsubscribe(world.now, persistent);
        world.settle();
        assert!(world.server.data_watches.is_empty() && world.server.child_watches.is_empty());
    }
}

/// Guards: A50.
#[test]
fn watches_end_with_their_session() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let key = world.get("/a", true);
    world.settle();
    let watch = world.watch(key);
    world.cut();
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.event(watch), Some(WatchEvent::SessionEnded));
    world.connect();
    assert!(
        world.server.rearmed_from.is_empty(),
        "B50: not armed in another session"
    );
    world.core.unsubscribe(world.now, watch);
    assert_eq!(world.core.statistics().subscribers, 0);
}

/// A removal must not take with it a watch that is being set.
/// Guards: A46, B63.
#[test]
fn a_watch_being_set_is_not_removed() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let first = world.get("/a", true);
    world.settle();
    let first = world.watch(first);
    let second = world.get("/a", true);
    world.core.unsubscribe(world.now, first);
    world.settle();
    let second = world.watch(second);
    assert!(world.server.data_watches.has("/a", Mode::OneShot));
    world.core.unsubscribe(world.now, second);
    world.settle();
    assert!(world.server.data_watches.is_empty());
}

#[test]
fn a_dropped_request_ends_no_others_watch() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let kept = world.get("/a", true);
    world.settle();
    let kept = world.watch(kept);
    let dropped = world.get("/a", true);
    world.deliver(usize::MAX);
    world.core.abandon(world.now, dropped);
    world.settle();
    assert!(world.server.data_watches.has("/a", Mode::OneShot));
    world.server.change("/a", false);
    world.settle();
    assert!(is_node(world.event(kept).as_ref()));
}

#[test]
fn a_watch_of_children_is_removed_alone() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let data = world.get("/a", true);
    let child = world.children("/a");
    world.settle();
    let (data, child) = (world.watch(data), world.watch(child));
    world.core.unsubscribe(world.now, child);
    world.settle();
    assert!(world.server.child_watches.is_empty());
    assert!(world.server.data_watches.has("/a", Mode::OneShot));
    world.server.change("/a", false);
    world.settle();
    assert!(is_node(world.event(data).as_ref()));
}

/// Found by simulation: beside a recursive watch a persistent one is events_of of children by what that
/// one says of each; one that no server guards says nothing.
#[test]
fn a_dropped_recursive_watch_hides_no_event() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let persistent = world.add_watch("/a", AddWatchMode::Persistent, WatchKind::Persistent);
    world.settle();
    let persistent = world.watch(persistent);
    let mode = AddWatchMode::PersistentRecursive;
    let recursive = world.add_watch("/a", mode, WatchKind::Recursive);
    world.settle();
    let recursive = world.watch(recursive);
    world.cut();
    world.core.unsubscribe(world.now, recursive);
    world.connect();
    let gap = world.event(persistent);
    assert!(matches!(gap, Some(WatchEvent::Gap { .. })), "{gap:?}");
    world.server.change("/a/b", false);
    world.settle();
    assert!(is_node(world.event(persistent).as_ref()));
}

/// Found by simulation: the server kept a watch armed that had no subscriber left.
#[test]
fn a_throttled_removal_is_repeated() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let watched = world.get("/a", true);
    world.settle();
    let watch = world.watch(watched);
    world.server.arrived.clear();
    world.core.unsubscribe(world.now, watch);
    world.deliver(usize::MAX);
    let reply = world.server.send().unwrap();
    world.frames.extend(&throttled(&reply));
    world.receive().unwrap();
    assert!(!world.core.has_output(), "repeated at once");
    world.tick();
    world.settle();
    let removals = [OpCode::RemoveWatches, OpCode::RemoveWatches];
    assert_eq!(world.server.arrived, removals);
}

/// Found by simulation (seed 1000973): a watch that was set meanwhile fired, and the removal was
/// forgotten.
#[test]
fn a_throttled_removal_outlives_others() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let children = world.children("/a");
    world.settle();
    let children = world.watch(children);
    world.core.unsubscribe(world.now, children);
    world.deliver(usize::MAX);
    let reply = world.server.send().unwrap();
    world.frames.extend(&throttled(&reply));
    world.receive().unwrap();
    let data = world.get("/a", true);
    world.settle();
    let data = world.watch(data);
    world.server.arrived.clear();
    world.tick();
    world.settle();
    assert!(
        !world.server.arrived.contains(&OpCode::RemoveWatches),
        "data are watched"
    );
    world.server.change("/a", false);
    world.settle();
    assert!(is_node(world.event(data).as_ref()));
    assert!(world.server.arrived.contains(&OpCode::RemoveWatches));
}

/// I13, on a clock of the test's own: events all the time, for twenty ping intervals.
/// Guards: B25.
#[test]
fn a_flood_of_events_delays_no_ping() {
    const INTERVALS: u32 = 20;
    let mut world = World::connected();
    world.server.change("/p", false);
    let key = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    world.settle();
    let watch = world.watch(key);
    let interval = TIMEOUT / 12;
    let mut spoken = world.now;
    let end = world.now + interval * INTERVALS;
    let mut pings = 0;
    while world.now < end {
        world.now += Duration::from_millis(5);
        for _ in 0..10 {
            world.server.change("/p", false);
        }
        world.answer(usize::MAX);
        if world.core.poll_link_timeout().unwrap() <= world.now {
            world.core.handle_link_timeout(world.now).unwrap();
            assert_eq!(world.now, spoken + interval);
            spoken = world.now;
            pings += 1;
        }
        world.deliver(usize::MAX);
    }
    world.answer(usize::MAX);
    assert_eq!(pings, INTERVALS);
    assert_eq!(world.core.counters.traffic().pings, u64::from(pings));
    while world.event(watch).is_some() {}
}
