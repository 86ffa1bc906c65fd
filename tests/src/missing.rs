//! What is said where ZooKeeper or Java is missing.

use std::fmt;

/// There is no ZooKeeper, or no Java to run it with. The text says what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct MissingZooKeeper {
    pub(crate) reasons: Vec<String>,
    pub(crate) named_by_user: bool,
    /// The command that installs it on Debian.
    pub(crate) install: String,
}

impl fmt::Display for MissingZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}. On Debian or Ubuntu run `{}` as root; elsewhere install a Java runtime, unpack an \
             Apache ZooKeeper release and set ZOOKEEPER_HOME to its directory, or to one that holds \
             its jars",
            self.reasons.join(", and "),
            self.install,
        )
    }
}

/// As `Display`, for the sake of `unwrap()` in tests.
impl fmt::Debug for MissingZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for MissingZooKeeper {}
