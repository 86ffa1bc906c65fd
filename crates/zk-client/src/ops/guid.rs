//! The random id in the name of a znode that is created exactly once.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A random id that distinguishes one creation from every other. It is put before the znode's name
/// as Curator does: `_c_<uuid>-name`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(u128);

impl Guid {
    /// A new random id. Its 122 bits come from the operating system's randomness: two contenders
    /// with the same id would hold the same lock.
    pub fn random() -> Self {
        let half = || u128::from(RandomState::new().build_hasher().finish());
        let random = (half() << 64) | half();
        // Version 4 and variant 1: a random UUID.
        let version = (random & !(0xf << 76)) | (0x4 << 76);
        Guid((version & !(0x3 << 62)) | (0x2 << 62))
    }

    /// The 32 hexadecimal digits, without hyphens.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// `_c_<uuid>-`, the beginning of a protected znode's name.
    pub fn prefix(&self) -> String {
        format!("_c_{self}-")
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.hex();
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        write!(
            f,
            "{}-{}-{}-{}-{}",
            part(0..8),
            part(8..12),
            part(12..16),
            part(16..20),
            part(20..32)
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_the_form_of_curator() {
        let prefix = Guid::random().prefix();
        assert_eq!(prefix.len(), 40);
        assert!(
            prefix.starts_with("_c_") && prefix.ends_with('-'),
            "{prefix}"
        );
        assert_eq!(prefix.get(17..18), Some("4"), "{prefix}");
        assert_ne!(Guid::random(), Guid::random());
    }
}
