//! Durations on the command line.

use std::time::Duration;

use humantime::DurationError;

/// The protocol has 31 bits of milliseconds for a session timeout.
const MAX_SESSION_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);
/// Well above the longest time to live, well below where arithmetic on clocks overflows.
const MAX_SECONDS: u64 = 100 * 365 * 24 * 3600;

/// Parses `500ms`, `10s`, `2m`, `1h30m`, or a bare number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let duration = if is_number {
        text.parse().ok().map(Duration::from_secs)
    } else {
        match humantime::parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(DurationError::NumberOverflow) => None,
            Err(_) => {
                return Err(
                    "write a number and ms, s, m or h, as in 500ms, 10s or 1h30m".to_owned(),
                );
            }
        }
    };
    let duration = duration
        .filter(|duration| duration.as_secs() <= MAX_SECONDS)
        .ok_or("the duration is longer than a hundred years")?;
    // The unit of the protocol and of servers' settings.
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("the duration must be a whole number of milliseconds".to_owned());
    }
    Ok(duration)
}

/// Parses a duration that is not zero.
pub(crate) fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the duration must be at least 1 ms".to_owned()),
        duration => Ok(duration),
    }
}

/// Parses a session timeout.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        let parse = |text| duration(text).unwrap();
        assert_eq!(parse("500ms"), Duration::from_millis(500));
        assert_eq!(parse("10s"), parse("10"));
        assert_eq!(parse("2m"), Duration::from_secs(120));
        assert_eq!(parse("1h"), Duration::from_secs(3600));
        assert_eq!(parse("1h30m"), parse("90m"));
        assert_eq!(parse("1.5s"), parse("1500ms"));
        assert_eq!(parse("0"), Duration::ZERO);
        for invalid in [
            "",
            "s",
            "-1s",
            "+1",
            "1.5",
            "10S",
            "99999999999999999999",
            "99999999999h",
            "101y",
            "1us",
        ] {
            assert!(duration(invalid).is_err(), "{invalid:?}");
        }
        assert!(session_timeout("0").is_err() && session_timeout("597h").is_err());
        assert!(session_timeout("1ms").is_ok() && session_timeout("596h").is_ok());
        assert!(positive("0").is_err() && positive("1ms").is_ok());
    }
}
