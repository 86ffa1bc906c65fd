use crate::session::leader_contact::*;

mod model;

const TIMEOUT: Duration = Duration::from_secs(12);

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

/// A session that was created at `start`.
fn created(start: Instant) -> LeaderContact {
    let mut contact = LeaderContact::new(start);
    contact.handle_connected(start, at(start, 5), true);
    contact
}

fn write(contact: &mut LeaderContact, submitted: Instant, decided: bool) {
    contact.handle_written(submitted);
    contact.handle_reply(submitted, submitted + Duration::from_millis(5), decided);
}

#[test]
fn a_decided_write_proves_older_signs() {
    let start = Instant::now();
    let mut contact = created(start);
    contact.handle_answered(at(start, 1_000), at(start, 1_010), TIMEOUT);
    contact.handle_answered(at(start, 2_000), at(start, 2_010), TIMEOUT);
    assert_eq!(contact.proven, Some(start), "pings prove nothing");
    write(&mut contact, at(start, 4_609), true);
    assert_eq!(
        contact.proven,
        Some(start),
        "the leader may not have pinged since"
    );
    write(&mut contact, at(start, 4_610), true);
    assert_eq!(contact.proven, Some(at(start, 1_000)));
    write(&mut contact, at(start, 60_000), true);
    assert_eq!(contact.proven, Some(at(start, 2_000)));
}

/// Guards: H1. The server that resumes a session may be a deposed leader.
#[test]
fn a_resumed_handshake_proves_nothing_alone() {
    let start = Instant::now();
    let mut contact = created(start);
    contact.handle_answered(at(start, 3_000), at(start, 3_000), TIMEOUT);
    contact.handle_connected(at(start, 3_500), at(start, 3_600), false);
    assert_eq!(contact.proven, Some(start));
    assert_eq!(
        contact.renewal_due(TIMEOUT),
        at(start, 2_000),
        "a write is due"
    );
    write(&mut contact, at(start, 3_600), false);
    assert_eq!(contact.proven, Some(start), "any server refuses like this");
    write(&mut contact, at(start, 3_600), true);
    assert_eq!(
        contact.proven,
        Some(at(start, 3_500)),
        "it had asked the leader"
    );
}

#[test]
fn a_session_taken_over_has_no_deadline() {
    let start = Instant::now();
    let mut contact = LeaderContact::new(start);
    assert_eq!(contact.deadline(TIMEOUT), None);
    contact.handle_connected(start, at(start, 5), false);
    assert_eq!(contact.deadline(TIMEOUT), None);
    write(&mut contact, at(start, 5), true);
    assert_eq!(contact.deadline(TIMEOUT), Some(at(start, 11_000)));
}

#[test]
fn signs_of_another_connection_are_void() {
    let start = Instant::now();
    let mut contact = created(start);
    contact.handle_answered(at(start, 1_000), at(start, 1_000), TIMEOUT);
    contact.handle_cut_off();
    contact.handle_answered(at(start, 4_000), at(start, 4_000), TIMEOUT);
    write(&mut contact, at(start, 5_000), true);
    assert_eq!(contact.proven, Some(start));
}

/// Guards: H4. A renewal is due from the last decision.
#[test]
fn undecided_writes_delay_no_renewal() {
    let start = Instant::now();
    let mut contact = created(start);
    for ms in (0..2_000).step_by(100) {
        write(&mut contact, at(start, ms), false);
        contact.handle_written(at(start, ms));
    }
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 2_000));
    assert!(!contact.claim_renewal(at(start, 1_999), TIMEOUT));
    assert!(contact.claim_renewal(at(start, 2_000), TIMEOUT));
    assert!(!contact.claim_renewal(at(start, 3_499), TIMEOUT), "claimed");
    assert!(
        contact.claim_renewal(at(start, 3_500), TIMEOUT),
        "the first claim was not decided"
    );
    contact.handle_reply(at(start, 1_900), at(start, 3_600), true);
    assert_eq!(
        contact.renewal_due(TIMEOUT),
        at(start, 5_000),
        "after the claim"
    );
}

