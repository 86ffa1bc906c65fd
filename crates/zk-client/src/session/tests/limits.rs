//! What a request may take: time, room, losses; and what the driver knows of it.

use crate::session::failure::MAX_LOSSES;
use crate::session::tests::*;

/// Only a connection that ends for a request may end for it again.
#[test]
fn a_read_outlasts_a_silent_server() {
    for (reason, fails) in [
        (Disconnect::ReadTimeout(TIMEOUT), false),
        (Disconnect::Moving, false),
        (Disconnect::ClosedByServer, true),
        (Disconnect::NegativeLength(-1), true),
    ] {
        let mut world = World::connected();
        world.server.hangs = true;
        let read = world.get("/a", false);
        for _ in 0..MAX_LOSSES {
            world.settle();
            assert!(world.poll(read).is_none(), "{reason}");
            world.cut_for(&reason);
            world.connect();
        }
        let lost = world.outcome(read);
        assert_eq!(lost, fails.then_some(Outcome::Unknown), "{reason}");
    }
}

/// The header counts, parked or not.
#[test]
fn a_request_may_be_as_large_as_the_limit() {
    let fits = 1024 - (8 + 4 + 2 + 4 + 4);
    for is_connected in [true, false] {
        for (length, is_accepted) in [(fits, true), (fits + 1, false)] {
            let mut world = World::new();
            if is_connected {
                world.connect();
            }
            let data = vec![0; length];
            let record = SetDataRequest {
                path: "/a".into(),
                data: Some(&data),
                version: -1,
            };
            let submitted = world.submit(OpCode::SetData, "/a", &record, false, None);
            assert_eq!(submitted.is_ok(), is_accepted, "{length}: {submitted:?}");
        }
    }
}

/// To look for requests without a caller takes a walk over all.
#[test]
fn room_is_only_made_when_there_is_none() {
    let mut world = World::new();
    let parked: Vec<_> = (0..64)
        .map(|n| {
            world.core.requests.check_room().unwrap();
            let walks = world.core.requests.is_full_of_abandoned();
            assert!(!walks, "with {n} requests");
            world.get("/a", false)
        })
        .collect();
    let full = world.core.requests.check_room();
    assert!(matches!(full, Err(Failure::QueueFull)));
    for key in parked {
        world.core.abandon(world.now, key);
    }
    assert!(world.core.requests.is_full_of_abandoned());
    world.core.requests.check_room().unwrap();
}

#[test]
fn each_request_has_its_own_deadline() {
    let mut world = World::connected();
    world.server.hangs = true;
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let start = world.now;
    let keys = [3, 1, 2].map(|seconds| {
        let request = Request {
            op: OpCode::GetData,
            needs: OpSet::NONE,
            path: "/a",
            record: &record,
            replay: Replay::Always,
            watch: None,
            deadline: Some(start + Duration::from_secs(seconds)),
            cleanup: false,
            only_in: None,
            room: None,
        };
        let key = world.core.submit(start, &request).unwrap();
        (start + Duration::from_secs(seconds), key)
    });
    for seconds in 1..=3 {
        let due = start + Duration::from_secs(seconds);
        world.core.handle_timeout(due - Duration::from_millis(1));
        let waits = |world: &mut World| {
            let waiting = keys.iter().filter(|(deadline, _)| *deadline >= due);
            waiting.clone().all(|(_, key)| world.poll(*key).is_none())
        };
        assert!(waits(&mut world), "before {seconds}");
        world.core.handle_timeout(due);
        let (_, key) = keys.iter().find(|(deadline, _)| *deadline == due).unwrap();
        let failed = world.poll(*key);
        assert!(
            matches!(failed, Some(Err(Failure::DeadlineExceeded(_)))),
            "{failed:?}"
        );
    }
}

/// The driver then waits for what else is submitted, since the reply takes a while anyway.
#[test]
fn a_request_awaits_its_reply() {
    let mut world = World::connected();
    world.server.change("/a", false);
    assert!(!world.core.awaits_reply() && !world.core.has_output());
    let read = world.get("/a", false);
    assert!(world.core.has_output());
    world.deliver(usize::MAX);
    assert!(!world.core.has_output());
    assert!(world.core.awaits_reply());
    world.answer(usize::MAX);
    assert!(!world.core.awaits_reply());
    world.ok(read);
    world.cut();
    assert!(!world.core.awaits_reply());
}
