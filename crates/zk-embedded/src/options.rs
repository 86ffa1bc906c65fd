//! What a server can be told before it starts.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use zk_proto::config::Server;

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
    /// The names of this ensemble, to a client that proves with the scheme `ensemble` which one it means
    /// to reach (`ensembleAuthName`); any will do if there are none. The scheme is unknown if `None`.
    pub ensemble_names: Option<Vec<String>>,
    /// The users who can log in with SASL's DIGEST-MD5, and their passwords. Without SASL if `None`:
    /// logins are answered, in vain, and the scheme `sasl` is unknown to ACLs.
    pub sasl_users: Option<SaslUsers>,
    /// The schemes of which a client must have proven one before it is served
    /// (`enforce.auth.schemes`); none if empty. `sasl` among them is what
    /// `sessionRequireClientSASLAuth` means.
    pub enforce_auth: Vec<String>,
    /// Whether every client may do everything (`skipACL`). ACLs are kept, and must be valid.
    pub skip_acl: bool,
    /// Whether a member without a quorum serves reads (`readonlymode.enabled`).
    pub read_only_mode: bool,
    /// Whether `reconfig` is enabled (`reconfigEnabled`). A server alone refuses it either way, with
    /// another code.
    pub reconfig_enabled: bool,
    /// Whether a configuration needs two members with a vote (`standaloneEnabled`).
    pub standalone_enabled: bool,
    /// Whether hard quotas are enforced (`enforceQuota`).
    pub enforce_quota: bool,
    /// How many connections a member takes from one address (`maxClientCnxns`); any number if 0, as by
    /// default.
    pub max_client_connections: usize,
    /// The four-letter words that are answered; all of them if `None`.
    pub four_letter_words: Option<Vec<String>>,
    /// The number of members.
    pub members: usize,
    /// How many of them, the last ones, are observers: they follow without a vote.
    pub observers: usize,
    /// The members as the lines of a configuration name them, instead of by their number; with one
    /// line or none there is one server alone.
    pub servers: Vec<Server>,
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

/// Users and their passwords. `Debug` shows neither.
#[derive(Clone, Default)]
pub struct SaslUsers(HashMap<String, String>);

impl SaslUsers {
    /// Users and their passwords.
    pub fn new<U: Into<String>, P: Into<String>>(users: impl IntoIterator<Item = (U, P)>) -> Self {
        let users = users.into_iter();
        Self(
            users
                .map(|(user, password)| (user.into(), password.into()))
                .collect(),
        )
    }

    pub(crate) fn password_of(&self, user: &str) -> Option<String> {
        self.0.get(user).cloned()
    }
}

impl fmt::Debug for SaslUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaslUsers([redacted])")
    }
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
            ensemble_names: None,
            sasl_users: None,
            enforce_auth: Vec::new(),
            skip_acl: false,
            read_only_mode: true,
            reconfig_enabled: false,
            standalone_enabled: true,
            enforce_quota: false,
            max_client_connections: 0,
            four_letter_words: None,
            members: 1,
            observers: 0,
            servers: Vec::new(),
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

    pub(crate) fn member_count(&self) -> usize {
        match self.servers.len() {
            0 => self.members.clamp(1, 255),
            named => named.min(255),
        }
    }

    /// The number of a member, counted from 0, in session ids and in the configuration.
    pub(crate) fn member_id(&self, member: usize) -> u8 {
        let id = match self.servers.get(member) {
            _ if self.member_count() == 1 => 0,
            Some(server) => server.id,
            None => u64::try_from(member + 1).unwrap_or(u64::MAX),
        };
        u8::try_from(id).unwrap_or(u8::MAX)
    }

    /// At least one member has a vote.
    pub(crate) fn observer_count(&self) -> usize {
        self.observers.min(self.member_count() - 1)
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
