//! The znodes that this process has places, locks and leases by, and those that it deletes: a znode with
//! a contender's id is an earlier process's only if it is not one of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zk_client::{Client, State, path};

static HELD: Mutex<Entries> = Mutex::new(Entries {
    clients: BTreeMap::new(),
    next: 0,
});

struct Entries {
    /// By the path from the root of the ensemble, of a sequential znode also without the number. The
    /// client is `None` if the znode is held whatever becomes of the client.
    clients: BTreeMap<(String, u64), Option<Client>>,
    next: u64,
}

impl Entries {
    fn insert(&mut self, path: String, client: Option<Client>) -> Held {
        let key = (path, self.next);
        self.next += 1;
        self.clients.insert(key.clone(), client);
        Held { key }
    }

    /// Whether there is an entry of the znode, of a client that is not over. The session of one that is
    /// over may have been passed on.
    fn contains(&self, path: &str) -> bool {
        let without_number = [10, 11].into_iter().filter_map(|length| {
            let prefix = path.get(..path.len().checked_sub(length)?)?;
            path::sequence_after(path, prefix)?;
            Some(prefix)
        });
        std::iter::once(path).chain(without_number).any(|path| {
            let keys = (path.to_owned(), 0)..=(path.to_owned(), u64::MAX);
            self.clients.range(keys).any(|(_, client)| {
                let state = client.as_ref().map(Client::state);
                !matches!(state, Some(State::Closed | State::AuthFailed))
            })
        })
    }
}

fn entries() -> MutexGuard<'static, Entries> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A znode that this process has, while this exists. When it is dropped, the znode has been deleted or
/// handed over, or a clean-up of the client deletes it.
#[derive(Debug)]
pub(crate) struct Held {
    key: (String, u64),
}

impl Held {
    /// A znode that is about to be created with a name that no other has. The path is `prefix`, or, of a
    /// sequential znode, begins with it.
    pub(crate) fn new(client: &Client, prefix: &str, persistent: bool) -> Self {
        let holder = (!persistent).then(|| client.background());
        entries().insert(client.root().join(prefix), holder)
    }

    /// A znode that an earlier process has left; `None` if this process has it, or deletes it.
    pub(crate) fn take(client: &Client, path: &str, persistent: bool) -> Option<Self> {
        let holder = (!persistent).then(|| client.background());
        let absolute = client.root().join(path);
        let taken = {
            let mut entries = entries();
            match entries.contains(&absolute) {
                true => None,
                false => Some(entries.insert(absolute, holder)),
            }
        };
        // A clean-up begins before the drop of what has had the znode.
        taken.filter(|_| !client.is_cleaning_up(path))
    }

    /// Whether this process has the znode, or deletes it.
    #[cfg(feature = "locks")]
    pub(crate) fn has(client: &Client, path: &str) -> bool {
        let absolute = client.root().join(path);
        // Not one expression, which would keep the entries locked.
        let held = entries().contains(&absolute);
        held || client.is_cleaning_up(path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let client = entries().clients.remove(&self.key);
        // Not while the entries are locked.
        drop(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(path: &str) -> bool {
        entries().contains(path)
    }

    #[test]
    fn a_creation_has_the_znode_with_its_number() {
        let held = entries().insert("/held/x-1-".to_owned(), None);
        let named = entries().insert("/held/x-2-0000000003".to_owned(), None);
        for path in ["/held/x-1-", "/held/x-1-0000000007", "/held/x-1--000000007"] {
            assert!(contains(path), "{path}");
        }
        assert!(contains("/held/x-2-0000000003"));
        for path in ["/held/x-1-7", "/held/x-1", "/held/x-2-", "/x-1-0000000007"] {
            assert!(!contains(path), "{path}");
        }
        drop((held, named));
        assert!(!contains("/held/x-1-0000000007") && !contains("/held/x-2-0000000003"));
    }

    #[test]
    fn a_znode_may_be_held_twice() {
        let one = entries().insert("/twice".to_owned(), None);
        let two = entries().insert("/twice".to_owned(), None);
        drop(one);
        assert!(contains("/twice"));
        drop(two);
        assert!(!contains("/twice"));
    }
}
