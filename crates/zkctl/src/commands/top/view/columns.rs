//! The columns of the table: which fit, and what they show of a server.

use std::time::Duration;

use super::super::model::Model;
use super::super::model::overview::role_name;
use super::super::model::server::{Longest, Server};
use super::super::numbers::{bytes, count, duration, millis, rate, whole};
use super::trend;

/// In place of a value that is not known.
const UNKNOWN: &str = "-";

/// How wide the state is at least: a sixth of the table, within these limits.
const STATE_WIDTHS: (u16, u16) = (14, 36);
const TREND_WIDTH: u16 = 16;
const NAME_WIDTH: u16 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Server,
    Role,
    Version,
    Uptime,
    Received,
    Sent,
    Latency,
    Percentile,
    Average,
    Longest,
    Answer,
    Outstanding,
    Connections,
    Watches,
    Znodes,
    Ephemerals,
    Data,
    Lag,
    RateTrend,
    LatencyTrend,
    State,
}

/// From left to right.
pub(crate) const ORDER: [Column; 21] = [
    Column::Server,
    Column::Role,
    Column::Version,
    Column::Uptime,
    Column::Received,
    Column::Sent,
    Column::Latency,
    Column::Percentile,
    Column::Average,
    Column::Longest,
    Column::Answer,
    Column::Outstanding,
    Column::Connections,
    Column::Watches,
    Column::Znodes,
    Column::Ephemerals,
    Column::Data,
    Column::Lag,
    Column::RateTrend,
    Column::LatencyTrend,
    Column::State,
];

/// The most important first. On a narrow terminal the last ones are dropped.
const BY_IMPORTANCE: [Column; 21] = [
    Column::Server,
    Column::Role,
    Column::State,
    Column::Received,
    Column::Latency,
    Column::Outstanding,
    Column::Connections,
    Column::Lag,
    Column::Sent,
    Column::Longest,
    Column::Watches,
    Column::RateTrend,
    Column::Znodes,
    Column::Percentile,
    Column::Average,
    Column::LatencyTrend,
    Column::Ephemerals,
    Column::Data,
    Column::Version,
    Column::Uptime,
    Column::Answer,
];

impl Column {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Server => "SERVER",
            Column::Role => "ROLE",
            Column::Version => "VERSION",
            Column::Uptime => "UP",
            Column::Received => "IN/s",
            Column::Sent => "OUT/s",
            Column::Latency => "LAT ms",
            Column::Percentile => "P99 r/w",
            Column::Average => "AVG",
            Column::Longest => "MAX",
            Column::Answer => "ANSWER",
            Column::Outstanding => "OUTST",
            Column::Connections => "CONN",
            Column::Watches => "WATCH",
            Column::Znodes => "ZNODES",
            Column::Ephemerals => "EPHEM",
            Column::Data => "DATA",
            Column::Lag => "LAG",
            Column::RateTrend => "IN/s",
            Column::LatencyTrend => "LATENCY",
            Column::State => "STATE",
        }
    }

    fn width(self) -> u16 {
        match self {
            Column::Server => NAME_WIDTH,
            Column::Role => 11,
            Column::Uptime | Column::Percentile => 9,
            Column::Version => 7,
            Column::RateTrend | Column::LatencyTrend => TREND_WIDTH,
            Column::State => STATE_WIDTHS.0,
            _ => 6,
        }
    }

    pub(crate) fn is_right_aligned(self) -> bool {
        !matches!(
            self,
            Column::Server
                | Column::Role
                | Column::Version
                | Column::RateTrend
                | Column::LatencyTrend
                | Column::State
        )
    }
}

/// The columns that fit, from left to right, with their widths. `name` is the length of the longest name.
pub(super) fn fitting(width: u16, name: usize) -> Vec<(Column, u16)> {
    let name = u16::try_from(name).unwrap_or(u16::MAX);
    // Two columns for the mark of the selected server.
    let name = 2 + name.clamp(NAME_WIDTH, (width / 3).max(NAME_WIDTH));
    let width_of = |column| match column {
        Column::Server => name,
        Column::State => (width / 6).clamp(STATE_WIDTHS.0, STATE_WIDTHS.1),
        column => column.width(),
    };
    let mut left = width;
    let mut fitting = Vec::new();
    for column in BY_IMPORTANCE {
        let needed = width_of(column) + u16::from(!fitting.is_empty());
        let Some(rest) = left.checked_sub(needed) else {
            break;
        };
        left = rest;
        fitting.push(column);
    }
    let all = ORDER.iter().filter(|column| fitting.contains(column));
    let mut widths: Vec<_> = all.map(|&column| (column, width_of(column))).collect();
    // Half of what is left goes to the trends, the rest to the state.
    let is_trend = |column: Column| matches!(column, Column::RateTrend | Column::LatencyTrend);
    let trends = widths
        .iter()
        .filter(|(column, _)| is_trend(*column))
        .count();
    let trends = u16::try_from(trends).unwrap_or_default();
    let each = left / 2 / trends.max(1);
    for (column, width) in &mut widths {
        match *column {
            column if is_trend(column) => *width += each,
            Column::State => *width += left - each * trends,
            _ => {}
        }
    }
    widths
}

