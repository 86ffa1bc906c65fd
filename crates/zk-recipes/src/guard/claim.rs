//! Which znodes without an id in their names contenders of this process have: where the reply to a creation
//! is lost, the session's znode that no contender has is the one that was created.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::{Client, Stat, State};

static CLAIMED: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    /// Numbers of transactions are those of one ensemble.
    client: Client,
    stat: Stat,
    /// Whether the znode stays when the claim is dropped.
    is_handed_over: bool,
}

impl Entry {
    fn is(&self, client: &Client, stat: &Stat) -> bool {
        // A transaction creates one znode of a contender.
        self.stat.czxid == stat.czxid
            && self.stat.owner() == stat.owner()
            && self.client.shares_session_with(client)
    }
}

fn entries() -> MutexGuard<'static, Vec<Entry>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right of one contender to a znode. When it is dropped, the znode has been deleted, or a clean-up of
/// the client deletes it.
#[derive(Debug)]
pub(crate) struct Claim {
    client: Client,
    stat: Stat,
}

impl Claim {
    /// `None` if another contender of the client has the znode.
    pub(crate) fn take(client: &Client, stat: &Stat) -> Option<Arc<Self>> {
        let client = client.background();
        let mut locked = entries();
        let over = remove_where(&mut locked, |entry| {
            matches!(entry.client.state(), State::Closed | State::AuthFailed)
        });
        let is_taken = locked
            .iter()
            .any(|entry| entry.is(&client, stat) && !entry.is_handed_over);
        if !is_taken {
            locked.push(Entry {
                client: client.clone(),
                stat: *stat,
                is_handed_over: false,
            });
        }
        drop(locked);
        // Not while the entries are locked.
        drop(over);
        let stat = *stat;
        (!is_taken).then(|| Arc::new(Claim { client, stat }))
    }

    /// Whether a guard with the znode has been handed over: it is no znode of a creation whose reply was
    /// lost.
    pub(crate) fn is_handed_over(client: &Client, stat: &Stat) -> bool {
        let entries = entries();
        let mut those = entries.iter().filter(|entry| entry.is_handed_over);
        those.any(|entry| entry.is(client, stat))
    }

    /// The guard is handed over: the znode stays when this is dropped.
    pub(crate) fn hand_over(&self) {
        let entry = Entry {
            client: self.client.clone(),
            stat: self.stat,
            is_handed_over: true,
        };
        entries().push(entry);
    }
}

fn remove_where(entries: &mut Vec<Entry>, is_removed: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let (removed, kept) = std::mem::take(entries).into_iter().partition(is_removed);
    *entries = kept;
    removed
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut locked = entries();
        let removed = remove_where(&mut locked, |entry| {
            entry.is(&self.client, &self.stat) && !entry.is_handed_over
        });
        drop(locked);
        // Not while the entries are locked.
        drop(removed);
    }
}
