//! Durations and dates as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The protocol has 31 bits of milliseconds for it.
const MAX_SESSION_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);
/// Well above the longest time to live, well below where arithmetic on clocks ends.
const MAX_SECONDS: u64 = 100 * 365 * 24 * 3600;

/// Reads `500ms`, `10s`, `2m`, `1h`, or a bare number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let ms_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    if number.is_empty() || ms_per_unit == 0 {
        return Err("write a whole number and ms, s, m or h, as in 500ms or 10s".to_owned());
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(ms_per_unit))
        .map(Duration::from_millis)
        .filter(|duration| duration.as_secs() <= MAX_SECONDS)
        .ok_or_else(|| "more than a hundred years".to_owned())
}

/// Reads a duration that can be a session's timeout.
pub(crate) fn session_timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if timeout.is_zero() || timeout > MAX_SESSION_TIMEOUT {
        return Err(format!(
            "a session lasts between 1 ms and {} h; servers clamp it further",
            MAX_SESSION_TIMEOUT.as_secs() / 3600
        ));
    }
    Ok(timeout)
}

/// A number of milliseconds since the Unix epoch as ISO 8601, in UTC.
pub(crate) fn iso_8601(unix_ms: i64) -> String {
    let (days, ms_of_day) = (
        unix_ms.div_euclid(86_400_000),
        unix_ms.rem_euclid(86_400_000),
    );
    let (year, month, day) = civil(days);
    let (seconds, ms) = (ms_of_day / 1000, ms_of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The present as ISO 8601, in UTC.
pub(crate) fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    iso_8601(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is a year's last; a cycle of 400 years
/// has 146,097 days, and five months from March or August on have 153.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, day_of_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
        - day_of_cycle / 146_096)
        / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        let read = |text| duration(text).unwrap();
        assert_eq!(read("500ms"), Duration::from_millis(500));
        assert_eq!(read("10s"), read("10"));
        assert_eq!(read("2m"), Duration::from_secs(120));
        assert_eq!(read("1h"), Duration::from_secs(3600));
        assert_eq!(read("0"), Duration::ZERO);
        for nonsense in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "10d",
            "10S",
            "99999999999999999999",
            "99999999999h",
        ] {
            assert!(duration(nonsense).is_err(), "{nonsense:?}");
        }
        assert!(session_timeout("0").is_err() && session_timeout("597h").is_err());
        assert!(session_timeout("1ms").is_ok() && session_timeout("596h").is_ok());
    }

    #[test]
    fn dates_of_known_moments() {
        // As `date -u -d @N` says.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (-11_676_096_000, "1600-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_8601(seconds * 1000), expected);
        }
        assert_eq!(iso_8601(1_753_700_000_123), "2025-07-28T10:53:20.123Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut before = civil(-1);
        for day in 0..146_097 {
            let date = civil(day);
            assert!(date > before, "{before:?} {date:?}");
            before = date;
        }
        assert_eq!(before, (2369, 12, 31));
    }

    #[test]
    fn any_time_a_server_could_send_has_a_text() {
        for time in [i64::MIN, i64::MAX] {
            assert!(iso_8601(time).ends_with('Z'));
        }
    }
}
