//! How far the end of the client has come.

pub(crate) mod cleanups;
mod close;
mod expiry;

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::session::shutdown::cleanups::Cleanups;

/// The longest time limit of a close, ten years: a later point in time may not exist on every clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How far the end of the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// The session is to be closed once the clean-ups are done, at `until` at the latest; all of that
    /// before the deadline.
    Draining {
        until: Instant,
        deadline: Instant,
    },
    /// The session is to be closed on the server, before the deadline.
    Requested {
        deadline: Instant,
    },
    /// Done; whether the server has acknowledged it.
    Done {
        acknowledged: bool,
    },
}

/// What is due when [`Shutdown::due`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The time for clean-ups is over: the session is to be closed, before this deadline.
    CloseSession(Instant),
    /// The time for all of it is over.
    GiveUp,
}

/// The end of the client, and what it waits for.
#[derive(Debug)]
pub(super) struct Shutdown {
    closing: Closing,
    /// The time limit of a close.
    timeout: Duration,
    /// Whether a server has answered that the last session is over, and each that has ended since the
    /// client began to close. True before the first session.
    end_is_proven: bool,
    /// Whether the client ends without ending its session.
    leaves_session: bool,
    wakers: Vec<Waker>,
    pub(super) cleanups: Cleanups,
}

impl Shutdown {
    pub(super) fn new(timeout: Duration) -> Self {
        Shutdown {
            closing: Closing::No,
            timeout: timeout.min(LONGEST_TIMEOUT),
            end_is_proven: true,
            leaves_session: false,
            wakers: Vec::new(),
            cleanups: Cleanups::default(),
        }
    }

    /// Whether the client is over and the driver has nothing left to do.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        matches!(self.closing, Closing::Done { .. })
    }

    /// Whether the client is being closed, or is over.
    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// Whether the client is being closed and clean-ups are still accepted. The deadline for all of it.
    pub(super) fn draining(&self) -> Option<Instant> {
        match self.closing {
            Closing::Draining { deadline, .. } => Some(deadline),
            _ => None,
        }
    }

    /// Whether the session is to be closed on the server next.
    pub(super) fn is_requested(&self) -> bool {
        matches!(self.closing, Closing::Requested { .. })
    }

    /// Whether clean-ups are accepted: until the session is being closed.
    pub(super) fn accepts_cleanups(&self) -> bool {
        matches!(self.closing, Closing::No | Closing::Draining { .. })
    }

    /// Whether clean-ups keep an expired session's client open for the next session.
    pub(super) fn drains_into_next_session(&self) -> bool {
        self.draining().is_some() && self.cleanups.outlive_session()
    }

    /// The session is to outlive the client.
    pub(super) fn set_leaves_session(&mut self) {
        self.leaves_session = true;
    }

    /// Whether the session is to outlive the client.
    pub(super) fn leaves_session(&self) -> bool {
        self.leaves_session
    }

    /// Whether the client is over and a server has acknowledged the end of its session.
    pub(super) fn has_ended_session(&self) -> bool {
        let acknowledged = matches!(self.closing, Closing::Done { acknowledged: true });
        acknowledged && !self.leaves_session
    }

    /// Whether the end of the last session is proven.
    pub(super) fn end_is_proven(&self) -> bool {
        self.end_is_proven
    }

    /// The session has ended. `proven` if a server has answered that it is over.
    pub(super) fn handle_expired(&mut self, proven: bool) {
        self.end_is_proven = proven && (self.closing == Closing::No || self.end_is_proven);
    }

    /// The client begins to close in a session; another may have ended before without proof.
    pub(super) fn forget_earlier_sessions(&mut self, session_exists: bool) {
        self.end_is_proven |= session_exists;
    }

    /// When a close that begins now has to be done.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        now + self.timeout
    }

    /// The client begins to close, with clean-ups under way.
    pub(super) fn begin_draining(&mut self, now: Instant) {
        self.closing = Closing::Draining {
            until: now + self.timeout * 3 / 4,
            deadline: self.deadline(now),
        };
    }

    /// The session is to be closed on the server, before the deadline.
    pub(super) fn request(&mut self, deadline: Instant) {
        self.closing = Closing::Requested { deadline };
    }

    /// The client is over; whether the server has acknowledged it.
    pub(super) fn finish(&mut self, acknowledged: bool, wakes: &mut Vec<Waker>) {
        self.closing = Closing::Done { acknowledged };
        wakes.append(&mut self.wakers);
    }

    /// When [`due`](Self::due) is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.closing {
            Closing::Draining { until, .. } => Some(until),
            Closing::Requested { deadline } => Some(deadline),
            Closing::No | Closing::Done { .. } => None,
        }
    }

    /// What is due now.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        match self.closing {
            Closing::Draining { until, deadline } if until <= now => {
                Some(Due::CloseSession(deadline))
            }
            Closing::Requested { deadline } if deadline <= now => Some(Due::GiveUp),
            _ => None,
        }
    }

    /// Whether the client is over, and if so, whether the server has acknowledged it; `waker` is woken
    /// then.
    pub(super) fn poll(&mut self, waker: &Waker) -> Option<bool> {
        if let Closing::Done { acknowledged } = self.closing {
            return Some(acknowledged);
        }
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    /// Once, however often it has polled.
    #[test]
    fn the_end_wakes_each_that_waits_for_it() {
        let mut shutdown = Shutdown::new(Duration::from_secs(3));
        let wakers = [Arc::new(Task), Arc::new(Task)].map(Waker::from);
        for waker in wakers.iter().chain(&wakers) {
            assert_eq!(shutdown.poll(waker), None);
        }
        let mut woken = Vec::new();
        shutdown.finish(true, &mut woken);
        assert_eq!(woken.len(), 2);
        let missing = |waker: &&Waker| !woken.iter().any(|it| it.will_wake(waker));
        assert_eq!(wakers.iter().filter(missing).count(), 0);
        assert_eq!(shutdown.poll(&wakers[0]), Some(true));
    }

    #[test]
    fn the_longest_timeout_has_a_deadline() {
        let now = Instant::now();
        let mut shutdown = Shutdown::new(Duration::MAX);
        shutdown.begin_draining(now);
        let until = shutdown.poll_timeout().unwrap();
        assert!(now < until && until < shutdown.deadline(now));
    }
}
