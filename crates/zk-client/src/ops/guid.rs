//! The random id in the name of a znode that is created exactly once.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A random id that distinguishes one creation from every other. It is put before the znode's name
/// as Curator does: `_c_<uuid>-name`. [`parse`](str::parse) reads it from its text, a UUID, or from
/// its 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(u128);

impl Guid {
    /// A new random id. Its 122 bits come from the operating system, also after a fork: two contenders
    /// with the same id would hold the same lock.
    ///
    /// # Panics
    /// If the operating system has no source of randomness.
    pub fn random() -> Self {
        #[cfg(feature = "testkit")]
        if let Some(seeded) = seeded::next() {
            return Guid::of_random(seeded);
        }
        Guid::of_random(u128::from_be_bytes(random_bytes()))
    }

    fn of_random(random: u128) -> Self {
        // Version 4 and variant 1: a random UUID.
        let version = (random & !(0xf << 76)) | (0x4 << 76);
        Guid((version & !(0x3 << 62)) | (0x2 << 62))
    }

    /// The 32 hexadecimal digits, without hyphens.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// The id in the name of a [`protected`](crate::Create::protected) znode, or at the end of a path;
    /// `None` if the name does not begin with one.
    ///
    /// ```
    /// use zk_client::Guid;
    ///
    /// let guid = Guid::random();
    /// let path = format!("/jobs/{}job-0000000007", guid.prefix());
    /// assert_eq!(Guid::of(&path), Some(guid));
    /// assert_eq!(Guid::without(&path), "/jobs/job-0000000007");
    /// ```
    #[doc(alias = "extractProtectedId")]
    pub fn of(path: &str) -> Option<Guid> {
        split(path).map(|(_, guid, _)| guid)
    }

    /// A path, or a name, without the id: what it would be if the znode were not protected.
    #[doc(alias = "normalizePath")]
    pub fn without(path: &str) -> String {
        match split(path) {
            Some((parent, _, name)) => format!("{parent}{name}"),
            None => path.to_owned(),
        }
    }

    /// `_c_<uuid>-`, the beginning of a protected znode's name.
    pub fn prefix(&self) -> String {
        format!("_c_{self}-")
    }
}

/// Everything before a protected name, its id, and the rest of the name.
fn split(path: &str) -> Option<(&str, Guid, &str)> {
    let (parent, name) = path.split_at_checked(path.rfind('/').map_or(0, |slash| slash + 1))?;
    let (uuid, rest) = name.strip_prefix("_c_")?.split_at_checked(36)?;
    let hyphens = [8, 13, 18, 23];
    let is_uuid = uuid.bytes().enumerate().all(|(at, byte)| match byte {
        b'-' => hyphens.contains(&at),
        // `from_str_radix` takes upper case as well, with which the name would be another.
        b'0'..=b'9' | b'a'..=b'f' => !hyphens.contains(&at),
        _ => false,
    });
    let id = u128::from_str_radix(&uuid.replace('-', ""), 16).ok()?;
    is_uuid.then_some((parent, Guid(id), rest.strip_prefix('-')?))
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

impl FromStr for Guid {
    type Err = Error;

    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) unless the text is a UUID in lower or
    /// upper case, with all of its hyphens or without any.
    fn from_str(text: &str) -> Result<Self> {
        let hex = text.replace('-', "");
        let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let guid = u128::from_str_radix(&hex, 16).ok().map(Guid);
        guid.filter(|guid| is_hex && (hex == text || guid.to_string().eq_ignore_ascii_case(text)))
            .ok_or_else(|| Error::invalid_argument("not an id: a UUID is expected"))
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

/// Ids of a seed, for a simulation that is to be repeated.
#[cfg(feature = "testkit")]
pub(crate) mod seeded {
    use std::cell::RefCell;

    thread_local! {
        static SOURCE: RefCell<Option<fastrand::Rng>> = const { RefCell::new(None) };
    }

    pub(crate) fn set(seed: u64) {
        SOURCE.with_borrow_mut(|source| *source = Some(fastrand::Rng::with_seed(seed)));
    }

    pub(super) fn next() -> Option<u128> {
        SOURCE.with_borrow_mut(|source| source.as_mut().map(|rng| rng.u128(..)))
    }
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
    fn an_id_is_read_from_its_text() {
        let guid = Guid::random();
        for text in [
            guid.to_string(),
            guid.hex(),
            guid.hex().to_ascii_uppercase(),
            guid.to_string().to_ascii_uppercase(),
        ] {
            assert_eq!(text.parse::<Guid>().unwrap(), guid, "{text}");
        }
        let hex = guid.hex();
        for bad in [
            "",
            &hex[1..],
            &format!("{hex}0"),
            &format!("{}-{}", &hex[..16], &hex[16..]),
            &format!("+{}", &hex[1..]),
            &format!("{}g", &hex[1..]),
        ] {
            assert!(bad.parse::<Guid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_protected_name_can_be_taken_apart() {
        let id = "_c_a3b2c1d0-0000-4000-8000-0123456789ab-";
        for (path, without) in [
            (format!("/a/{id}lock-0000000001"), "/a/lock-0000000001"),
            (id.to_string(), ""),
            (format!("/{id}x"), "/x"),
        ] {
            assert_eq!(Guid::of(&path).unwrap().prefix(), id);
            assert_eq!(Guid::without(&path), without);
        }
        for path in [
            "/a/b".to_owned(),
            "/".to_owned(),
            String::new(),
            "_c_".to_owned(),
            // In the parent's name, without the last hyphen, in upper case, with a hyphen misplaced.
            format!("/{id}/b"),
            id.trim_end_matches('-').to_owned(),
            id.replace("a3b2", "A3B2"),
            id.replace("d0-", "d-0"),
            id.replace("a3b2", "+3b2"),
            id.replace("a3b2", "é3b"),
        ] {
            assert_eq!(Guid::of(&path), None, "{path}");
            assert_eq!(Guid::without(&path), path);
        }
    }

    #[cfg(feature = "testkit")]
    #[test]
    fn a_seed_repeats_the_ids_of_its_thread() {
        let ids = |seed| {
            let draw = move || {
                crate::testkit::seed_ids(seed);
                [Guid::random(), Guid::random()]
            };
            std::thread::spawn(draw).join().unwrap()
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        let [first, second] = ids(1);
        assert_ne!(first, second);
        assert_ne!(Guid::random(), Guid::random(), "of a thread without a seed");
    }

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
