//! What few have at a time: a lock, a leadership or a lease of a semaphore.

use std::ops::Deref;

use zk_client::Client;
use zk_recipes::{Election, Guard, Lock, LockGuard, Result, Semaphore, SemaphoreLease, Term};

/// What there are few of at a time.
#[derive(Debug)]
pub enum Contest {
    Lock(Lock),
    Election(Election),
    Semaphore(Semaphore),
}

/// What one has of it.
#[derive(Debug)]
pub enum Held {
    Lock(LockGuard),
    Term(Term),
    Lease(SemaphoreLease),
}

impl Contest {
    pub fn lock(zk: &Client, path: &str, name: &str) -> Self {
        Contest::Lock(Lock::new(zk, path).identifier(name))
    }

    pub fn election(zk: &Client, path: &str, name: &str) -> Self {
        Contest::Election(Election::new(zk, path).identifier(name))
    }

    pub fn semaphore(zk: &Client, path: &str, max: usize, name: &str) -> Self {
        Contest::Semaphore(Semaphore::new(zk, path, max).identifier(name))
    }

    pub async fn acquire(&self) -> Result<Held> {
        match self {
            Contest::Lock(lock) => lock.acquire().await.map(Held::Lock),
            Contest::Election(election) => election.campaign().await.map(Held::Term),
            Contest::Semaphore(semaphore) => semaphore.acquire().await.map(Held::Lease),
        }
    }
}

impl Held {
    pub async fn release(self) -> Result<()> {
        match self {
            Held::Lock(guard) => guard.release().await,
            Held::Term(term) => term.resign().await,
            Held::Lease(lease) => lease.release().await,
        }
    }
}

impl Deref for Held {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        match self {
            Held::Lock(guard) => guard.as_ref(),
            Held::Term(term) => term.as_ref(),
            Held::Lease(lease) => lease.as_ref(),
        }
    }
}
