//! Logins: nothing before them, nothing beside them, nothing after one that failed.

use crate::session::tests::*;
use zk_proto::xid;

fn is_sasl(op: &OpCode) -> bool {
    *op == OpCode::Sasl
}

/// Why the client is over, after a login that failed for good.
fn refusal(world: &mut World) -> SaslError {
    assert_eq!(world.core.state(), State::AuthFailed);
    assert!(world.core.is_over());
    match world.core.refused_for() {
        Some(Disconnect::LoginFailed { mechanism, cause }) => {
            assert_eq!(mechanism, "MODEL");
            cause
        }
        other => panic!("{other:?}"),
    }
}

/// B20 is ZOOKEEPER-1702, B21 are ZOOKEEPER-1437 and 3937.
/// Guards: B20, B21.
#[test]
fn nothing_is_written_before_the_login() {
    let mut world = World::with_login();
    world.server.requires_sasl = true;
    world.server.change("/a", false);
    world
        .core
        .preset_credential("digest".into(), b"u:p".to_vec());
    world.connect();
    let read = world.get("/a", true);
    world.settle();
    world.watch(read);
    world.cut();
    let reads: Vec<_> = (0..50).map(|_| world.get("/a", false)).collect();
    world.begin();
    // Byte by byte, so that every chance to say too much is there.
    world.take_output();
    let greeting = world.wire.len();
    assert_eq!(greeting, 4 + 45, "the connect request and nothing else");
    while world.server.arrived.len() < 4 || world.server.unsent() > 0 || !world.wire.is_empty() {
        assert!(!world.core.is_connected() || world.server.arrived.len() >= 2);
        world.deliver(1);
        world.answer(1);
        world.take_output();
    }
    world.settle();
    let arrived = &world.server.arrived;
    assert_eq!(
        arrived[..4],
        [OpCode::Sasl, OpCode::Sasl, OpCode::Auth, OpCode::SetWatches]
    );
    assert_eq!(arrived.len(), 4 + reads.len());
    for read in reads {
        world.ok(read);
    }
}

/// ZOOKEEPER-2775: after one login that came to nothing, every later connection has its xids right.
/// Guards: B18.
#[test]
fn a_login_cut_at_any_byte_is_repeated() {
    let whole = {
        let mut world = World::with_login();
        world.connect();
        world.written
    };
    for cut in 0..=usize::try_from(whole).unwrap() {
        let mut world = World::with_login();
        world.server.requires_sasl = true;
        world.server.change("/a", false);
        let read = world.get("/a", false);
        world.begin();
        let mut left = cut;
        while left > 0 {
            let before = world.written;
            world.deliver(left);
            left -= usize::try_from(world.written - before).unwrap();
            if before == world.written && world.server.unsent() == 0 {
                break;
            }
            world.answer(usize::MAX);
        }
        world.cut();
        world.connect();
        assert!(world.core.is_connected(), "cut at {cut}");
        world.ok(read);
    }
}

/// And cut at any byte of what the server says.
/// Guards: B18.
#[test]
fn a_reply_cut_at_any_byte_is_harmless() {
    for frames in 0..3 {
        for kept in 0..40 {
            let mut world = World::with_login();
            world.begin();
            for _ in 0..frames {
                world.deliver(usize::MAX);
                world.answer(1);
            }
            world.deliver(usize::MAX);
            let frame = world.server.send().unwrap();
            world.frames.extend(&frame[..kept.min(frame.len() - 1)]);
            world.receive().unwrap();
            world.cut();
            world.connect();
            assert!(world.core.is_connected());
        }
    }
}

