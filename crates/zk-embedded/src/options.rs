//! What a server can be told before it starts.

use std::time::Duration;

/// Whose behaviour the server has where versions of Apache ZooKeeper differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compat {
    /// Apache ZooKeeper 3.8.0, as Debian has it: with events withheld from those who may not read
    /// the node (ZOOKEEPER-4799).
    V3_8,
    /// Apache ZooKeeper 3.9.5.
    #[default]
    V3_9,
}

impl Compat {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V3_8 => "3.8.0-embedded, built on 2022-02-25 08:49 UTC",
            Self::V3_9 => "3.9.5-embedded, built on 2026-01-01 00:00 UTC",
        }
    }
}

/// Where the times in stats come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WallClock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that reads this many milliseconds since the Unix epoch when the server starts, and
    /// goes on with the time the server is driven by: with a paused tokio clock every stat of a
    /// test is the same in every run.
    From(i64),
}

/// What a server can be told before it starts. The defaults are those of Apache ZooKeeper, except
/// that every four-letter word is allowed and nodes with a time to live are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whose behaviour it has.
    pub compat: Compat,
    /// The unit of session timeouts. Sessions end at a multiple of it, as on a real server.
    pub tick: Duration,
    /// After how many ticks a deposed leader and its followers notice (`syncLimit`, 5 in the
    /// configuration that Apache ships).
    pub sync_limit: u32,
    /// The shortest session timeout granted; two ticks if `None`.
    pub min_session_timeout: Option<Duration>,
    /// The longest session timeout granted; twenty ticks if `None`.
    pub max_session_timeout: Option<Duration>,
    /// The longest frame accepted, in bytes (`jute.maxbuffer`).
    pub max_frame: usize,
    /// A connection with more bytes than this not yet taken by its client is closed.
    pub max_pending_output: usize,
    /// Whether nodes can have a time to live (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// How often containers and nodes with a time to live are looked at.
    pub container_check_interval: Duration,
    /// How long a container may stay without ever having had a child; for ever if `None`.
    pub container_max_never_used: Option<Duration>,
    /// The digest id with all rights, `user:base64(sha1(user:password))`, as
    /// [`zk_proto::digest_id`] makes it.
    pub super_digest: Option<String>,
    /// Whether a member without a quorum serves reads (`readonlymode.enabled`).
    pub read_only_mode: bool,
    /// Whether `reconfig` is enabled. A server like this refuses it either way, with another code.
    pub reconfig_enabled: bool,
    /// Whether hard quotas are enforced (`enforceQuota`).
    pub enforce_quota: bool,
    /// The four-letter words that are answered; all of them if `None`.
    pub four_letter_words: Option<Vec<String>>,
    /// The number of members.
    pub members: usize,
    /// How many of the last transactions are kept for inspection.
    pub log_limit: usize,
    /// Where the times in stats come from.
    pub wall_clock: WallClock,
    /// Whether the deletion of a child leaves its parent's `pzxid` as it was, as servers of another
    /// make do.
    pub keeps_pzxid: bool,
    /// What session ids are made from, in milliseconds; a real server takes its uptime clock.
    pub session_seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compat: Compat::default(),
            tick: Duration::from_secs(2),
            sync_limit: 5,
            min_session_timeout: None,
            max_session_timeout: None,
            max_frame: 0xf_ffff,
            max_pending_output: 64 << 20,
            extended_types: true,
            container_check_interval: Duration::from_secs(60),
            container_max_never_used: None,
            super_digest: None,
            read_only_mode: true,
            reconfig_enabled: false,
            enforce_quota: false,
            four_letter_words: None,
            members: 1,
            log_limit: 10_000,
            wall_clock: WallClock::default(),
            keeps_pzxid: false,
            session_seed: 1_000,
        }
    }
}

impl Options {
    pub(crate) fn is_3_8(&self) -> bool {
        self.compat == Compat::V3_8
    }

    /// The timeout granted to a client that asks for `asked` milliseconds.
    pub(crate) fn negotiate(&self, asked: i32) -> i32 {
        let min = millis_i32(self.min_session_timeout.unwrap_or(self.tick * 2));
        let max = millis_i32(self.max_session_timeout.unwrap_or(self.tick * 20));
        asked.max(min).min(max)
    }

    pub(crate) fn allows(&self, word: &str) -> bool {
        self.four_letter_words.as_ref().is_none_or(|words| {
            words
                .iter()
                .any(|allowed| allowed == word || allowed == "*")
        })
    }
}

pub(crate) fn millis_i32(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

pub(crate) fn millis_u64(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_clamped_to_2_and_20_ticks() {
        let options = Options::default();
        assert_eq!(options.negotiate(1), 4_000);
        assert_eq!(options.negotiate(i32::MIN), 4_000);
        assert_eq!(options.negotiate(i32::MAX), 40_000);
        assert_eq!(options.negotiate(10_000), 10_000);
    }

    #[test]
    fn an_inverted_range_does_not_panic() {
        let options = Options {
            min_session_timeout: Some(Duration::from_secs(9)),
            max_session_timeout: Some(Duration::from_secs(3)),
            ..Options::default()
        };
        assert_eq!(options.negotiate(1), 3_000);
    }
}
