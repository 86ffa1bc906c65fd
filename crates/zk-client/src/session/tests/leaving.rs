//! Servers that decide no write in time, and are left for another one.

use crate::session::tests::*;

type Time = fn(&World) -> Instant;

impl World {
    fn has_left(&self) -> bool {
        self.core.poll_link_timeout().unwrap() <= self.now
    }
}

/// Early, the server has time for its reply; late, no other can prove that the session lives.
#[test]
fn an_overdue_server_is_left_in_time() {
    let moment = Duration::from_millis(1);
    let (due, end): (Time, Time) = (
        |world| world.core.session.overdue().unwrap(),
        |world| world.core.session.quorum_lease_until(),
    );
    let times = [
        (due, moment, false),
        (due, Duration::ZERO, true),
        (end, moment, true),
        (end, Duration::ZERO, false),
    ];
    for (time, before, leaves) in times {
        let mut world = World::connected();
        world.set("/a", "1");
        world.deliver(usize::MAX);
        let at = time(&world) - before;
        world.core.leave_overdue_server(at);
        let left = at - world.now;
        assert_eq!(world.has_left(), leaves, "after {left:?}");
        if leaves {
            let left = world.core.handle_link_timeout(world.now);
            assert!(matches!(left, Err(Disconnect::GivenUp)), "{left:?}");
        }
    }
}

/// Any server answers a read. A write counts once it is on the wire.
#[test]
fn only_a_sent_write_makes_a_server_overdue() {
    let mut world = World::connected();
    world.server.change("/a", false);
    world.get("/a", false);
    let huge = "x".repeat(2000);
    let data = SetDataRequest {
        path: "/a".into(),
        data: Some(huge.as_bytes()),
        version: -1,
    };
    let too_large = world.submit(OpCode::SetData, "/a", &data, false, None);
    assert!(matches!(too_large, Err(Failure::RequestTooLarge { .. })));
    assert_eq!(world.core.session.overdue(), None);
    world.cut();
    world.get("/a", false);
    let parked = world.set("/a", "1");
    assert_eq!(world.core.session.overdue(), None);
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    assert!(world.core.session.overdue().is_some());
    world.settle();
    world.ok(parked);
    assert_eq!(world.core.session.overdue(), None);
    world.set("/a", "2");
    assert!(world.core.session.overdue().is_some());
}
