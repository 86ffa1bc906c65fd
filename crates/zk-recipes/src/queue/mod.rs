//! A queue of znodes: the ensemble numbers the entries, and the entry with the lowest number is at
//! the head. Each contender watches only the entry that it has to wait for, so that one departure
//! wakes one contender.

pub(crate) mod builders;
mod layout;
mod lost_places;
mod order;

use bytes::Bytes;
use zk_client::{Children, Client, Created, ErrorKind, Guid, Pending, Stat, path};

pub use layout::Layout;
pub(crate) use layout::Role;
use layout::ZnodeName;
pub(crate) use lost_places::LostPlaces;
use order::{EntryPatterns, QueueEntry, obstacle};

use crate::error::Result;
use crate::guard::{Guard, LeaseBasis, Token};
use crate::paths::check_own;
use crate::retry::RetryBackoff;

/// The number of contenders that are read at once.
const READS: usize = 128;

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
    lease_basis: LeaseBasis,
    persistent: bool,
}

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
            lease_basis: LeaseBasis::default(),
            persistent: false,
        }
    }

    pub(crate) fn set_identifier(&mut self, identifier: &[u8]) {
        self.identifier = identifier.to_vec();
    }

    pub(crate) fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    pub(crate) fn add_pattern(&mut self, pattern: &str) {
        self.extra_patterns.push(pattern.to_owned());
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

    #[cfg(feature = "election")]
    pub(crate) fn without_deadline(&self) -> &Client {
        &self.without_deadline
    }

    pub(crate) fn parent(&self) -> &str {
        &self.parent
    }

    /// Refuses an invalid path, and the root of the ensemble.
    pub(crate) fn check_path(&self) -> Result<()> {
        Ok(check_own(&self.client, &self.parent)?)
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
            && self.lease_basis == other.lease_basis
            && self.persistent == other.persistent
    }

    /// Whether the znode of a place in another queue is in this one, too: then both are the queue of
    /// one znode. Ids are random, so no other znode has its name.
    #[cfg(feature = "locks")]
    pub(crate) async fn contains(&self, place: &Guard) -> Result<bool> {
        let path = path::join(&self.parent, path::name(place.path()));
        let mut backoff = RetryBackoff::new();
        loop {
            // This client's server may lag behind the one that created it.
            match self.without_deadline.exists(&path).synced().await {
                Ok(stat) => return Ok(stat.is_some()),
                Err(error) if error.is_retryable() => backoff.sleep().await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The entries among the children, the head first.
    pub(crate) fn entries_of(&self, children: &Children) -> Vec<QueueEntry> {
        let mut patterns = EntryPatterns::new(self.layout, self.role);
        for pattern in &self.extra_patterns {
            patterns.add(pattern);
        }
        patterns.entries(children.iter())
    }

    /// The entries of the queue, the head first.
    pub(crate) async fn entries(&self) -> Result<Vec<QueueEntry>> {
        self.check_path()?;
        let mut backoff = RetryBackoff::new();
        loop {
            match self.without_deadline.children(&self.parent).await {
                Ok(children) => return Ok(self.entries_of(&children)),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Vec::new()),
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// The contenders, the head first. Those that leave meanwhile are left out.
    pub(crate) async fn contenders(&self) -> Result<Vec<Contender>> {
        let entries = self.entries().await?;
        let mut contenders = Vec::with_capacity(entries.len());
        // Not all at once: a queue may be longer than the client's request queue.
        for batch in entries.chunks(READS) {
            let paths = batch.iter().map(|e| path::join(&self.parent, &e.name));
            let reads = paths.map(|path| (self.without_deadline.get(&path).submit(), path));
            let reads: Vec<_> = reads.collect();
            for ((read, path), entry) in reads.into_iter().zip(batch) {
                match read.await {
                    Ok((identifier, stat)) => {
                        // A slice of what was received would keep all of that in memory.
                        let identifier = Bytes::copy_from_slice(&identifier);
                        contenders.push(Contender {
                            shared: entry.shared,
                            ..Contender::new(identifier, path, &stat)
                        });
                    }
                    Err(error) if error.kind() == ErrorKind::NoNode => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(contenders)
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
            let (place, entries) = self.take_place().await?;
            match self.wait_for_turn(place, entries, wait).await? {
                Turn::Head(place) => return Ok(Some(place.start_renewal())),
                Turn::NotYet => return Ok(None),
                Turn::PlaceLost => lost.lose(&self.without_deadline)?,
            }
        }
    }

    /// Takes a place at the end of the queue, and reads the entries with it.
    async fn take_place(&self) -> Result<(Guard, Vec<QueueEntry>)> {
        let mut backoff = RetryBackoff::new();
        loop {
            self.without_deadline.connected().await?;
            let name = self.layout.znode_name(self.role);
            let (ZnodeName::Protected(mark) | ZnodeName::Hex(mark)) = name;
            let path = path::join(&self.parent, mark);
            // Before the creation, so that the client is not closed between it and the place.
            let pledge = self.persistent.then(|| self.without_deadline.pledge(&path));
            let create = self.without_deadline.create(&path, &self.identifier);
            let mut create = create.sequential();
            if !self.persistent {
                create = create.ephemeral();
            }
            let mut create = create.protected();
            if let ZnodeName::Hex(_) = name {
                create = create.prefix(Guid::random().hex());
            }
            let created = create.submit();
            // Submitted before the answer: the server executes both in order, in one round trip.
            let children = self.without_deadline.children(&self.parent).submit();
            match created.await {
                Ok(created) => {
                    if let Some(place) = self.place(created) {
                        let place = place.with_pledge(pledge);
                        let entries = self.entries_with(&place, children).await?;
                        return Ok((place, entries));
                    }
                }
                // Servers delete containers and empty parents that are unused; create them again.
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    ensure_parent(&self.without_deadline, &self.parent, self.layout).await?;
                }
                // `connected` waits for the next session, or fails with the reason why there is none.
                Err(error)
                    if error.kind() == ErrorKind::SessionExpired && backoff.allows(&error) => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
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
        children: Pending<Children>,
    ) -> Result<Vec<QueueEntry>> {
        if let Ok(children) = children.await {
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
        let mut checked: Option<Pending<_>> = None;
        loop {
            if !place.is_live() {
                return Ok(Turn::PlaceLost);
            }
            let Some(own) = entries.iter().find(|e| place.is_named(&e.name)) else {
                return Ok(Turn::PlaceLost);
            };
            let Some(ahead) = obstacle(&entries, own) else {
                // `confirm_lease` repeats a check that failed for another reason.
                if let Some(checked) = checked
                    && let Err(error) = checked.await
                    && error.kind() == ErrorKind::NoNode
                {
                    return Ok(Turn::PlaceLost);
                }
                return Ok(match place.confirm_lease().await? {
                    true => Turn::Head(place),
                    false => Turn::PlaceLost,
                });
            };
            if !wait {
                place.release().await?;
                return Ok(Turn::NotYet);
            }
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
            // Sent together with the read of the children that shows the new head.
            checked = place.needs_check().then(|| place.submit_check());
            entries = self.entries().await?;
        }
    }
}

/// Creates the parent of the entries.
pub(crate) async fn ensure_parent(client: &Client, path: &str, layout: Layout) -> Result<()> {
    let ensured = client.ensure_path(path);
    let ensured = match layout.has_container() {
        true => ensured.container(),
        false => ensured,
    };
    Ok(ensured.await?)
}
