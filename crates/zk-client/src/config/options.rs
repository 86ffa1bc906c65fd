//! The options that have a name, in URLs, configurations and the environment.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use zk_transport::HostOrder;

use crate::builder::ClientBuilder;
use crate::session::identity::SessionPolicy;

/// Sets an option of a builder.
pub(super) type Setting = Arc<dyn Fn(ClientBuilder) -> ClientBuilder + Send + Sync>;

/// Reads the value of an option. The error says what to write instead, and does not repeat the value.
type Read = fn(&str) -> Result<Setting, &'static str>;

/// Each option that can be given anywhere, by its name.
pub(super) const OPTIONS: &[(&str, Read)] = &[
    ("session_timeout", |it| {
        set(duration(it)?, ClientBuilder::session_timeout)
    }),
    ("connect_timeout", |it| {
        set(duration(it)?, ClientBuilder::connect_timeout)
    }),
    ("deadline", |it| {
        set(optional_duration(it)?, ClientBuilder::deadline)
    }),
    ("close_timeout", |it| {
        set(duration(it)?, ClientBuilder::close_timeout)
    }),
    ("session_policy", |it| {
        set(policy(it)?, ClientBuilder::session_policy)
    }),
    ("order", |it| set(order(it)?, ClientBuilder::order)),
    ("read_only", |it| set(flag(it)?, ClientBuilder::read_only)),
    ("ensure_chroot", |it| {
        set(flag(it)?, ClientBuilder::ensure_chroot)
    }),
    ("follow_config", |it| {
        set(flag(it)?, ClientBuilder::follow_config)
    }),
    ("fail_eagerly", |it| {
        set(flag(it)?, ClientBuilder::fail_eagerly)
    }),
    ("detached", |it| set(flag(it)?, ClientBuilder::detached)),
    ("max_connect_attempts", |it| {
        set(number(it)?, ClientBuilder::max_connect_attempts)
    }),
    ("max_outage", |it| {
        set(duration(it)?, ClientBuilder::max_outage)
    }),
    ("srv_refresh", |it| {
        set(duration(it)?, ClientBuilder::srv_refresh)
    }),
    ("dns_refresh", |it| {
        set(duration(it)?, ClientBuilder::dns_refresh)
    }),
    ("max_request_bytes", |it| {
        set(number(it)?, ClientBuilder::max_request_bytes)
    }),
    ("max_reply_bytes", |it| {
        set(number(it)?, ClientBuilder::max_reply_bytes)
    }),
    ("max_outstanding", |it| {
        set(number(it)?, ClientBuilder::max_outstanding)
    }),
    ("max_outstanding_bytes", |it| {
        set(number(it)?, ClientBuilder::max_outstanding_bytes)
    }),
    ("max_watch_events", |it| {
        set(number(it)?, ClientBuilder::max_watch_events)
    }),
    ("max_watch_bytes", |it| {
        set(number(it)?, ClientBuilder::max_watch_bytes)
    }),
];

/// The option that has credentials, which no URL may have.
pub(super) const AUTH: &str = "auth";

/// The option that has the servers.
pub(super) const SERVERS: &str = "servers";

fn set<T>(value: T, setter: fn(ClientBuilder, T) -> ClientBuilder) -> Result<Setting, &'static str>
where
    T: Clone + Send + Sync + 'static,
{
    Ok(Arc::new(move |builder| setter(builder, value.clone())))
}

/// A number and its unit.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a number with a unit: 500ms, 10s, 5m or 1h";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(EXPECTED)?;
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    };
    seconds.map(Duration::from_secs).ok_or(EXPECTED)
}

fn optional_duration(text: &str) -> Result<Option<Duration>, &'static str> {
    if text == "none" {
        return Ok(None);
    }
    let expected = "a number with a unit (500ms, 10s, 5m or 1h), or none for no limit";
    duration(text).map(Some).map_err(|_| expected)
}

fn flag(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "true or false")
}

fn number<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse()
        .map_err(|_| "a whole number that is not negative")
}

fn policy(text: &str) -> Result<SessionPolicy, &'static str> {
    match text {
        "renew" => Ok(SessionPolicy::Renew),
        "close" => Ok(SessionPolicy::Close),
        _ => Err("renew or close"),
    }
}

fn order(text: &str) -> Result<HostOrder, &'static str> {
    match text {
        "shuffled" => Ok(HostOrder::Shuffled),
        "as_given" => Ok(HostOrder::AsGiven),
        "first_available" => Ok(HostOrder::FirstAvailable),
        "nearest" => Ok(HostOrder::Nearest),
        _ => Err("shuffled, as_given, first_available or nearest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let ms = Duration::from_millis;
        for (text, expected) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(ms(expected)), "{text}");
        }
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        let too_many = format!("{}h", u64::MAX);
        for text in ["", "10", "s", "-1s", "1.5s", "10 s", "10d", "ü", &too_many] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(optional_duration("none"), Ok(None));
        assert_eq!(optional_duration("1s"), Ok(Some(ms(1000))));
        assert!(optional_duration("never").is_err());
    }
}
