//! A queue of znodes: the ensemble numbers the entries, and the entry with the lowest number is at
//! the head. Each contender watches only the entry that it has to wait for, so that one departure
//! wakes one contender.

mod adoption;
pub(crate) mod builders;
mod layout;
mod lost_places;
mod names;
mod order;
mod place_id;
mod plain_creation;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{Children, Client, Created, ErrorKind, Guid, Pending, Pledge, Stat, path};

pub use layout::Layout;
pub(crate) use layout::Role;
pub(crate) use layout::ZnodeName;
pub(crate) use lost_places::LostPlaces;
use names::NamePattern;
use order::{EntryPatterns, QueueEntry, obstacle};
pub(crate) use place_id::PlaceId;
#[cfg(feature = "locks")]
pub(crate) use place_id::sibling;
use plain_creation::create_plain;

use crate::error::{Error, Result};
use crate::guard::claim::Claim;
use crate::guard::handover::Handover;
use crate::guard::held::Held;
use crate::guard::{Guard, LeaseBasis, Token};
use crate::paths::check_own;
use crate::reads::{Alongside, READS, both, get_all, read, reply_to};
use crate::retry::RetryBackoff;

/// The queue under a znode, and the options of a contender in it.
#[derive(Debug, Clone)]
pub(crate) struct ContenderQueue {
    /// The caller's handle, for writes under the guard.
    client: Client,
    /// A wait has the caller's deadline as a whole, so its requests have none of their own.
    without_deadline: Client,
    parent: String,
    identifier: Vec<u8>,
    layout: Layout,
    role: Role,
    extra_patterns: Vec<String>,
    /// In place of those of the layout.
    names: Option<NamePattern>,
    lease_basis: LeaseBasis,
    persistent: bool,
    /// If the contender is to recognise the places of an earlier process.
    id: Option<PlaceId>,
}

/// The creation of a znode in a queue.
type Creation =
    Pin<Box<dyn Future<Output = zk_client::Result<(Created, Option<Arc<Claim>>)>> + Send>>;

/// A holder of a lock, or a client that waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contender {
    /// The contents of its znode, by which people and programs recognize it.
    pub identifier: Bytes,
    /// The path of its znode, below the root of the handle that has read it. A handle with another
    /// root has another path for it.
    pub path: String,
    /// The fencing token that it has, or will have when it holds the lock.
    pub token: Token,
    /// Whether it shares the lock with others: a reader.
    pub shared: bool,
}

impl Contender {
    pub(crate) fn new(identifier: Bytes, path: String, stat: &Stat) -> Self {
        Contender {
            identifier,
            path,
            token: Token::of(stat),
            shared: false,
        }
    }
}

/// What became of a place in a queue.
enum Turn {
    /// It is at the head.
    Head(Guard),
    /// It is not at the head and was left.
    NotYet,
    /// Its znode or its session is gone.
    PlaceLost,
}

impl ContenderQueue {
    pub(crate) fn new(client: &Client, parent: &str, role: Role) -> Self {
        ContenderQueue {
            client: client.clone(),
            without_deadline: client.with_deadline(None),
            parent: parent.to_owned(),
            identifier: Vec::new(),
            layout: Layout::default(),
            role,
            extra_patterns: Vec::new(),
            names: None,
            lease_basis: LeaseBasis::default(),
            persistent: false,
            id: None,
        }
    }

    pub(crate) fn set_identifier(&mut self, identifier: &[u8]) {
        self.identifier = identifier.to_vec();
    }

    pub(crate) fn set_id(&mut self, id: Option<PlaceId>) {
        self.id = id;
    }

    pub(crate) fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    pub(crate) fn add_pattern(&mut self, pattern: &str) {
        self.extra_patterns.push(pattern.to_owned());
    }

    pub(crate) fn set_names(&mut self, pattern: &str) {
        self.names = Some(NamePattern::new(pattern));
    }

    pub(crate) fn set_lease_basis(&mut self, lease_basis: LeaseBasis) {
        self.lease_basis = lease_basis;
    }

    #[cfg(feature = "locks")]
    pub(crate) fn set_persistent(&mut self) {
        self.persistent = true;
    }

