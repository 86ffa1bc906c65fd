//! When a client that cannot connect gives up.

use std::time::{Duration, Instant};

/// The limits of an outage, and the one that is under way.
#[derive(Debug)]
pub(crate) struct Outage {
    max_attempts: Option<u64>,
    max_duration: Option<Duration>,
    /// When the client began to connect: at its start, and when a connection is lost.
    since: Option<Instant>,
    /// Why the client has ended.
    given_up: Option<Box<str>>,
}

impl Outage {
    /// The client begins to connect. There are no limits yet.
    pub(crate) fn new(now: Instant) -> Self {
        Outage {
            max_attempts: None,
            max_duration: None,
            since: Some(now),
            given_up: None,
        }
    }

    pub(crate) fn set_max_attempts(&mut self, attempts: u32) {
        self.max_attempts = Some(attempts.into());
    }

    pub(crate) fn set_max_duration(&mut self, limit: Duration) {
        self.max_duration = Some(limit);
    }

    /// The connection is lost.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// A server serves the client.
    pub(crate) fn end(&mut self) {
        self.since = None;
    }

    /// When [`check`](Self::check) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.since?.checked_add(self.max_duration?)?;
        self.given_up.is_none().then_some(due)
    }

    /// Whether the client gives up now, after so many attempts that have failed.
    pub(crate) fn check(&mut self, now: Instant, attempts: u64) -> bool {
        let (Some(since), None) = (self.since, &self.given_up) else {
            return false;
        };
        let took = now.saturating_duration_since(since);
        let is_long = self.max_duration.is_some_and(|limit| took >= limit);
        if is_long || self.max_attempts.is_some_and(|limit| attempts >= limit) {
            let text = format!(
                "the client has given up after {attempts} attempts to connect in {} ms",
                took.as_millis()
            );
            self.given_up = Some(text.into());
        }
        self.given_up.is_some()
    }

    /// Why the client has ended, if it gave up.
    pub(crate) fn given_up(&self) -> Option<&str> {
        self.given_up.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_limits_nothing_is_given_up() {
        let now = Instant::now();
        let mut outage = Outage::new(now);
        assert!(!outage.check(now + 1_000_000 * SECOND, 1_000_000));
        assert_eq!(outage.poll_timeout(), None);
    }

    #[test]
    fn attempts_and_time_are_limited_alone() {
        let now = Instant::now();
        let mut outage = Outage::new(now);
        outage.set_max_attempts(3);
        assert!(!outage.check(now + 1_000 * SECOND, 2));
        assert!(outage.check(now, 3));
        assert!(outage.given_up().unwrap().contains("3 attempts"));
        let mut outage = Outage::new(now);
        outage.set_max_duration(5 * SECOND);
        assert_eq!(outage.poll_timeout(), Some(now + 5 * SECOND));
        assert!(!outage.check(now + 4 * SECOND, 1_000));
        assert!(outage.check(now + 5 * SECOND, 0));
        assert_eq!(outage.poll_timeout(), None);
    }

    /// Each outage has its own time, from the loss of the connection on.
    #[test]
    fn a_connection_ends_an_outage() {
        let now = Instant::now();
        let mut outage = Outage::new(now);
        outage.set_max_duration(5 * SECOND);
        outage.end();
        assert!(!outage.check(now + 9 * SECOND, 0));
        outage.begin(now + 9 * SECOND);
        outage.begin(now + 11 * SECOND);
        assert_eq!(outage.poll_timeout(), Some(now + 14 * SECOND));
    }
}
