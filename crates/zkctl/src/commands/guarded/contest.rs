//! The differences between a lock and an election.

use std::ops::Deref;

use zk_client::Client;
use zk_recipes::{Election, Guard, Lock, LockGuard, Result, Term};

use crate::cli::guarded::Guarded;

/// A lock or an election, with this process as a contender.
pub(super) enum Contest {
    Lock(Lock),
    Election(Election),
}

/// The guard of a lock or an election.
pub(super) enum Held {
    Lock(LockGuard),
    Term(Term),
}

impl Contest {
    pub(super) fn lock(client: &Client, args: &Guarded) -> Self {
        let lock = Lock::new(client, &args.path).identifier(identifier(args));
        Contest::Lock(lock.layout(args.layout.into()))
    }

    pub(super) fn election(client: &Client, args: &Guarded) -> Self {
        let election = Election::new(client, &args.path).identifier(identifier(args));
        Contest::Election(election.layout(args.layout.into()))
    }

    pub(super) fn is_election(&self) -> bool {
        matches!(self, Contest::Election(_))
    }

    /// Waits for the guard.
    pub(super) async fn obtain(&self) -> Result<Held> {
        match self {
            Contest::Lock(lock) => lock.acquire().await.map(Held::Lock),
            Contest::Election(election) => election.campaign().await.map(Held::Term),
        }
    }

    /// Obtains the guard if no other contender has it or waits for it.
    pub(super) async fn try_obtain(&self) -> Result<Option<Held>> {
        match self {
            Contest::Lock(lock) => Ok(lock.try_acquire().await?.map(Held::Lock)),
            Contest::Election(election) => Ok(election.try_campaign().await?.map(Held::Term)),
        }
    }

    /// The identifier of the holder, if there is one.
    pub(super) async fn head(&self) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Contest::Lock(lock) => lock
                .contenders()
                .await?
                .first()
                .map(|head| head.identifier.to_vec()),
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
            Held::Term(term) => term.resign().await,
        }
    }
}

impl Deref for Held {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        match self {
            Held::Lock(guard) => guard.as_ref(),
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
