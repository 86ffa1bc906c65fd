//! One login: as which principal, and to which server.

use std::fmt;

use crate::diagnosis::Attempt;

/// One login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) client: Option<String>,
    pub(crate) target: Target,
}

/// The name of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `service@host`, which the library makes a principal of.
    Service(String),
    /// A principal.
    Principal(String),
}

impl Plan {
    /// For errors.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        Attempt {
            client: self.client.as_deref(),
            server: &self.target,
        }
    }
}

/// As a principal.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Service(text) => f.write_str(&text.replacen('@', "/", 1)),
            Target::Principal(text) => f.write_str(text.trim_end_matches('@')),
        }
    }
}
