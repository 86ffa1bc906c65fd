//! The options of a server.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use zk_proto::config::Server;

use crate::core::Pose;
use crate::core::pose::behaviour::Behaviour;

/// The source of the times in stats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WallClock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that shows this many milliseconds since the Unix epoch when the server starts, and runs
    /// with the clock that drives the server: with a paused tokio clock, stats are the same in every
    /// run.
    From(i64),
}

/// The options of a server. The defaults are those of Apache ZooKeeper, except that all four-letter words
/// and nodes with a time to live are allowed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The server that is imitated.
    pub pose: Pose,
    /// The unit of session timeouts. Sessions end at a multiple of it, as on a real server.
    pub tick: Duration,
    /// Number of ticks after which a deposed leader and its followers notice (`syncLimit`, 5 in the
    /// configuration that Apache ships).
    pub sync_limit: u32,
    /// The shortest session timeout granted; if `None`, two ticks, and 10 s by ClickHouse Keeper.
    pub min_session_timeout: Option<Duration>,
    /// The longest session timeout granted; if `None`, twenty ticks, and 100 s by ClickHouse Keeper.
    pub max_session_timeout: Option<Duration>,
    /// The longest frame accepted, in bytes (`jute.maxbuffer`).
    pub max_frame: usize,
    /// Limit of the bytes that wait for a client to read them; beyond it the connection is closed.
    pub max_pending_output: usize,
    /// Whether nodes can have a time to live (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// How often the server looks for containers and expired nodes to delete.
    pub container_check_interval: Duration,
    /// How long a container that never had a child is kept; for ever if `None`.
    pub container_max_never_used: Option<Duration>,
    /// The digest id of the superuser, which has all permissions: `user:base64(sha1(user:password))`, as
    /// [`zk_proto::digest_id`] makes it.
    pub super_digest: Option<String>,
    /// The names of this ensemble (`ensembleAuthName`), for clients that name the ensemble they expect
    /// with the scheme `ensemble`. An empty list accepts every name. The scheme is unknown if `None`.
    pub ensemble_names: Option<Vec<String>>,
    /// The users of SASL's DIGEST-MD5, and their passwords. `None` is a server without SASL: a login is
    /// answered with a null token and has no effect, and ACLs do not know the scheme `sasl`.
    pub sasl_users: Option<SaslUsers>,
    /// The schemes of which a client must have proven one before its requests are executed
    /// (`enforce.auth.schemes`); none if empty. With `sasl` in the list the server behaves as with
    /// `sessionRequireClientSASLAuth`.
    pub enforce_auth: Vec<String>,
    /// Whether permissions are not checked (`skipACL`). ACLs are stored, and must be valid.
    pub skip_acl: bool,
    /// Whether a member without a quorum serves reads (`readonlymode.enabled`).
    pub read_only_mode: bool,
    /// Whether `reconfig` is enabled (`reconfigEnabled`). A server without other members refuses it in
    /// both cases, with different codes.
    pub reconfig_enabled: bool,
    /// Whether a configuration needs two members with a vote (`standaloneEnabled`).
    pub standalone_enabled: bool,
    /// Whether hard quotas are enforced (`enforceQuota`).
    pub enforce_quota: bool,
    /// Limit of the connections from one address to a member (`maxClientCnxns`); 0, the default, is no
    /// limit.
    pub max_client_connections: usize,
    /// The four-letter words that are answered; all of them if `None`.
    pub four_letter_words: Option<Vec<String>>,
    /// The number of members.
    pub members: usize,
    /// How many of the members, the last ones, are observers, which follow without a vote.
    pub observers: usize,
    /// The members as lines of a configuration, instead of a number of members. With one line or none
    /// there is one server.
    pub servers: Vec<Server>,
    /// Number of the last transactions that are kept for inspection.
    pub log_limit: usize,
    /// The source of the times in stats.
    pub wall_clock: WallClock,
    /// Whether the deletion of a child leaves its parent's `pzxid` unchanged in any pose; ClickHouse
    /// Keeper never changes it.
    pub keeps_pzxid: bool,
    /// The seed of session ids, in milliseconds; a real server takes its uptime clock.
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

    /// The timeout granted to a client that requests `requested` milliseconds.
    pub(crate) fn negotiate(&self, requested: i32) -> i32 {
        let usual = (self.tick * 2, self.tick * 20);
        let (min, max) = self.behaviour().session_timeouts.unwrap_or(usual);
        let min = millis_i32(self.min_session_timeout.unwrap_or(min));
        let max = millis_i32(self.max_session_timeout.unwrap_or(max));
        requested.max(min).min(max)
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
