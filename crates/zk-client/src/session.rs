//! The identity of a session, and when it counts as over.

use std::time::{Duration, Instant};

use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{SessionId, SessionPassword, Zxid};

/// What the answer to a connect request means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Established {
    /// The session lives on over the new connection.
    Resumed,
    /// A session that did not exist before.
    New,
    /// The session is over. If a new one was handed out in its place, as ClickHouse Keeper does, it
    /// is established.
    Expired { replaced: bool },
    /// A new session was asked for and refused.
    Refused,
}

/// The session, as the ensemble and this client know it.
#[derive(Debug)]
pub(crate) struct Session {
    id: SessionId,
    password: SessionPassword,
    requested: Duration,
    /// As negotiated; as requested before that.
    timeout: Duration,
    /// Counts this client's sessions, from 1.
    epoch: u64,
    last_zxid: Zxid,
    /// When a server was last heard.
    heard: Instant,
    /// When the latest request that a server has answered was submitted.
    acknowledged: Instant,
}

impl Session {
    pub(crate) fn new(now: Instant, requested: Duration) -> Self {
        Session {
            id: SessionId::NONE,
            password: SessionPassword::zero(),
            requested,
            timeout: requested,
            epoch: 0,
            last_zxid: Zxid::ZERO,
            heard: now,
            acknowledged: now,
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn exists(&self) -> bool {
        !self.id.is_none()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The request that asks a server for this session, or for a new one.
    pub(crate) fn connect_request(&self, read_only: bool) -> ConnectRequest {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(self.requested.as_millis()).unwrap_or(i32::MAX),
            session_id: self.id,
            password: self.password.clone(),
            read_only: Some(read_only),
        }
    }

    /// A server has answered the connect request that was sent at `asked`.
    pub(crate) fn handle_connected(
        &mut self,
        now: Instant,
        asked: Instant,
        response: &ConnectResponse,
    ) -> Established {
        let had = self.id;
        if response.timeout_ms <= 0 || response.session_id.is_none() {
            return if had.is_none() {
                Established::Refused
            } else {
                self.handle_expired();
                Established::Expired { replaced: false }
            };
        }
        let established = if had.is_none() {
            Established::New
        } else if had == response.session_id {
            Established::Resumed
        } else {
            self.handle_expired();
            Established::Expired { replaced: true }
        };
        if established != Established::Resumed {
            self.epoch += 1;
            self.id = response.session_id;
        }
        self.password = response.password.clone();
        self.timeout =
            Duration::from_millis(u64::try_from(response.timeout_ms).unwrap_or_default());
        self.heard = now;
        self.acknowledged = asked;
        established
    }

    /// The session is over; the next connect request asks for a new one.
    ///
    /// The new session starts without a last zxid, as a new handle of the Java client does: a
    /// client that kept it could never connect to an ensemble restored from a backup.
    pub(crate) fn handle_expired(&mut self) {
        self.id = SessionId::NONE;
        self.password = SessionPassword::zero();
        self.last_zxid = Zxid::ZERO;
    }

    /// A server was heard; `acknowledged` is when the latest answered request was submitted.
    pub(crate) fn handle_heard(&mut self, now: Instant, acknowledged: Instant) {
        self.heard = now;
        self.acknowledged = self.acknowledged.max(acknowledged);
    }

    /// The zxid of a reply to an ordinary request. Those of notifications, pings and credentials
    /// are no proof of what has been seen (failures B55, ZOOKEEPER-1417).
    pub(crate) fn handle_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
    }

    /// When the session counts as over although no server has said so (ZOOKEEPER-4508): a third
    /// past its timeout, lest we give up a session that a server still holds.
    pub(crate) fn expires_at(&self) -> Instant {
        self.heard + self.timeout * 4 / 3
    }

    /// Until when no server can have given away what this session holds. A server counts from its
    /// receipt of the latest request it answered, which is later than its submission here; a tenth
    /// of the timeout is kept back for clocks that run at different speeds.
    pub(crate) fn lease_until(&self) -> Instant {
        self.acknowledged + self.timeout - self.timeout / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(id: i64, timeout_ms: i32) -> ConnectResponse {
        ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: SessionId(id),
            password: SessionPassword::zero(),
            read_only: false,
        }
    }

    #[test]
    fn a_session_is_new_then_resumed_then_expired() {
        let now = Instant::now();
        let mut session = Session::new(now, Duration::from_secs(9));
        assert_eq!(
            session.handle_connected(now, now, &response(5, 6000)),
            Established::New
        );
        assert_eq!(
            (session.epoch(), session.timeout()),
            (1, Duration::from_secs(6))
        );
        session.handle_zxid(Zxid(40));
        assert_eq!(session.connect_request(false).last_zxid_seen, Zxid(40));
        assert_eq!(
            session.handle_connected(now, now, &response(5, 6000)),
            Established::Resumed
        );
        assert_eq!(session.epoch(), 1);
        let expired = Established::Expired { replaced: false };
        assert_eq!(session.handle_connected(now, now, &response(0, 0)), expired);
        let request = session.connect_request(false);
        assert_eq!(
            (request.session_id, request.last_zxid_seen),
            (SessionId::NONE, Zxid::ZERO)
        );
        assert_eq!(
            session.handle_connected(now, now, &response(6, 6000)),
            Established::New
        );
        assert_eq!(session.epoch(), 2);
    }

    #[test]
    fn d15_another_session_in_place_of_ours_is_an_expiry() {
        let now = Instant::now();
        let mut session = Session::new(now, Duration::from_secs(9));
        session.handle_connected(now, now, &response(5, 6000));
        let expired = Established::Expired { replaced: true };
        assert_eq!(
            session.handle_connected(now, now, &response(6, 6000)),
            expired
        );
        assert_eq!((session.id(), session.epoch()), (SessionId(6), 2));
    }

    #[test]
    fn a_lower_zxid_does_not_take_us_back() {
        let mut session = Session::new(Instant::now(), Duration::from_secs(9));
        session.handle_zxid(Zxid(9));
        session.handle_zxid(Zxid(-1));
        session.handle_zxid(Zxid(3));
        assert_eq!(session.last_zxid(), Zxid(9));
    }

    #[test]
    fn the_lease_ends_before_the_server_can_expire_the_session() {
        let start = Instant::now();
        let mut session = Session::new(start, Duration::from_secs(9));
        let answered = start + Duration::from_secs(2);
        session.handle_connected(answered, start, &response(5, 6000));
        assert!(session.lease_until() < start + Duration::from_secs(6));
        assert_eq!(session.expires_at(), answered + Duration::from_secs(8));
    }
}
