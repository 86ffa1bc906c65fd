//! A znode whose contents are changed by compare-and-set.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;
use zk_client::{Client, Error, ErrorKind, Guid, OpResult, Outcome, RetryPolicy, Stat};

use super::verdict::{Verdict, of_cell, of_witness};
use super::witness::Witness;
use crate::error::Result;
#[cfg(feature = "locks")]
use crate::locks::{Lock, LockGuard};
use crate::paths::check_own;
use crate::retry::RetryBackoff;

/// What a change has replaced.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Changed<T> {
    /// The value before.
    pub before: T,
    /// The value after: the same if nothing was written.
    pub after: T,
    /// Whether it was written.
    pub written: bool,
    /// The stat of the znode with the value `after`.
    pub stat: Stat,
}

/// A znode whose contents are a value.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// A change has the caller's deadline as a whole, so its requests have none of their own.
    client: Client,
    path: String,
    /// The contents of a cell that has to be created.
    seed: Bytes,
    /// Also lets one change of a handle and its clones run at a time, since two would only conflict.
    witness: Arc<Mutex<Witness>>,
    #[cfg(feature = "locks")]
    promotion: Option<Promotion>,
}

/// The lock for changes that conflict often.
#[cfg(feature = "locks")]
#[derive(Debug, Clone)]
struct Promotion {
    lock: Lock,
    /// The number of conflicts after which a change acquires the lock.
    conflicts: u32,
}

/// The conflicts of one change, and the lock that it has acquired because of them.
#[derive(Debug, Default)]
struct Contention {
    conflicts: u32,
    #[cfg(feature = "locks")]
    held: Option<LockGuard>,
}

impl Cell {
    pub(super) fn new(client: &Client, path: &str, seed: Bytes) -> Self {
        Cell {
            client: client.with_deadline(None),
            path: path.to_owned(),
            seed,
            witness: Arc::new(Mutex::new(Witness::Missing)),
            #[cfg(feature = "locks")]
            promotion: None,
        }
    }

    pub(super) fn set_seed(&mut self, seed: Bytes) {
        self.seed = seed;
    }

    pub(super) fn set_without_witness(&mut self) {
        self.witness = Arc::new(Mutex::new(Witness::Off));
    }

