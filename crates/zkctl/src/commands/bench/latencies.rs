//! How long operations took: percentiles, and a histogram for people.

use std::fmt;

const BAR: usize = 40;

/// Sorted, in nanoseconds.
pub(super) struct Latencies(Vec<u64>);

impl Latencies {
    pub(super) fn new(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        Latencies(nanos)
    }

    /// The least time, in microseconds, that so many percent did not exceed; `None` if nothing was
    /// done.
    pub(super) fn percentile(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map(|&nanos| nanos as f64 / 1_000.0)
    }

    /// How many took no longer than 1, 2, 5, 10, 20, … microseconds, but longer than the time before
    /// that; from the first to the last of which there are any.
    fn buckets(&self) -> Vec<(u64, usize)> {
        let mut buckets = Vec::new();
        let mut rest = self.0.as_slice();
        for limit in limits() {
            if rest.is_empty() {
                break;
            }
            let count = rest.partition_point(|&nanos| nanos <= limit.saturating_mul(1_000));
            rest = rest.get(count..).unwrap_or_default();
            if count > 0 || !buckets.is_empty() {
                buckets.push((limit, count));
            }
        }
        buckets
    }
}

/// In microseconds. A thousand seconds and more is one.
fn limits() -> impl Iterator<Item = u64> {
    let decades = (0..9).flat_map(|decade| [1, 2, 5].map(|first| first * 10_u64.pow(decade)));
    decades.chain([u64::MAX])
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |percent| self.percentile(percent).map(time).unwrap_or_default();
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "half within {}, 90 % within {}, 99 % within {}, all within {}\n",
            shown(50),
            shown(90),
            shown(99),
            shown(100)
        )?;
        let buckets = self.buckets();
        let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(1);
        for (limit, count) in buckets {
            let limit = match limit {
                u64::MAX => "longer".to_owned(),
                limit => format!("≤ {}", time(limit as f64)),
            };
            // Few are not none.
            let bar = "█".repeat((count * BAR).div_ceil(most));
            writeln!(f, "{limit:>10} {bar:<BAR$} {count}")?;
        }
        Ok(())
    }
}

/// Microseconds in a unit that suits them, with up to three digits that matter.
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

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let latencies = Latencies::new((1..=1_000).rev().map(|n| n * 1_000).collect());
        let at = |percent| latencies.percentile(percent).unwrap();
        assert_eq!((at(50), at(90)), (500.0, 900.0));
        assert_eq!((at(99), at(100)), (990.0, 1_000.0));
        assert_eq!(Latencies::new(vec![7_500]).percentile(50), Some(7.5));
        assert_eq!(Latencies::new(vec![]).percentile(50), None);
    }

    #[test]
    fn every_latency_is_in_one_bucket() {
        let micros = [1, 2, 3, 900, 1_000, 1_001, 40_000_000_000];
        let latencies = Latencies::new(micros.map(|n| n * 1_000).to_vec());
        let buckets = latencies.buckets();
        let counted: usize = buckets.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, micros.len());
        assert_eq!(buckets[..3], [(1, 1), (2, 1), (5, 1)]);
        assert!(buckets.contains(&(1_000, 2)) && buckets.contains(&(2_000, 1)));
        assert_eq!(buckets.last(), Some(&(u64::MAX, 1)));
    }

    #[test]
    fn the_longest_bar_is_that_of_most() {
        let text = Latencies::new([vec![1_000; 400], vec![9_000; 10]].concat()).to_string();
        let bars: Vec<_> = text
            .lines()
            .skip(2)
            .map(|line| line.matches('█').count())
            .collect();
        assert_eq!(bars, [40, 0, 0, 1]);
        assert!(text.contains("half within 1 µs"), "{text}");
    }

    #[test]
    fn times_are_short() {
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
