//! Sessions and their timeouts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::SessionPassword;

use crate::core::connection::ConnectionId;
use crate::core::shrink::shrink_map;

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) timeout_ms: i32,
    /// The connection that opened or resumed the session last. Only its writes are accepted.
    pub(crate) owner: Option<ConnectionId>,
    /// The read-only member that made the session; `None` for a session of the whole ensemble.
    pub(crate) local: Option<usize>,
    /// When it ends, in milliseconds since the server's start: a multiple of the tick.
    expires: u64,
    /// When the last frame of its client arrived.
    touched: u64,
    /// `touched` as the leader's last poll of its followers reported it.
    reported: u64,
}

/// Sessions in buckets of one tick, as a real server has them: a session ends with the first tick
/// after its timeout.
#[derive(Debug, Clone)]
pub(crate) struct SessionTable {
    sessions: HashMap<i64, Session>,
    buckets: BTreeMap<u64, BTreeSet<i64>>,
    tick: u64,
    next_id: i64,
}

impl SessionTable {
    pub(crate) fn new(tick_ms: u64, seed_ms: u64, server_id: u8) -> Self {
        let uptime = (seed_ms << 24) >> 8;
        Self {
            sessions: HashMap::new(),
            buckets: BTreeMap::new(),
            tick: tick_ms.max(1),
            next_id: (uptime | (u64::from(server_id) << 56)).cast_signed(),
        }
    }

    pub(crate) fn create(&mut self, now: u64, timeout_ms: i32, local: Option<usize>) -> i64 {
        // 0 means no session, and i64::MIN marks containers.
        while matches!(self.next_id, 0 | i64::MIN) || self.sessions.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let session = Session {
            timeout_ms,
            owner: None,
            local,
            expires: 0,
            touched: now,
            reported: now,
        };
        self.sessions.insert(id, session);
        self.touch(now, id);
        id
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: i64) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// Restarts the session's timeout. False if there is no such session.
    pub(crate) fn touch(&mut self, now: u64, id: i64) -> bool {
        let polled = self.last_poll(now);
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        if session.touched <= polled {
            session.reported = session.touched;
        }
        session.touched = now;
        self.count_from(now, id);
        true
    }

    /// As [`touch`](Self::touch), known to the leader at once, because a server validates a session
    /// with the leader before it resumes it.
    pub(crate) fn revalidate(&mut self, now: u64, id: i64) {
        self.touch(now, id);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.reported = now;
        }
    }

    /// Discards the frames of the session's client since the leader's last poll of its followers.
    pub(crate) fn untouch(&mut self, now: u64, id: i64) {
        let polled = self.last_poll(now);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.touched > polled {
            session.touched = session.reported;
        }
        let touched = session.touched;
        self.count_from(touched, id);
    }

    /// A leader polls its followers every half tick for the sessions whose clients sent something.
    fn last_poll(&self, now: u64) -> u64 {
        let period = (self.tick / 2).max(1);
        now / period * period
    }

    fn count_from(&mut self, since: u64, id: i64) {
        if let Some(session) = self.sessions.get(&id) {
            let timeout = u64::try_from(session.timeout_ms).unwrap_or_default();
            self.end_after(since + timeout, id);
        }
    }

    /// As if the session's client had sent nothing for `by` milliseconds longer. False if there is no
    /// such session.
    pub(crate) fn age(&mut self, id: i64, by: u64) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        let timeout = u64::try_from(session.timeout_ms).unwrap_or_default();
        let end = (session.touched + timeout).saturating_sub(by);
        session.touched = session.touched.saturating_sub(by);
        session.reported = session.reported.min(session.touched);
        self.end_after(end, id);
        true
    }

    /// Lets a session end with the first tick after `end`.
    fn end_after(&mut self, end: u64, id: i64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let expires = (end / self.tick + 1) * self.tick;
        if expires != session.expires {
            if let Some(bucket) = self.buckets.get_mut(&session.expires) {
                bucket.remove(&id);
                if bucket.is_empty() {
                    self.buckets.remove(&session.expires);
                }
            }
            session.expires = expires;
            self.buckets.entry(expires).or_default().insert(id);
        }
    }

    pub(crate) fn remove(&mut self, id: i64) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        shrink_map(&mut self.sessions);
        if let Some(bucket) = self.buckets.get_mut(&session.expires) {
            bucket.remove(&id);
            if bucket.is_empty() {
                self.buckets.remove(&session.expires);
            }
        }
        Some(session)
    }

    /// A session whose timeout is over. Sessions of the whole ensemble end only while it has a leader.
    pub(crate) fn expired(&self, now: u64, led: bool) -> Option<i64> {
        self.first_to_end(led)
            .and_then(|(expires, id)| (expires <= now).then_some(id))
    }

    /// When the next session ends unless it is touched.
    pub(crate) fn next_expiry(&self, led: bool) -> Option<u64> {
        self.first_to_end(led).map(|(expires, _)| expires)
    }

    fn first_to_end(&self, led: bool) -> Option<(u64, i64)> {
        let all = self
            .buckets
            .iter()
            .flat_map(|(&expires, ids)| ids.iter().map(move |&id| (expires, id)));
        let is_local = |id| {
            self.sessions
                .get(&id)
                .is_some_and(|session| session.local.is_some())
        };
        all.into_iter().find(|&(_, id)| led || is_local(id))
    }

    pub(crate) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<_> = self.sessions.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = (u64, &BTreeSet<i64>)> {
        self.buckets.iter().map(|(&expires, ids)| (expires, ids))
    }

    /// The sessions of the whole ensemble, for a snapshot.
    pub(crate) fn saved(&self) -> Vec<(i64, Session)> {
        let known = |id: i64| Some((id, self.sessions.get(&id)?.clone()));
        let all = self.ids().into_iter().filter_map(known);
        all.filter(|(_, session)| session.local.is_none()).collect()
    }

    /// Replaces all sessions by those of a snapshot, each with its whole timeout. No id is used twice.
    pub(crate) fn restore(&mut self, now: u64, saved: &[(i64, Session)]) {
        self.sessions = saved.iter().cloned().collect();
        self.buckets.clear();
        for session in self.sessions.values_mut() {
            session.expires = 0;
        }
        self.renew_all(now);
    }

    /// Restarts every session's timeout, as a server does when it starts.
    pub(crate) fn renew_all(&mut self, now: u64) {
        for id in self.ids() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.owner = None;
            }
            self.touch(now, id);
        }
    }
}

