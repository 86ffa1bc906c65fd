//! Counters of what a client has done, under the lock.

use std::time::Duration;

use crate::session::failure::Replay;
use crate::session::statistics::RequestCounts;

/// [`RequestCounts`] by class.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    pub(crate) reads: RequestCounts,
    pub(crate) writes: RequestCounts,
}

impl Classes {
    pub(crate) fn of(&mut self, replay: Replay) -> &mut RequestCounts {
        match replay {
            Replay::InSession | Replay::Always => &mut self.reads,
            Replay::Never => &mut self.writes,
        }
    }
}

/// How many bytes connections have carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Volume {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Counters of connections and sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    pub(crate) failed_connections: u64,
    pub(crate) lost_connections: u64,
    pub(crate) sessions: u64,
    pub(crate) resumptions: u64,
    pub(crate) expiries: u64,
    pub(crate) rearm_batches: u64,
    pub(crate) rearmed_watches: u64,
    /// Pings answered.
    pub(crate) pings: u64,
}

/// Counters of what the registry of watches delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WatchCounters {
    pub(crate) events: u64,
    pub(crate) dropped: u64,
    pub(crate) gaps: u64,
}

/// The counters that are reported as spans, events and metrics, as they stood at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CounterSnapshot {
    pub(crate) traffic: Traffic,
    #[cfg(feature = "metrics")]
    pub(crate) volume: Volume,
    pub(crate) watches: WatchCounters,
    /// The session's.
    pub(crate) timeout: Duration,
    /// How long the last ping took.
    pub(crate) ping: Option<Duration>,
}

/// What the core counts, and whether anything that is reported has changed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    traffic: Traffic,
    volume: Volume,
    /// The registry's counters, as last looked at.
    watches: WatchCounters,
    changed: bool,
}

impl Counters {
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(super) fn volume(&self) -> Volume {
        self.volume
    }

    /// The counters of connections and sessions, to be changed.
    #[inline]
    pub(super) fn traffic_mut(&mut self) -> &mut Traffic {
        self.changed = true;
        &mut self.traffic
    }

    /// So many bytes have been handed to the connection.
    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        self.volume.sent += bytes as u64;
        self.changed |= cfg!(feature = "metrics") && bytes > 0;
    }

    /// So many bytes have been received.
    #[inline]
    pub(super) fn received(&mut self, bytes: usize) {
        self.volume.received += bytes as u64;
        self.changed |= cfg!(feature = "metrics");
    }

    /// The registry's counters stand at this.
    #[inline]
    pub(super) fn set_watches(&mut self, watches: WatchCounters) {
        self.changed |= watches != self.watches;
        self.watches = watches;
    }

    /// Something else that is reported has changed, such as the state.
    pub(super) fn mark_changed(&mut self) {
        self.changed = true;
    }

    /// Whether anything that is reported has changed since this was last called.
    #[inline]
    pub(super) fn take_changed(&mut self) -> bool {
        self.changed && std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log and the metrics look only after a change.
    #[test]
    fn each_change_is_seen_once() {
        let mut counters = Counters::default();
        assert!(!counters.take_changed());
        counters.sent(0);
        counters.set_watches(WatchCounters::default());
        assert!(!counters.take_changed());
        let delivered = WatchCounters {
            events: 1,
            ..WatchCounters::default()
        };
        type Change<'a> = &'a dyn Fn(&mut Counters);
        let changes: [(Change<'_>, bool); 5] = [
            (&|counters| counters.sent(1), cfg!(feature = "metrics")),
            (&|counters| counters.received(1), cfg!(feature = "metrics")),
            (&|counters| counters.traffic_mut().pings += 1, true),
            (&|counters| counters.set_watches(delivered), true),
            (&Counters::mark_changed, true),
        ];
        for (change, counts) in changes {
            change(&mut counters);
            assert_eq!(counters.take_changed(), counts);
            assert!(!counters.take_changed());
        }
        // A change that does not count leaves an earlier one as it is.
        counters.mark_changed();
        counters.set_watches(delivered);
        counters.sent(0);
        assert!(counters.take_changed());
    }
}
