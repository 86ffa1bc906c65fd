//! Whose znode is at the path of a persistent node.

use zk_client::{SessionId, Stat, Zxid};

/// The number of sessions that are remembered. The servers end a session within its timeout, so an older
/// one has left nothing.
const SESSIONS: usize = 32;

/// Whose a znode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// This node's.
    Own,
    /// This node's, from a session that is over for the client: the servers are about to delete it.
    Ghost,
    /// Not this node's, with the session that it ends with.
    Foreign(Option<SessionId>),
}

/// The creations of a persistent node.
#[derive(Debug)]
pub(super) struct Claims {
    ephemeral: bool,
    /// Whether no other creation has used the znode's name: it contains a random id.
    unique: bool,
    /// The sessions in which a creation may have taken effect, the latest last.
    sessions: Vec<Attempted>,
}

#[derive(Debug)]
struct Attempted {
    session: SessionId,
    /// The creation that was confirmed last.
    created: Option<Zxid>,
    /// Whether a later creation of this session had an unknown outcome.
    unresolved: bool,
}

impl Claims {
    pub(super) fn new(ephemeral: bool, unique: bool) -> Self {
        Claims {
            ephemeral,
            unique,
            sessions: Vec::new(),
        }
    }

    /// A creation may take effect, or has taken effect, in this session.
    pub(super) fn attempt(&mut self, session: SessionId) {
        if self.has_attempted(session) {
            return;
        }
        if self.sessions.len() == SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(Attempted {
            session,
            created: None,
            unresolved: false,
        });
    }

    /// Whether a creation may have taken effect in this session.
    pub(super) fn has_attempted(&self, session: SessionId) -> bool {
        self.sessions.iter().any(|known| known.session == session)
    }

    /// The outcome of a creation in this session is unknown.
    pub(super) fn lose_outcome(&mut self, session: SessionId) {
        self.attempt(session);
        self.update(session, |attempted| attempted.unresolved = true);
    }

    /// This creation in this session was this node's, and there is no later one.
    pub(super) fn confirm(&mut self, session: SessionId, created: Zxid) {
        self.attempt(session);
        self.update(session, |attempted| {
            (attempted.created, attempted.unresolved) = (Some(created), false);
        });
    }

    fn update(&mut self, session: SessionId, update: impl FnOnce(&mut Attempted)) {
        let mut attempted = self.sessions.iter_mut();
        if let Some(attempted) = attempted.find(|known| known.session == session) {
            update(attempted);
        }
    }

    /// Whether the outcome of a creation in this session is unknown.
    pub(super) fn is_unresolved(&self, session: SessionId) -> bool {
        let mut attempted = self.sessions.iter();
        attempted.any(|known| known.session == session && known.unresolved)
    }

    /// Whether no creation can have taken effect.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whose the znode is that was found in the session `current`.
    pub(super) fn judge(&self, found: &Stat, current: SessionId) -> Finding {
        let owner = found.owner();
        if !self.ephemeral {
            return match owner {
                None => Finding::Own,
                owner => Finding::Foreign(owner),
            };
        }
        let Some(session) = owner else {
            return Finding::Foreign(None);
        };
        let attempted = self.sessions.iter().find(|known| known.session == session);
        if session != current {
            return match self.unique || attempted.is_some() {
                true => Finding::Ghost,
                false => Finding::Foreign(owner),
            };
        }
        let is_own =
            |attempted: &Attempted| attempted.unresolved || attempted.created == Some(found.czxid);
        match self.unique || attempted.is_some_and(is_own) {
            true => Finding::Own,
            false => Finding::Foreign(owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SessionId = SessionId(1);
    const SECOND: SessionId = SessionId(2);
    const OTHER: SessionId = SessionId(9);

    fn stat(owner: i64, czxid: i64) -> Stat {
        let mut stat = Stat::default();
        (stat.ephemeral_owner, stat.czxid) = (owner, Zxid(czxid));
        stat
    }

    #[test]
    fn the_name_alone_proves_nothing() {
        let mut claims = Claims::new(true, false);
        claims.confirm(FIRST, Zxid(5));
        let judge = |owner, czxid| claims.judge(&stat(owner, czxid), FIRST);
        assert_eq!(judge(1, 5), Finding::Own);
        // Another recipe of this client has created it.
        assert_eq!(judge(1, 6), Finding::Foreign(Some(FIRST)));
        assert_eq!(judge(9, 5), Finding::Foreign(Some(OTHER)));
        assert_eq!(judge(0, 5), Finding::Foreign(None));
    }

    #[test]
    fn a_lost_reply_is_resolved_by_the_owner() {
        let mut claims = Claims::new(true, false);
        claims.lose_outcome(FIRST);
        assert_eq!(claims.judge(&stat(1, 7), FIRST), Finding::Own);
        let other = claims.judge(&stat(9, 7), FIRST);
        assert_eq!(other, Finding::Foreign(Some(OTHER)));
        claims.confirm(FIRST, Zxid(8));
        let other = claims.judge(&stat(1, 7), FIRST);
        assert_eq!(other, Finding::Foreign(Some(FIRST)));
        assert_eq!(claims.judge(&stat(1, 8), FIRST), Finding::Own);
    }

    #[test]
    fn an_earlier_session_leaves_a_ghost() {
        let mut claims = Claims::new(true, false);
        claims.attempt(FIRST);
        claims.attempt(SECOND);
        let ghost = claims.judge(&stat(1, 5), SECOND);
        assert_eq!(ghost, Finding::Ghost);
        let other = claims.judge(&stat(9, 5), SECOND);
        assert_eq!(other, Finding::Foreign(Some(OTHER)));
    }

    #[test]
    fn a_random_name_is_proof_enough() {
        let claims = Claims::new(true, true);
        assert_eq!(claims.judge(&stat(1, 5), FIRST), Finding::Own);
        assert_eq!(claims.judge(&stat(2, 5), FIRST), Finding::Ghost);
        assert_eq!(claims.judge(&stat(0, 5), FIRST), Finding::Foreign(None));
    }

    #[test]
    fn a_persistent_znode_is_adopted() {
        let claims = Claims::new(false, false);
        assert_eq!(claims.judge(&stat(0, 5), FIRST), Finding::Own);
        // The owner field of a container.
        assert_eq!(claims.judge(&stat(i64::MIN, 5), FIRST), Finding::Own);
        let other = claims.judge(&stat(9, 5), FIRST);
        assert_eq!(other, Finding::Foreign(Some(OTHER)));
    }

    #[test]
    fn the_remembered_sessions_are_bounded() {
        let mut claims = Claims::new(true, false);
        for session in 0..1_000 {
            claims.attempt(SessionId(session));
            claims.attempt(SessionId(session));
        }
        assert_eq!(claims.sessions.len(), SESSIONS);
        let current = SessionId(1_000);
        assert_eq!(claims.judge(&stat(999, 5), current), Finding::Ghost);
        let oldest = claims.judge(&stat(1, 5), current);
        assert_eq!(oldest, Finding::Foreign(Some(FIRST)));
    }
}