/// Guards: A33, B79.
#[test]
fn a_refused_login_ends_the_client() {
    for code in [
        ErrorCode::AuthFailed,
        ErrorCode::SessionClosedRequireSaslAuth,
    ] {
        let mut world = World::with_login();
        let write = world.set("/a", "1");
        world
            .server
            .sasl_says
            .extend([Ok(Some(&b"challenge"[..])), Err(code)]);
        world.begin();
        world.deliver(usize::MAX);
        world.answer(1);
        world.deliver(usize::MAX);
        world.answer(1);
        world.deliver(usize::MAX);
        assert!(world.server.arrived.iter().all(is_sasl));
        world.answer(1);
        assert_eq!(refusal(&mut world), SaslError::Refused(code));
        let answer = world.poll(write);
        assert!(
            matches!(
                answer,
                Some(Err(Failure::AuthFailed(
                    Disconnect::LoginFailed { .. },
                    Outcome::NotSent
                )))
            ),
            "{answer:?}"
        );
        // Nor is anything accepted later, or another connection begun.
        let path = "/a";
        let record = GetDataRequest {
            path: path.into(),
            watch: false,
        };
        let late = world.submit(OpCode::GetData, path, &record, true, None);
        assert!(matches!(late, Err(Failure::AuthFailed(..))));
        assert!(!world.core.begin(world.now, Duration::from_secs(1)));
    }
}

/// Guards: A33, T5.
#[test]
fn without_sasl_no_request_is_sent() {
    let mut world = World::with_login();
    world.server.sasl_says.push_back(Ok(None));
    let read = world.get("/a", false);
    world.connect();
    assert_eq!(refusal(&mut world), SaslError::NotOffered);
    assert!(matches!(
        world.poll(read),
        Some(Err(Failure::AuthFailed(..)))
    ));
}

/// `zookeeper.allowSaslFailedClients`: the server keeps clients whose login failed.
/// Guards: B79, T5.
#[test]
fn success_without_proof_is_a_failure() {
    for says in [None, Some(&b""[..]), Some(&b"proof?"[..])] {
        let mut world = World::with_login();
        world
            .server
            .sasl_says
            .extend([Ok(Some(&b"challenge"[..])), Ok(says)]);
        world.connect();
        assert_eq!(refusal(&mut world), SaslError::Unproven);
    }
}

/// Guards: B76.
#[test]
fn an_unasked_challenge_is_not_answered() {
    let mut world = World::with_login();
    let digest = &b"realm=\"zk-sasl-md5\",nonce=\"x\",algorithm=md5-sess"[..];
    world.server.sasl_says.push_back(Ok(Some(digest)));
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.deliver(usize::MAX);
    world.answer(1);
    assert!(matches!(refusal(&mut world), SaslError::Challenge(_)));
}

/// ZOOKEEPER-4342: whatever is not the answer to the token ends the connection.
/// Guards: B22.
#[test]
fn a_reply_of_another_kind_is_no_token() {
    for xid in [xid::NOTIFICATION, xid::PING, xid::AUTH, 0, 2, 99] {
        let mut world = World::with_login();
        world.begin();
        world.deliver(usize::MAX);
        world.answer(1);
        world.server.interject(xid);
        let frame = world.server.send().unwrap();
        world.frames.extend(&frame);
        let reason = world.receive().unwrap_err();
        assert_eq!(
            reason,
            Disconnect::XidMismatch {
                got: xid,
                expected: 1
            }
        );
        world.cut_for(&reason);
        // A connection of that kind is not to be trusted; the next one may be.
        world.connect();
        assert!(world.core.is_connected());
    }
    // The right xid, but a record that is not a token's.
    let mut world = World::with_login();
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.server.interject(1);
    let frame = world.server.send().unwrap();
    world.frames.extend(&frame);
    let reason = world.receive().unwrap_err();
    assert!(matches!(reason, Disconnect::Malformed(_)), "{reason}");
    // And a token that was not asked for.
    let mut world = World::with_login();
    world.begin();
    world.deliver(usize::MAX);
    let connected = world.server.send().unwrap();
    world.server.interject(1);
    let token = world.server.send().unwrap();
    world.frames.extend(&connected);
    world.frames.extend(&token);
    assert_eq!(world.receive(), Err(Disconnect::Unsolicited(1)));
}

