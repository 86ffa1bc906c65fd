//! Watches on servers that lack their removal or their persistent modes.

use super::*;

/// Guards: P2.
#[test]
fn watches_are_forgotten_without_a_request() {
    for unknown in ALL {
        let mut world = World::lacking(&[OpCode::RemoveWatches], unknown);
        world.server.change("/a", false);
        for round in 0..4 {
            let key = world.get("/a", true);
            world.settle();
            let watch = world.watch(key);
            world.core.unsubscribe(world.now, watch);
            world.settle();
            world.reconnect();
            let asked = world.asked(OpCode::RemoveWatches);
            assert!(
                asked <= most(unknown),
                "{unknown:?} in round {round}: {asked}"
            );
        }
        let sessions = world.core.statistics().sessions;
        assert_eq!(sessions, 1 + u64::from(unknown == Unknown::End));
        // The watch that the server has kept delivers no event, and ends no later watch.
        let old = world.get("/a", true);
        world.settle();
        let old = world.watch(old);
        world.core.unsubscribe(world.now, old);
        world.server.change("/a", false);
        let key = world.get("/a", true);
        world.settle();
        let watch = world.watch(key);
        assert_eq!(world.event(watch), None);
        world.server.change("/a", false);
        world.settle();
        assert!(is_node(world.event(watch).as_ref()));
    }
}

/// A persistent watch that the server keeps is in the way of a one-shot one on an old server.
#[test]
fn a_kept_persistent_watch_is_ridden_on() {
    for unknown in ALL {
        let mut world = World::lacking(&[OpCode::RemoveWatches], unknown);
        world.server.old = true;
        world.server.change("/a", false);
        for _ in 0..3 {
            let key = world.add_watch("/a", AddWatchMode::Persistent, WatchKind::Persistent);
            world.settle();
            let watch = world.watch(key);
            world.core.unsubscribe(world.now, watch);
            world.settle();
            world.reconnect();
        }
        for _ in 0..3 {
            let key = world.get("/a", true);
            world.settle();
            let watch = world.watch(key);
            world.server.change("/a", false);
            world.settle();
            assert!(is_node(world.event(watch).as_ref()), "{unknown:?}");
            world.core.unsubscribe(world.now, watch);
            world.settle();
        }
    }
}

/// Guards: failures 20. The server was replaced by one that is older.
#[test]
fn lasting_watches_end_with_a_gap() {
    for unknown in ALL {
        let mut world = World::connected();
        let key = world.lasting();
        world.settle();
        let watch = world.watch(key);
        world.cut();
        world.server.lacks = vec![OpCode::SetWatches2, OpCode::AddWatch];
        world.server.unknown = Some(unknown);
        world.connect();
        world.reconnect();
        if unknown == Unknown::End {
            assert!(matches!(world.event(watch), Some(WatchEvent::Gap { .. })));
            assert_eq!(world.event(watch), Some(WatchEvent::SessionEnded));
        } else {
            assert!(
                !world.core.is_abandoned(watch),
                "its end is not read before the gap"
            );
            assert!(
                matches!(world.event(watch), Some(WatchEvent::Gap { .. })),
                "{unknown:?}"
            );
            assert_eq!(world.event(watch), None);
            assert!(world.core.is_abandoned(watch));
        }
        // It was asked more often than for what no server has shown to have.
        let most = if unknown == Unknown::Close {
            MAX_LOSSES
        } else {
            1
        };
        assert_eq!(world.asked(OpCode::SetWatches2), most as usize);
        let read = world.get("/", false);
        world.settle();
        assert!(world.poll(read).is_some(), "requests are answered");
        world.core.unsubscribe(world.now, watch);
        assert_eq!(world.core.statistics().subscribers, 0);
    }
}

/// A server of version 3.4 lacks both, and closes the connection for each.
#[test]
fn without_create2_no_watch_is_removed() {
    let lacks = [OpCode::Create2, OpCode::RemoveWatches];
    let mut world = World::lacking(&lacks, Unknown::RefuseAndClose);
    let key = world.create("/a");
    world.settle();
    world.reconnect();
    world.ok(key);
    let lost = world.core.statistics().lost_connections;
    let key = world.get("/a", true);
    world.settle();
    let watch = world.watch(key);
    world.core.unsubscribe(world.now, watch);
    world.settle();
    assert_eq!(world.asked(OpCode::RemoveWatches), 0);
    assert_eq!(world.core.statistics().lost_connections, lost);
    // What a server has shown to have, it has.
    let mut abilities = ServerHistory::default();
    abilities.handle_connected(ServerId::of(None, None));
    abilities.handle_answered(OpSet::of(OpCode::RemoveWatches));
    abilities.handle_refused(OpSet::of(OpCode::Create2));
    assert!(!abilities.lacking().contains(OpCode::RemoveWatches));
}
