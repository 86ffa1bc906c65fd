//! The identifiers of the protocol: transaction ids, session ids and passwords, request ids.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::jute::record::Field;
use crate::jute::{self, DecodeError, DecodeProblem, Decoder};

/// The id of a transaction; the order of zxids is the order of all changes in the ensemble.
///
/// The upper half is the epoch (one leader's term), the lower half counts inside it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Zxid(pub i64);

/// Hexadecimal, as `Display`.
impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zxid({self})")
    }
}

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Self = Self(0);

    /// The term of the leader that made the transaction.
    pub fn epoch(self) -> u32 {
        u32::try_from(self.0.cast_unsigned() >> 32).unwrap_or_default()
    }

    /// The transaction's number inside its epoch.
    pub fn counter(self) -> u32 {
        u32::try_from(self.0.cast_unsigned() & 0xffff_ffff).unwrap_or_default()
    }
}

/// Hexadecimal, as ZooKeeper's own logs and tools show it.
impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl<'a> Field<'a> for Zxid {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.i64(name).map(Self)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_i64(out, self.0);
    }
}

/// The id of a session; 0 is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct SessionId(pub i64);

/// Hexadecimal, as `Display`.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl SessionId {
    /// No session; a client sends it to request a new one.
    pub const NONE: Self = Self(0);

    /// Whether this is [`SessionId::NONE`].
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// Hexadecimal and unsigned, as ZooKeeper's own logs and tools show it.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl<'a> Field<'a> for SessionId {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.i64(name).map(Self)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_i64(out, self.0);
    }
}

/// The secret that lets its holder resume a session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionPassword(Bytes);

impl SessionPassword {
    /// Length of every password a ZooKeeper server makes.
    pub const LEN: usize = 16;

    /// A password with the bytes that a server sent.
    pub fn new(password: Bytes) -> Self {
        Self(password)
    }

    /// Sixteen zero bytes; a client sends them to request a new session.
    pub fn zero() -> Self {
        Self(Bytes::from_static(&[0; Self::LEN]))
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for SessionPassword {
    fn default() -> Self {
        Self::zero()
    }
}

impl fmt::Debug for SessionPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'a> Field<'a> for SessionPassword {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        let start = input.position();
        match input.slice(name)? {
            // Copied, because the password is kept as long as the session and must not keep the
            // frame.
            Some(raw) => Ok(Self(Bytes::copy_from_slice(raw))),
            None => Err(input.error(name, start, DecodeProblem::Null)),
        }
    }
    fn put(&self, out: &mut BytesMut) {
        jute::put_buffer(out, Some(&self.0));
    }
}

/// The id of a request on its connection; its reply has the same id.
pub type Xid = i32;

/// The xids that are not request numbers.
pub mod xid {
    /// A watch event, pushed by the server.
    pub const NOTIFICATION: i32 = -1;
    /// A ping and its reply.
    pub const PING: i32 = -2;
    /// An `auth` packet and its reply.
    pub const AUTH: i32 = -4;
    /// `setWatches`, as the C client numbers it. Java's client uses an ordinary xid; servers echo
    /// either.
    pub const SET_WATCHES: i32 = -8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_unsigned_hexadecimal() {
        assert_eq!(Zxid(0x2_0000_0003).to_string(), "0x200000003");
        assert_eq!(Zxid(-1).to_string(), "0xffffffffffffffff");
        assert_eq!(SessionId(i64::MIN).to_string(), "0x8000000000000000");
        assert_eq!(SessionId::default().to_string(), "0x0");
        assert_eq!(format!("{:?}", Zxid(-1)), "Zxid(0xffffffffffffffff)");
        assert_eq!(
            format!("{:?}", Some(SessionId(255))),
            "Some(SessionId(0xff))"
        );
    }

    #[test]
    fn a_zxid_is_an_epoch_and_a_counter() {
        let zxid = Zxid(0x7_ffff_fffe);
        assert_eq!((zxid.epoch(), zxid.counter()), (7, 0xffff_fffe));
        assert_eq!((Zxid(-1).epoch(), Zxid(-1).counter()), (u32::MAX, u32::MAX));
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = SessionPassword::new(Bytes::from_static(b"0123456789abcdef"));
        assert_eq!(
            format!("{password:?} {:?}", Some(&password)),
            "[redacted] Some([redacted])"
        );
    }
}
