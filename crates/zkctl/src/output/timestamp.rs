//! Points in time as ISO 8601, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of the year 9999, in milliseconds since 1970: `humantime` formats nothing later.
const MAX_UNIX_MS: u64 = 253_402_300_799_999;

/// A number of milliseconds since 1970 as ISO 8601. Times before 1970 or after 9999, which only a
/// hostile or broken server sends, are shown as the number.
pub(crate) fn iso_8601(unix_ms: i64) -> String {
    match u64::try_from(unix_ms) {
        Ok(ms) if ms <= MAX_UNIX_MS => {
            let time = UNIX_EPOCH + Duration::from_millis(ms);
            humantime::format_rfc3339_millis(time).to_string()
        }
        _ => format!("{unix_ms} ms since 1970"),
    }
}

/// The present time as ISO 8601.
pub(crate) fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    iso_8601(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_moments() {
        // The output of `date -u -d @N`.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(iso_8601(seconds * 1000), expected);
        }
        assert_eq!(iso_8601(1_753_700_000_123), "2025-07-28T10:53:20.123Z");
    }

    #[test]
    fn days_of_four_centuries_ascend() {
        let day = |day: i64| iso_8601(day * 86_400_000);
        let mut before = day(0);
        for number in 1..146_097 {
            let date = day(number);
            assert!(date > before, "{before:?} {date:?}");
            before = date;
        }
        assert_eq!(before, "2369-12-31T00:00:00.000Z");
    }

    #[test]
    fn any_time_a_server_could_send_has_a_text() {
        for (time, text) in [
            (i64::MIN, "-9223372036854775808 ms since 1970"),
            (i64::MAX, "9223372036854775807 ms since 1970"),
            (-1, "-1 ms since 1970"),
            (253_402_300_800_000, "253402300800000 ms since 1970"),
        ] {
            assert_eq!(iso_8601(time), text);
        }
        assert!(iso_8601(253_402_300_799_999).ends_with("59.999Z"));
    }
}
