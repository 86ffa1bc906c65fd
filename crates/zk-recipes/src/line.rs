//! A line of znodes: each contender's is numbered by the ensemble, and the lowest number is at the
//! head. Each contender watches only the one it has to wait for, so that one departure wakes one.

use bytes::Bytes;
use zk_client::{Children, Client, Created, ErrorKind, Guid, Pending, Stat, path};

use crate::error::Result;
use crate::guard::{Guard, Token};
use crate::layout::{Layout, Own, Role};
use crate::names::{self, Names, obstacle};
use crate::paths::check_own;
use crate::pause::{LostPlaces, pause};
use crate::renewal::Trust;

/// How many contenders are read at once.
const READS: usize = 128;

/// A line under a znode, and how to stand in it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The caller's, for what is written under the guard.
    client: Client,
    /// Without a deadline: a wait has the caller's, not each of its requests its own.
    patient: Client,
    parent: String,
    identifier: Vec<u8>,
    layout: Layout,
    role: Role,
    extra_patterns: Vec<String>,
    trust: Trust,
    persistent: bool,
}

/// One who holds a lock or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contender {
    /// What it calls itself: the contents of its znode.
    pub identifier: Bytes,
    /// The path of its znode, below the root of the handle that has read it. A handle with another
    /// root has another path for it.
    pub path: String,
    /// The fencing token it has, or will have when it is its turn.
    pub token: Token,
    /// Whether it shares with others that do: a reader.
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

