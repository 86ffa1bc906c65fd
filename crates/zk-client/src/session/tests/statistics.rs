//! The numbers add up, and cost nothing.

use zk_proto::{HostPort, SessionId, Zxid};

use crate::session::counters::CounterSnapshot;
use crate::session::statistics::RequestCounts;
use crate::session::tests::*;

#[test]
fn every_request_is_counted_once() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let answered = world.get("/a", false);
    let refused = world.get("/missing", false);
    // A znode that does not exist is an answer to this one.
    let absent = world.exists("/missing");
    let set = world.set("/a", "1");
    world.settle();
    for key in [answered, refused, absent, set] {
        world.poll(key).unwrap().unwrap();
    }
    let huge = "x".repeat(2000);
    let data = SetDataRequest {
        path: "/a".into(),
        data: Some(huge.as_bytes()),
        version: -1,
    };
    let too_large = world.submit(OpCode::SetData, "/a", &data, false, None);
    assert!(matches!(too_large, Err(Failure::RequestTooLarge { .. })));
    let (lost, dropped) = (world.set("/a", "2"), world.get("/a", false));
    world.deliver(usize::MAX);
    let behind = world.set("/a", "3");
    world.core.abandon(world.now, dropped);
    world.cut();
    assert_eq!(world.outcome(lost), Some(Outcome::Unknown));
    assert_eq!(world.outcome(behind), Some(Outcome::NotSent));
    let statistics = world.core.statistics();
    assert_eq!(
        statistics.reads,
        RequestCounts {
            submitted: 4,
            answered: 2,
            rejected: 1,
            dropped: 1,
            ..RequestCounts::default()
        }
    );
    assert_eq!(
        statistics.writes,
        RequestCounts {
            submitted: 4,
            answered: 1,
            not_sent: 2,
            unknown: 1,
            ..RequestCounts::default()
        }
    );
    assert_eq!(statistics.outstanding, 0);
}

#[test]
fn a_request_refused_at_once_is_counted() {
    let mut world = World::new();
    let keys: Vec<_> = (0..64).map(|_| world.get("/a", false)).collect();
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let full = world.submit(OpCode::GetData, "/a", &record, true, None);
    assert!(matches!(full, Err(Failure::QueueFull)));
    let statistics = world.core.statistics();
    assert_eq!(
        (statistics.reads.submitted, statistics.reads.not_sent),
        (65, 1)
    );
    assert_eq!((statistics.outstanding, statistics.parked), (64, 64));
    // A path, its length and a flag.
    assert_eq!(statistics.queue_bytes, 64 * (4 + 2 + 1));
    for key in keys {
        world.core.abandon(world.now, key);
    }
    assert_eq!(world.core.statistics().reads.dropped, 64);
}

#[test]
fn sessions_and_bytes_are_counted() {
    let mut world = World::new();
    let server = HostPort {
        host: "zk1".into(),
        port: 2181,
    };
    assert_eq!(world.core.server_name(), "");
    world.core.note_server(&server);
    assert_eq!(world.core.server_name(), "zk1:2181");
    assert_eq!(world.core.statistics().server, None);
    world.connect();
    let first = world.core.statistics();
    assert_eq!(first.server, Some(server));
    assert_eq!((first.connections, first.sessions), (1, 1));
    assert_ne!(first.session.id, SessionId::NONE);
    assert!(
        first.bytes_sent > 40 && first.bytes_received > 36,
        "{first:?}"
    );
    assert_eq!(first.queue_bytes, 0);

    world.server.change("/a", false);
    let key = world.get("/a", true);
    world.settle();
    let sub = world.watch(key);
    assert!(world.core.statistics().last_zxid > Zxid::ZERO);
    assert_eq!(world.core.statistics().watches, 1);
    world.cut();
    assert_eq!(world.core.statistics().server, None);
    world.connect();
    let second = world.core.statistics();
    assert_eq!(
        (second.connections, second.resumptions, second.sessions),
        (2, 1, 1)
    );
    assert_eq!(second.lost_connections, 1);
    assert_eq!((second.rearm_batches, second.rearmed_watches), (1, 1));
    world.server.change("/a", false);
    world.settle();
    assert!(is_node(world.event(sub).as_ref()));
    assert_eq!(world.core.statistics().watch_events, 1);

    world.cut();
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.core.statistics().expiries, 1);
    world.connect();
    let third = world.core.statistics();
    assert_eq!((third.sessions, third.session.epoch), (2, 2));
}

