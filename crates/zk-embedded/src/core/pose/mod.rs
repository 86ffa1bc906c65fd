//! The servers that can be imitated: a table of what differs for each.
//!
//! `apache` and `keeper` have the tables, `ops` the sets of operations in them.

mod apache;
pub(crate) mod behaviour;
mod keeper;
mod ops;

use std::fmt;
use std::str::FromStr;

use zk_proto::OpCode;

use self::behaviour::{Behaviour, Handshake};

/// The server that an embedded server imitates.
///
/// A pose imitates what a client can observe: the known operations, alone and in a multi, and what an
/// unknown one does; the handshake; stats, ACLs and events; the texts of four-letter words. Each pose
/// follows the sources of the server that it names:
///
/// | pose | sources | differs from 3.9 in |
/// |---|---|---|
/// | [`V3_4`](Self::V3_4) | Apache's tag `release-3.4.14` | no `create2`, `reconfig`, `checkWatches`, `removeWatches`, containers, times to live; a multi of `create`, `delete`, `setData` and `check` only; no `/zookeeper/config`; and what 3.5 differs in |
/// | [`V3_5`](Self::V3_5) | `release-3.5.10` | no `multiRead`, `addWatch`, `setWatches2`, `getEphemerals`, `getAllChildrenNumber`; and what 3.6 differs in |
/// | [`V3_6`](Self::V3_6) | `release-3.6.4` | no `whoAmI`; events also for clients that may not read the node; and what 3.8 differs in |
/// | [`V3_8`](Self::V3_8) | Debian's 3.8.0 | one kind of watch per path (ZOOKEEPER-4466), `check` alone is executed, flags alone decide in a multi (ZOOKEEPER-4026), events without zxid |
/// | [`V3_9`](Self::V3_9) | `release-3.9.5` | |
/// | [`KeeperOld`](Self::KeeperOld) | ClickHouse Keeper 22.8: `KeeperTCPHandler.cpp`, `KeeperStorage.cpp`, `ZooKeeperCommon.cpp` of 2022 | see below |
/// | [`KeeperNew`](Self::KeeperNew) | ClickHouse Keeper 26.1, the same files and `KeeperContext.cpp` of January 2026, with the default feature flags | see below |
///
/// An operation that an Apache server does not know is answered with
/// [`Unimplemented`](zk_proto::ErrorCode::Unimplemented), and the connection is closed; the session lives
/// (`UnimplementedRequestProcessor`).
///
/// ClickHouse Keeper closes the connection without a reply for an unknown operation, for one whose
/// feature flag is off, for either inside a multi, and for an unreadable request. A session
/// cannot be resumed: every handshake is granted a new one, with an id that counts from 1, a password of
/// zeros, and no byte for read-only mode; the old session ends with its timeout. `closeSession` is not
/// answered: the connection closes when the session has ended. A deletion leaves the parent's `pzxid` as
/// it was, `setData` advances the parent's `cversion`, null data is empty data. ACLs know `world`,
/// `digest` and `auth`; an entry for `world:anyone` is not stored (22.8) or not stored if it grants
/// everything (26.1), so that `getACL` of an open node gives an empty list; a failed `auth` is answered and
/// the connection stays open. Each kind of watch gets its own event, so that a deletion is reported twice to
/// a watcher of data and children; the event of a recursive watch names the watched node and not the
/// changed one. 22.8 knows no `setWatches`; 26.1 knows `setWatches`, `setWatches2`, `addWatch` (answered
/// without a body), `checkWatches` and `removeWatches`, `multiRead` and `reconfig` (refused as
/// unimplemented unless enabled), and names its features in `/keeper/feature_flags` and
/// `/keeper/api_version`. `create2` is known to 26.1, with its feature flag off.
///
/// Not imitated of Keeper: its own operations (from 500 on), compression, xids of 64 bits and passwords
/// for the whole server; `/keeper/config`; that `/keeper` counts none of its children; its looser paths;
/// that waiting replies are lost when an unknown operation closes the connection; its interval between
/// two checks for dead sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pose {
    /// Apache ZooKeeper 3.4.
    V3_4,
    /// Apache ZooKeeper 3.5.
    V3_5,
    /// Apache ZooKeeper 3.6.
    V3_6,
    /// Apache ZooKeeper 3.8.0, as packaged by Debian: with events withheld from clients that may not read
    /// the node (ZOOKEEPER-4799).
    V3_8,
    /// Apache ZooKeeper 3.9.5.
    #[default]
    V3_9,
    /// ClickHouse Keeper 22.8.
    KeeperOld,
    /// ClickHouse Keeper 26.1.
    KeeperNew,
}

