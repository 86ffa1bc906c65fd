use std::ops::Deref;

use super::error::{AdminError, unexpected};
use crate::unreadable::UnreadableLine;

/// The readable entries of a reply with one entry per line, in the server's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries<T> {
    pub(super) entries: Vec<T>,
    pub(super) unreadable: Vec<UnreadableLine>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries {
            entries: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl<T> Entries<T> {
    /// Reads each line that is not blank. It is an error if no line can be read.
    pub(super) fn read(
        reply: &str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Self, AdminError> {
        let mut entries = Vec::new();
        let mut unreadable = Vec::new();
        for (index, line) in reply.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match read(line) {
                Some(entry) => entries.push(entry),
                None => unreadable.push(UnreadableLine::new(index, line, expected)),
            }
        }
        if entries.is_empty() {
            return Err(unexpected(reply));
        }
        Ok(Entries {
            entries,
            unreadable,
        })
    }

    /// The lines that could not be read; the entries are complete without them.
    pub fn unreadable(&self) -> &[UnreadableLine] {
        &self.unreadable
    }

    /// The entries without the unreadable lines.
    pub fn into_vec(self) -> Vec<T> {
        self.entries
    }
}

impl Entries<(String, String)> {
    /// The value of the first entry with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|(k, _)| k == key)?;
        Some(&entry.1)
    }
}

impl<T> Deref for Entries<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.entries
    }
}

impl<T> IntoIterator for Entries<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Entries<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}
