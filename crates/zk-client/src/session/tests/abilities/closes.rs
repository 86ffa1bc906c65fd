//! Which ends of a connection show that its server lacks an operation.

use super::*;
use crate::session::abilities::{ServerAbilities, Unanswered};

/// Two connections to one server end for this reason, each when a request was to be answered. Before, the
/// server answers `refuses` as unknown. Whether the server is then said to lack the operation.
fn convicts(reason: &Disconnect, refuses: Option<OpCode>) -> bool {
    let op = OpCode::AddWatch;
    let now = Instant::now();
    let mut abilities = ServerAbilities::default();
    for _ in 0..2 {
        abilities.handle_connected(ServerId::of(None, None), false);
        if let Some(refused) = refuses {
            let mut answer = Err(ErrorCode::Unimplemented);
            abilities.handle_answer(refused, OpSet::of(refused), &mut answer);
        }
        let unanswered = Unanswered {
            op,
            submitted: now,
            ops: OpSet::of(op),
        };
        abilities.handle_closed(now, TIMEOUT, reason, [unanswered].into_iter());
    }
    abilities.lacks(op)
}

/// A server that does not know a request closes the connection. What this side has ended, or what did not
/// end, shows nothing.
#[test]
fn only_a_close_shows_a_missing_op() {
    for reason in [
        Disconnect::ClosedByServer,
        Disconnect::Reset("reset by peer".into()),
        Disconnect::Io("broken pipe".into()),
        #[cfg(feature = "tls")]
        Disconnect::Tls(zk_transport::TlsError::UnknownCa),
    ] {
        assert!(convicts(&reason, None), "{reason}");
    }
    for reason in [
        Disconnect::Local,
        Disconnect::Moving,
        Disconnect::GivenUp,
        Disconnect::ReadTimeout(TIMEOUT),
        Disconnect::NegativeLength(-1),
    ] {
        assert!(!convicts(&reason, None), "{reason}");
    }
}

/// The connection may have ended for what was refused, even if that is only switched off.
#[test]
fn a_close_after_a_refusal_shows_no_more() {
    for refused in [OpCode::Reconfig, OpCode::CreateContainer] {
        assert!(!convicts(&Disconnect::ClosedByServer, Some(refused)));
    }
    assert!(!convicts(&Disconnect::Local, Some(OpCode::Reconfig)));
}

/// What a transaction needs is what its server may lack.
#[test]
fn a_close_for_a_multi_is_its_operations() {
    let mut world = World::lacking(&[OpCode::Multi], Unknown::Close);
    for closes in 1..=2 {
        let multi = world.multi(&[(OpCode::Create2, "/a")]);
        world.settle();
        world.reconnect();
        assert!(matches!(world.poll(multi), Some(Err(Failure::ClosedOn(_)))));
        assert_eq!(world.core.lacks(OpCode::Create2), closes == 2);
    }
}

/// ClickHouse Keeper answers so. The events of such a watch do not name what has changed.
#[test]
fn a_recursive_watch_without_record_refused() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let key = world.lasting();
    world.deliver(usize::MAX);
    let reply = world.server.send().unwrap();
    let mut frame = BytesMut::from(&reply[..20]);
    frame[..4].copy_from_slice(&16_u32.to_be_bytes());
    world.frames.extend(&frame);
    world.receive().unwrap();
    assert!(world.core.has_nameless_events());
    let answer = world.poll(key).unwrap().unwrap();
    assert!(answer.result.is_ok() && answer.watch.is_none());
    assert_eq!(world.core.statistics().subscribers, 0);
}
