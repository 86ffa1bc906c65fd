//! The task that joins the party, and allocates items again and again.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use zk_client::{Client, path};

use super::allocation::Allocation;
use super::division::{Divide, Members};
use super::party::{PartyWatch, join};
use super::share::Share;
use super::stop::Stop;
use crate::error::Result;
use crate::guard::{Guard, LeaseBasis};
use crate::latest::Writer;
use crate::locks::{Lock, LockGuard};
use crate::paths::{check, check_own};
use crate::queue::{Layout, LostPlaces};

/// The number of locks that are waited for at once.
const WINDOW: usize = 64;

/// What the task needs to know. Its client is a background handle.
pub(super) struct Driver {
    pub(super) client: Client,
    pub(super) path: String,
    /// Sorted, each once.
    pub(super) items: Vec<String>,
    pub(super) identifier: String,
    pub(super) boundary: Duration,
    pub(super) divide: Option<Arc<Divide>>,
    pub(super) lease_basis: LeaseBasis,
}

impl Driver {
    /// Runs until the program leaves, or until an error.
    pub(super) async fn run(
        self,
        leave: oneshot::Receiver<()>,
        writer: Writer<Result<Allocation>>,
    ) {
        let mut member = None;
        let left = async {
            // A sender that was dropped is that of a stream that was dropped, which aborts this task.
            match leave.await {
                Ok(()) => Err(Stop::Left),
                Err(_) => std::future::pending().await,
            }
        };
        let Err(stop) = race(left, self.participate(&mut member, &writer)).await;
        if let Some(member) = member.take()
            && let Err(error) = member.release().await
        {
            tracing::debug!(%error, "cannot leave the party");
        }
        if let Stop::Over(Some(error)) = stop {
            writer.write(Err(error));
        }
    }

    async fn participate(
        &self,
        member: &mut Option<Guard>,
        writer: &Writer<Result<Allocation>>,
    ) -> Result<Infallible, Stop> {
        self.check()?;
        let party = path::join(&self.path, "party");
        let mut lost = LostPlaces::new();
        loop {
            writer.write(Ok(Allocation::Allocating));
            let member = member.insert(join(&self.client, &party, &self.identifier).await?);
            let mut watch = PartyWatch::new(&self.client, &party);
            let Err(stop) = self.allocate(member, &mut watch, writer).await;
            match stop {
                Stop::MemberLost => lost.lose(&self.client)?,
                stop => return Err(stop),
            }
        }
    }

    fn check(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        check(&path::join(
            &self.path,
            &format!("party/-{}", self.identifier),
        ))?;
        if self.identifier.contains('/') {
            return Err(zk_client::Error::invalid_path(format!(
                "invalid identifier {:?}: the identifier of a member is a part of a znode's name, and \
                 must not contain a slash",
                self.identifier
            ))
            .into());
        }
        for item in &self.items {
            check(&self.lock_path(item))?;
        }
        Ok(())
    }

    /// Allocates again whenever the members have changed, the guard of an item is lost, or the program has
    /// given its share back.
    async fn allocate(
        &self,
        member: &Guard,
        party: &mut PartyWatch,
        writer: &Writer<Result<Allocation>>,
    ) -> Result<Infallible, Stop> {
        let own = path::name(member.path());
        loop {
            let members = race(lost(member), party.settled(own, self.boundary)).await?;
            let items = self.items_of(own, &members);
            let acquired = race(changed(party), self.acquire(items));
            let held = match race(lost(member), acquired).await {
                Err(Stop::Changed) => continue,
                held => held?,
            };
            // One may have been lost while the others were waited for.
            if held.iter().any(|(_, guard)| guard.check().is_err()) {
                continue;
            }
            let (share, control) = Share::new(held);
            writer.write(Ok(Allocation::Acquired(share)));
            let returned = async {
                control.returned().await;
                Err::<Infallible, _>(Stop::Returned)
            };
            let item_lost = async {
                control.lost().await;
                Err(Stop::ItemLost)
            };
            let ended = race(changed(party), race(returned, item_lost));
            let Err(stop) = race(lost(member), ended).await;
            control.request();
            match stop {
                Stop::Changed | Stop::MemberLost | Stop::ItemLost => {
                    writer.write(Ok(Allocation::Releasing));
                    control.returned().await;
                }
                _ => {}
            }
            match stop {
                Stop::Changed | Stop::Returned | Stop::ItemLost => {
                    writer.write(Ok(Allocation::Allocating))
                }
                stop => return Err(stop),
            }
        }
    }

    fn items_of(&self, own: &str, members: &Members) -> Vec<String> {
        let Some(divide) = &self.divide else {
            return members.share(own, &self.items).unwrap_or_default();
        };
        let mut items = divide(&self.identifier, &members.identifiers(), &self.items);
        items.sort_unstable();
        items.dedup();
        items
    }

    /// Waits for the locks of all of these items.
    ///
    /// Dropping the future releases, in the background, those that are held.
    async fn acquire(&self, items: Vec<String>) -> Result<Vec<(String, LockGuard)>, Stop> {
        let mut items = items.into_iter();
        let mut waits = JoinSet::new();
        let mut held = Vec::new();
        loop {
            while waits.len() < WINDOW
                && let Some(item) = items.next()
            {
                let lock = Lock::new(&self.client, &self.lock_path(&item));
                let lock = lock.layout(Layout::Kazoo).lease_basis(self.lease_basis);
                let wait = async move { (item, lock.acquire().await) };
                waits.spawn_on(wait, self.client.runtime());
            }
            match waits.join_next().await {
                Some(Ok((item, guard))) => held.push((item, guard?)),
                // The runtime is shutting down.
                Some(Err(_)) => return Err(Stop::Over(None)),
                None => break,
            }
        }
        held.sort_unstable_by(|(a, _): &(String, LockGuard), (b, _)| a.cmp(b));
        Ok(held)
    }

    fn lock_path(&self, item: &str) -> String {
        path::join(&path::join(&self.path, "locks"), item)
    }
}

async fn lost<T>(member: &Guard) -> Result<T, Stop> {
    member.lost().await;
    Err(Stop::MemberLost)
}

async fn changed<T>(party: &mut PartyWatch) -> Result<T, Stop> {
    party.changed().await?;
    Err(Stop::Changed)
}

/// The output of the future that is ready first.
async fn race<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => other.as_mut().poll(cx),
    })
    .await
}