    /// The same queue, for a task that must not keep the client open.
    #[cfg(feature = "election")]
    pub(crate) fn in_background(&self) -> Self {
        ContenderQueue {
            client: self.client.background(),
            without_deadline: self.without_deadline.background(),
            ..self.clone()
        }
    }

    pub(crate) fn without_deadline(&self) -> &Client {
        &self.without_deadline
    }

    pub(crate) fn parent(&self) -> &str {
        &self.parent
    }

    /// Refuses an invalid path, the root of the ensemble, and invalid names.
    pub(crate) fn check_path(&self) -> Result<()> {
        check_own(&self.client, &self.parent)?;
        if let Some(names) = &self.names {
            names.check()?;
            if self.persistent && !names.has_id() {
                return Err(Error::Unsupported(
                    "a persistent lock needs names with an {id}, by which its znode is recognised in \
                     each session",
                ));
            }
            if self.id.is_some() && !names.has_id() {
                return Err(Error::Unsupported(
                    "a contender with an id needs names with an {id}, by which its znode is recognised \
                     after a crash",
                ));
            }
        }
        Ok(())
    }

    /// Whether contenders of other clients watch a znode for its deletion only, so that a change of its
    /// contents would use up their watch: those of Curator's `LeaderLatch` and of ZooKeeper's
    /// `LeaderElectionSupport`.
    #[cfg(feature = "election")]
    pub(crate) fn has_fixed_contents(&self) -> bool {
        let names = self.names.as_ref();
        self.role == Role::Latch || names.is_some_and(|names| !names.has_id())
    }

    /// The path from the root of the ensemble, the same for handles with any chroot.
    #[cfg(feature = "locks")]
    pub(crate) fn absolute(&self) -> String {
        self.client.root().join(&self.parent)
    }

    #[cfg(feature = "locks")]
    pub(crate) fn shares_session_with(&self, other: &ContenderQueue) -> bool {
        self.client.shares_session_with(&other.client)
    }

    /// Whether both have the same options, whatever their paths.
    #[cfg(feature = "locks")]
    pub(crate) fn has_options_of(&self, other: &ContenderQueue) -> bool {
        self.identifier == other.identifier
            && self.layout == other.layout
            && self.role == other.role
            && self.extra_patterns == other.extra_patterns
            && self.names == other.names
            && self.lease_basis == other.lease_basis
            && self.persistent == other.persistent
            && self.id == other.id
    }

    /// The entries among the children, the head first.
    pub(crate) fn entries_of(&self, children: &Children) -> Vec<QueueEntry> {
        let mut patterns = match &self.names {
            Some(names) => EntryPatterns::named(names.clone()),
            None => EntryPatterns::new(self.layout, self.role),
        };
        for pattern in &self.extra_patterns {
            patterns.add(pattern);
        }
        patterns.entries(children.iter())
    }

    /// The entries of the queue, the head first.
    pub(crate) async fn entries(&self) -> Result<Vec<QueueEntry>> {
        self.entries_of_all(false).await
    }

