//! The places that an earlier process has left in a queue: a contender with an id takes up the first of
//! them.

use zk_client::{Created, Lease, path};

use super::order::QueueEntry;
use super::{ContenderQueue, PlaceId};
use crate::error::Result;
use crate::guard::Guard;
use crate::guard::handover::find;
use crate::guard::held::Held;

impl ContenderQueue {
    /// The place that an earlier process of the session, or for persistent places of any session, has
    /// taken with this contender's id, and the entries; the first time only. Further places with the
    /// id are left.
    ///
    /// A dropped future leaves the places that it has found.
    pub(super) async fn adopt_place(&self) -> Result<Option<(Guard, Vec<QueueEntry>)>> {
        let Some(id) = &self.id else {
            return Ok(None);
        };
        let Some(look) = id.first_look().await else {
            return Ok(None);
        };
        let mut places = self.find_own(id).await?;
        look.done();
        if places.is_empty() {
            return Ok(None);
        }
        let place = places.remove(0);
        // A drop deletes them.
        drop(places);
        Ok(Some((place, self.entries().await?)))
    }

    /// Leaves the places that an earlier process has taken with this contender's id, unless they were
    /// looked for.
    #[cfg(feature = "leases")]
    pub(crate) async fn leave_own(&self) -> Result<()> {
        if let Some(id) = &self.id
            && let Some(look) = id.first_look().await
        {
            for place in self.find_own(id).await? {
                place.release().await?;
            }
            look.done();
        }
        Ok(())
    }

    /// The places with this id in the current session, or, if they are persistent, in any; the first
    /// place first. Without those that this process has.
    async fn find_own(&self, id: &PlaceId) -> Result<Vec<Guard>> {
        self.without_deadline.connected().await?;
        let (client, scheme) = (&self.without_deadline, self.layout.znode_name(self.role));
        let mut places = Vec::new();
        for entry in self.entries_of_all(true).await? {
            if !id.has_named(&entry.name, scheme, self.names.as_ref(), true) {
                continue;
            }
            let lease = (!self.persistent).then(|| client.lease());
            let path = path::join(&self.parent, &entry.name);
            // Before the read, after which its holder could delete it.
            let Some(held) = Held::take(client, &path, self.persistent) else {
                continue;
            };
            let Some(stat) = find(client, &path).await? else {
                continue;
            };
            // The servers delete those of other sessions.
            if stat.owner() == lease.as_ref().map(Lease::session) {
                let created = Created::new(path, stat);
                let place = Guard::new(&self.client, lease, self.lease_basis, created);
                places.push(place.with_pledge(self.pledge()).with_held(Some(held)));
            }
        }
        Ok(places)
    }

    /// Leaves a place ahead that an earlier process of the session has taken with this contender's id, by
    /// a request that was executed after the look for such places. A place that this process has is not
    /// left, such as the one that the look has found.
    pub(super) async fn leave_stray(&self, name: &str) -> Result<()> {
        let (client, scheme) = (&self.without_deadline, self.layout.znode_name(self.role));
        if let Some(id) = &self.id
            && !self.persistent
            && id.is_earlier(name, scheme, self.names.as_ref())
        {
            let path = path::join(&self.parent, name);
            let Some(held) = Held::take(client, &path, false) else {
                return Ok(());
            };
            let stat = find(client, &path).await?;
            if stat.is_some_and(|stat| stat.owner() == Some(client.session().id)) {
                client.delete(&path).guaranteed();
            }
            // After the clean-up has begun.
            drop(held);
        }
        Ok(())
    }

    /// Whether an earlier process has left a place with this contender's id. Does not take it up.
    #[cfg(feature = "locks")]
    pub(crate) async fn has_own(&self) -> Result<bool> {
        let Some(id) = &self.id else {
            return Ok(false);
        };
        let scheme = self.layout.znode_name(self.role);
        for entry in self.entries_of_all(true).await? {
            if id.has_named(&entry.name, scheme, self.names.as_ref(), true) {
                let session = self.without_deadline.session().id;
                let path = path::join(&self.parent, &entry.name);
                let stat = find(&self.without_deadline, &path).await?;
                if stat.is_some_and(|stat| stat.owner() == Some(session))
                    && !Held::has(&self.without_deadline, &path)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
