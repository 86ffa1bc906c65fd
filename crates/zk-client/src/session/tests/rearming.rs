//! More watches than are armed again at once.

use crate::ops::cleanup::Target;
use crate::session::tests::*;

/// A batch holds this many.
const IN_BATCH: usize = 14;
const BATCHES: usize = 10;
/// Batches that are on their way together.
const AT_A_TIME: usize = 4;

/// Watches that make many batches, and their connection just lost.
fn cut_off() -> (World, Vec<SubId>) {
    let mut world = World::connected();
    world.core.requests.limits.request_bytes = usize::MAX;
    let watches = (0..IN_BATCH * BATCHES).map(|n| {
        let path = format!("/{n:03}{}", "x".repeat(9_000));
        world.server.change(&path, false);
        let key = world.get(&path, true);
        world.settle();
        world.watch(key)
    });
    let watches = watches.collect();
    world.cut();
    (world, watches)
}

/// The connection is open again, and the first batches are with the server.
fn rearming() -> (World, Vec<SubId>) {
    let (mut world, watches) = cut_off();
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.deliver(usize::MAX);
    assert_eq!(world.server.arrived, [OpCode::SetWatches; AT_A_TIME]);
    (world, watches)
}

/// Guards: B58.
#[test]
fn requests_wait_for_the_last_batch() {
    let (mut world, watches) = rearming();
    let early = world.set("/0", "early");
    let late = world.get("/0", false);
    for batch in AT_A_TIME..BATCHES {
        world.now += TIMEOUT / 3;
        world.core.handle_link_timeout(world.now).unwrap();
        world.take_output();
        let ping = 4 + 8;
        assert_eq!(world.wire.len(), ping, "and nothing else");
        world.deliver(usize::MAX);
        while world.server.arrived.len() == batch {
            world.answer(1);
            world.deliver(usize::MAX);
        }
        assert_eq!(world.server.arrived[batch], OpCode::SetWatches);
    }
    let requests = [OpCode::SetData, OpCode::GetData];
    assert_eq!(world.server.arrived[BATCHES..], requests);
    world.settle();
    assert!(world.poll(early).is_some() && world.poll(late).is_some());
    let statistics = world.core.statistics();
    assert_eq!(statistics.rearm_batches, BATCHES as u64);
    assert_eq!(statistics.rearmed_watches, watches.len() as u64);
    assert_eq!(
        world.core.counters.traffic().pings,
        (BATCHES - AT_A_TIME) as u64
    );
    world.now += TIMEOUT / 3;
    for watch in watches {
        assert_eq!(world.event(watch), None);
    }
}

/// B52: each keeps what it was last guarded up to, whether its batch was answered, sent or not made.
/// Guards: B52.
#[test]
fn a_second_disconnect_loses_no_watch() {
    for answered in [0, 1, BATCHES / 2, BATCHES] {
        let (mut world, watches) = rearming();
        let waiting = world.get("/0", false);
        for _ in 0..answered {
            world.answer(1);
            world.deliver(usize::MAX);
        }
        world.cut();
        for path in world.server.nodes.keys().cloned().collect::<Vec<_>>() {
            world.server.change(&path, false);
        }
        world.connect();
        for watch in watches {
            assert!(is_node(world.event(watch).as_ref()), "after {answered}");
        }
        assert!(world.poll(waiting).is_some());
    }
}

/// Guards: G5.
#[test]
fn a_watch_dropped_early_is_not_armed() {
    let (mut world, mut watches) = rearming();
    let last = watches.split_off(IN_BATCH * (BATCHES - 3));
    for watch in last {
        world.core.unsubscribe(world.now, watch);
    }
    world.settle();
    assert_eq!(world.core.statistics().rearm_batches, BATCHES as u64 - 3);
    for watch in watches {
        world.core.unsubscribe(world.now, watch);
    }
    world.settle();
    assert!(world.server.data_watches.is_empty());
    let statistics = world.core.statistics();
    assert_eq!((statistics.watches, statistics.subscribers), (0, 0));
}

