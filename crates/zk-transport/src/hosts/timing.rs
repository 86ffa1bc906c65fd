//! How much of a session's time one attempt to connect may take.

use std::time::Duration;

/// The shortest time for a server to accept a connection and answer the handshake.
const MIN_CONNECT_TIME: Duration = Duration::from_millis(200);
/// The longest, whatever the session timeout is.
pub(crate) const MAX_CONNECT_TIME: Duration = Duration::from_secs(30);
/// The longest pause is at least this: servers by themselves grant no session that is so short that
/// it would need a shorter one.
const MIN_LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How many attempts fit into a session at least.
const MIN_ATTEMPTS: u32 = 3;

/// How long the session lives that connections are made for. The time an attempt and the pause
/// before it may take are parts of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    session_timeout: Duration,
    is_alive: bool,
    /// How much of the session's time is left, if that is known.
    left: Option<Duration>,
}

impl Timing {
    /// There is no session yet; one with this timeout will be requested.
    pub fn before_session(session_timeout: Duration) -> Self {
        Timing {
            session_timeout,
            is_alive: false,
            left: None,
        }
    }

    /// A session with this timeout exists, and expires unless a connection comes in time.
    pub fn of_session(session_timeout: Duration) -> Self {
        Timing {
            session_timeout,
            is_alive: true,
            left: None,
        }
    }

    /// The session expires after this time unless a connection comes before.
    #[must_use]
    pub fn expiring_in(mut self, left: Duration) -> Self {
        self.left = Some(left);
        self
    }

    /// How long a server has to accept a connection and answer the handshake, if the time of the
    /// session is shared by so many attempts ([`Hosts::attempts_in_session`]): a server that does not
    /// answer must leave time for others, or for a second attempt at itself. So an attempt takes at most
    /// half of the time that is left of a session, too: the loss of a connection may have been found out
    /// only after two thirds of the timeout.
    ///
    /// [`Hosts::attempts_in_session`]: super::Hosts::attempts_in_session
    pub fn budget(&self, attempts: usize) -> Duration {
        let attempts = u32::try_from(attempts)
            .unwrap_or(u32::MAX)
            .max(MIN_ATTEMPTS);
        let share = self.session_timeout / attempts;
        let half = self.left.filter(|_| self.is_alive).map(|left| left / 2);
        half.map_or(share, |half| half.min(share))
            .clamp(MIN_CONNECT_TIME, MAX_CONNECT_TIME)
    }

    /// What is left of `budget` for the handshake when dialling took `spent`; at least the shortest
    /// budget.
    pub fn handshake_budget(budget: Duration, spent: Duration) -> Duration {
        budget.saturating_sub(spent).max(MIN_CONNECT_TIME)
    }

    /// The pause before an attempt: `delay`, but no more than an eighth of the timeout of a session
    /// that exists, or a quarter of what is left of it, so that backing off does not let it expire.
    pub fn pause(&self, delay: Duration) -> Duration {
        let eighth = self.session_timeout / 8;
        let longest = self.left.map_or(eighth, |left| eighth.min(left / 4));
        match self.is_alive {
            true => delay.min(longest.max(MIN_LONGEST_PAUSE)),
            false => delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_budget_is_a_share_of_the_session() {
        let timing = Timing::before_session(MS(30_000));
        for (attempts, share) in [(0, 10_000), (1, 10_000), (3, 10_000), (10, 3_000)] {
            assert_eq!(timing.budget(attempts), MS(share), "{attempts}");
        }
        assert_eq!(timing.budget(usize::MAX), MIN_CONNECT_TIME);
        let long = Timing::before_session(Duration::from_secs(3600));
        assert_eq!(long.budget(1), MAX_CONNECT_TIME);
    }

    /// The loss of a connection may be noticed late.
    #[test]
    fn an_attempt_takes_half_of_what_is_left() {
        let timing = Timing::of_session(MS(6_000));
        for (left, share) in [(6_000, 2_000), (4_000, 2_000), (2_000, 1_000), (500, 250)] {
            assert_eq!(timing.expiring_in(MS(left)).budget(3), MS(share), "{left}");
        }
        assert_eq!(timing.expiring_in(MS(0)).budget(3), MIN_CONNECT_TIME);
        let none = Timing::before_session(MS(6_000)).expiring_in(MS(600));
        assert_eq!(none.budget(3), MS(2_000));
        assert_eq!(timing.expiring_in(MS(1_000)).pause(MS(5_000)), MS(250));
    }

    #[test]
    fn the_handshake_gets_what_dialling_left() {
        assert_eq!(Timing::handshake_budget(MS(1000), MS(300)), MS(700));
        assert_eq!(
            Timing::handshake_budget(MS(1000), MS(950)),
            MIN_CONNECT_TIME
        );
        assert_eq!(
            Timing::handshake_budget(MS(1000), MS(5000)),
            MIN_CONNECT_TIME
        );
    }

    #[test]
    fn a_pause_leaves_a_session_time_to_live() {
        let delay = MS(5_000);
        assert_eq!(Timing::of_session(MS(8_000)).pause(delay), MS(1_000));
        assert_eq!(Timing::of_session(MS(8_000)).pause(MS(10)), MS(10));
        assert_eq!(Timing::of_session(MS(80)).pause(delay), MS(100));
        assert_eq!(Timing::before_session(MS(8_000)).pause(delay), delay);
    }
}