#[test]
fn dropped_events_and_gaps_are_counted() {
    let mut world = World::connected();
    let key = world.add_watch("/a", AddWatchMode::Persistent, WatchKind::Persistent);
    world.settle();
    let sub = world.watch(key);
    for _ in 0..6 {
        world.server.change("/a", false);
    }
    world.settle();
    let statistics = world.core.statistics();
    assert_eq!(
        (statistics.watch_events, statistics.watch_events_dropped),
        (4, 2)
    );
    while world.event(sub).is_some() {}
    world.cut();
    world.connect();
    assert_eq!(world.core.statistics().watch_gaps, 1);
}

#[test]
fn attempts_and_lookups_are_reported() {
    let mut world = World::new();
    let host = "zk1:2181".parse().unwrap();
    assert_eq!([1, 2].map(|_| world.core.note_attempt(&host)), [1, 2]);
    world.connect();
    assert_eq!(world.core.note_attempt(&host), 1);
    world.core.note_lookup("srv", "no such name".into());
    assert!(world.core.failures().contains("srv: "));
    assert!(world.core.failures().contains("no such name"));
    world.core.note_lookup("srv", String::new());
    assert_eq!(world.core.failures(), "");
}

/// An attempt that no server has accepted carries no bytes, and concerns no watch.
#[test]
fn a_failed_attempt_is_a_change() {
    let mut world = World::connected();
    let reader = world.core.add_reader();
    let before = CounterSnapshot::default();
    let (state, seen) = world.core.poll_changes(reader, &before).unwrap();
    assert_eq!(state, Some(world.core.state()));
    assert!(world.core.poll_changes(reader, &seen).is_none());
    let refused = Disconnect::Dial("refused".into());
    world.core.note_failed_connection(&refused);
    let (state, seen) = world.core.poll_changes(reader, &seen).unwrap();
    assert_eq!((state, seen.traffic.failed_connections), (None, 1));
    assert!(world.core.poll_changes(reader, &seen).is_none());
}

#[test]
fn a_ping_is_timed_by_the_clock_of_the_core() {
    let mut world = World::connected();
    assert_eq!(world.core.statistics().ping, None);
    let mut smoothed = None;
    for took in [80, 16] {
        let took = Duration::from_millis(took);
        world.now += TIMEOUT / 3;
        world.core.handle_link_timeout(world.now).unwrap();
        world.deliver(usize::MAX);
        world.now += took;
        world.answer(usize::MAX);
        let statistics = world.core.statistics();
        assert_eq!(statistics.ping, Some(took));
        smoothed = statistics.ping_smoothed;
    }
    assert_eq!(smoothed, Some(Duration::from_millis(72)));
    let later = world.now + Duration::from_millis(5);
    let age = world.core.snapshot(later).last_contact;
    assert_eq!(age, Duration::from_millis(5));
}

/// What the core allocates for a read, once its buffers have grown: the one allocation that a `get`
/// has is of the bytes of its reply, outside.
#[test]
fn a_read_allocates_nothing_in_the_core() {
    const READS: u64 = 1000;
    let mut world = World::connected();
    world.server.change("/a", false);
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let mut allocated = 0;
    for read in 0..READS + 10 {
        let mut key = None;
        let sent = allocation_counter::measure(|| {
            let submitted = world.submit(OpCode::GetData, "/a", &record, true, None);
            key = submitted.ok();
            world.take_output();
        });
        world.deliver(usize::MAX);
        let reply = world.server.send().unwrap();
        world.frames.extend(&reply);
        let received = allocation_counter::measure(|| {
            let handled = world.core.handle_input(world.now, &mut world.frames);
            assert!(handled.is_ok());
            let answer = world.core.poll_reply(key.unwrap(), Waker::noop());
            assert!(answer.is_some_and(|answer| answer.result.is_ok()));
        });
        // The first few make the buffers.
        if read >= 10 {
            allocated += sent.count_total + received.count_total;
        }
    }
    assert_eq!(allocated, 0, "in {READS} reads");
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1, "the counter counts");
}
