//! Names of contenders that the caller chooses.

use zk_client::{Error, Result, path};

/// The place of the random id in a pattern.
const ID: &str = "{id}";

/// The name of a contender before its number, as given to `names`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamePattern {
    before: String,
    /// What follows the id; `None` if the names have no id.
    after: Option<String>,
}

impl NamePattern {
    pub(crate) fn new(pattern: &str) -> Self {
        match pattern.split_once(ID) {
            Some((before, after)) => NamePattern {
                before: before.to_owned(),
                after: Some(after.to_owned()),
            },
            None => NamePattern {
                before: pattern.to_owned(),
                after: None,
            },
        }
    }

    /// Refuses a pattern that is not the name of a znode, or that every number matches.
    pub(crate) fn check(&self) -> Result<()> {
        let name = self.with_id("0");
        let ambiguous = name.ends_with(|c: char| c.is_ascii_digit());
        if name.is_empty()
            || name.contains('/')
            || ambiguous
            || path::validate(&format!("/{name}0")).is_err()
        {
            return Err(Error::invalid_path(format!(
                "invalid names {name:?}: the name of a contender before its number must not be empty, \
                 contain a slash, or end with a digit"
            )));
        }
        Ok(())
    }

    pub(crate) fn has_id(&self) -> bool {
        self.after.is_some()
    }

    /// The name before the number.
    pub(crate) fn with_id(&self, id: &str) -> String {
        match &self.after {
            Some(after) => format!("{}{id}{after}", self.before),
            None => self.before.clone(),
        }
    }

    /// Whether this is the name of a contender, without its number.
    pub(crate) fn matches(&self, head: &str) -> bool {
        match self.has_id() {
            true => self.id_in(head).is_some(),
            false => head == self.before,
        }
    }

    /// The id in the name of a contender, without its number; `None` if that is no such name, or
    /// the names have no id.
    pub(crate) fn id_in<'a>(&self, head: &'a str) -> Option<&'a str> {
        let rest = head.strip_prefix(&*self.before)?;
        rest.strip_suffix(self.after.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_with_any_id() {
        let pattern = NamePattern::new("x-{id}-");
        assert!(pattern.has_id());
        assert_eq!(pattern.with_id("7f"), "x-7f-");
        // Java's WriteLock has the decimal session, which can be negative, C's the hexadecimal one.
        for name in ["x-72057594037927936-", "x--72057594037927936-", "x-01000a-"] {
            assert!(pattern.matches(name), "{name}");
        }
        for name in ["x-", "y-1-", "x-1", "n_"] {
            assert!(!pattern.matches(name), "{name}");
        }
    }

    #[test]
    fn a_pattern_without_an_id_is_exact() {
        let pattern = NamePattern::new("n_");
        assert!(!pattern.has_id());
        assert!(pattern.matches("n_") && !pattern.matches("an_") && !pattern.matches("n_a_"));
    }

    #[test]
    fn a_pattern_must_be_a_name() {
        for pattern in ["n_", "x-{id}-", "{id}-lock-"] {
            NamePattern::new(pattern).check().unwrap();
        }
        for pattern in ["", "a/b", "{id}", "n1", "\0"] {
            assert!(NamePattern::new(pattern).check().is_err(), "{pattern:?}");
        }
    }
}
