//! Times in UTC, to the second, as kazoo writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// The last second of the year 9999, after which kazoo cannot read a time.
const LAST: u64 = 253_402_300_799;

/// The start of the second of a time, as `2026-11-30T05:47:50`; `None` before 1970 and after 9999.
pub(super) fn format(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    if seconds > LAST {
        return None;
    }
    let (year, month, day) = date_of(seconds / DAY);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    ))
}

/// The time of such a text; `None` if it is not one.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    // 61 is the greatest second that kazoo reads.
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && (hour < 24 && minute < 60 && second <= 61);
    if !valid {
        return None;
    }
    let seconds = day_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut number = || {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    };
    let numbers = [number()?, number()?, number()?];
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number of days from 1970 to the beginning of a year.
fn days_before(year: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

/// The number of days from 1970 to a date.
fn day_of(year: u64, month: u64, day: u64) -> u64 {
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    days_before(year) + months + day - 1
}

/// The date of a number of days since 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    // A year is never longer than 366 days, so this is the year or an earlier one.
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut day = days - days_before(year);
    let mut month = 1;
    while day >= days_of(year, month) {
        day -= days_of(year, month);
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The texts are Python's.
    #[test]
    fn times_are_those_of_python() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_796_017_670, "2026-11-30T05:47:50"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (LAST, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(format(at(seconds)).as_deref(), Some(text));
            assert_eq!(parse(text), Some(at(seconds)), "{text}");
        }
        let fraction = at(1) + Duration::from_millis(999);
        assert_eq!(format(fraction).unwrap(), "1970-01-01T00:00:01");
        assert_eq!(format(at(LAST + 1)), None);
        assert_eq!(format(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "2026-11-30",
            "2026-11-30 05:47:50",
            "2026-11-30T05:47:50Z",
            "2026-11-30T05:47:50.5",
            "2026-11-31T05:47:50",
            "2026-13-01T05:47:50",
            "2025-02-29T05:47:50",
            "2026-11-30T24:00:00",
            "+026-11-30T05:47:50",
            "2026-11-30T05:47",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        // As Python reads it.
        assert_eq!(parse("2026-1-5T5:4:3"), parse("2026-01-05T05:04:03"));
    }

    proptest! {
        #[test]
        fn a_written_time_is_read_again(seconds in 0..=LAST) {
            let text = format(at(seconds)).unwrap();
            prop_assert_eq!(parse(&text), Some(at(seconds)));
        }

        #[test]
        fn later_times_have_greater_texts(one in 0..=LAST, other in 0..=LAST) {
            prop_assert_eq!(one.cmp(&other), format(at(one)).cmp(&format(at(other))));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            parse(&text);
        }
    }
}
