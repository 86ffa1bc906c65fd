//! A queue, its options, and the search for an item to claim.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use zk_client::{Children, Client, ErrorKind, Outcome, Watch, path};

use super::change::{Change, millis};
use super::claim::Claim;
use super::claim_node::{Attempt, ClaimNode};
use super::deliveries;
use super::layout::QueueLayout;
use super::line::Line;
use super::places::Places;
use super::put::Put;
use super::stock::Listed;
use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::reads::{READS, get_all, read};
use crate::retry::RetryBackoff;

/// A queue of work items, each delivered at least once: a consumer claims an item, works on it, and
/// acknowledges it. The counterpart of kazoo's `Queue` and `LockingQueue`, and of Curator's distributed,
/// priority, delay, id and simple queues; the [layout](QueueLayout) says which.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::Queue;
///
/// let queue = Queue::new(&zk, "/jobs").max_deliveries(5);
/// queue.put("resize 17.png").priority(50).await?;
///
/// let claim = queue.take().await?;
/// println!("{:?}", claim.data());
/// claim.ack().await?;
/// # Ok(()) }
/// ```
///
/// # What it is not for
///
/// ZooKeeper keeps all items in the memory of each server, and writes each put, claim and
/// acknowledgement to the disks of a quorum. A list of the items has to fit into one reply, 1 MiB
/// unless configured otherwise: about 40,000 items with kazoo's names, beyond which no consumer can
/// list the queue (set [`max_items`](Self::max_items)). So use it for some hundred items a second at
/// most, each a few kilobytes or a reference to data elsewhere, in queues that are short: work that
/// has to be handed out reliably by a program that uses ZooKeeper anyway. It is no message broker, no
/// log, and not for publishing to many subscribers.
///
/// An item can be delivered more than once: after a session has ended while its consumer still worked,
/// for example. If the ensemble ends a session before its timeout, as an administrator or a restored backup
/// can, a consumer may even get an item that another one has acknowledged since. Make the work idempotent.
///
/// # Order
///
/// A consumer that is alone gets the items in the order of their priorities, and of their puts within
/// one. It lists the queue once for up to 32 items, so that an item with a better priority may wait
/// for those. Among other consumers, each tries one of the first items at random, and the order is
/// approximate.
///
/// # Znodes
///
/// Those of the [`QueueLayout`], created as needed. An item is a persistent znode; a claim is an
/// ephemeral one of the same name, with a random id of 32 hexadecimal digits as its data. With
/// `KazooLocking` everything is below the queue's path: `entries`, `taken` for claims, and `puts`,
/// `waiting`, `deliveries` and `dead`, which kazoo ignores. In the other layouts every child is an item, and
/// the rest is beside the path: `-claims`, `-puts`, `-waiting`, `-deliveries` and `-dead` are appended to
/// it. Give Curator's consumers the path with `-claims` as their `lockPath`.
///
/// A znode in `puts` exists while its put is in progress. One in `waiting/consumers` is that of a consumer
/// without an item, and one in `waiting/puts` that of a put that waits for room, both with the names of a
/// [`Lock`](crate::Lock). One in `deliveries` counts the deliveries of an item; it stays if a foreign consumer
/// removes the item.
///
/// # What kazoo and Curator see
///
/// Items of ours are theirs, and theirs are ours. kazoo's `LockingQueue`, and Curator's consumers with a
/// `lockPath`, respect our claims as we do theirs. kazoo's `Queue`, Curator's consumers without a
/// `lockPath` and `SimpleDistributedQueue` remove an item before they process it, also one that is
/// claimed: then an acknowledgement fails with [`ItemRemoved`](crate::Error::ItemRemoved).
///
/// Curator's consumers try to claim items only when the list of the items changes. An item whose claim ends
/// without an acknowledgement, since its consumer has crashed or has released it, therefore waits for the next
/// put or removal where all consumers that are left are Curator's. A consumer of ours takes it at once.
///
/// Curator's `QueueSharder`, which spreads one queue over several below a path as it grows, has no counterpart:
/// all queues of an ensemble share its memory and its log, so that shards hold no more items and take
/// no more of them a second. Where one list is too long, use several queues and choose among them by a hash
/// of the item.
///
/// # Cost
///
/// A put takes one round trip and two requests, of which the second is not waited for; with a maximum
/// of items, one more of each. A take takes two round trips of one request each, the claim and the
/// read of the item; listing the queue takes one round trip of two requests, for up to 32 items. With counted
/// deliveries a take has two more of one request. An acknowledgement, a release or a rejection takes one
/// request.
///
/// Many consumers of one queue are no herd. While there are items, each consumer lists them again after three
/// claims that failed, and chooses at random among as many items as have claims. Consumers without an item
/// form a line, as for a [`Lock`](crate::Lock), and only the first of them watches the items, and the claims if
/// there are any: a put into an empty queue wakes one of them. If there is another item it wakes the next
/// before it makes its claim, so that many items wake all of them one after the other, two round trips
/// apart. Each that is not the first lists the queue every 10 s as well, so that a first one whose
/// future is not polled does not stop the others. Measured in requests per item, with all lists, claims and
/// acknowledgements:
///
/// | consumers | 1 | 10 | 50 |
/// |---|---|---|---|
/// | while there are items for all | 3.1 | 4.8 | 5.9 |
/// | one item at a time for all that wait, with the put | 17 | 19 | 19 |
///
/// Puts that wait for room form a line, too, with 11 requests for each.
///
/// # Losing the session
///
/// A lost connection changes nothing: claims last as long as the session. When the session ends, its
/// claims end, and other consumers get the items: [`Claim::check`] and [`Claim::ack`] fail with
/// [`ClaimLost`](crate::Error::ClaimLost). Waits continue in the next session. Items belong to no
/// session.
///
/// # Cancel safety
///
/// A dropped take leaves no claim, no place in the line and no watch; what it had claimed is released in the
/// background.
#[doc(alias = "LockingQueue")]
#[doc(alias = "DistributedQueue")]
#[doc(alias = "SimpleDistributedQueue")]
#[derive(Debug, Clone)]
pub struct Queue {
    places: Arc<Places>,
}

