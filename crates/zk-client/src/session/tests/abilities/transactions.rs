//! Transactions with operations that a server lacks.

use super::*;

fn is_unimplemented(reply: &Option<Result<Reply, Failure>>) -> bool {
    let unknown = Err(ErrorCode::Unimplemented);
    matches!(reply, Some(Ok(Reply { result, .. })) if *result == unknown)
}

/// A server that answers at once does not decode a transaction, and may have a leader that executes it.
/// Guards: G2, G3.
#[test]
fn a_refused_create_does_not_pass_a_multi() {
    for unknown in [Unknown::Refuse, Unknown::RefuseAndClose] {
        let mut world = World::lacking(&[OpCode::Create2], unknown);
        world.server.refuses_at_once = true;
        let multi = world.multi(&[(OpCode::Create2, "/a")]);
        let create = world.create_by(OpCode::Create2, "/a/b", "/a/b");
        world.deliver(usize::MAX);
        assert_eq!(world.server.log, ["/a"]);
        // What the server sends next does not arrive.
        world.answer(1);
        world.cut();
        world.reconnect();
        let refused = world.poll(create);
        assert!(is_unimplemented(&refused), "{refused:?}");
        let lost = world.poll(multi).unwrap().unwrap_err();
        assert_eq!(lost.outcome(), Outcome::Unknown, "{lost:?}");
        assert_eq!(world.server.log, ["/a"], "it is executed once");
    }
}

/// Which of its operations a transaction was refused for is not known.
#[test]
fn a_refused_multi_does_not_resend_a_create() {
    let (one, other) = (OpCode::Create2, OpCode::CreateContainer);
    for ops in [&[(one, "/m")][..], &[(one, "/m"), (other, "/c")]] {
        for code in [ErrorCode::Unimplemented, ErrorCode::MarshallingError] {
            let mut world = World::connected();
            world.server.refuses_multi = Some(code);
            let multi = world.multi(ops);
            let create = world.create_by(OpCode::Create2, "/a", "/a");
            world.deliver(usize::MAX);
            world.answer(1);
            world.settle();
            world.reconnect();
            let refused = world.poll(multi);
            assert!(is_unimplemented(&refused), "{refused:?}");
            world.ok(create);
            assert_eq!(world.server.log, ["/a"], "it is executed once");
        }
    }
}

#[test]
fn a_multi_convicts_for_one_operation_only() {
    let server = |host: &str| ServerId::of(host.parse().ok().as_ref(), None);
    let both = OpSet::of_all(&[OpCode::Create2, OpCode::CreateContainer]);
    let mut abilities = ServerHistory::default();
    abilities.handle_connected(server("zk1:2181"));
    assert!(!abilities.handle_refused_multi(both).is_empty());
    assert!(abilities.lacking().contains(OpCode::Create2));
    abilities.handle_connected(server("zk2:2181"));
    assert!(
        !abilities.lacking().contains(OpCode::Create2),
        "of this one"
    );
    let one = OpSet::of(OpCode::Create2);
    assert!(!abilities.handle_refused_multi(one).is_empty());
    abilities.handle_connected(server("zk3:2181"));
    assert!(abilities.lacking().contains(OpCode::Create2));
}

/// Pipelined transactions are sent again together.
#[test]
fn refused_multis_are_all_made_in_order() {
    let mut world = World::connected();
    world.server.refuses_multi = Some(ErrorCode::MarshallingError);
    let keys = ["/1", "/2", "/3"].map(|path| world.multi(&[(OpCode::Create2, path)]));
    world.deliver(usize::MAX);
    world.server.refuses_multi = None;
    world.answer(1);
    world.reconnect();
    for key in keys {
        world.ok(key);
    }
    assert_eq!(world.server.log, ["/1", "/2", "/3"]);
}
