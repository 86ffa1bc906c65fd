//! The latencies of operations: percentiles, and a histogram as text.

use std::fmt;
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

/// The longest latency that is distinguished from longer ones.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);
const SIGNIFICANT_DIGITS: u8 = 3;
/// The width of the longest bar, in characters.
const BAR: u64 = 40;

/// Latencies in nanoseconds, with three significant digits. The memory does not grow with their number.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Result<Self, CreationError> {
        let max = u64::try_from(MAX.as_nanos()).unwrap_or(u64::MAX);
        Histogram::new_with_bounds(1, max, SIGNIFICANT_DIGITS).map(Latencies)
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    /// The latency, in microseconds, that this percentage of operations did not exceed; `None` if
    /// nothing was recorded.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let nanos = self.0.value_at_percentile(percent);
        (!self.0.is_empty()).then_some(nanos as f64 / 1_000.0)
    }

    /// The number of latencies of at most 1, 2, 5, 10, 20, … microseconds that are longer than the limit
    /// before; from the first to the last bucket that is not empty.
    fn buckets(&self) -> Vec<(u64, u64)> {
        let mut recorded = self.0.iter_recorded().peekable();
        let mut buckets = Vec::new();
        for limit in limits() {
            if recorded.peek().is_none() {
                break;
            }
            let mut count = 0;
            while let Some(value) = recorded.next_if(|value| {
                let nanos = self.0.lowest_equivalent(value.value_iterated_to());
                nanos <= limit.saturating_mul(1_000)
            }) {
                count += value.count_since_last_iteration();
            }
            if count > 0 || !buckets.is_empty() {
                buckets.push((limit, count));
            }
        }
        buckets
    }
}

/// The limits of the buckets in microseconds: up to 500 s, and one for longer latencies.
fn limits() -> impl Iterator<Item = u64> {
    let decades = (0..9).flat_map(|decade| [1, 2, 5].map(|first| first * 10_u64.pow(decade)));
    decades.chain([u64::MAX])
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let shown = |percent| self.percentile(percent).map(time).unwrap_or_default();
        writeln!(
            f,
            "half within {}, 90 % within {}, 99 % within {}, all within {}\n",
            shown(50.0),
            shown(90.0),
            shown(99.0),
            shown(100.0)
        )?;
        let buckets = self.buckets();
        let largest = buckets.iter().map(|(_, count)| *count).max().unwrap_or(1);
        for (limit, count) in buckets {
            let limit = match limit {
                u64::MAX => "longer".to_owned(),
                limit => format!("≤ {}", time(limit as f64)),
            };
            // Rounded up, so that a bucket that is not empty has a bar.
            let length = (u128::from(count) * u128::from(BAR)).div_ceil(u128::from(largest));
            let bar = "█".repeat(usize::try_from(length).unwrap_or_default());
            writeln!(f, "{limit:>10} {bar:<40} {count}")?;
        }
        Ok(())
    }
}

/// A time in the unit that suits it, with three significant digits.
fn time(micros: f64) -> String {
    let (figure, unit) = match micros {
        1_000_000.0.. => (micros / 1e6, "s"),
        1_000.0.. => (micros / 1e3, "ms"),
        _ => (micros, "µs"),
    };
    let text = match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    };
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        for micros in micros {
            latencies.record(Duration::from_micros(micros));
        }
        latencies
    }

    #[test]
    fn percentiles_have_three_digits() {
        let all = latencies((1..=1_000).rev());
        for (percent, micros) in [(50.0, 500.0), (90.0, 900.0), (99.0, 990.0), (100.0, 1e3)] {
            let found = all.percentile(percent).unwrap();
            assert!((micros..micros * 1.001).contains(&found), "{found}");
        }
        let mut one = latencies([]);
        assert_eq!(one.percentile(50.0), None);
        one.record(Duration::from_nanos(1_500));
        assert_eq!(one.percentile(50.0), Some(1.5));
    }

    #[test]
    fn every_latency_is_in_one_bucket() {
        let micros = [1, 2, 3, 900, 1_000, 1_001, 40_000_000_000, u64::MAX];
        let buckets = latencies(micros).buckets();
        let counted: u64 = buckets.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, 8);
        assert_eq!(buckets[..3], [(1, 1), (2, 1), (5, 1)]);
        assert!(buckets.contains(&(1_000, 2)) && buckets.contains(&(2_000, 1)));
        assert_eq!(buckets.last(), Some(&(u64::MAX, 2)));
    }

    #[test]
    fn the_largest_bucket_has_the_longest_bar() {
        let few = std::iter::repeat_n(9, 10);
        let text = latencies(std::iter::repeat_n(1, 400).chain(few)).to_string();
        let bars: Vec<_> = text
            .lines()
            .skip(2)
            .map(|line| line.matches('█').count())
            .collect();
        assert_eq!(bars, [40, 0, 0, 1]);
        assert!(text.contains("half within 1 µs"), "{text}");
    }

    #[test]
    fn times_have_three_digits() {
        let shown = [
            0.25,
            12.34,
            999.6,
            1_500.0,
            20_000.0,
            100_000.0,
            2_345_678.0,
        ]
        .map(time);
        let expected = [
            "0.25 µs", "12.3 µs", "1000 µs", "1.5 ms", "20 ms", "100 ms", "2.35 s",
        ];
        assert_eq!(shown, expected);
    }
}
