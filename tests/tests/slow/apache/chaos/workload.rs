//! What the clients do, and the outcomes that they got.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zk_client::{Client, Error, ErrorKind, Outcome, SessionId, SessionInfo};

use crate::apache::chaos::{ROOT, Run};

/// A write, and its outcome.
#[derive(Debug)]
pub struct Attempt {
    pub op: Op,
    /// Its data, which no other write has; the path of a deletion.
    pub id: String,
    pub fate: Fate,
    /// The session it was made in, if it was in one for certain.
    pub session: Option<SessionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Set,
    Create,
    /// Protected, with a number; so it may be sent twice and must take effect once.
    Sequential,
    Ephemeral,
    Delete,
    /// Creates a znode and sets another.
    Multi,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With the path of what was created.
    Acknowledged(String),
    Unknown,
    NotSent,
    Rejected,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fate::Acknowledged(_) => "acknowledged",
            Fate::Unknown => "unknown",
            Fate::NotSent => "not sent",
            Fate::Rejected => "rejected",
        })
    }
}

/// Makes what the workers work on.
pub async fn prepare(hosts: &str, workers: usize) {
    let zk = crate::apache::chaos::unrooted(hosts).await;
    for parent in ["s", "t", "e", "p", "q", "m"] {
        zk.ensure_path(&format!("{ROOT}/{parent}")).await.unwrap();
        for n in (0..workers).filter(|_| parent != "e") {
            let path = format!("{ROOT}/{parent}/{n}");
            zk.create(&path, "").await.unwrap();
        }
    }
    zk.close().await.unwrap();
}

/// A znode that one worker alone sets, knowing its version.
#[derive(Debug)]
struct Register {
    path: String,
    version: Option<i32>,
    /// The session in which the version was known, or an earlier one.
    epoch: u64,
    /// Whether a write of unknown outcome may still take effect.
    doubt: bool,
}

impl Register {
    fn new(path: String) -> Self {
        Register {
            path,
            version: None,
            epoch: 0,
            doubt: false,
        }
    }

    /// Its version, read if it is not known.
    async fn version(&mut self, zk: &Client) -> Option<i32> {
        if self.version.is_none() {
            self.epoch = zk.session().epoch;
            zk.sync(&self.path).await.ok()?;
            let (_, stat) = zk.get(&self.path).await.ok()?;
            self.version = Some(stat.version);
        }
        self.version
    }

    fn written(&mut self, version: i32, epoch: u64) {
        self.version = Some(version);
        self.epoch = epoch;
        // An earlier write of the same version can not take effect any more.
        self.doubt = false;
    }
}

pub struct Worker {
    number: usize,
    zk: Client,
    rng: fastrand::Rng,
    run: Arc<Run>,
    ids: u64,
    set: Register,
    multi: Register,
    /// What was created for certain, and not deleted.
    files: Vec<String>,
    attempts: Vec<Attempt>,
}

impl Worker {
    pub fn new(number: usize, zk: Client, seed: u64, run: Arc<Run>) -> Self {
        Worker {
            number,
            zk,
            rng: fastrand::Rng::with_seed(seed),
            run,
            ids: 0,
            set: Register::new(format!("/s/{number}")),
            multi: Register::new(format!("/t/{number}")),
            files: Vec::new(),
            attempts: Vec::new(),
        }
    }

    pub async fn work(mut self) -> Vec<Attempt> {
        while !self.run.is_over() {
            match self.rng.u8(..100) {
                0..25 => self.set().await,
                25..45 => self.create(false).await,
                45..55 => self.sequential().await,
                55..60 => self.create(true).await,
                60..72 => self.delete().await,
                72..84 => self.multi().await,
                _ => self.read().await,
            }
            // The machine is small, and what is written has to be read again at the end.
            tokio::time::sleep(Duration::from_millis(self.rng.u64(2..12))).await;
        }
        self.attempts
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{}-{}", self.number, self.ids)
    }

    fn note(&mut self, op: Op, id: String, fate: Fate, session: Option<SessionId>) {
        if matches!(fate, Fate::Acknowledged(_)) {
            self.run.done.fetch_add(1, Ordering::Relaxed);
        }
        self.attempts.push(Attempt {
            op,
            id,
            fate,
            session,
        });
    }

    /// The session of a request that was submitted since it was `before`.
    fn still(&self, before: SessionInfo) -> Option<SessionId> {
        let same = before.id == self.zk.session().id && !before.id.is_none();
        same.then_some(before.id)
    }