    /// The entries of the queue, the head first; if `synced`, all that the ensemble has by now.
    async fn entries_of_all(&self, synced: bool) -> Result<Vec<QueueEntry>> {
        self.check_path()?;
        let list = |zk: Client| async move {
            let children = zk.children(&self.parent);
            match synced {
                true => children.synced().await,
                false => children.await,
            }
        };
        match read(&self.without_deadline, list).await {
            Ok(children) => Ok(self.entries_of(&children)),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The contenders, the head first. Those that leave meanwhile are left out.
    pub(crate) async fn contenders(&self) -> Result<Vec<Contender>> {
        let entries = self.entries().await?;
        let path = |name: &str| path::join(&self.parent, name);
        let znodes = entries
            .iter()
            .map(|entry| (entry.shared, path(&entry.name)));
        let got = get_all(&self.without_deadline, znodes.collect(), READS).await?;
        let contenders = got.into_iter().map(|(shared, path, data, stat)| Contender {
            shared,
            ..Contender::new(data, path, &stat)
        });
        Ok(contenders.collect())
    }

    /// Enters the queue and waits for the head of it.
    ///
    /// Dropping the future leaves the queue, in the background.
    pub(crate) async fn wait(&self) -> Result<Guard> {
        loop {
            if let Some(held) = self.enter(true).await? {
                return Ok(held);
            }
        }
    }

    /// Enters the queue; `None` if this entry is not at the head at once.
    ///
    /// Dropping the future leaves the queue, in the background.
    pub(crate) async fn try_enter(&self) -> Result<Option<Guard>> {
        self.enter(false).await
    }

    async fn enter(&self, wait: bool) -> Result<Option<Guard>> {
        self.check_path()?;
        let mut lost = LostPlaces::new();
        loop {
            let (place, entries) = match self.adopt_place().await? {
                Some(adopted) => adopted,
                None => self.take_place().await?,
            };
            match self.wait_for_turn(place, entries, wait).await? {
                Turn::Head(place) => return Ok(Some(place.start_renewal())),
                Turn::NotYet => return Ok(None),
                Turn::PlaceLost => lost.lose(&self.without_deadline)?,
            }
        }
    }

    /// Keeps the client open until a persistent place is left.
    fn pledge(&self) -> Option<Pledge> {
        let below = format!("{}/", self.parent.trim_end_matches('/'));
        (self.persistent).then(|| self.without_deadline.pledge(&below))
    }

    /// Takes a place at the end of the queue, and reads the entries with it.
    async fn take_place(&self) -> Result<(Guard, Vec<QueueEntry>)> {
        let mut backoff = RetryBackoff::new();
        loop {
            self.without_deadline.connected().await?;
            // Before the creation, so that the client is not closed between it and the place.
            let pledge = self.pledge();
            let (created, held) = self.submit_creation();
            // Submitted before the answer: the server executes both in order, in one round trip.
            let children = self.without_deadline.children(&self.parent).submit();
            let mut children = Alongside::new(children);
            match children.with(created).await {
                Ok((created, claim)) => {
                    if let Some(place) = self.place(created) {
                        let place = place.with_pledge(pledge).with_held(held).with_claim(claim);
                        let entries = self.entries_with(&place, children).await?;
                        return Ok((place, entries));
                    }
                }
                // Servers delete containers and empty parents that are unused; create them again.
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    let container = self.names.is_none() && self.layout.has_container();
                    ensure_parent(&self.without_deadline, &self.parent, container).await?;
                }
                // `connected` waits for the next session, or fails with the reason why there is none.
                Err(error)
                    if error.kind() == ErrorKind::SessionExpired && backoff.allows(&error) => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Submits the creation of a znode at the end of the queue. What is returned with it is to be dropped
    /// after it.
    fn submit_creation(&self) -> (Creation, Option<Held>) {
        let guid = self.id.as_ref().map_or_else(Guid::random, PlaceId::next);
        let id = guid.hex();
        let (mark, prefix) = match (&self.names, self.layout.znode_name(self.role)) {
            (Some(names), _) if !names.has_id() => {
                let (client, names) = (&self.without_deadline, names.with_id(""));
                let created = create_plain(client, &self.parent, &names, &self.identifier);
                let created =
                    async { created.await.map(|(created, claim)| (created, Some(claim))) };
                return (Box::pin(created), None);
            }
            (Some(names), _) => ("", Some(names.with_id(&id))),
            (None, ZnodeName::Protected(mark)) => (mark, None),
            (None, ZnodeName::Hex(mark)) => (mark, Some(id)),
        };
        let path = format!("{}/{mark}", self.parent.trim_end_matches('/'));
        let create = self.without_deadline.create(&path, &self.identifier);
        let mut create = create.sequential();
        if !self.persistent {
            create = create.ephemeral();
        }
        // Before the creation, after which another acquisition can see the znode.
        let held = self.id.as_ref().map(|_| {
            let protected = guid.prefix();
            let prefix = prefix.as_deref().unwrap_or(&protected);
            let path = path::join(&self.parent, &format!("{prefix}{mark}"));
            Held::new(&self.without_deadline, &path, self.persistent)
        });
        let mut create = create.protected().guid(guid);
        if let Some(prefix) = prefix {
            create = create.prefix(prefix);
        }
        let created = create.submit();
        let created = async { created.await.map(|created| (created, None)) };
        (Box::pin(created), held)
    }

    /// Takes up a place that an earlier client of the session has held; `None` if it is not held.
    ///
    /// Dropping the future has no effect.
    pub(crate) async fn resume(&self, handover: &Handover) -> Result<Option<Guard>> {
        let name = path::name(&handover.path);
        // This client's server may lag behind that of the earlier client.
        let entries = self.entries_of_all(true).await?;
        let own = entries.iter().find(|entry| entry.name == name);
        if own.is_none_or(|own| obstacle(&entries, own).is_some()) {
            return Ok(None);
        }
        let (client, parent) = (&self.client, &self.parent);
        let has_id = self.names.as_ref().is_none_or(NamePattern::has_id);
        handover
            .resume(client, parent, self.lease_basis, self.persistent, has_id)
            .await
    }

    /// The place of a znode that was created, unless its session has ended meanwhile.
    fn place(&self, created: Created) -> Option<Guard> {
        if self.persistent {
            return Some(Guard::new(&self.client, None, self.lease_basis, created));
        }
        let lease = self.without_deadline.lease();
        if created.stat.owner() == Some(lease.session()) {
            let guard = Guard::new(&self.client, Some(lease), self.lease_basis, created);
            return Some(guard);
        }
        // The server may take a while to delete it.
        self.without_deadline.delete(&created.path).guaranteed();
        None
    }

    /// The entries, from these children if they were read after the place was taken.
    async fn entries_with(
        &self,
        place: &Guard,
        children: Alongside<Pending<Children>>,
    ) -> Result<Vec<QueueEntry>> {
        if let Ok(children) = children.finish().await {
            let entries = self.entries_of(&children);
            if entries.iter().any(|e| place.is_named(&e.name)) {
                return Ok(entries);
            }
        }
        self.entries().await
    }

    /// Waits until the place is at the head, or, if not to `wait`, leaves it unless it is.
    async fn wait_for_turn(
        &self,
        place: Guard,
        mut entries: Vec<QueueEntry>,
        wait: bool,
    ) -> Result<Turn> {
        let mut backoff = RetryBackoff::new();
        // A place that was just taken is confirmed by its creation.
        let mut has_znode = true;
        loop {
            if !place.is_live() {
                return Ok(Turn::PlaceLost);
            }
            let Some(own) = entries.iter().find(|e| place.is_named(&e.name)) else {
                return Ok(Turn::PlaceLost);
            };
            let Some(ahead) = obstacle(&entries, own) else {
                return Ok(match has_znode && place.confirm_lease().await? {
                    true => Turn::Head(place),
                    false => Turn::PlaceLost,
                });
            };
            if !wait {
                place.release().await?;
                return Ok(Turn::NotYet);
            }
            self.leave_stray(&ahead.name).await?;
            let ahead = path::join(&self.parent, &ahead.name);
            // Not `exists`, which would leave a watch for the creation of a deleted znode (B68).
            match self.without_deadline.get(&ahead).watch().await {
                Ok((_, _, watch)) => {
                    backoff.reset();
                    // Reads again after every event: a gap and the end of a session, too.
                    watch.await;
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
            // The check is sent together with the read of the children that shows the new head. Its reply is
            // taken when it arrives, since it takes up room until then, and that read may wait for room.
            let check = (place.is_live() && place.needs_check()).then(|| place.submit_check());
            let (read, checked) = both(self.entries(), reply_to(check)).await;
            entries = read?;
            // `confirm_lease` repeats a check that failed for another reason.
            has_znode = !matches!(checked, Some(Err(error)) if error.kind() == ErrorKind::NoNode);
        }
    }
}

/// Whether a znode exists that another client may just have created.
#[cfg(feature = "locks")]
pub(crate) async fn znode_exists(client: &Client, path: &str) -> Result<bool> {
    let mut backoff = RetryBackoff::new();
    loop {
        // This client's server may lag behind the one that created it.
        match client.exists(path).synced().await {
            Ok(stat) => return Ok(stat.is_some()),
            Err(error) if error.is_retryable() => backoff.sleep().await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Creates the parent of the entries.
pub(crate) async fn ensure_parent(client: &Client, path: &str, container: bool) -> Result<()> {
    let ensured = client.ensure_path(path);
    let ensured = match container {
        true => ensured.container(),
        false => ensured,
    };
    ensured.await?;
    Ok(())
}
