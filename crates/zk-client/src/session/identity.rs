//! The identity of a session, and when it counts as over.

use std::time::{Duration, Instant};

use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{SessionId, SessionPassword, Zxid};

use crate::session::leader_contact::{LeaderContact, reserve};
use crate::session::suspension::Suspension;
use crate::session::token::SessionToken;

/// What the answer to a connect request means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Established {
    /// The session continues over the new connection.
    Resumed,
    /// A session that did not exist before.
    New,
    /// The session is over. `replaced` if the server has established a new one in its place, as
    /// ClickHouse Keeper does.
    Expired { replaced: bool },
    /// The server refused to establish a new session.
    Refused,
    /// A read-only server serves this connection without a session of the ensemble.
    WithoutSession,
    /// A read-only server does not know the session, which does not mean that the session is over.
    NotKnownHere,
}

/// The current session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session's id; none before the first session and between two.
    pub id: SessionId,
    /// Counts this client's sessions, from 1; 0 before the first.
    pub epoch: u64,
    /// The timeout that the server has granted; before that, the one requested.
    pub timeout: Duration,
}

/// What follows when a session expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SessionPolicy {
    /// A new session is established, with the next epoch.
    #[default]
    Renew,
    /// The client is over; every later request fails.
    Close,
}

/// The session: its identity, its timeout, and what its servers are known to have received.
#[derive(Debug)]
pub(crate) struct Session {
    id: SessionId,
    password: SessionPassword,
    requested: Duration,
    /// As the server has granted it; before that, as requested.
    timeout: Duration,
    /// The least that any server has granted in this session. A server uses what it granted itself, and
    /// a later leader what was granted first.
    lease_timeout: Duration,
    /// Counts this client's sessions, from 1.
    epoch: u64,
    last_zxid: Zxid,
    /// When the client last received something from a server.
    last_contact: Instant,
    /// When the latest request was submitted that a server with a quorum has answered. None for a
    /// session that was detached from another client: this may have been long ago.
    acknowledged: Option<Instant>,
    leader: LeaderContact,
    suspension: Suspension,
}

impl Session {
    pub(crate) fn new(now: Instant, requested: Duration) -> Self {
        Session {
            id: SessionId::NONE,
            password: SessionPassword::zero(),
            requested,
            timeout: requested,
            lease_timeout: requested,
            epoch: 0,
            last_zxid: Zxid::ZERO,
            last_contact: now,
            acknowledged: None,
            leader: LeaderContact::new(now),
            suspension: Suspension::new(now),
        }
    }

    /// A session of another client. It may have expired meanwhile. `requested` is the timeout to
    /// request if the token has none.
    pub(crate) fn resume(now: Instant, token: SessionToken, requested: Duration) -> Self {
        Session {
            id: token.id,
            password: token.password,
            epoch: 1,
            last_zxid: token.last_zxid,
            ..Session::new(now, token.timeout.unwrap_or(requested))
        }
    }