    #[cfg(feature = "locks")]
    pub(super) fn set_promotion(&mut self, lock: &Lock, conflicts: u32) {
        self.promotion = Some(Promotion {
            lock: lock.clone(),
            conflicts,
        });
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The contents; `None` without the znode.
    pub(super) async fn read(&self) -> Result<Option<(Bytes, Stat)>> {
        check_own(&self.client, &self.path)?;
        let mut backoff = RetryBackoff::of_repeatable();
        loop {
            match self.client.get(&self.path).await {
                Ok(found) => return Ok(Some(found)),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// The contents. Creates the znode with the seed if it does not exist.
    pub(super) async fn get_or_create(&self) -> Result<(Bytes, Stat)> {
        check_own(&self.client, &self.path)?;
        let mut backoff = RetryBackoff::of_repeatable();
        self.read_or_create(true, &mut backoff).await
    }

    /// Creates the znode with the seed, unless it exists; the stat if this call is known to have
    /// created it.
    pub(super) async fn create(&self) -> Result<Option<Stat>> {
        check_own(&self.client, &self.path)?;
        // Creating it again has no further effect.
        let mut backoff = RetryBackoff::of_repeatable();
        loop {
            match self.client.create(&self.path, &self.seed).parents().await {
                Ok(created) => return Ok(Some(created.stat)),
                Err(error) if error.kind() == ErrorKind::NodeExists => return Ok(None),
                // Servers check the parent's ACL first.
                Err(error)
                    if error.kind() == ErrorKind::NoAuth
                        && self.client.exists(&self.path).await?.is_some() =>
                {
                    return Ok(None);
                }
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Computes new contents from the present ones, and writes them unless another writer was faster, in
    /// which case it starts again. Nothing is written if `change` returns `None`.
    ///
    /// # Errors
    /// With [`Outcome::Unknown`] the change took effect at most once. With others it did not.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a write that is on the wire.
    pub(super) async fn change(
        &self,
        mut change: impl FnMut(&Bytes, &Stat) -> Result<Option<Bytes>>,
    ) -> Result<Changed<Bytes>> {
        check_own(&self.client, &self.path)?;
        let mut witness = self.witness.lock().await;
        let mut backoff = RetryBackoff::new();
        let mut contention = Contention::default();
        loop {
            // Sent together with the read.
            let placing = witness.begin(&self.client, &self.path);
            let is_first = contention.conflicts == 0;
            let (before, stat) = self.read_or_create(is_first, &mut backoff).await?;
            let Some(after) = change(&before, &stat)? else {
                return Ok(Changed {
                    after: before.clone(),
                    before,
                    written: false,
                    stat,
                });
            };
            witness
                .place(&self.client, &self.path, placing, &mut backoff)
                .await?;
            let set = self.set(&mut witness, &after, &stat, &mut backoff).await?;
            if let Some(stat) = set {
                return Ok(Changed {
                    before,
                    after,
                    written: true,
                    stat,
                });
            }
            self.lose(&mut contention).await?;
        }
    }

    /// Writes new contents if the znode has not been written to since it had this stat; the stat
    /// after, or `None` if another writer was faster or the znode is gone. A znode that is deleted and
    /// created again in the round trip between the read and the write is recognized by its version only.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    ///
    /// # Cancel safety
    /// As [`change`](Self::change).
    pub(super) async fn replace(&self, known: &Stat, data: &Bytes) -> Result<Option<Stat>> {
        check_own(&self.client, &self.path)?;
        let mut witness = self.witness.lock().await;
        let mut backoff = RetryBackoff::new();
        loop {
            let placing = witness.begin(&self.client, &self.path);
            // The write has the version alone as condition, which another znode at the path may have as well.
            let looking = self.client.exists(&self.path).submit();
            witness
                .place(&self.client, &self.path, placing, &mut backoff)
                .await?;
            let found = match looking.await {
                Ok(found) => found,
                Err(error) => {
                    backoff.sleep_after(error).await?;
                    continue;
                }
            };
            if found.is_some_and(|found| is_same(&found, known)) {
                let set = self.set(&mut witness, data, known, &mut backoff).await?;
                if set.is_some() {
                    return Ok(set);
                }
            }
            // The server may lag behind, or the witness or its session may have been lost instead.
            match self.client.get(&self.path).synced().await {
                Ok((_, found)) if is_same(&found, known) => {}
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    async fn read_or_create(
        &self,
        is_first: bool,
        backoff: &mut RetryBackoff,
    ) -> Result<(Bytes, Stat)> {
        loop {
            let get = self.client.get(&self.path);
            let read = match is_first {
                true => get.await,
                // The server of this connection may lag behind the one that refused the version.
                false => get.synced().await,
            };
            match read {
                Ok(found) => return Ok(found),
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    if let Some(stat) = self.create().await? {
                        return Ok((self.seed.clone(), stat));
                    }
                }
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Counts a conflict, and acquires the lock if there were too many.
    #[cfg_attr(
        not(feature = "locks"),
        allow(
            clippy::unused_async,
            reason = "without locks there is none to acquire"
        )
    )]
    async fn lose(&self, contention: &mut Contention) -> Result<()> {
        contention.conflicts = contention.conflicts.saturating_add(1);
        #[cfg(feature = "locks")]
        if let Some(promotion) = &self.promotion
            && contention.conflicts >= promotion.conflicts
            && contention.held.is_none()
        {
            contention.held = Some(promotion.lock.acquire().await?);
        }
        Ok(())
    }

    /// Writes new contents over those of the stat `known`, and finds out what became of a write
    /// whose reply was lost. `None` if it had no effect and the contents have to be read again.
    async fn set(
        &self,
        witness: &mut Witness,
        data: &Bytes,
        known: &Stat,
        backoff: &mut RetryBackoff,
    ) -> Result<Option<Stat>> {
        let mark = Guid::random().hex();
        let epoch = self.client.session().epoch;
        // The error of the first attempt that may have taken effect.
        let mut doubt: Option<Error> = None;
        loop {
            let failed = match self.attempt(witness, data, known, &mark).await {
                Ok(stat) => return Ok(Some(stat)),
                Err(error) => error,
            };
            let refused = failed.outcome() == Outcome::Rejected
                && matches!(failed.kind(), ErrorKind::BadVersion | ErrorKind::NoNode);
            let lost = failed.outcome() == Outcome::Unknown;
            if refused && doubt.is_none() {
                if failed.failed_op() == Some(1) {
                    *witness = Witness::Missing;
                }
                return Ok(None);
            }
            if refused || lost {
                let error = doubt.take().unwrap_or(failed);
                match self.look(witness, data, known, &mark, epoch).await {
                    Verdict::Applied(stat) => return Ok(Some(*stat)),
                    Verdict::Conflict => return Ok(None),
                    // The cell does not have the version `known`, and never will again.
                    Verdict::NotApplied if refused && witness.placed().is_some() => {
                        return Ok(None);
                    }
                    Verdict::NotApplied if refused => return Err(error.into()),
                    Verdict::NotApplied => {}
                    Verdict::Unknown => return Err(error.into()),
                }
                if !backoff.allows(&error) {
                    return Err(error.into());
                }
                doubt = Some(error);
            } else {
                let goes_on = backoff.allows(&failed);
                if let Some(error) = doubt.take_if(|_| !goes_on) {
                    return Err(error.into());
                }
                if !goes_on {
                    return Err(failed.into());
                }
            }
            backoff.sleep().await;
            if doubt.is_none() {
                self.client.connected().await?;
            }
            if self.client.session().epoch != epoch {
                match doubt.take_if(|_| witness.placed().is_none()) {
                    Some(error) => return Err(error.into()),
                    // As long as the old witness exists, the same mark goes to it.
                    None if doubt.is_some() => {}
                    None => return Ok(None),
                }
            }
        }
    }

    async fn attempt(
        &self,
        witness: &Witness,
        data: &Bytes,
        known: &Stat,
        mark: &str,
    ) -> zk_client::Result<Stat> {
        let Some(placed) = witness.placed() else {
            let set = self.client.set(&self.path, data);
            return set.version(known.version).await;
        };
        let multi = self.client.multi();
        let multi = multi.set_version(&self.path, data, known.version);
        let results = multi.set(&placed.path, mark).commit().await?;
        Ok(match results.first() {
            Some(OpResult::Set(stat)) => *stat,
            // The client checks what a transaction returns.
            _ => *known,
        })
    }

    /// Finds out whether an attempt took effect.
    async fn look(
        &self,
        witness: &Witness,
        data: &Bytes,
        known: &Stat,
        mark: &str,
        epoch: u64,
    ) -> Verdict {
        let path = witness.placed().map_or(&self.path, |placed| &placed.path);
        // The server of this connection may lag behind the one that the write was sent to.
        let get = || self.client.get(path).synced().submit();
        let read = self.client.retry_read(&RetryPolicy::default(), get).await;
        let Ok((found, stat)) = read else {
            return Verdict::Unknown;
        };
        match witness.placed() {
            // The servers may keep it for a while after the client has given its session up.
            Some(_) => of_witness(mark, &found, &stat, known, data.len()),
            // In another session the znode may have another history, with versions and zxids of its
            // own: the ensemble may have been restored from a backup.
            None if self.client.session().epoch != epoch => Verdict::Unknown,
            None => of_cell(known, &stat, found == *data),
        }
    }
}

/// Whether a znode was not written to in between.
fn is_same(found: &Stat, known: &Stat) -> bool {
    let written = |stat: &Stat| (stat.czxid, stat.mzxid, stat.version);
    written(found) == written(known)
}
