//! The version of a server.

use std::fmt;
use std::str::FromStr;

use nom::Parser;
use nom::bytes::complete::tag;
use nom::character::complete::{char, u32};
use nom::combinator::opt;
use nom::sequence::preceded;

/// The release of a server's program, such as 3.9.5. Compare versions of the same program only:
/// ClickHouse Keeper's are numbers of ClickHouse, such as 26.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ServerVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 0 if there is none.
    pub patch: u32,
}

impl ServerVersion {
    /// The version of three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        ServerVersion {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that does not begin with a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not begin with a version such as 3.9.5")]
pub struct InvalidVersion(String);

impl FromStr for ServerVersion {
    type Err = InvalidVersion;

    /// Reads the numbers at the beginning: `3.8.0-5a02a05…, built on …`, `v23.8.1.1-lts-00`.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let parsed: nom::IResult<&str, _> = preceded(
            opt(tag("v")),
            (u32, preceded(char('.'), u32), opt(preceded(char('.'), u32))),
        )
        .parse(text.trim());
        match parsed {
            Ok((_, (major, minor, patch))) => {
                Ok(ServerVersion::new(major, minor, patch.unwrap_or_default()))
            }
            Err(_) => Err(InvalidVersion(text.chars().take(80).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_servers() {
        for (text, version) in [
            (
                "3.8.0-5a02a05eddb59aee6ac762f7ea82e92a68eb9c0f, built on 2022",
                (3, 8, 0),
            ),
            (
                "3.4.13-2d71af4dbe22557fda74f9a9b4309b15a7487f03, built on",
                (3, 4, 13),
            ),
            ("3.10.0-SNAPSHOT", (3, 10, 0)),
            ("v23.8.1.1-lts-00", (23, 8, 1)),
            ("26.1", (26, 1, 0)),
        ] {
            let (major, minor, patch) = version;
            let read = text.parse::<ServerVersion>();
            assert_eq!(read, Ok(ServerVersion::new(major, minor, patch)), "{text}");
        }
        assert!(ServerVersion::new(3, 10, 0) > ServerVersion::new(3, 9, 5));
        for text in ["", "3", "x3.4.5", "3.", "99999999999.1.1", "-3.1"] {
            assert!(text.parse::<ServerVersion>().is_err(), "{text}");
        }
    }
}