/// The first subscriber of a watch is replaced while the watch waits to be armed.
/// Guards: G5.
#[test]
fn a_watch_with_one_handle_left_is_armed() {
    for drop_first in [true, false] {
        let (mut world, watches) = cut_off();
        world.connect();
        let path = world.server.nodes.keys().last().unwrap().clone();
        let key = world.get(&path, true);
        world.settle();
        let (first, second) = (*watches.last().unwrap(), world.watch(key));
        world.cut();
        world.begin();
        world.deliver(usize::MAX);
        world.answer(1);
        let (dropped, kept) = match drop_first {
            true => (first, second),
            false => (second, first),
        };
        world.core.unsubscribe(world.now, dropped);
        world.settle();
        world.server.change(&path, false);
        world.settle();
        assert!(is_node(world.event(kept).as_ref()));
        assert_eq!(world.event(kept), None);
    }
}

/// Guards: G11.
#[test]
fn a_close_comes_after_submitted_requests() {
    let (mut world, watches) = rearming();
    let submitted = world.set("/0", "");
    world.core.close(world.now);
    while world.server.arrived.len() < BATCHES + 2 {
        world.answer(1);
        world.deliver(usize::MAX);
    }
    let last = [OpCode::SetData, OpCode::CloseSession];
    assert_eq!(world.server.arrived[BATCHES..], last);
    world.settle();
    assert!(world.poll(submitted).is_some());
    assert_eq!(world.core.state(), State::Closed);
    for watch in watches {
        assert_eq!(world.event(watch), Some(WatchEvent::SessionEnded));
    }
}

/// The clean-up parked during the re-arming precedes what is submitted after the close. Guards: H5.
/// Guards: G1, G11.
#[test]
fn close_releases_parked_requests() {
    let (mut world, _watches) = rearming();
    let cleanup = world.core.begin_cleanup("/0", Target::Persistent).unwrap();
    let submitted = world.set("/0", "");
    world.core.close(world.now);
    world.deliver(usize::MAX);
    assert_eq!(world.server.arrived[AT_A_TIME..], [OpCode::SetData]);
    world.settle();
    assert!(world.poll(submitted).is_some());
    world.core.end_cleanup(world.now, cleanup, true);
    world.settle();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
}

/// What is submitted while a batch has to be sent again waits for it. Guards: A80.
/// Guards: A80.
#[test]
fn a_throttled_batch_is_sent_again_later() {
    let (mut world, watches) = rearming();
    let frame = world.server.send().unwrap();
    // The server has not executed it: it keeps no watch of it.
    world.server.data_watches = server::Watches::default();
    world.frames.extend(&throttled(&frame));
    world.receive().unwrap();
    let set = world.set("/0", "");
    world.settle();
    assert_eq!(world.server.arrived.len(), AT_A_TIME);
    world.tick();
    world.settle();
    assert_eq!(world.server.arrived.len(), BATCHES + 2);
    assert_eq!(world.server.arrived.last(), Some(&OpCode::SetData));
    assert!(world.poll(set).is_some());
    assert_eq!(world.core.statistics().lost_connections, 1);
    let path = world.server.nodes.keys().next().unwrap().clone();
    world.server.change(&path, false);
    world.settle();
    assert!(is_node(world.event(watches[0]).as_ref()));
}

/// Requests dropped during the rearming make room for others.
/// Guards: I18.
#[test]
fn abandoned_requests_free_their_slots() {
    let (mut world, _watches) = cut_off();
    let most = world.core.requests.limits.outstanding;
    let before: Vec<_> = (0..most / 2).map(|_| world.get("/0", false)).collect();
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    let during = (most / 2..most).map(|_| world.get("/0", false));
    let during: Vec<_> = during.collect();
    for key in before.into_iter().chain(during) {
        world.core.abandon(world.now, key);
    }
    assert_eq!(world.core.statistics().outstanding, 0);
    let others: Vec<_> = (0..most).map(|_| world.get("/0", false)).collect();
    world.settle();
    for other in others {
        assert!(world.poll(other).is_some());
    }
}
