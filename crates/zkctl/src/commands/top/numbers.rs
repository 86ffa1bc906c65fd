//! Numbers in a few columns.

use std::time::Duration;

/// A number of at most six columns, without a fraction below 1000: `0`, `1.2k`, `34M`.
pub(super) fn count(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T", "P"], "")
}

pub(super) fn whole(number: u64) -> String {
    count(number as f64)
}

/// A rate: as [`count`], and with a decimal below 10.
pub(super) fn rate(number: f64) -> String {
    if number.abs() < 9.95 {
        let text = format!("{number:.1}");
        return match text.strip_suffix(".0") {
            Some(whole) => whole.to_owned(),
            None => text,
        };
    }
    count(number)
}

/// Milliseconds, without the unit.
pub(super) fn millis(number: f64) -> String {
    rate(number)
}

pub(super) fn bytes(number: u64) -> String {
    scaled(
        number as f64,
        1024.0,
        &[" ", " K", " M", " G", " T", " P"],
        "B",
    )
}

fn scaled(number: f64, step: f64, units: &[&str], suffix: &str) -> String {
    let mut value = number;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        // What rounds to the next unit is shown in it.
        if value.abs() < step - 0.5 {
            break;
        }
        value /= step;
        unit = next;
    }
    let is_whole = unit.trim().is_empty();
    match is_whole || value.abs() >= 9.95 {
        true => format!("{value:.0}{unit}{suffix}"),
        false => format!("{value:.1}{unit}{suffix}"),
    }
}

/// The largest two units of a duration: `4 s`, `2 min 5 s`, `3 d 4 h`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut parts = Vec::new();
    let mut left = seconds;
    for (size, unit) in units {
        let number = left / size;
        left %= size;
        if number > 0 || (!parts.is_empty() && parts.len() < 2) {
            parts.push((number, unit));
        }
        if parts.len() == 2 {
            break;
        }
    }
    let shown = parts.into_iter().filter(|(number, _)| *number > 0);
    let texts: Vec<_> = shown
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    match texts.is_empty() {
        true => "0 s".to_owned(),
        false => texts.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fit_in_six_columns() {
        for (number, text) in [
            (0.0, "0"),
            (7.0, "7"),
            (999.0, "999"),
            (999.6, "1.0k"),
            (1_234.0, "1.2k"),
            (9_949.0, "9.9k"),
            (9_960.0, "10k"),
            (99_900.0, "100k"),
            (999_700.0, "1.0M"),
            (12_345_678.0, "12M"),
            (-1_500.0, "-1.5k"),
        ] {
            assert_eq!(count(number), text);
        }
        assert!(whole(u64::MAX).len() <= 6, "{}", whole(u64::MAX));
    }

    #[test]
    fn small_rates_have_a_decimal() {
        for (number, text) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.25, "0.2"),
            (2.0, "2"),
            (9.94, "9.9"),
            (9.96, "10"),
            (-0.5, "-0.5"),
            (12_345.0, "12k"),
        ] {
            assert_eq!(rate(number), text);
        }
    }

    #[test]
    fn sizes_are_of_1024() {
        for (number, text) in [
            (0, "0 B"),
            (182, "182 B"),
            (1024, "1.0 KB"),
            (52_428_800, "50 MB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (3_600, "1 h"),
            (3_605, "1 h"),
            (93_784, "1 d 2 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