/// What a column shows of a server.
pub(crate) fn text(column: Column, width: u16, server: &Server, highest: Highest) -> String {
    let Some(sample) = &server.sample else {
        return match column {
            Column::Server => server.target.to_string(),
            Column::Role => role_name(server),
            _ => String::new(),
        };
    };
    let (report, metrics) = (&sample.report, &sample.metrics);
    let is_up = server.is_up();
    let took = sample.took.as_secs_f64() * 1000.0;
    let known = |value: Option<String>| value.unwrap_or_else(|| UNKNOWN.to_owned());
    let number = |value: Option<u64>| known(value.map(whole));
    match column {
        Column::Server => server.target.to_string(),
        Column::Role => role_name(server),
        Column::Version => known(report.version.clone()),
        Column::Uptime => known(server.uptime().map(duration)),
        Column::Received => known(server.rates.received.map(rate)),
        Column::Sent => known(server.rates.sent.map(rate)),
        Column::Latency => match server.rates.latency {
            Some(latency) => millis(latency),
            None if is_up && !server.has_latencies() => format!("~{}", millis(took)),
            None => UNKNOWN.to_owned(),
        },
        Column::Percentile => {
            let percentile = |key: &str| metrics.number(key).map(millis);
            let read = percentile("zk_p99_readlatency");
            let write = percentile("zk_p99_updatelatency");
            known(
                read.zip(write)
                    .map(|(read, write)| format!("{read}/{write}")),
            )
        }
        Column::Average => known(report.latency.map(|latency| millis(latency.avg))),
        Column::Longest => known(server.longest().map(longest)),
        Column::Answer => known(is_up.then(|| millis(took))),
        Column::Outstanding => number(report.outstanding),
        Column::Connections => number(report.connections),
        Column::Watches => number(report.watches),
        Column::Znodes => number(report.znodes),
        Column::Ephemerals => number(metrics.count("zk_ephemerals_count")),
        Column::Data => known(metrics.count("zk_approximate_data_size").map(bytes)),
        Column::Lag => number(server.lag),
        Column::RateTrend => {
            let rates = server
                .history
                .latest(width.into(), |point| point.rates.received);
            trend::line(&rates, highest.rate, width.into())
        }
        Column::LatencyTrend => {
            let latencies = latencies(server, width.into());
            trend::line(&latencies, highest.latency, width.into())
        }
        // It depends on the rest of the ensemble.
        Column::State => String::new(),
    }
}

pub(super) fn longest(longest: Longest) -> String {
    match longest {
        Longest::Exactly(millis) => count(millis as f64),
        Longest::AtMost(millis) => format!("≤{}", count(millis as f64)),
    }
}

/// The latest latencies; of a server that does not report those of intervals, how long `srvr` took.
pub(super) fn latencies(server: &Server, count: usize) -> Vec<Option<f64>> {
    match server.has_latencies() {
        true => server.history.latest(count, |point| point.rates.latency),
        false => server.history.latest(count, |point| point.took),
    }
}

/// The highest values of all servers, so that their graphs have one scale.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Highest {
    pub(super) rate: f64,
    pub(super) latency: f64,
}

impl Highest {
    pub(super) fn of(model: &Model, points: usize) -> Self {
        let highest = |values: Vec<Option<f64>>| values.into_iter().flatten().fold(0.0, f64::max);
        let mut all = Highest::default();
        for server in &model.servers {
            let rates = server.history.latest(points, |point| point.rates.received);
            all.rate = all.rate.max(highest(rates));
            all.latency = all.latency.max(highest(latencies(server, points)));
        }
        all
    }
}

/// The reason why a server does not answer, without what its line says already.
fn short<'a>(reason: &'a str, server: &Server) -> &'a str {
    let name = server.target.server.to_string();
    let beginnings = [
        format!("{name} did not answer srvr: "),
        format!("cannot connect to {name}: "),
        format!("{name} "),
    ];
    let begun = beginnings.iter().fold(reason, |reason, beginning| {
        reason.strip_prefix(beginning.as_str()).unwrap_or(reason)
    });
    begun.split(" (os error").next().unwrap_or(begun)
}

/// How urgent a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Good,
    Note,
    Problem,
    Down,
}

/// The state of a server in a line, the worst first.
pub(crate) fn state(
    model: &Model,
    index: usize,
    server: &Server,
    now: Duration,
) -> (Urgency, String) {
    if server.sample.is_none() {
        return (Urgency::Note, "no answer yet".to_owned());
    }
    let problems = model.problems_of(index);
    if !server.is_up() {
        let since = server.down_since.unwrap_or(now);
        let ago = duration(now.saturating_sub(since));
        let reason = problems.first().map_or("no answer", |problem| problem);
        let reason = short(reason, server);
        return match reason.starts_with("no answer for") {
            true => (Urgency::Down, reason.to_owned()),
            false => (Urgency::Down, format!("down {ago}: {reason}")),
        };
    }
    let mut parts = problems.to_vec();
    if let Some(ago) = server.restarted(now) {
        parts.push(format!("started {} ago", duration(ago)));
    }
    match (problems.is_empty(), parts.is_empty()) {
        (true, true) => (Urgency::Good, "ok".to_owned()),
        (true, false) => (Urgency::Note, parts.join("; ")),
        (false, _) => (Urgency::Problem, parts.join("; ")),
    }
}
