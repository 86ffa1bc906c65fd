//! A node's metadata.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;

use crate::ids::{SessionId, Zxid};
use crate::jute::record::{Field, record};
use crate::jute::{Decode, DecodeError, Decoder, Encode};
use crate::mode::MAX_TTL_MS;

record! {
    /// A node's metadata. Times are the leader's wall clock: use zxids and versions for order.
    ///
    /// Other crates make one from [`Stat::default`] and set its fields.
    #[doc(alias = "ZnodeStat")]
    #[derive(Copy, Default, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[non_exhaustive]
    pub struct Stat {
        /// The transaction that created the node.
        pub czxid: Zxid,
        /// The transaction that last set its data.
        pub mzxid: Zxid,
        /// When it was created, in milliseconds since the Unix epoch.
        pub ctime: i64,
        /// When its data was last set, in milliseconds since the Unix epoch.
        pub mtime: i64,
        /// How often its data was set.
        pub version: i32,
        /// How often its children changed.
        pub cversion: i32,
        /// How often its ACL was set.
        pub aversion: i32,
        /// The session that an ephemeral node ends with; otherwise 0. Inside a server, containers and
        /// nodes with a time to live have a mark here. Apache servers (observed with 3.8) send
        /// clients a 0 instead, so a client cannot distinguish them from persistent nodes.
        pub ephemeral_owner: i64,
        /// Length of its data in bytes.
        pub data_length: i32,
        /// Number of its children.
        pub num_children: i32,
        /// The transaction that last created or deleted a child.
        pub pzxid: Zxid,
    }
}

impl<'a> Field<'a> for Stat {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        // Checked once instead of for each of eleven fields.
        input.need(name, Stat::LEN)?;
        Stat::decode(input)
    }
    fn put(&self, out: &mut BytesMut) {
        self.encode(out);
    }
}

/// The owner of a container.
const CONTAINER: i64 = i64::MIN;
/// The owner of a node with a time to live, without that time: eight bits set, then 16 bits with the
/// kind of extension, which is 0.
const TTL_MARK: i64 = 0xff00_0000_0000_0000_u64.cast_signed();
/// All bits of the owner except those of the time to live.
const TTL_MASK: i64 = !MAX_TTL_MS;

impl Stat {
    /// Encoded size in bytes.
    pub const LEN: usize = 68;

    /// Whether the node ends with a session.
    pub fn is_ephemeral(&self) -> bool {
        self.owner().is_some()
    }

    /// The session an ephemeral node ends with; `None` for every other node.
    pub fn owner(&self) -> Option<SessionId> {
        let other = self.ephemeral_owner == 0 || self.is_container() || self.ttl().is_some();
        (!other).then_some(SessionId(self.ephemeral_owner))
    }

    /// When the node was created, by the wall clock of the leader of that time.
    pub fn created(&self) -> SystemTime {
        system_time(self.ctime)
    }

    /// When the node's data was last set, by the wall clock of the leader of that time.
    pub fn modified(&self) -> SystemTime {
        system_time(self.mtime)
    }

    /// Whether the node is marked as a container. Apache servers do not show clients the mark
    /// ([`Stat::ephemeral_owner`]).
    pub fn is_container(&self) -> bool {
        self.ephemeral_owner == CONTAINER
    }

    /// The node's time to live, if it is marked with one. Apache servers do not show clients the mark
    /// ([`Stat::ephemeral_owner`]).
    pub fn ttl(&self) -> Option<Duration> {
        let marked = self.ephemeral_owner & TTL_MASK == TTL_MARK;
        let ms = (self.ephemeral_owner & MAX_TTL_MS).cast_unsigned();
        marked.then(|| Duration::from_millis(ms))
    }

    /// The value [`Stat::ephemeral_owner`] has for a container.
    pub fn container_owner() -> i64 {
        CONTAINER
    }

    /// The value [`Stat::ephemeral_owner`] has for a node with this time to live, if it is in
    /// 1..=[`MAX_TTL_MS`].
    pub fn ttl_owner(ttl_ms: i64) -> Option<i64> {
        (1..=MAX_TTL_MS)
            .contains(&ttl_ms)
            .then_some(TTL_MARK | ttl_ms)
    }
}

/// The Unix epoch for a time that the platform cannot represent.
fn system_time(ms: i64) -> SystemTime {
    let distance = Duration::from_millis(ms.unsigned_abs());
    let time = match ms {
        0.. => UNIX_EPOCH.checked_add(distance),
        _ => UNIX_EPOCH.checked_sub(distance),
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(ephemeral_owner: i64) -> Stat {
        Stat {
            ephemeral_owner,
            ..Stat::default()
        }
    }

    #[test]
    fn the_owner_shows_the_kind_of_node() {
        let kinds = |stat: Stat| (stat.owner(), stat.is_container(), stat.ttl());
        assert_eq!(kinds(owned(0)), (None, false, None));
        assert_eq!(
            kinds(owned(0x100_0000_0001)),
            (Some(SessionId(0x100_0000_0001)), false, None)
        );
        assert_eq!(kinds(owned(i64::MIN)), (None, true, None));
        let ttl = Stat::ttl_owner(5000).unwrap();
        assert_eq!(ttl, 0xff00_0000_0000_1388_u64.cast_signed());
        assert_eq!(
            kinds(owned(ttl)),
            (None, false, Some(Duration::from_secs(5)))
        );
        // A session made by a server with a high id is negative and still a session.
        let high = 0xfe01_8a6b_0000_0001_u64.cast_signed();
        assert_eq!(kinds(owned(high)), (Some(SessionId(high)), false, None));
        // Even of server 255, whose ids begin as a time to live does.
        let highest = 0xff01_8a6b_0000_0001_u64.cast_signed();
        assert_eq!(
            kinds(owned(highest)),
            (Some(SessionId(highest)), false, None)
        );
        assert!(owned(high).is_ephemeral() && !owned(ttl).is_ephemeral());
    }

    #[test]
    fn times_are_milliseconds_since_the_epoch() {
        let stat = Stat {
            ctime: 1_500,
            mtime: -1,
            ..Stat::default()
        };
        assert_eq!(stat.created(), UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(stat.modified(), UNIX_EPOCH - Duration::from_millis(1));
        for ms in [i64::MIN, i64::MAX] {
            system_time(ms);
        }
    }

    #[test]
    fn a_ttl_of_more_than_40_bits_is_refused() {
        assert_eq!(Stat::ttl_owner(0), None);
        assert_eq!(Stat::ttl_owner(-1), None);
        assert_eq!(Stat::ttl_owner(MAX_TTL_MS + 1), None);
        let most = owned(Stat::ttl_owner(MAX_TTL_MS).unwrap());
        assert_eq!(most.ttl(), Some(Duration::from_millis(0xff_ffff_ffff)));
    }
}
