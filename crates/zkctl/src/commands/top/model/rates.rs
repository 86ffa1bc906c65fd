//! Rates, from the differences of two samples of a server.

use crate::commands::health::metrics::Metrics;

use super::super::sample::Sample;

/// The sums and counts from which the latency of an interval follows; servers before 3.6 have none.
const LATENCIES: [(&str, &str); 2] = [
    ("zk_sum_readlatency", "zk_cnt_readlatency"),
    ("zk_sum_updatelatency", "zk_cnt_updatelatency"),
];

/// What happened between two samples. A number is `None` if one of the samples lacks it, or if a counter began
/// again in between.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// Packets a second.
    pub(crate) received: Option<f64>,
    pub(crate) sent: Option<f64>,
    /// The average latency of the requests of the interval, in milliseconds; also `None` if there were none.
    pub(crate) latency: Option<f64>,
}

/// Why counters are lower than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// The server was started again.
    Restart,
    /// By `srst`, or the server was started again and has no uptime.
    Statistics,
}

impl Rates {
    pub(super) fn between(old: &Sample, new: &Sample, seconds: f64) -> Self {
        let packets = old.report.packets.zip(new.report.packets);
        let rate = |pair: Option<(u64, u64)>| {
            let (old, new) = pair?;
            let more = new.checked_sub(old)?;
            (seconds > 0.0).then(|| more as f64 / seconds)
        };
        if reset(old, new).is_some() {
            return Rates::default();
        }
        Rates {
            received: rate(packets.map(|(old, new)| (old.0, new.0))),
            sent: rate(packets.map(|(old, new)| (old.1, new.1))),
            latency: latency(&old.metrics, &new.metrics),
        }
    }
}

/// Whether the server reports sums of latencies.
pub(super) fn has_latencies(metrics: &Metrics) -> bool {
    LATENCIES.iter().any(|(sum, _)| metrics.get(sum).is_some())
}

fn latency(old: &Metrics, new: &Metrics) -> Option<f64> {
    let mut total = (0.0, 0.0);
    for (sum, count) in LATENCIES {
        let more = |key: &str| {
            let more = new.number(key)? - old.number(key)?;
            (more >= 0.0).then_some(more)
        };
        total = (total.0 + more(sum)?, total.1 + more(count)?);
    }
    let (sum, count) = total;
    (count > 0.0).then(|| sum / count)
}

/// Whether the counters of the new sample do not continue those of the old one.
pub(super) fn reset(old: &Sample, new: &Sample) -> Option<Reset> {
    if let Some((before, after)) = old
        .metrics
        .number("zk_uptime")
        .zip(new.metrics.number("zk_uptime"))
        && after < before
    {
        return Some(Reset::Restart);
    }
    let (before, after) = old.report.packets.zip(new.report.packets)?;
    (after.0 < before.0 || after.1 < before.1).then_some(Reset::Statistics)
}

/// The change of each value a second, in the order of the metrics; `None` for values that are no numbers, or
/// were not there before.
pub(super) fn changes(old: &Metrics, new: &Metrics, seconds: f64) -> Vec<Option<f64>> {
    // The order of both is nearly always the same.
    let mut before = old.iter().peekable();
    new.iter()
        .map(|(key, value)| {
            let old = match before.next_if(|(name, _)| *name == key) {
                Some((_, value)) => Some(value),
                None => old.get(key),
            };
            let difference = value.parse::<f64>().ok()? - old?.parse::<f64>().ok()?;
            (seconds > 0.0 && difference.is_finite()).then(|| difference / seconds)
        })
        .collect()
}
