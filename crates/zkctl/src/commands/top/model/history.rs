//! The latest rates of a server, for its graphs.

use std::collections::VecDeque;

use super::rates::Rates;

/// As many as the widest terminal has columns.
const LENGTH: usize = 512;

/// What one round has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) rates: Rates,
    /// How long the server took to answer `srvr`, in milliseconds.
    pub(crate) took: Option<f64>,
}

/// The points of the latest rounds, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<Point>);

impl History {
    pub(super) fn push(&mut self, point: Point) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// Adds points of rounds without an answer.
    pub(super) fn skip(&mut self, rounds: u64) {
        let rounds = usize::try_from(rounds).unwrap_or(LENGTH).min(LENGTH);
        for _ in 0..rounds {
            self.push(Point::default());
        }
    }

    /// One value of each of the latest `count` points.
    pub(crate) fn latest(
        &self,
        count: usize,
        value: impl Fn(&Point) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let skipped = self.0.len().saturating_sub(count);
        self.0.iter().skip(skipped).map(value).collect()
    }
}