impl Queue {
    /// The queue at `path`, in the layout of kazoo's `LockingQueue`. Clones share what they have
    /// listed.
    pub fn new(client: &Client, path: &str) -> Self {
        Queue {
            places: Arc::new(Places::new(client, path)),
        }
    }

    /// Uses these znodes.
    #[must_use]
    pub fn layout(mut self, layout: QueueLayout) -> Self {
        Arc::make_mut(&mut self.places).set_layout(layout);
        self
    }

    /// Puts the claims below this path: Curator's `lockPath`. For the layouts of Curator; in another
    /// layout, kazoo's consumers would not find them.
    #[must_use]
    pub fn lock_path(mut self, path: &str) -> Self {
        Arc::make_mut(&mut self.places).set_lock_path(path);
        self
    }

    /// Limits the number of items: a put waits until the queue has fewer, or fails with
    /// [`Put::no_wait`]. Puts that are in progress at the same time may exceed the limit by their
    /// number. Programs without the option are not limited. There is no limit unless set.
    #[must_use]
    pub fn max_items(mut self, items: u32) -> Self {
        Arc::make_mut(&mut self.places).max_items = Some(items);
        self
    }

    /// Counts the deliveries of each item, and moves an item to the dead letters instead of delivering it
    /// more often than this. Deliveries to foreign consumers are not counted. All consumers of ours
    /// should have the same limit. Without it deliveries are not counted.
    #[must_use]
    pub fn max_deliveries(mut self, deliveries: u32) -> Self {
        Arc::make_mut(&mut self.places).max_deliveries = Some(deliveries);
        self
    }

    /// Puts an item at the end of the queue.
    pub fn put(&self, data: impl Into<Bytes>) -> Put {
        Put::new(&self.places, vec![data.into()])
    }

    /// Puts items, all or none: in a layout with Curator's item format as one znode, which is claimed and
    /// acknowledged as a whole, otherwise as one each. Together they have to fit into one request, 1 MiB unless
    /// the ensemble is configured otherwise.
    #[doc(alias = "putMulti")]
    pub fn put_all<D: Into<Bytes>>(&self, items: impl IntoIterator<Item = D>) -> Put {
        Put::new(&self.places, items.into_iter().map(Into::into).collect())
    }