/// The password that a real server gives to a session: sixteen bytes of `java.util.Random`, seeded with
/// the id and a constant.
pub(crate) fn password(id: i64) -> SessionPassword {
    const SECRET: i64 = 0xB341_5C00;
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut seed = ((id ^ SECRET).cast_unsigned() ^ MULTIPLIER) & MASK;
    let mut bytes = BytesMut::with_capacity(SessionPassword::LEN);
    for _ in 0..SessionPassword::LEN / 4 {
        seed = seed.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        let next = u32::try_from(seed >> 16).unwrap_or_default();
        bytes.put_u32_le(next);
    }
    SessionPassword::new(bytes.freeze())
}

pub(crate) fn zero_password() -> SessionPassword {
    SessionPassword::new(Bytes::from_static(&[0; SessionPassword::LEN]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_at_the_next_tick() {
        let mut table = SessionTable::new(2_000, 1, 0);
        let id = table.create(100, 4_000, None);
        assert_eq!(table.next_expiry(true), Some(6_000));
        assert_eq!(table.expired(5_999, true), None);
        assert_eq!(table.expired(6_000, true), Some(id));
        assert!(table.touch(2_500, id));
        assert_eq!(
            (table.expired(6_000, true), table.next_expiry(true)),
            (None, Some(8_000))
        );
        assert!(table.remove(id).is_some() && table.remove(id).is_none());
        assert_eq!((table.next_expiry(true), table.touch(0, id)), (None, false));
    }

    #[test]
    fn a_resumed_session_may_end_sooner() {
        let mut table = SessionTable::new(2_000, 1, 0);
        let id = table.create(100, 30_000, None);
        table.get_mut(id).unwrap().timeout_ms = 4_000;
        assert!(table.touch(200, id));
        assert_eq!(table.next_expiry(true), Some(6_000));
        assert_eq!(table.expired(6_000, true), Some(id));
    }

    #[test]
    fn an_aged_session_ends_that_much_sooner() {
        let mut table = SessionTable::new(2_000, 1, 0);
        let id = table.create(5_000, 10_000, None);
        assert_eq!(table.next_expiry(true), Some(16_000));
        assert!(table.age(id, 4_000));
        assert_eq!(table.next_expiry(true), Some(12_000));
        assert!(table.age(id, 9_000), "longer than it has been there");
        assert_eq!(table.next_expiry(true), Some(4_000));
        assert!(table.touch(5_100, id));
        assert_eq!(table.next_expiry(true), Some(16_000));
        assert!(!table.age(id + 1, 1));
    }

    #[test]
    fn the_leader_knows_polled_sessions_only() {
        let mut table = SessionTable::new(2_000, 1, 0);
        let id = table.create(0, 4_000, None);
        table.touch(900, id);
        table.touch(3_900, id);
        table.untouch(3_950, id);
        assert_eq!(table.next_expiry(true), Some(6_000), "touched at 900");
        table.revalidate(4_500, id);
        table.touch(4_700, id);
        table.untouch(4_800, id);
        assert_eq!(table.next_expiry(true), Some(10_000), "touched at 4,500");
    }

    #[test]
    fn ids_are_the_uptime_and_the_servers_id() {
        let mut table = SessionTable::new(2_000, 0x1234, 1);
        let id = table.create(0, 4_000, None);
        assert_eq!(id, 0x0100_0000_1234_0000);
        assert_eq!(table.create(0, 4_000, None), id + 1);
        let mut high = SessionTable::new(2_000, 0, 0x80);
        assert_eq!(high.create(0, 4_000, None), i64::MIN + 1);
        let mut none = SessionTable::new(2_000, 0, 0);
        assert_eq!(none.create(0, 4_000, None), 1);
    }

    #[test]
    fn passwords_are_those_of_a_real_server() {
        // Given by Apache ZooKeeper 3.8.0 for this session id.
        let (id, given) = GOLDEN;
        assert_eq!(password(id).as_bytes(), given);
    }

    const GOLDEN: (i64, [u8; 16]) = (
        0x0100_0028_b2a1_0006,
        [
            0x8b, 0x0c, 0x69, 0x97, 0xce, 0xb3, 0x00, 0xec, 0x36, 0x0e, 0x85, 0xb1, 0x2e, 0xc4,
            0x1a, 0x7d,
        ],
    );
}
