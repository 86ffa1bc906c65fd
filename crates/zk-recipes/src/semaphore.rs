//! So many holders at a time, first come, first served.

use std::ops::Deref;
use std::time::Duration;

use zk_client::{Client, ErrorKind, Guid, Watch, path};

use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::layout::{Layout, Role};
use crate::line::{Contender, Line, ensure};
use crate::paths::{check, check_own};
use crate::pause::{LostPlaces, pause};
use crate::permits::{Permits, either};
use crate::renewal::Trust;

/// A semaphore: so many leases of it are held at a time, by all programs on the ensemble.
///
/// Fair: those who want leases stand in line, and only the first of them waits for one to be
/// returned.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::Semaphore;
///
/// let connections = Semaphore::new(&zk, "/semaphores/upstream", 10).identifier("host-1");
/// let lease = connections.acquire().await?;
/// // … one of ten …
/// lease.release().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of Curator's `InterProcessSemaphoreV2`: the line at `path/locks`, as that of a
/// [`Lock`](crate::Lock), and the leases `path/leases/_c_<uuid>-lease-<sequence>`, ephemeral, with the
/// identifier for contents. Every child of `path/leases` counts as a lease, whoever made it.
///
/// With [`Layout::Kazoo`], those of kazoo's `Semaphore`: the line at `path-__lock__`, the leases
/// `path/<hex>`, and the number of leases as the contents of `path`, in decimal; whoever is first
/// writes it.
///
/// # How many
///
/// The number is each program's own opinion, and should be the same in all; with kazoo's layout it
/// has to be. With [`limit_at`](Self::limit_at) it is stored, and can be changed while leases are
/// held and waited for.
///
/// # Cost
///
/// To acquire: a lock, a creation, a read of the leases with a watch that is removed again, and the
/// release of the lock, which is six requests in three round trips if nobody else wants one; to
/// return: one. One contender watches the leases, however many wait: a lease that is returned wakes
/// one. After each reconnect this contender reads the leases again.
///
/// # Losing the session
///
/// While waiting, all is lost, and the wait begins anew at the end of the line. While holding, the
/// guard is lost: see [`Guard`].
///
/// # Cancel safety
///
/// Dropping a wait at any point leaves the line and returns what it has got so far. Dropping a lease
/// returns it in the background.
#[derive(Debug, Clone)]
pub struct Semaphore {
    client: Client,
    patient: Client,
    path: String,
    permits: Permits,
    identifier: Vec<u8>,
    layout: Layout,
    trust: Trust,
}

impl Semaphore {
    /// The semaphore that `path` stands for, with at most `max` leases.
    pub fn new(client: &Client, path: &str, max: usize) -> Self {
        Self::with_permits(client, path, Permits::Fixed(max))
    }

    /// The semaphore that `path` stands for, with as many leases as the znode at `limit` says: a
    /// number of four bytes, the most significant first, which is what Curator's `SharedCount` keeps.
    /// Its absence means none. Not in kazoo's layout.
    pub fn limit_at(client: &Client, path: &str, limit: &str) -> Self {
        Self::with_permits(client, path, Permits::At(limit.to_owned()))
    }

    fn with_permits(client: &Client, path: &str, permits: Permits) -> Self {
        Semaphore {
            client: client.clone(),
            patient: client.with_deadline(None),
            path: path.to_owned(),
            permits,
            identifier: Vec::new(),
            layout: Layout::default(),
            trust: Trust::default(),
        }
    }

