//! Calls that wait for room.

use super::*;
use crate::session::requests::RoomTicket;

fn has_room(world: &mut World, ticket: RoomTicket) -> bool {
    match world.core.poll_room(ticket, Waker::noop()) {
        None => false,
        Some(Ok(())) => true,
        Some(Err(failure)) => panic!("{failure:?}"),
    }
}

/// Submits a set of so many bytes in the room of a call, or without any.
fn set(world: &mut World, bytes: usize, room: Option<RoomTicket>) -> Result<SlotKey, Failure> {
    let data = vec![0; bytes];
    let record = SetDataRequest {
        path: "/a".into(),
        data: Some(&data),
        version: -1,
    };
    let request = Request {
        room,
        ..Request::once(OpCode::SetData, "/a", &record)
    };
    let submitted = world.core.submit(world.now, &request);
    world.core.serve_calls();
    submitted.map_err(|failure| *failure)
}

#[test]
fn an_answered_request_makes_room() {
    let mut world = World::connected();
    let keys: Vec<_> = (0..64).map(|_| world.get("/a", false)).collect();
    let tickets = [world.core.enter_room(), world.core.enter_room()];
    world.settle();
    // Room is free once the reply has been taken.
    assert!(!has_room(&mut world, tickets[0]));
    assert!(world.poll(keys[0]).is_some());
    assert!(has_room(&mut world, tickets[0]) && !has_room(&mut world, tickets[1]));
    // The connection and what is lost with it make no difference to reserved room.
    world.cut();
    world.connect();
    assert!(matches!(set(&mut world, 1, None), Err(Failure::QueueFull)));
    let key = set(&mut world, 1, Some(tickets[0])).unwrap();
    // A second request with the same ticket is like any other.
    let again = set(&mut world, 1, Some(tickets[0]));
    assert!(matches!(again, Err(Failure::QueueFull)));
    world.settle();
    assert!(world.poll(key).is_some());
}

#[test]
fn a_refused_request_gives_its_room_back() {
    let mut world = World::connected();
    let _keys: Vec<_> = (0..63).map(|_| world.get("/a", false)).collect();
    let tickets = [world.core.enter_room(), world.core.enter_room()];
    assert!(has_room(&mut world, tickets[0]) && !has_room(&mut world, tickets[1]));
    let refused = set(&mut world, 2000, Some(tickets[0]));
    assert!(matches!(refused, Err(Failure::RequestTooLarge { .. })));
    // Scarce room was last given to a call.
    set(&mut world, 1, None).unwrap();
    assert!(!has_room(&mut world, tickets[1]));
}

/// Guards: G8.
#[test]
fn reserved_room_is_within_the_bytes() {
    let mut world = World::new();
    // Four requests of the largest size, and none of them is in the shared part.
    world.core.requests.limits.outstanding_bytes = 4 * 1024;
    let tickets: Vec<_> = (0..8).map(|_| world.core.enter_room()).collect();
    let served = |world: &mut World| {
        let has_room = |ticket: &&RoomTicket| has_room(world, **ticket);
        tickets.iter().filter(has_room).count()
    };
    assert_eq!(served(&mut world), 4);
    assert!(matches!(
        set(&mut world, 1, None),
        Err(Failure::QueueBytes { limit: 4096, .. })
    ));
    // Small requests take less than what was reserved for them.
    for (ticket, made) in tickets.iter().zip(1..) {
        let key = set(&mut world, 500, Some(*ticket)).unwrap();
        assert!(world.core.requests.get(key).is_some());
        let bytes = world.core.requests.parked().map(|slot| slot.record.len());
        let bytes = bytes.sum::<usize>();
        assert!(bytes < 4096 + 1024, "{made}: {bytes}");
    }
}

/// Any sequence of calls and requests keeps the limits, serves calls in order, and serves all of them
/// once the requests have ended.
/// Guards: G8.
#[test]
fn calls_are_served_within_the_limits() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let limits = &mut world.core.requests.limits;
        limits.outstanding = random.usize(1..40);
        limits.outstanding_bytes = random.usize(1..20_000);
        let (most, limit) = (limits.outstanding, limits.outstanding_bytes);
        let (mut waiting, mut served, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..300 {
            match random.u32(0..10) {
                0..3 => waiting.push(world.core.enter_room()),
                3 if !waiting.is_empty() => {
                    let gone = waiting.remove(random.usize(0..waiting.len()));
                    world.core.leave_room(gone);
                }
                4 if !served.is_empty() => {
                    let gone = served.remove(random.usize(0..served.len()));
                    assert!(world.core.leave_room(gone));
                }
                5..7 if !served.is_empty() => {
                    let ticket = served.remove(random.usize(0..served.len()));
                    let key = set(&mut world, random.usize(0..900), Some(ticket));
                    held.push(key.unwrap());
                }
                7 => held.extend(set(&mut world, random.usize(0..900), None)),
                _ if !held.is_empty() => {
                    let key = held.remove(random.usize(0..held.len()));
                    world.core.abandon(world.now, key);
                }
                _ => {}
            }
            world.core.serve_calls();
            let before = waiting.len();
            waiting.retain(|ticket| {
                let is_served = has_room(&mut world, *ticket);
                served.extend(is_served.then_some(*ticket));
                !is_served
            });
            let what = format!("seed {seed}, step {step}");
            // Those that were served are the first.
            let newest = served.iter().rev().take(before - waiting.len()).max();
            assert!(newest.is_none_or(|newest| waiting.iter().all(|later| later > newest)));
            let requests = world.core.requests.outstanding();
            assert!(requests + served.len() <= most, "{what}: {requests}");
            let bytes = world.core.requests.parked().map(|slot| slot.record.len());
            assert!(bytes.sum::<usize>() < limit + 1024, "{what}");
        }
        for ticket in served.drain(..) {
            world.core.leave_room(ticket);
        }
        for key in held {
            world.core.abandon(world.now, key);
        }
        // One after the other, as each gives its room back.
        for ticket in waiting {
            assert!(has_room(&mut world, ticket), "seed {seed}");
            assert!(world.core.leave_room(ticket));
        }
    }
}
