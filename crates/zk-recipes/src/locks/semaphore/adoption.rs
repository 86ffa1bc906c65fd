//! The leases that an earlier process has left: an acquisition with an id takes them up.

use zk_client::{Client, Created, ErrorKind, path};

use super::{Semaphore, SemaphoreLease};
use crate::error::Result;
use crate::guard::Guard;
use crate::guard::handover::find;
use crate::guard::held::Held;
use crate::queue::{PlaceId, ZnodeName};
use crate::retry::RetryBackoff;

impl Semaphore {
    /// The leases that an earlier process of the session has taken with this id, if it held all of them;
    /// the first time only. Otherwise returns those that there are: the contender takes new ones, from the
    /// place in the queue that the earlier process had.
    pub(super) async fn adopt(&self, count: usize) -> Result<Option<Vec<SemaphoreLease>>> {
        let Some(ids) = &self.id else {
            return Ok(None);
        };
        let Some(look) = ids.leases.first_look().await else {
            return Ok(None);
        };
        let mut leases = self.find_own(&ids.leases).await?;
        // The turn ends after the last lease was taken.
        let held = leases.len() >= count && !self.queue().has_own().await?;
        look.done();
        if !held {
            for lease in leases {
                lease.release().await?;
            }
            return Ok(None);
        }
        // A drop deletes them.
        drop(leases.split_off(count));
        for lease in &leases {
            if !lease.confirm_lease().await? {
                return Ok(None);
            }
        }
        let adopted = leases.into_iter().map(|lease| SemaphoreLease {
            guard: lease.start_renewal(),
        });
        Ok(Some(adopted.collect()))
    }

    /// The leases with this id in the current session, without those that this process has.
    async fn find_own(&self, id: &PlaceId) -> Result<Vec<Guard>> {
        let client = &self.without_deadline;
        client.connected().await?;
        let parent = self.leases();
        let (scheme, numbered) = match self.is_kazoo_layout() {
            true => (ZnodeName::Hex(""), false),
            false => (ZnodeName::Protected("lease-"), true),
        };
        let mut leases = Vec::new();
        for name in children_of(client, &parent).await? {
            if !id.has_named(&name, scheme, None, numbered) {
                continue;
            }
            let lease = client.lease();
            let path = path::join(&parent, &name);
            // Before the read, after which its holder could delete it.
            let Some(held) = Held::take(client, &path, false) else {
                continue;
            };
            let Some(stat) = find(client, &path).await? else {
                continue;
            };
            // The servers delete those of other sessions.
            if stat.owner() == Some(lease.session()) {
                let created = Created::new(path, stat);
                let guard = Guard::new(&self.client, Some(lease), self.lease_basis, created);
                leases.push(guard.with_held(Some(held)));
            }
        }
        Ok(leases)
    }
}

/// The names of the znodes below `parent`, as the ensemble has them by now.
async fn children_of(client: &Client, parent: &str) -> Result<Vec<String>> {
    let mut backoff = RetryBackoff::new();
    loop {
        match client.children(parent).synced().await {
            Ok(names) => return Ok(names.to_vec()),
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Vec::new()),
            Err(error) => backoff.sleep_after(error).await?,
        }
    }
}