    /// Who is asking: the contents of the leases' znodes.
    #[must_use]
    pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
        self.identifier = identifier.as_ref().to_vec();
        self
    }

    /// Whose names its znodes have; [`Layout::Default`] unless given.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// What a lease's deadline rests on; [`Trust::Quorum`] unless given.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Waits for a lease, however long it takes.
    ///
    /// # Errors
    /// The client is over, the ensemble refuses the semaphore's znodes, or its number of leases is
    /// not what it should be ([`Error::Leases`]). An invalid path, or the root of the ensemble, is an
    /// error before anything is sent ([`InvalidPath`](ErrorKind::InvalidPath)). So is, with kazoo's
    /// layout, the root of a chroot: the line is a sibling of the semaphore's znode.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; neither a znode nor a watch stays.
    pub async fn acquire(&self) -> Result<SemaphoreLease> {
        loop {
            if let Some(lease) = self.obtain(1, true).await?.and_then(|mut all| all.pop()) {
                return Ok(lease);
            }
        }
    }

    /// Waits for several leases, all or none.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire), and [`Error::TooMany`].
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire): what it has got so far is returned.
    pub async fn acquire_many(&self, count: usize) -> Result<Vec<SemaphoreLease>> {
        loop {
            if let Some(leases) = self.obtain(count, true).await? {
                return Ok(leases);
            }
        }
    }

    /// Takes a lease if there is one and nobody waits. Waits for a connection, not for a lease.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<SemaphoreLease>> {
        Ok(self.obtain(1, false).await?.and_then(|mut all| all.pop()))
    }

    /// Waits for a lease, all in all no longer than `timeout`.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<Option<SemaphoreLease>> {
        match tokio::time::timeout(timeout, self.acquire()).await {
            Ok(acquired) => acquired.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    /// Those who hold leases, in no particular order. In Curator's names the first of those who wait
    /// is among them.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn holders(&self) -> Result<Vec<Contender>> {
        self.check_path()?;
        let parent = self.leases();
        let names = match self.patient.children(&parent).await {
            Ok(names) => names.to_vec(),
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut holders = Vec::with_capacity(names.len());
        for name in names {
            let path = path::join(&parent, &name);
            match self.patient.get(&path).await {
                Ok((identifier, stat)) => holders.push(Contender::new(identifier, path, &stat)),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(holders)
    }

    fn check_path(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        if let Permits::At(limit) = &self.permits {
            check(limit)?;
        }
        if self.is_kazoos() && self.path == "/" {
            // The line is beside this znode, where a handle with this root does not reach.
            return Err(zk_client::Error::invalid_path(
                "invalid path \"/\": the line of a semaphore in kazoo's layout is a sibling of its \
                 znode, and the root of a chroot has none; use a handle with another root",
            )
            .into());
        }
        Ok(())
    }

    fn is_kazoos(&self) -> bool {
        self.layout == Layout::Kazoo
    }

    /// The znode whose children are the leases.
    fn leases(&self) -> String {
        if self.is_kazoos() {
            self.path.clone()
        } else {
            path::join(&self.path, "leases")
        }
    }

    /// The line of those who want leases.
    fn line(&self) -> Line {
        let path = if self.is_kazoos() {
            format!("{}-__lock__", self.path)
        } else {
            path::join(&self.path, "locks")
        };
        let mut line = Line::new(&self.client, &path, Role::Lock);
        line.set_layout(self.layout);
        line.set_identifier(&self.identifier);
        line.set_trust(self.trust);
        line
    }

    /// `None` if not to `wait` and there are not enough.
    async fn obtain(&self, count: usize, wait: bool) -> Result<Option<Vec<SemaphoreLease>>> {
        self.check_path()?;
        if let Permits::Fixed(max) = self.permits
            && count > max
        {
            return Err(Error::TooMany { asked: count, max });
        }
        if self.is_kazoos() {
            self.permits.declare(&self.patient, &self.path).await?;
        }
        let mut lost = LostPlaces::new();
        loop {
            let turn = match self.line().stand(wait).await? {
                Some(turn) => turn,
                None if wait => continue,
                None => return Ok(None),
            };
            let taken = self.take(&turn, count, wait).await?;
            // Before the turn is passed on, so that those who are next need not wait for what is
            // being returned.
            if let Taken::Held(leases) = taken {
                turn.give_up().await?;
                let held = leases.into_iter().map(|guard| SemaphoreLease {
                    guard: guard.hold(),
                });
                return Ok(Some(held.collect()));
            }
            turn.give_up().await?;
            if matches!(taken, Taken::None) {
                return Ok(None);
            }
            lost.lose(&self.patient)?;
        }
    }

    /// Takes leases, one after the other. It is this contender's turn.
    async fn take(&self, turn: &Guard, count: usize, wait: bool) -> Result<Taken> {
        let mut leases = Vec::with_capacity(count);
        while leases.len() < count {
            let taken = if self.is_kazoos() {
                self.take_kazoos(turn, wait).await?
            } else {
                self.take_curators(turn, wait).await?
            };
            match taken {
                One::Held(lease) => leases.push(lease),
                failed => {
                    for lease in leases {
                        lease.give_up().await?;
                    }
                    return Ok(match failed {
                        One::None => Taken::None,
                        _ => Taken::Anew,
                    });
                }
            }
        }
        for lease in &leases {
            if !lease.assure().await? {
                return Ok(Taken::Anew);
            }
        }
        Ok(Taken::Held(leases))
    }

    /// A lease's znode comes first, and is a lease once there are not too many.
    async fn take_curators(&self, turn: &Guard, wait: bool) -> Result<One> {
        let Some((lease, mut seen)) = self.create_lease(turn, true).await? else {
            return Ok(One::Anew);
        };
        let mut connections = Connections::of(&self.patient);
        loop {
            let looked = match seen.take() {
                None => self.look(turn).await?,
                seen => seen,
            };
            let Some((names, watch)) = looked else {
                return Ok(One::Anew);
            };
            if !names.iter().any(|name| lease.is_named(name)) {
                return Ok(One::Anew);
            }
            let (max, limit) = self.permits.read(&self.patient).await?;
            if names.len() <= max {
                return Ok(One::Held(lease));
            }
            if !wait {
                if zk_proto::seeded_bug!("B98") {
                    lease.disarm();
                } else {
                    lease.give_up().await?;
                }
                return Ok(One::None);
            }
            either(&mut connections, watch, limit).await;
        }
    }

    /// A lease's znode is created if there are not too many: the turn keeps others from it.
    async fn take_kazoos(&self, turn: &Guard, wait: bool) -> Result<One> {
        let mut connections = Connections::of(&self.patient);
        loop {
            let Some((names, watch)) = self.look(turn).await? else {
                return Ok(One::Anew);
            };
            let (max, limit) = self.permits.read(&self.patient).await?;
            if names.len() < max {
                let lease = self.create_lease(turn, false).await?;
                return Ok(lease.map_or(One::Anew, |(lease, _)| One::Held(lease)));
            }
            if !wait {
                return Ok(One::None);
            }
            either(&mut connections, watch, limit).await;
        }
    }

    /// The leases; `None` if it is not our turn any more.
    async fn look(&self, turn: &Guard) -> Result<Option<Leases>> {
        let mut pause = pause();
        let parent = self.leases();
        while turn.is_live() {
            match self.patient.children(&parent).watch().await {
                Ok((names, _, watch)) if turn.is_live() => {
                    return Ok(Some((names.to_vec(), watch)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    ensure(&self.patient, &parent, self.layout).await?;
                }
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// A lease's znode in the session of the turn, and, if wanted, the leases with it unless they must
    /// be asked for again; `None` if that session is over.
    async fn create_lease(
        &self,
        turn: &Guard,
        look: bool,
    ) -> Result<Option<(Guard, Option<Leases>)>> {
        let mut pause = pause();
        let parent = self.leases();
        while turn.is_live() {
            let name = if self.is_kazoos() { "" } else { "lease-" };
            let path = format!("{}/{name}", parent.trim_end_matches('/'));
            let create = self.patient.create(&path, &self.identifier).ephemeral();
            let created = if self.is_kazoos() {
                create.protected().prefix(Guid::random().hex()).submit()
            } else {
                create.sequential().protected().submit()
            };
            // Not after the answer: the server executes one after the other, in one round trip.
            let looked = look.then(|| self.patient.children(&parent).watch().submit());
            match created.await {
                Ok(created) => {
                    let lease = self.patient.lease();
                    let owned = created.stat.owner() == Some(lease.session());
                    let guard = Guard::new(&self.client, Some(lease), self.trust, created);
                    // Of another session than the turn, it could be one too many.
                    if !owned || !turn.is_live() {
                        return Ok(None);
                    }
                    let seen = match looked {
                        Some(looked) => looked.await.ok(),
                        None => None,
                    };
                    let seen = seen.map(|(names, _, watch)| (names.to_vec(), watch));
                    let seen = seen.filter(|(names, _)| names.iter().any(|n| guard.is_named(n)));
                    return Ok(Some((guard, seen)));
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    ensure(&self.patient, &parent, self.layout).await?;
                }
                Err(error)
                    if error.kind() == ErrorKind::SessionExpired && pause.may_go_on(&error) => {}
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// The names of the leases, and a watch on them.
type Leases = (Vec<String>, Watch);

/// What became of an attempt to take several leases.
enum Taken {
    Held(Vec<Guard>),
    None,
    /// The session was lost meanwhile.
    Anew,
}

/// The same of one.
enum One {
    Held(Guard),
    None,
    Anew,
}

/// A lease of a semaphore that is held. Everything about it is said at [`Guard`].
#[derive(Debug)]
#[must_use = "dropping a lease returns it"]
pub struct SemaphoreLease {
    guard: Guard,
}

impl SemaphoreLease {
    /// Returns the lease: when this is done, another can have it.
    ///
    /// # Errors
    /// The client is over. The lease is returned with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future returns the lease in the background.
    pub async fn release(self) -> Result<()> {
        self.guard.give_up().await
    }
}

impl Deref for SemaphoreLease {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
