//! What a server can be told before it starts.

use std::time::Duration;

use crate::core::Pose;
use crate::core::pose::Behaviour;

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
    /// The server that it imitates.
    pub pose: Pose,
    /// The unit of session timeouts. Sessions end at a multiple of it, as on a real server.
    pub tick: Duration,
    /// After how many ticks a deposed leader and its followers notice (`syncLimit`, 5 in the
    /// configuration that Apache ships).
    pub sync_limit: u32,
    /// The shortest session timeout granted; if `None`, two ticks, and 10 s by ClickHouse Keeper.
    pub min_session_timeout: Option<Duration>,
    /// The longest session timeout granted; if `None`, twenty ticks, and 100 s by ClickHouse Keeper.
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
    /// Whether the deletion of a child leaves its parent's `pzxid` as it was, in any pose; ClickHouse
    /// Keeper always does that.
    pub keeps_pzxid: bool,
    /// What session ids are made from, in milliseconds; a real server takes its uptime clock.
    pub session_seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pose: Pose::default(),
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
    pub(crate) fn behaviour(&self) -> &'static Behaviour {
        self.pose.behaviour()
    }

    /// The timeout granted to a client that asks for `asked` milliseconds.
    pub(crate) fn negotiate(&self, asked: i32) -> i32 {
        let usual = (self.tick * 2, self.tick * 20);
        let (min, max) = self.behaviour().session_timeouts.unwrap_or(usual);
        let min = millis_i32(self.min_session_timeout.unwrap_or(min));
        let max = millis_i32(self.max_session_timeout.unwrap_or(max));
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
