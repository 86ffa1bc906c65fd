//! The differences between a lock, a semaphore and an election.

use std::ops::Deref;

use zk_client::{Client, Guid};
use zk_recipes::{Election, Guard, Lock, LockGuard, Result, Semaphore, SemaphoreLease, Term};

use crate::cli::guarded::{self, Guarded};

/// A lock, a semaphore or an election, with this process as a contender.
pub(super) enum Contest {
    Lock(Lock),
    Semaphore(Semaphore),
    Election(Election),
}

/// The guard of a lock, a semaphore or an election.
pub(super) enum Held {
    Lock(LockGuard),
    Lease(SemaphoreLease),
    Term(Term),
}

impl Contest {
    /// The lock or semaphore; with the id of a place, that place first, if an earlier process has left it.
    pub(super) fn lock(client: &Client, lock: &guarded::Lock, id: Option<Guid>) -> Self {
        let args = &lock.guarded;
        if let Some(leases) = lock.leases {
            let leases = usize::try_from(leases).unwrap_or(usize::MAX);
            let semaphore = Semaphore::new(client, &args.path, leases).identifier(identifier(args));
            let semaphore = semaphore.layout(args.layout.into());
            return Contest::Semaphore(match id {
                Some(id) => semaphore.adopt_by(id),
                None => semaphore,
            });
        }
        let lock = Lock::new(client, &args.path).identifier(identifier(args));
        let lock = lock.layout(args.layout.into());
        Contest::Lock(match id {
            Some(id) => lock.adopt_by(id),
            None => lock,
        })
    }

    /// The same for an election.
    pub(super) fn election(client: &Client, args: &Guarded, id: Option<Guid>) -> Self {
        let election = Election::new(client, &args.path).identifier(identifier(args));
        let election = election.layout(args.layout.into());
        Contest::Election(match id {
            Some(id) => election.adopt_by(id),
            None => election,
        })
    }

    pub(super) fn is_election(&self) -> bool {
        matches!(self, Contest::Election(_))
    }

    /// Waits for the guard.
    pub(super) async fn obtain(&self) -> Result<Held> {
        match self {
            Contest::Lock(lock) => lock.acquire().await.map(Held::Lock),
            Contest::Semaphore(semaphore) => semaphore.acquire().await.map(Held::Lease),
            Contest::Election(election) => election.campaign().await.map(Held::Term),
        }
    }

    /// Obtains the guard if no other contender has it or waits for it.
    pub(super) async fn try_obtain(&self) -> Result<Option<Held>> {
        match self {
            Contest::Lock(lock) => Ok(lock.try_acquire().await?.map(Held::Lock)),
            Contest::Semaphore(semaphore) => Ok(semaphore.try_acquire().await?.map(Held::Lease)),
            Contest::Election(election) => Ok(election.try_campaign().await?.map(Held::Term)),
        }
    }

    /// The identifier of a holder, if there is one.
    pub(super) async fn head(&self) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Contest::Lock(lock) => lock
                .contenders()
                .await?
                .first()
                .map(|head| head.identifier.to_vec()),
            Contest::Semaphore(semaphore) => semaphore
                .holders()
                .await?
                .first()
                .map(|holder| holder.identifier.to_vec()),
            Contest::Election(election) => election
                .leader()
                .await?
                .map(|leader| leader.identifier.to_vec()),
        })
    }
}

impl Held {
    pub(super) async fn release(self) -> Result<()> {
        match self {
            Held::Lock(guard) => guard.release().await,
            Held::Lease(lease) => lease.release().await,
            Held::Term(term) => term.resign().await,
        }
    }
}

impl Deref for Held {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        match self {
            Held::Lock(guard) => guard.as_ref(),
            Held::Lease(lease) => lease.as_ref(),
            Held::Term(term) => term.as_ref(),
        }
    }
}

/// The identifier that other contenders see.
fn identifier(args: &Guarded) -> String {
    if let Some(given) = &args.identifier {
        return given.clone();
    }
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|user| !user.is_empty());
    let user = user.map(|user| user + "@").unwrap_or_default();
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{user}{host}:{}", std::process::id())
}
