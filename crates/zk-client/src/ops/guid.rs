//! The random id in the name of a znode that is created exactly once.

use std::fmt;

/// A random id that distinguishes one creation from every other. It is put before the znode's name
/// as Curator does: `_c_<uuid>-name`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(u128);

impl Guid {
    /// A new random id. Its 122 bits come from the operating system, also after a fork: two contenders
    /// with the same id would hold the same lock.
    ///
    /// # Panics
    /// If the operating system has no source of randomness.
    pub fn random() -> Self {
        let random = u128::from_be_bytes(random_bytes());
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

/// rustix is a dependency already, for the clock of suspensions.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn random_bytes() -> [u8; 16] {
    use rustix::rand::{GetRandomFlags, getrandom};

    let mut bytes = [0; 16];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unavailable(error),
        }
    }
    bytes
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        unavailable(error);
    }
    bytes
}

#[expect(
    clippy::panic,
    reason = "an id that is not random could give one lock to two clients"
)]
fn unavailable(error: impl fmt::Display) -> ! {
    panic!("the operating system has no source of randomness: {error}")
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