    /// What an error says; one that the server has no reason for is suspicious.
    fn fate(&self, op: Op, id: &str, error: &Error, excused: Option<ErrorKind>) -> Fate {
        match error.outcome() {
            Outcome::Unknown => Fate::Unknown,
            Outcome::NotSent => Fate::NotSent,
            Outcome::Rejected => {
                if excused != Some(error.kind()) {
                    let why = "refused without a reason";
                    self.run
                        .suspicion(Vec::new(), format!("{op:?} {id}: {error} ({why})"));
                }
                Fate::Rejected
            }
        }
    }

    async fn set(&mut self) {
        let Some(version) = self.set.version(&self.zk).await else {
            return;
        };
        let id = self.id();
        let before = self.zk.session();
        let pending = self.zk.set(&self.set.path, &id).version(version).submit();
        let session = self.still(before);
        let fate = match pending.await {
            Ok(stat) => {
                if stat.version != version + 1 {
                    let wrote = format!("set {id} of version {version}");
                    self.run.violation(format!("{wrote} made {}", stat.version));
                }
                self.set.written(stat.version, before.epoch);
                Fate::Acknowledged(self.set.path.clone())
            }
            Err(error) => {
                let excused = self.set.doubt.then_some(ErrorKind::BadVersion);
                let fate = self.fate(Op::Set, &id, &error, excused);
                self.set.doubt |= fate == Fate::Unknown;
                if fate != Fate::NotSent {
                    self.set.version = None;
                }
                fate
            }
        };
        self.note(Op::Set, id, fate, session);
    }

    async fn multi(&mut self) {
        let Some(version) = self.multi.version(&self.zk).await else {
            return;
        };
        let id = self.id();
        let before = self.zk.session();
        let path = format!("/m/{}/{id}", self.number);
        let pending = self
            .zk
            .multi()
            .check(&self.set.path, -1)
            .create(&path, &id)
            .set_version(&self.multi.path, &id, version)
            .commit();
        let session = self.still(before);
        let fate = match pending.await {
            Ok(_) => {
                self.multi.written(version + 1, before.epoch);
                Fate::Acknowledged(path)
            }
            Err(error) => {
                let excused = self.multi.doubt.then_some(ErrorKind::BadVersion);
                let fate = self.fate(Op::Multi, &id, &error, excused);
                self.multi.doubt |= fate == Fate::Unknown;
                if fate != Fate::NotSent {
                    self.multi.version = None;
                }
                fate
            }
        };
        self.note(Op::Multi, id, fate, session);
    }

    async fn create(&mut self, ephemeral: bool) {
        let id = self.id();
        let (op, path) = match ephemeral {
            true => (Op::Ephemeral, format!("/e/{id}")),
            false => (Op::Create, format!("/p/{}/{id}", self.number)),
        };
        let before = self.zk.session();
        let mut create = self.zk.create(&path, &id);
        if ephemeral {
            create = create.ephemeral();
        }
        let pending = create.submit();
        let session = self.still(before);
        let fate = match pending.await {
            Ok(made) => {
                if made.path != path {
                    self.run.violation(format!("{path} became {}", made.path));
                }
                if !ephemeral {
                    self.files.push(path);
                }
                Fate::Acknowledged(made.path)
            }
            Err(error) => self.fate(op, &id, &error, None),
        };
        self.note(op, id, fate, session);
    }

    async fn sequential(&mut self) {
        let id = self.id();
        let path = format!("/q/{}/n-", self.number);
        let fate = match self.zk.create(&path, &id).sequential().protected().await {
            Ok(made) => Fate::Acknowledged(made.path),
            Err(error) => self.fate(Op::Sequential, &id, &error, None),
        };
        self.note(Op::Sequential, id, fate, None);
    }

    async fn delete(&mut self) {
        if self.files.is_empty() {
            return;
        }
        let path = self.files.swap_remove(self.rng.usize(..self.files.len()));
        let before = self.zk.session();
        let pending = self.zk.delete(&path).submit();
        let session = self.still(before);
        let fate = match pending.await {
            Ok(()) => Fate::Acknowledged(path.clone()),
            Err(error) => self.fate(Op::Delete, &path, &error, None),
        };
        // It is not deleted again, so that its presence shows whether it was sent.
        self.note(Op::Delete, path, fate, session);
    }

    /// Whatever server answers, a session sees what it has done.
    async fn read(&mut self) {
        let epoch = self.zk.session().epoch;
        let known = self.set.version.filter(|_| epoch == self.set.epoch);
        let Ok((_, stat)) = self.zk.get(&self.set.path).await else {
            return;
        };
        self.run.done.fetch_add(1, Ordering::Relaxed);
        let same = self.zk.session().epoch == epoch;
        if let Some(known) = known.filter(|_| same)
            && stat.version < known
        {
            let what = format!("version {} of {}", stat.version, self.set.path);
            self.run
                .suspicion(Vec::new(), format!("{what} was read after {known}"));
        }
    }
}
