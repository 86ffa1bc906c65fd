//! The set of permissions.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use bytes::{BufMut, BytesMut};

use crate::jute::record::Field;
use crate::jute::{DecodeError, Decoder};

/// What an identity may do with a node; a set of bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Permissions(pub i32);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read the data and list the children.
    pub const READ: Self = Self(1);
    /// Set the data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Set the ACL.
    pub const ADMIN: Self = Self(16);
    /// All of these.
    pub const ALL: Self = Self(31);

    /// The letters of the text form, in its order.
    pub(crate) const LETTERS: [(char, Self); 5] = [
        ('c', Self::CREATE),
        ('d', Self::DELETE),
        ('r', Self::READ),
        ('w', Self::WRITE),
        ('a', Self::ADMIN),
    ];

    /// The bits on the wire.
    pub fn bits(self) -> i32 {
        self.0
    }

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Permissions {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Letters as in ZooKeeper's own shell: `cdrwa`.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, permission) in Self::LETTERS {
            if self.contains(permission) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({:#x} {self})", self.0)
    }
}

impl<'a> Field<'a> for Permissions {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.i32(name).map(Self)
    }
    fn put(&self, out: &mut BytesMut) {
        out.put_i32(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_print_as_in_zookeepers_shell() {
        assert_eq!(Permissions::ALL.to_string(), "cdrwa");
        assert_eq!((Permissions::READ | Permissions::ADMIN).to_string(), "ra");
        assert_eq!(Permissions::NONE.to_string(), "");
        assert_eq!(format!("{:?}", Permissions(33)), "Permissions(0x21 r)");
        assert!(Permissions::ALL.contains(Permissions::WRITE | Permissions::CREATE));
        assert!(!Permissions::READ.contains(Permissions::WRITE));
    }
}