    /// What another client needs to resume the session, if there is one.
    pub(crate) fn token(&self) -> Option<SessionToken> {
        self.exists().then(|| SessionToken {
            id: self.id,
            password: self.password.clone(),
            timeout: Some(self.timeout),
            last_zxid: self.last_zxid,
        })
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

    /// The epoch of the session in which a request made now is executed: the current one, or the
    /// next if there is none.
    pub(crate) fn epoch_of_requests(&self) -> u64 {
        self.epoch + u64::from(!self.exists())
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn last_contact(&self) -> Instant {
        self.last_contact
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The connect request for this session, or for a new one if there is none.
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
        let refused = response.timeout_ms <= 0 || response.session_id.is_none();
        if response.read_only && !had.is_none() && had != response.session_id {
            return Established::NotKnownHere;
        }
        if refused {
            return if had.is_none() {
                Established::Refused
            } else {
                self.handle_expired();
                Established::Expired { replaced: false }
            };
        }
        let granted = Duration::from_millis(u64::try_from(response.timeout_ms).unwrap_or_default());
        if response.read_only {
            // The session id is not one of the ensemble's, so the client must not use it again. And of a
            // session of the ensemble's, a read-only server cannot extend the timeout.
            self.timeout = match had.is_none() {
                true => granted,
                false => granted.min(self.timeout),
            };
            self.lease_timeout = self.lease_timeout.min(self.timeout);
            self.last_contact = now;
            self.leader.handle_cut_off();
            return if had.is_none() {
                Established::WithoutSession
            } else {
                Established::Resumed
            };
        }
        self.timeout = granted;
        let established = if had.is_none() {
            Established::New
        } else if had == response.session_id {
            Established::Resumed
        } else {
            self.handle_expired();
            Established::Expired { replaced: true }
        };
        if established == Established::Resumed {
            self.lease_timeout = self.lease_timeout.min(granted);
        } else {
            self.lease_timeout = granted;
            self.epoch += 1;
            self.id = response.session_id;
        }
        self.password = response.password.clone();
        self.last_contact = now;
        let asked = self.suspension.corrected(asked);
        self.acknowledged = Some(asked);
        self.leader
            .handle_connected(asked, now, established != Established::Resumed);
        established
    }

    /// The session is over; the next connect request is for a new one.
    ///
    /// The new session starts without a last zxid, as a new handle of the Java client does: a
    /// client that kept it could never connect to an ensemble restored from a backup.
    pub(crate) fn handle_expired(&mut self) {
        self.id = SessionId::NONE;
        self.password = SessionPassword::zero();
        self.last_zxid = Zxid::ZERO;
    }

    /// A server has sent something; `acknowledged` is when the latest answered request was submitted.
    pub(crate) fn handle_contact(&mut self, now: Instant, acknowledged: Instant) {
        self.last_contact = now;
        let acknowledged = self.suspension.corrected(acknowledged);
        self.acknowledged = self.acknowledged.max(Some(acknowledged));
        self.leader
            .handle_answered(acknowledged, now, self.lease_timeout);
    }

    /// A write goes onto the wire.
    pub(crate) fn handle_written(&mut self, now: Instant) {
        self.leader.handle_written(now);
    }

    /// The write submitted at `submitted` has its reply; whether a quorum has `decided` it.
    pub(crate) fn handle_write_reply(&mut self, submitted: Instant, now: Instant, decided: bool) {
        let submitted = self.suspension.corrected(submitted);
        (self.leader).handle_reply(submitted, now, decided);
    }

    /// The machine has been suspended for `total` since some fixed time, by a clock that counts
    /// suspensions. Returns whether `total` has grown.
    pub(crate) fn handle_suspension(&mut self, now: Instant, total: Duration) -> bool {
        let by = self.suspension.advance(now, total);
        if !by.is_zero() {
            self.acknowledged = self.acknowledged.and_then(|at| at.checked_sub(by));
            self.leader.handle_suspended(by);
        }
        !by.is_zero()
    }

    /// When the next write is due, to extend the lease by quorum.
    pub(crate) fn renewal_due(&self) -> Instant {
        self.leader.renewal_due(self.lease_timeout)
    }

    /// Whether that write is due and the caller is to submit it.
    pub(crate) fn claim_renewal(&mut self, now: Instant) -> bool {
        self.leader.claim_renewal(now, self.lease_timeout)
    }

    /// The claimed write was not sent.
    pub(crate) fn return_renewal(&mut self) {
        self.leader.return_renewal();
    }

    /// When the client may leave the connection's server, because a write is not decided.
    pub(crate) fn overdue(&self) -> Option<Instant> {
        self.leader.overdue(self.lease_timeout)
    }

    /// A read-only server has sent something. Such a server keeps no session alive, so no lease is
    /// extended.
    pub(crate) fn handle_read_only_contact(&mut self, now: Instant) {
        self.last_contact = now;
    }

    /// The zxid of a reply to an ordinary request. The zxids of notifications, pings and credentials do
    /// not prove that the client has seen all of that transaction (ZOOKEEPER-1417).
    pub(crate) fn handle_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
    }

    /// When the client counts the session as over by itself (ZOOKEEPER-4508): a third after its timeout,
    /// so that it does not abandon a session which a server still holds.
    pub(crate) fn expires_at(&self) -> Instant {
        self.last_contact + self.timeout * 4 / 3
    }

    /// How long the servers hold the session, if no connection comes; `None` once they may have ended it,
    /// or had none of its connections for another reason.
    pub(crate) fn time_left(&self, now: Instant) -> Option<Duration> {
        let left = (self.last_contact + self.timeout).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// The time before which no server can have ended the session, as far as replies of any server prove
    /// it. A server counts from its receipt of the latest request that it answered, which is later than
    /// the submission; a part of the timeout is reserved for clocks that run at different speeds.
    pub(crate) fn lease_until(&self) -> Instant {
        match self.acknowledged {
            Some(at) => at + self.lease_timeout - reserve(self.lease_timeout),
            None => self.last_contact,
        }
    }

    /// The lease by quorum: [`LeaderContact::deadline`], or the last contact if nothing is proven.
    pub(crate) fn quorum_lease_until(&self) -> Instant {
        let deadline = self.leader.deadline(self.lease_timeout);
        deadline
            .filter(|_| self.acknowledged.is_some())
            .unwrap_or(self.last_contact)
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
    fn a_session_is_new_resumed_then_expired() {
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

    /// Guards: D15.
    #[test]
    fn another_session_id_is_an_expiry() {
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

    /// Guards: A14, B27.
    #[test]
    fn a_lower_zxid_is_ignored() {
        let mut session = Session::new(Instant::now(), Duration::from_secs(9));
        session.handle_zxid(Zxid(9));
        session.handle_zxid(Zxid(-1));
        session.handle_zxid(Zxid(3));
        assert_eq!(session.last_zxid(), Zxid(9));
    }

    #[test]
    fn a_longer_timeout_extends_no_lease() {
        let start = Instant::now();
        let mut session = Session::new(start, Duration::from_secs(9));
        session.handle_connected(start, start, &response(5, 6000));
        let (lease, quorum) = (session.lease_until(), session.quorum_lease_until());
        session.handle_connected(start, start, &response(5, 60_000));
        assert_eq!(session.timeout(), Duration::from_secs(60));
        assert_eq!(
            (session.lease_until(), session.quorum_lease_until()),
            (lease, quorum)
        );
        session.handle_connected(start, start, &response(5, 3000));
        assert!(session.quorum_lease_until() < quorum);
    }

    /// Guards: D6.
    #[test]
    fn the_lease_ends_before_the_session() {
        let start = Instant::now();
        let mut session = Session::new(start, Duration::from_secs(9));
        let answered = start + Duration::from_secs(2);
        session.handle_connected(answered, start, &response(5, 6000));
        assert!(session.lease_until() < start + Duration::from_secs(6));
        assert_eq!(session.expires_at(), answered + Duration::from_secs(8));
    }

    fn connected(start: Instant) -> Session {
        let mut session = Session::new(start, Duration::from_secs(9));
        session.handle_connected(start, start, &response(5, 6000));
        session
    }

    #[test]
    fn a_resumed_session_is_that_of_its_token() {
        let now = Instant::now();
        let mut session = connected(now);
        session.password = SessionPassword::new(vec![7; 16].into());
        session.handle_zxid(Zxid(40));
        let resumed = Session::resume(now, session.token().unwrap(), Duration::ZERO);
        let request = resumed.connect_request(false);
        assert_eq!(
            (request.session_id, request.last_zxid_seen),
            (SessionId(5), Zxid(40))
        );
        assert_eq!(request.password.as_bytes(), [7; 16]);
        assert_eq!((resumed.epoch(), request.timeout_ms), (1, 6000));
        let foreign = SessionToken::new(SessionId(5), [7; 16]);
        let resumed = Session::resume(now, foreign, Duration::from_secs(9));
        assert_eq!(resumed.connect_request(false).timeout_ms, 9000);
        assert!(Session::new(now, Duration::ZERO).token().is_none());
    }

    #[test]
    fn requests_without_a_session_are_the_nexts() {
        let now = Instant::now();
        let mut session = Session::new(now, Duration::from_secs(9));
        assert_eq!(session.epoch_of_requests(), 1);
        session.handle_connected(now, now, &response(5, 6000));
        session.handle_expired();
        session.handle_connected(now, now, &response(6, 6000));
        assert_eq!(session.epoch_of_requests(), 2);
        session.handle_expired();
        assert_eq!(session.epoch_of_requests(), 3);
    }

    #[test]
    fn a_session_without_id_or_time_is_refused() {
        let now = Instant::now();
        for answer in [response(0, 6000), response(5, 0)] {
            let mut session = Session::new(now, Duration::from_secs(9));
            let established = session.handle_connected(now, now, &answer);
            assert_eq!(established, Established::Refused);
        }
    }

    #[test]
    fn a_suspension_is_reported_once() {
        let start = Instant::now();
        let mut session = connected(start);
        let (lease, quorum) = (session.lease_until(), session.quorum_lease_until());
        let total = Duration::from_secs(1);
        assert!(session.handle_suspension(start, total));
        assert!(!session.handle_suspension(start, total));
        assert_eq!(session.lease_until(), lease - total);
        assert_eq!(session.quorum_lease_until(), quorum - total);
    }

    #[test]
    fn a_renewal_is_claimed_by_one_caller() {
        let start = Instant::now();
        let mut session = connected(start);
        assert!(!session.claim_renewal(start));
        let due = session.renewal_due();
        assert!(session.claim_renewal(due));
        assert!(!session.claim_renewal(due));
        session.return_renewal();
        assert!(session.claim_renewal(due));
    }

    #[test]
    fn only_an_undecided_write_is_overdue() {
        let start = Instant::now();
        let mut session = connected(start);
        assert_eq!(session.overdue(), None);
        session.handle_written(start);
        let overdue = session.overdue().unwrap();
        assert!(overdue > start && overdue < session.quorum_lease_until());
        session.handle_write_reply(start, start, true);
        assert_eq!(session.overdue(), None);
    }
}