/// Guards: B72.
#[test]
fn a_server_proof_that_fails_is_reported() {
    let mut world = World::with_login();
    world.connect();
    assert!(world.core.is_connected());
    world.server.change("/a", false);
    let sent = world.set("/a", "1");
    world.deliver(usize::MAX);
    world.cut();
    let parked = world.set("/a", "2");
    world
        .server
        .sasl_says
        .extend([Ok(Some(&b"challenge"[..])), Err(ErrorCode::AuthFailed)]);
    world.connect();
    assert_eq!(
        refusal(&mut world),
        SaslError::Refused(ErrorCode::AuthFailed)
    );
    assert_eq!(world.outcome(sent), Some(Outcome::Unknown));
    assert!(matches!(
        world.poll(parked),
        Some(Err(Failure::AuthFailed(_, Outcome::NotSent)))
    ));
    assert_eq!(world.server.log.len(), 1);
}

/// ZOOKEEPER-4477: what may be mended by itself is tried again.
/// Guards: A34, B78.
#[test]
fn a_missing_ticket_is_waited_for() {
    for turn in 1..=3 {
        let mut world = World::with_login();
        let away = SaslError::Unavailable("the key distribution center is down".into());
        world.mechanism.as_mut().unwrap().fails = Some((turn, away));
        world.server.change("/a", false);
        let read = world.get("/a", false);
        world.connect();
        assert!(!world.core.is_over());
        assert!(!world.core.is_connected());
        world.connect();
        world.ok(read);
    }
}

#[test]
fn a_close_during_a_login_says_so() {
    let mut world = World::with_login();
    world.begin();
    assert_eq!(world.core.closed_unserved(), Disconnect::ClosedInHandshake);
    world.deliver(usize::MAX);
    world.answer(1);
    let text = world.core.closed_unserved().to_string();
    assert!(
        text.contains("MODEL") && text.contains("during the login"),
        "{text}"
    );
}

#[test]
fn a_last_token_only_has_to_be_accepted() {
    let mut world = World::with_login();
    world.mechanism.as_mut().unwrap().is_final = true;
    world.connect();
    assert!(world.core.is_connected());
    world.cut();
    world
        .server
        .sasl_says
        .extend([Ok(Some(&b"challenge"[..])), Err(ErrorCode::AuthFailed)]);
    world.connect();
    assert!(matches!(refusal(&mut world), SaslError::Refused(_)));
}

/// A server that stops in the middle of a login is a dead one, and the tokens until then have kept
/// no session alive: servers do not count them.
/// Guards: A33.
#[test]
fn a_login_has_its_own_timeout() {
    let mut world = World::with_login();
    world.begin();
    world.deliver(usize::MAX);
    world.now += Duration::from_millis(900);
    world.answer(1);
    let asked = world.now;
    let lease = world.core.session.lease_until();
    // Slower than the handshake may be, and no ping meanwhile.
    world.now += TIMEOUT / 2;
    let due = world.core.poll_link_timeout().unwrap();
    assert_eq!(due, asked + TIMEOUT * 2 / 3);
    world.core.handle_link_timeout(world.now).unwrap();
    world.deliver(usize::MAX);
    world.answer(1);
    assert_eq!(world.core.session.lease_until(), lease);
    let due = world.core.poll_link_timeout().unwrap();
    assert_eq!(due, world.now + TIMEOUT * 2 / 3);
    assert!(matches!(
        world.core.handle_link_timeout(due),
        Err(Disconnect::ReadTimeout(_))
    ));
}

/// Guards: B31.
#[test]
fn closing_during_a_login_waits_for_it() {
    let mut world = World::with_login();
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.core.close(world.now);
    world.settle();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
}

/// Guards: T5.
#[test]
fn a_missing_login_is_no_retry_storm() {
    let mut world = World::new();
    world.server.requires_sasl = true;
    world.connect();
    assert!(world.core.is_connected(), "it lets the handshake pass");
    let first = world.get("/a", false);
    let second = world.set("/a", "1");
    world.settle();
    assert_eq!(world.core.state(), State::AuthFailed);
    assert_eq!(world.core.refused_for(), Some(Disconnect::LoginRequired));
    let refused = |answer, outcome| matches!(answer, Some(Err(Failure::AuthFailed(Disconnect::LoginRequired, o))) if o == outcome);
    assert!(refused(world.poll(first), Outcome::Rejected));
    assert!(refused(world.poll(second), Outcome::Unknown));
}
