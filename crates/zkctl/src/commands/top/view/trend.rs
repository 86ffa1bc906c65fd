//! Graphs of one line, as text.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The values as bars, the latest at the right end; a value that is not known is blank.
pub(super) fn line(values: &[Option<f64>], highest: f64, width: usize) -> String {
    let skipped = values.len().saturating_sub(width);
    let bars: String = values
        .iter()
        .skip(skipped)
        .map(|value| bar(*value, highest))
        .collect();
    format!("{bars:>width$}")
}

fn bar(value: Option<f64>, highest: f64) -> char {
    let Some(value) = value else {
        return ' ';
    };
    let [lowest, ..] = BARS;
    if highest <= 0.0 {
        return lowest;
    }
    let eighths = (value / highest).clamp(0.0, 1.0) * 8.0;
    let steps = BARS.iter().zip(1_u8..);
    let reached = steps.take_while(|(_, step)| eighths > f64::from(*step) - 0.5);
    // The lowest bar is for zero as well.
    reached.last().map_or(lowest, |(bar, _)| *bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_from_the_right() {
        let values = [Some(0.0), None, Some(4.0), Some(8.0)];
        assert_eq!(line(&values, 8.0, 6), "  ▁ ▄█");
        assert_eq!(line(&values, 8.0, 2), "▄█");
        assert_eq!(line(&values, 16.0, 4), "▁ ▂▄");
        assert_eq!(line(&[], 1.0, 3), "   ");
        assert_eq!(line(&[Some(0.0)], 0.0, 1), "▁");
        // A scale that is too small for a value.
        assert_eq!(line(&[Some(9.0)], 1.0, 1), "█");
    }
}
