//! What is known of one server.

use std::time::Duration;

use super::super::numbers::duration;
use super::super::sample::Sample;
use super::history::{History, Point};
use super::rates::{self, Rates, Reset};
use crate::commands::health::metrics::Metrics;
use crate::commands::health::report::Report;
use crate::commands::health::values::Source;
use crate::commands::servers::Target;

/// How long a restart is shown.
const RESTART_SHOWN: Duration = Duration::from_secs(60);

/// The highest values since the start, or since they were reset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Peaks {
    pub(crate) received: Option<f64>,
    pub(crate) sent: Option<f64>,
    pub(crate) latency: Option<f64>,
}

/// The longest latency of a server, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Longest {
    Exactly(i64),
    /// Since the maxima were reset there was none above this one, which is from before.
    AtMost(i64),
}

/// A server, with its latest sample and what follows from those before.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) target: Target,
    /// The latest answer; `None` before the first.
    pub(crate) sample: Option<Sample>,
    /// Of the last round that was answered.
    pub(crate) rates: Rates,
    /// The change of each of the metrics a second.
    pub(crate) changes: Vec<Option<f64>>,
    pub(crate) peaks: Peaks,
    pub(crate) history: History,
    /// How many transactions the server is behind the leader, as of the last round that both have answered.
    pub(crate) lag: Option<u64>,
    /// Since when the server has not answered, or not what it is.
    pub(crate) down_since: Option<Duration>,
    /// The round that is not answered yet, and when it began.
    pub(super) asked: Option<(u64, Duration)>,
    /// The round of the latest answer, and when it came.
    pub(super) answered: Option<(u64, Duration)>,
    restarted: Option<Duration>,
    /// The longest latency at the time when the maxima were reset.
    old_longest: Option<i64>,
}

impl Server {
    pub(super) fn new(target: Target) -> Self {
        Server {
            target,
            sample: None,
            rates: Rates::default(),
            changes: Vec::new(),
            peaks: Peaks::default(),
            history: History::default(),
            lag: None,
            down_since: None,
            asked: None,
            answered: None,
            restarted: None,
            old_longest: None,
        }
    }

    /// Whether the server answers, also if it serves no requests.
    pub(crate) fn is_up(&self) -> bool {
        let report = self.sample.as_ref().map(|sample| &sample.report);
        report.is_some_and(|report| report.role.is_some())
    }

    /// How long ago it was started again, if this program has seen that within the last minute.
    pub(crate) fn restarted(&self, now: Duration) -> Option<Duration> {
        let ago = now.saturating_sub(self.restarted?);
        (ago < RESTART_SHOWN).then_some(ago)
    }

    /// For how long it has been running.
    pub(crate) fn uptime(&self) -> Option<Duration> {
        let metrics = &self.sample.as_ref()?.metrics;
        metrics.count("zk_uptime").map(Duration::from_millis)
    }

    /// Whether the interval's latency is known when there are requests. Otherwise the time that `srvr` takes is
    /// all that is known of the present latency.
    pub(crate) fn has_latencies(&self) -> bool {
        let sample = self.sample.as_ref();
        sample.is_some_and(|sample| rates::has_latencies(&sample.metrics))
    }

    pub(crate) fn longest(&self) -> Option<Longest> {
        let max = self.sample.as_ref()?.report.latency?.max;
        Some(match self.old_longest {
            Some(old) if max <= old => Longest::AtMost(old),
            _ => Longest::Exactly(max),
        })
    }

    /// Why the server has no values but those of `srvr`.
    pub(crate) fn lacks(&self) -> Option<&str> {
        self.sample.as_ref()?.source.missing()
    }

    /// In place of a sample, while the server has not answered.
    pub(crate) fn unanswered(&self, now: Duration) -> Sample {
        let waiting = self
            .asked
            .map_or(Duration::ZERO, |(_, began)| now.saturating_sub(began));
        let mut report = Report::without_answer(&self.target);
        report.failure = Some(match waiting < Duration::from_secs(1) {
            true => format!("no answer for {} ms", waiting.as_millis()),
            false => format!("no answer for {}", duration(waiting)),
        });
        Sample {
            report,
            metrics: Metrics::default(),
            source: Source::Nothing(String::new()),
            took: waiting,
        }
    }

    pub(super) fn reset_maxima(&mut self) {
        self.peaks = Peaks::default();
        let latency = self.sample.as_ref().and_then(|it| it.report.latency);
        self.old_longest = latency.map(|latency| latency.max);
    }

    /// Takes the answer to a round. Returns whether the counters of the server began again.
    pub(super) fn answer(&mut self, round: u64, now: Duration, new: Sample) -> Option<Reset> {
        let before = self.answered.replace((round, now));
        self.asked = self.asked.filter(|(asked, _)| *asked > round);
        let mut reset = None;
        (self.rates, self.changes) = (Rates::default(), Vec::new());
        if let (Some((_, then)), Some(old)) = (before, &self.sample)
            && old.report.role.is_some()
            && new.report.role.is_some()
        {
            let seconds = now.saturating_sub(then).as_secs_f64();
            reset = rates::reset(old, &new);
            self.rates = Rates::between(old, &new, seconds);
            if reset.is_none() {
                self.changes = rates::changes(&old.metrics, &new.metrics, seconds);
            }
        }
        if reset.is_some() {
            self.old_longest = None;
        }
        if reset == Some(Reset::Restart) {
            self.restarted = Some(now);
        }
        let highest = |peak: Option<f64>, now: Option<f64>| match (peak, now) {
            (Some(peak), Some(now)) => Some(peak.max(now)),
            (peak, now) => peak.or(now),
        };
        self.peaks = Peaks {
            received: highest(self.peaks.received, self.rates.received),
            sent: highest(self.peaks.sent, self.rates.sent),
            latency: highest(self.peaks.latency, self.rates.latency),
        };
        let is_up = new.report.role.is_some();
        self.down_since = match is_up {
            true => None,
            false => self.down_since.or(Some(now)),
        };
        if let Some((before, _)) = before {
            self.history.skip(round.saturating_sub(before + 1));
        }
        self.history.push(Point {
            rates: self.rates,
            took: is_up.then_some(new.took.as_secs_f64() * 1000.0),
        });
        self.sample = Some(new);
        reset
    }
}