impl Line {
    pub(crate) fn new(client: &Client, parent: &str, role: Role) -> Self {
        Line {
            client: client.clone(),
            patient: client.with_deadline(None),
            parent: parent.to_owned(),
            identifier: Vec::new(),
            layout: Layout::default(),
            role,
            extra_patterns: Vec::new(),
            trust: Trust::default(),
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

    pub(crate) fn set_trust(&mut self, trust: Trust) {
        self.trust = trust;
    }

    pub(crate) fn set_persistent(&mut self) {
        self.persistent = true;
    }

    /// The same line, for a task that must not keep the client open.
    pub(crate) fn in_background(&self) -> Self {
        Line {
            client: self.client.background(),
            patient: self.patient.background(),
            ..self.clone()
        }
    }

    pub(crate) fn patient(&self) -> &Client {
        &self.patient
    }

    pub(crate) fn parent(&self) -> &str {
        &self.parent
    }

    /// Refuses what is no path, or no path of a line.
    pub(crate) fn check_path(&self) -> Result<()> {
        Ok(check_own(&self.client, &self.parent)?)
    }

    /// The path from the root of the ensemble, the same for handles with every chroot.
    pub(crate) fn absolute(&self) -> String {
        self.client.root().join(&self.parent)
    }

    pub(crate) fn shares_session_with(&self, other: &Line) -> bool {
        self.client.shares_session_with(&other.client)
    }

    /// Whether both stand in their lines in the same way, wherever these are.
    pub(crate) fn has_options_of(&self, other: &Line) -> bool {
        self.identifier == other.identifier
            && self.layout == other.layout
            && self.role == other.role
            && self.extra_patterns == other.extra_patterns
            && self.trust == other.trust
            && self.persistent == other.persistent
    }

    /// Whether the znode that stands for a place in another line is in this one, too: then both are
    /// the line of one znode. Ids are random, so no other znode has its name.
    pub(crate) async fn contains(&self, place: &Guard) -> Result<bool> {
        let path = path::join(&self.parent, path::name(place.path()));
        let mut pause = pause();
        loop {
            // This client's server may lag behind the one that created it.
            match self.patient.exists(&path).synced().await {
                Ok(stat) => return Ok(stat.is_some()),
                Err(error) if error.is_retryable() => tokio::time::sleep(pause.next_delay()).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The contenders among the children, the head first.
    pub(crate) fn read(&self, children: &Children) -> Vec<names::Contender> {
        let mut names = Names::new(self.layout, self.role);
        for pattern in &self.extra_patterns {
            names.add(pattern);
        }
        names.contenders(children.iter())
    }

    /// The names in the line, the head first.
    pub(crate) async fn order(&self) -> Result<Vec<names::Contender>> {
        self.check_path()?;
        let mut pause = pause();
        loop {
            match self.patient.children(&self.parent).await {
                Ok(children) => return Ok(self.read(&children)),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Vec::new()),
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The contenders, the head first. Those who leave meanwhile are left out.
    pub(crate) async fn contenders(&self) -> Result<Vec<Contender>> {
        let order = self.order().await?;
        let mut contenders = Vec::with_capacity(order.len());
        // Not all at once: a line may be longer than the client's queue.
        for some in order.chunks(READS) {
            let paths = some.iter().map(|c| path::join(&self.parent, &c.name));
            let reads = paths.map(|path| (self.patient.get(&path).submit(), path));
            let reads: Vec<_> = reads.collect();
            for ((read, path), named) in reads.into_iter().zip(some) {
                match read.await {
                    Ok((identifier, stat)) => {
                        // A slice of what was received would keep all of that in memory.
                        let identifier = Bytes::copy_from_slice(&identifier);
                        contenders.push(Contender {
                            shared: named.shared,
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

    /// Waits until it is this contender's turn.
    ///
    /// Dropping the future leaves the line, in the background.
    pub(crate) async fn wait(&self) -> Result<Guard> {
        loop {
            if let Some(held) = self.stand(true).await? {
                return Ok(held);
            }
        }
    }

    /// Waits for the head of the line, or, if not to `wait`, leaves it again and returns `None`.
    ///
    /// Dropping the future leaves the line, in the background.
    pub(crate) async fn stand(&self, wait: bool) -> Result<Option<Guard>> {
        self.check_path()?;
        let mut lost = LostPlaces::new();
        loop {
            let (place, line) = self.join().await?;
            if let Some(held) = self.advance(place, line, wait).await? {
                return Ok(held.map(Guard::hold));
            }
            // The place vanished, with its session or by another client's deletion: join anew.
            lost.lose(&self.patient)?;
        }
    }

    /// A place at the end of the line, and the line with it.
    async fn join(&self) -> Result<(Guard, Vec<names::Contender>)> {
        let mut pause = pause();
        loop {
            self.patient.connected().await?;
            let (Own::Protected(mark) | Own::Hex(mark)) = self.layout.own(self.role);
            let path = path::join(&self.parent, mark);
            // From before the creation on, that there be no gap between its end and the place.
            let pledge = self.persistent.then(|| self.patient.pledge(&path));
            let mut create = self.patient.create(&path, &self.identifier).sequential();
            if !self.persistent {
                create = create.ephemeral();
            }
            let mut create = create.protected();
            if let Own::Hex(_) = self.layout.own(self.role) {
                create = create.prefix(Guid::random().hex());
            }
            let created = create.submit();
            // Not after the answer: the server executes one after the other, in one round trip.
            let children = self.patient.children(&self.parent).submit();
            match created.await {
                Ok(created) => {
                    if let Some(place) = self.place(created) {
                        let place = place.with_pledge(pledge);
                        let line = self.line_with(&place, children).await?;
                        return Ok((place, line));
                    }
                }
                // Containers and empty parents go when nobody needs them; make them again.
                Err(error)
                    if error.kind() == ErrorKind::NoNode && !zk_proto::seeded_bug!("A75") =>
                {
                    self.ensure_parent().await?;
                }
                // Another session follows, or `connected` says why not.
                Err(error)
                    if error.kind() == ErrorKind::SessionExpired && pause.may_go_on(&error) => {}
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The place that a znode is, unless its session has ended meanwhile.
    fn place(&self, created: Created) -> Option<Guard> {
        if self.persistent {
            return Some(Guard::new(&self.client, None, self.trust, created));
        }
        let lease = self.patient.lease();
        if created.stat.owner() == Some(lease.session()) {
            return Some(Guard::new(&self.client, Some(lease), self.trust, created));
        }
        // It may take a while to go.
        self.patient.delete(&created.path).guaranteed();
        None
    }

    /// The line, from these children if they were read after the place was taken.
    async fn line_with(
        &self,
        place: &Guard,
        children: Pending<Children>,
    ) -> Result<Vec<names::Contender>> {
        if let Ok(children) = children.await {
            let line = self.read(&children);
            if line.iter().any(|c| place.is_named(&c.name)) {
                return Ok(line);
            }
        }
        self.order().await
    }

    async fn ensure_parent(&self) -> Result<()> {
        ensure(&self.patient, &self.parent, self.layout).await
    }

    /// `None` if the place is gone; `Some(None)` if it is not at the head and was given up.
    async fn advance(
        &self,
        place: Guard,
        mut line: Vec<names::Contender>,
        wait: bool,
    ) -> Result<Option<Option<Guard>>> {
        let mut pause = pause();
        // A place that was just taken is assured by that.
        let mut confirmed: Option<Pending<_>> = None;
        loop {
            if !place.is_live() {
                return Ok(None);
            }
            let Some(own) = line.iter().find(|c| place.is_named(&c.name)) else {
                if zk_proto::seeded_bug!("A62") {
                    std::future::pending::<()>().await;
                }
                return Ok(None);
            };
            let Some(ahead) = obstacle(&line, own) else {
                // What else it may say, `assure` finds out.
                if let Some(confirmed) = confirmed
                    && let Err(error) = confirmed.await
                    && error.kind() == ErrorKind::NoNode
                {
                    return Ok(None);
                }
                return Ok(place.assure().await?.then_some(Some(place)));
            };
            if !wait {
                place.give_up().await?;
                return Ok(Some(None));
            }
            let ahead = match line.first() {
                Some(head) if zk_proto::seeded_bug!("A65") => head,
                _ => ahead,
            };
            let ahead = path::join(&self.parent, &ahead.name);
            // Not `exists`, which would leave a watch for the creation of what is gone (B68).
            match self.patient.get(&ahead).watch().await {
                Ok((_, _, watch)) => {
                    pause.reset();
                    // Whatever it tells, look again: a gap and the end of a session too.
                    watch.await;
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    if zk_proto::seeded_bug!("A63") {
                        std::future::pending::<()>().await;
                    }
                }
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
            // Goes out together with the read that shows whose turn it is.
            confirmed = place.needs_assurance().then(|| place.confirm());
            line = self.order().await?;
        }
    }
}

/// Creates the znode that all contend under.
pub(crate) async fn ensure(client: &Client, path: &str, layout: Layout) -> Result<()> {
    let ensured = client.ensure_path(path);
    let ensured = match layout.has_container() {
        true => ensured.container(),
        false => ensured,
    };
    Ok(ensured.await?)
}