/// Guards: H4, H6. A server is overdue when a write has waited and the deadline is near.
#[test]
fn a_server_is_overdue_only_after_its_share() {
    let start = Instant::now();
    let mut contact = created(start);
    assert_eq!(contact.overdue(TIMEOUT), None, "nothing waits");
    // Less than a quarter is left, and the write is new.
    contact.handle_written(at(start, 9_000));
    assert_eq!(contact.overdue(TIMEOUT), Some(at(start, 10_500)));
    // The next one waits since the first was decided.
    contact.handle_written(at(start, 9_100));
    contact.handle_reply(at(start, 9_000), at(start, 9_500), true);
    assert_eq!(contact.overdue(TIMEOUT), Some(at(start, 11_000)));
    contact.handle_reply(at(start, 9_100), at(start, 9_600), true);
    assert_eq!(contact.overdue(TIMEOUT), None);
    // Much is left: a slow reply is waited for.
    contact.handle_answered(at(start, 9_000), at(start, 9_000), TIMEOUT);
    write(&mut contact, at(start, 13_000), true);
    contact.handle_written(at(start, 13_100));
    assert_eq!(contact.overdue(TIMEOUT), Some(at(start, 17_000)));
}

/// Guards: H6. An idle client pings every twelfth.
#[test]
fn a_write_after_idling_leaves_half() {
    let start = Instant::now();
    for idle in 0..30_000 {
        let mut contact = created(start);
        for ping in (1_000..idle).step_by(1_000) {
            contact.handle_answered(at(start, ping), at(start, ping + 1), TIMEOUT);
        }
        write(&mut contact, at(start, idle), true);
        let left = contact.deadline(TIMEOUT).unwrap() - at(start, idle);
        assert!(left > TIMEOUT / 2, "{left:?} after {idle} ms");
    }
}

#[test]
fn signs_are_bounded_and_span_the_timeout() {
    let start = Instant::now();
    let mut contact = created(start);
    for ms in 0..36_000 {
        contact.handle_answered(at(start, ms), at(start, ms), TIMEOUT);
    }
    assert!(contact.signs.len() <= KEPT);
    let span = at(start, 36_000) - contact.signs[0].submitted;
    assert!(span > TIMEOUT - TIMEOUT / GRAIN, "{span:?}");
    write(&mut contact, at(start, 36_000), true);
    let late = at(start, 32_400) - contact.proven.unwrap();
    assert!(late < TIMEOUT / GRAIN, "{late:?}");
}

#[test]
fn a_suspension_makes_signs_older() {
    let start = Instant::now();
    let mut contact = created(start + TIMEOUT);
    contact.handle_suspended(TIMEOUT / 2);
    assert_eq!(contact.proven, Some(start + TIMEOUT / 2));
}

#[test]
fn renewals_are_more_frequent_when_late() {
    let start = Instant::now();
    let mut contact = created(start);
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 2_000));
    // Decided writes that prove no newer sign: the deadline stays 11 s after the start.
    write(&mut contact, at(start, 4_000), true);
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 6_000));
    write(&mut contact, at(start, 6_000), true);
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 7_000));
    write(&mut contact, at(start, 8_000), true);
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 8_500));
}

#[test]
fn a_claimed_renewal_is_not_due_for_a_while() {
    let start = Instant::now();
    let mut contact = created(start);
    write(&mut contact, at(start, 8_000), true);
    let due = at(start, 8_500);
    assert!(contact.claim_renewal(due, TIMEOUT));
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 10_000));
    contact.return_renewal();
    assert_eq!(contact.renewal_due(TIMEOUT), due);
    assert!(contact.claim_renewal(due, TIMEOUT));
    write(&mut contact, due, true);
    assert_eq!(contact.renewal_due(TIMEOUT), at(start, 9_000));
}

#[test]
fn close_and_old_signs_are_left_out() {
    let start = Instant::now();
    let mut contact = created(start);
    for (submitted, signs) in [(1_000, 2), (1_374, 2), (1_375, 3)] {
        contact.handle_answered(at(start, submitted), at(start, submitted), TIMEOUT);
        assert_eq!(contact.signs.len(), signs, "{submitted} ms");
    }
    contact.handle_answered(at(start, 11_900), at(start, 12_000), TIMEOUT);
    assert_eq!(contact.signs.len(), 3, "the handshake is a timeout old");
}

#[test]
fn reads_and_syncs_are_decided_by_no_quorum() {
    use OpCode::{Exists, GetChildren2, GetData, Multi, Ping, SetData, Sync};

    for op in [Exists, GetChildren2, GetData, Ping, Sync] {
        assert!(!is_decided_by_quorum(op), "{op:?}");
    }
    for op in [Multi, SetData] {
        assert!(is_decided_by_quorum(op), "{op:?}");
    }
}
