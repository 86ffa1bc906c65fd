//! When a client that cannot connect gives up.

use std::time::{Duration, Instant};

/// The limits of an outage, and the one that is under way.
#[derive(Debug)]
pub(crate) struct Outage {
    max_attempts: Option<u64>,
    max_duration: Option<Duration>,
    /// When the client began to connect: at its start, and when a connection is lost.
    since: Option<Instant>,
    /// The attempts that have failed since a server served the client.
    failed: u64,
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
            failed: 0,
            given_up: None,
        }
    }

    pub(crate) fn set_max_attempts(&mut self, attempts: u32) {
        // One has to fail before the client can give up.
        self.max_attempts = Some(attempts.max(1).into());
    }

    pub(crate) fn set_max_duration(&mut self, limit: Duration) {
        self.max_duration = Some(limit);
    }

    /// The connection is lost.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// An attempt to connect has failed.
    pub(crate) fn note_failed_attempt(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// A server serves the client.
    pub(crate) fn end(&mut self) {
        self.since = None;
        self.failed = 0;
    }

    /// When [`check`](Self::check) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.since?.checked_add(self.max_duration?)?;
        self.given_up.is_none().then_some(due)
    }

    /// Whether the client gives up now.
    pub(crate) fn check(&mut self, now: Instant) -> bool {
        let (Some(since), None) = (self.since, &self.given_up) else {
            return false;
        };
        let took = now.saturating_duration_since(since);
        let is_long = self.max_duration.is_some_and(|limit| took >= limit);
        if is_long || self.max_attempts.is_some_and(|limit| self.failed >= limit) {
            let text = format!(
                "the client has given up after {} failed attempts to connect in {} ms",
                self.failed,
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

    fn failed(now: Instant, attempts: u32) -> Outage {
        let mut outage = Outage::new(now);
        (0..attempts).for_each(|_| outage.note_failed_attempt());
        outage
    }

    #[test]
    fn without_limits_nothing_is_given_up() {
        let now = Instant::now();
        let mut outage = failed(now, 1_000_000);
        assert!(!outage.check(now + 1_000_000 * SECOND));
        assert_eq!(outage.poll_timeout(), None);
    }

    #[test]
    fn attempts_and_time_are_limited_alone() {
        let now = Instant::now();
        let mut outage = failed(now, 2);
        outage.set_max_attempts(3);
        assert!(!outage.check(now + 1_000 * SECOND));
        outage.note_failed_attempt();
        assert!(outage.check(now));
        assert!(outage.given_up().unwrap().contains("3 failed attempts"));
        let mut outage = failed(now, 1_000);
        outage.set_max_duration(5 * SECOND);
        assert_eq!(outage.poll_timeout(), Some(now + 5 * SECOND));
        assert!(!outage.check(now + 4 * SECOND));
        assert!(outage.check(now + 5 * SECOND));
        assert_eq!(outage.poll_timeout(), None);
    }

    /// Each outage has its own time, from the loss of the connection on.
    #[test]
    fn a_connection_ends_an_outage() {
        let now = Instant::now();
        let mut outage = Outage::new(now);
        outage.set_max_duration(5 * SECOND);
        outage.end();
        assert!(!outage.check(now + 9 * SECOND));
        outage.begin(now + 9 * SECOND);
        outage.begin(now + 11 * SECOND);
        assert_eq!(outage.poll_timeout(), Some(now + 14 * SECOND));
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let now = Instant::now();
        let mut outage = failed(now, 1);
        outage.set_max_attempts(2);
        outage.end();
        outage.begin(now);
        outage.note_failed_attempt();
        assert!(!outage.check(now));
        outage.note_failed_attempt();
        assert!(outage.check(now));
    }

    #[test]
    fn none_may_fail_is_given_up_after_one() {
        let now = Instant::now();
        let mut outage = Outage::new(now);
        outage.set_max_attempts(0);
        assert!(!outage.check(now));
        outage.note_failed_attempt();
        assert!(outage.check(now));
    }
}