    /// Claims an item; waits until there is one that no other consumer has. The claim
    /// [can be trusted](Claim::check) when it is returned.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses. An invalid path is an error before anything is
    /// sent.
    ///
    /// # Cancel safety
    /// Dropping the future releases in the background what it has claimed.
    pub async fn take(&self) -> Result<Claim> {
        loop {
            if let Some(claim) = self.search(true).await? {
                return Ok(claim);
            }
        }
    }

    /// Claims an item; `None` if there is none that is due and that no other consumer has.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    pub async fn try_take(&self) -> Result<Option<Claim>> {
        self.search(false).await
    }

    /// Claims an item; `None` if none was found within this time.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    pub async fn take_timeout(&self, timeout: Duration) -> Result<Option<Claim>> {
        match tokio::time::timeout(timeout, self.take()).await {
            Ok(claim) => claim.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The number of items, with those that are claimed. For kazoo's `Queue` and `Simple`, every child
    /// counts.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn len(&self) -> Result<usize> {
        self.places.check_path()?;
        let mut backoff = RetryBackoff::new();
        loop {
            let exists = self.places.client.exists(&self.places.directories.entries);
            match exists.await {
                Ok(stat) => {
                    let children = stat.map_or(0, |stat| stat.num_children);
                    return Ok(usize::try_from(children).unwrap_or(0));
                }
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Whether there is no item: see [`len`](Self::len).
    ///
    /// # Errors
    /// As [`len`](Self::len).
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// Removes the items with this id that no consumer has claimed, and returns how many. For
    /// `CuratorId`.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported) in another layout; or as [`Claim::ack`], when some
    /// may have been removed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves each of the items removed or in the queue.
    pub async fn remove(&self, id: &str) -> Result<usize> {
        let places = &self.places;
        places.check_path()?;
        if places.layout != QueueLayout::CuratorId {
            return Err(Error::Unsupported("ids, in a queue of this layout"));
        }
        let mut removed = 0;
        let entries = names(&places.client, &places.directories.entries).await?;
        for name in entries.iter().filter(|name| places.layout.has_id(name, id)) {
            if let Some(claim) = self.claim(name).await? {
                match claim.ack().await {
                    Ok(()) => removed += 1,
                    // By a consumer that takes no claims.
                    Err(Error::ItemRemoved { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }

    /// The items that were delivered too often or rejected: the paths of their znodes and their data, as
    /// [`Claim::data`] returned them. They stay until the program deletes them. A dead letter has the name of
    /// its item; if there is one of that name already, since the znode of the items was created again and
    /// their numbers with it, `-` and a random id of 32 hexadecimal digits follow.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn dead_letters(&self) -> Result<Vec<(String, Bytes)>> {
        self.places.check_path()?;
        let directory = &self.places.directories.dead;
        let names = names(&self.places.client, directory).await?;
        let mut paths: Vec<_> = names
            .iter()
            .map(|name| ((), path::join(directory, name)))
            .collect();
        paths.sort();
        let got = get_all(&self.places.client, paths, READS).await?;
        let letters = got.into_iter().map(|((), path, data, _)| (path, data));
        Ok(letters.collect())
    }

    async fn search(&self, wait: bool) -> Result<Option<Claim>> {
        let places = &self.places;
        places.check_path()?;
        let mut connections = Connections::of(&places.client);
        let mut line = Line::new(&places.client, &places.directories.consumer_line);
        let mut backoff = RetryBackoff::new();
        loop {
            let now = millis(SystemTime::now());
            let (picked, next_due) = {
                let mut stock = places.stock();
                let picked = stock.pick(now, |bound| fastrand::usize(..bound));
                (picked, stock.next_due())
            };
            if let Some(entry) = picked {
                // There is one for the next in the line, too.
                if next_due.is_some_and(|due| due <= now) {
                    line.leave();
                }
                match self.claim(&entry.name).await? {
                    Some(claim) => {
                        places.stock().hit();
                        if let Some(claim) = self.deliverable(claim).await? {
                            return Ok(Some(claim));
                        }
                    }
                    None => places.stock().miss(),
                }
                continue;
            }
            let is_first = line.is_first();
            match self.list(is_first).await {
                Ok((next_due, watches)) => {
                    backoff.reset();
                    let now = millis(SystemTime::now());
                    match next_due {
                        Some(due) if due <= now => {}
                        _ if !wait => return Ok(None),
                        _ if !is_first => line.advance().await?,
                        _ => {
                            let due = next_due.map(|due| Duration::from_millis(due - now));
                            Change::new(&mut connections, watches, due).await;
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::NoNode => places.ensure().await?,
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Lists the items and the claims, with watches on both if there may be nothing to claim. Returns when the
    /// first item without a claim is due, by these lists: another handle may have picked it from the stock
    /// since, and then this one has to list again with a watch on the claims.
    async fn list(&self, watch: bool) -> zk_client::Result<(Option<u64>, [Option<Watch>; 2])> {
        let places = &self.places;
        let (client, directories) = (&places.client, &places.directories);
        if !watch {
            let entries = client.children(&directories.entries).submit();
            let claims = client.children(&directories.claims).submit();
            let listed = self.fill(&entries.await?, &claims.await?);
            return Ok((listed.next_due, [None, None]));
        }
        let entries = client.children(&directories.entries).watch().submit();
        let claims = client.children(&directories.claims).watch().submit();
        let (entries, _, entries_watch) = entries.await?;
        let (claims, _, claims_watch) = claims.await?;
        let listed = self.fill(&entries, &claims);
        let claims_watch = (listed.claimed > 0).then_some(claims_watch);
        Ok((listed.next_due, [Some(entries_watch), claims_watch]))
    }

    fn fill(&self, entries: &Children, claims: &Children) -> Listed {
        let listed = self.places.layout.entries(entries.iter());
        self.places.stock().fill(listed, claims.iter())
    }

    /// Claims this item, unless another consumer has it or it is gone.
    async fn claim(&self, name: &str) -> Result<Option<Claim>> {
        let places = &self.places;
        let (client, item, path) = (&places.client, places.item(name), places.claim(name));
        let mut backoff = RetryBackoff::new();
        loop {
            let claiming = ClaimNode::claim(client, &item, &path);
            let node = match claiming.await? {
                Attempt::Claimed(node) => node,
                Attempt::Missed => return Ok(None),
                Attempt::NoDirectory => {
                    places.ensure().await?;
                    continue;
                }
            };
            loop {
                match client.get(&item).await {
                    // The read may have been sent again in the next session, after another consumer
                    // has acknowledged the item.
                    Ok(_) if node.is_over() => return Ok(None),
                    // The process was suspended: another consumer may have the item by now. The next answer
                    // proves that the session lasts.
                    Ok(_) if node.lease.check().is_err() => backoff.sleep().await,
                    Ok(read) => {
                        return Ok(Some(Claim::new(places, node, name.to_owned(), read)));
                    }
                    Err(error) if error.kind() == ErrorKind::NoNode => {
                        node.release().await?;
                        return Ok(None);
                    }
                    Err(error) => backoff.sleep_after(error).await?,
                }
            }
        }
    }

    /// Counts the delivery, if deliveries are counted. `None` if the item was delivered too often, and is moved
    /// to the dead letters, or if the claim was lost meanwhile.
    async fn deliverable(&self, mut claim: Claim) -> Result<Option<Claim>> {
        let Some(max) = self.places.max_deliveries else {
            return Ok(Some(claim));
        };
        let deliveries = deliveries::count(&self.places, &claim).await?;
        if claim.is_over() {
            return Ok(None);
        }
        if deliveries <= max {
            claim.set_deliveries(deliveries);
            return Ok(Some(claim));
        }
        match claim.reject().await {
            Ok(()) => Ok(None),
            // The caller never had the item. It is gone, or its next consumer counts it again.
            Err(Error::ClaimLost { .. } | Error::ItemRemoved { .. }) => Ok(None),
            // The session has ended.
            Err(error) if error.outcome() == Outcome::Unknown => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The children of a znode; none if it does not exist.
async fn names(client: &Client, directory: &str) -> Result<Vec<String>> {
    let listed = read(client, |zk| async move { zk.children(directory).await });
    match listed.await {
        Ok(children) => Ok(children.to_vec()),
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