impl Pose {
    /// Every pose, the oldest server first.
    pub const ALL: &[Self] = &[
        Self::V3_4,
        Self::V3_5,
        Self::V3_6,
        Self::V3_8,
        Self::V3_9,
        Self::KeeperOld,
        Self::KeeperNew,
    ];

    /// The name of the pose on a command line: `3.4`, …, `keeper-new`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
            Self::V3_8 => "3.8",
            Self::V3_9 => "3.9",
            Self::KeeperOld => "keeper-old",
            Self::KeeperNew => "keeper-new",
        }
    }

    /// Whether the server executes the operation outside a multi.
    pub fn knows(self, op: OpCode) -> bool {
        self.behaviour().ops.has(op)
    }

    /// Whether the server executes the operation in a multi.
    pub fn knows_in_multi(self, op: OpCode) -> bool {
        self.behaviour().ops_in_multi.has(op)
    }

    /// Whether a client can resume its session on another connection.
    pub fn resumes_sessions(self) -> bool {
        self.behaviour().handshake == Handshake::Apache
    }

    pub(crate) fn behaviour(self) -> &'static Behaviour {
        match self {
            Self::V3_4 => &apache::V3_4,
            Self::V3_5 => &apache::V3_5,
            Self::V3_6 => &apache::V3_6,
            Self::V3_8 => &apache::V3_8,
            Self::V3_9 => &apache::V3_9,
            Self::KeeperOld => &keeper::OLD,
            Self::KeeperNew => &keeper::NEW,
        }
    }
}

impl fmt::Display for Pose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no pose has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPose;

impl fmt::Display for UnknownPose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pose is one of")?;
        for (index, pose) in Pose::ALL.iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            write!(f, "{separator}{pose}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownPose {}

impl FromStr for Pose {
    type Err = UnknownPose;

    fn from_str(name: &str) -> Result<Self, UnknownPose> {
        let all = Self::ALL.iter().copied();
        all.into_iter()
            .find(|pose| pose.name() == name)
            .ok_or(UnknownPose)
    }
}

#[cfg(test)]
mod tests {
    use zk_proto::CreateMode;

    use super::*;

    #[test]
    fn every_pose_is_found_by_its_name() {
        for &pose in Pose::ALL {
            assert_eq!(pose.name().parse(), Ok(pose));
        }
        let error = "3.7".parse::<Pose>().unwrap_err().to_string();
        assert!(error.ends_with("3.4, 3.5, 3.6, 3.8, 3.9, keeper-old, keeper-new"));
    }

    #[test]
    fn newer_servers_know_more_operations() {
        let apache = [Pose::V3_4, Pose::V3_5, Pose::V3_6, Pose::V3_8];
        for pair in apache.windows(2) {
            for &op in OpCode::ALL {
                assert!(!pair[0].knows(op) || pair[1].knows(op), "{op}");
                assert!(!pair[0].knows_in_multi(op) || pair[1].knows_in_multi(op));
            }
        }
        // 3.9 refuses a `check` outside a multi.
        assert!(Pose::V3_8.knows(OpCode::Check) && !Pose::V3_9.knows(OpCode::Check));
    }

    #[test]
    fn flags_are_read_as_by_the_server() {
        let mode = |pose: Pose, flags| pose.behaviour().mode(flags);
        assert_eq!(mode(Pose::V3_4, 3), Some(CreateMode::EphemeralSequential));
        assert_eq!(mode(Pose::V3_4, 4), None);
        assert_eq!(mode(Pose::V3_5, 4), Some(CreateMode::Container));
        assert_eq!(mode(Pose::V3_9, 7), None);
        assert_eq!(mode(Pose::KeeperOld, 4), Some(CreateMode::Persistent));
        assert_eq!(mode(Pose::KeeperNew, 5), Some(CreateMode::Ephemeral));
    }

    #[test]
    fn only_the_servers_own_subtree_is_reserved() {
        let new = Pose::KeeperNew.behaviour();
        assert!(new.is_reserved("/keeper") && new.is_reserved("/keeper/x"));
        assert!(!new.is_reserved("/keepers") && !new.is_reserved("/"));
        assert!(!Pose::V3_9.behaviour().is_reserved("/zookeeper"));
    }
}
