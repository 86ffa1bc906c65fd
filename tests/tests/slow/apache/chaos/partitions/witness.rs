//! What is done under a lock, by the memory and the clock that all its holders share. Nothing that is
//! cut is between them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use zk_recipes::Token;

use crate::apache::chaos::Run;
use crate::common::contest::Held;

/// What a lock, a leadership or a semaphore guards.
pub struct Resource {
    pub name: &'static str,
    /// How many may use it at a time.
    pub capacity: usize,
    began: Instant,
    run: Arc<Run>,
    /// Holders are not to let go of it.
    is_kept: AtomicBool,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    holders: Vec<Holder>,
    /// The latest token of those that were trusted when they came.
    last: Option<Token>,
    /// The tokens of holders that were inside at the same time.
    overlapped: Vec<Token>,
    figures: Figures,
}

struct Holder {
    host: u8,
    since: Instant,
    held: Arc<Held>,
}

/// What was done with a resource.
#[derive(Clone, Copy, Debug, Default)]
#[allow(dead_code, reason = "printed by its Debug")]
pub struct Figures {
    /// Guards that were trusted when they were had.
    pub granted: u64,
    pub sections: u64,
    /// Guards that were not released but lost.
    pub lost: u64,
    /// Writes with the guard's token.
    pub fenced: u64,
}

impl Resource {
    pub fn new(name: &'static str, capacity: usize, run: &Arc<Run>) -> Self {
        Resource {
            name,
            capacity,
            began: Instant::now(),
            run: run.clone(),
            is_kept: AtomicBool::new(false),
            inside: Mutex::default(),
        }
    }

    /// Comes in, if the guard is trusted; false if it is not.
    pub fn enter(&self, host: u8, held: &Arc<Held>) -> bool {
        let mut inside = self.inside();
        if held.check().is_err() {
            inside.figures.lost += 1;
            return false;
        }
        let token = held.token();
        if let Some(last) = inside.last.filter(|last| *last >= token)
            && self.capacity == 1
        {
            self.violation(format_args!("token {token} was given after {last}"));
        }
        inside.last = inside.last.max(Some(token));
        inside.figures.granted += 1;
        inside.holders.push(Holder {
            host,
            since: Instant::now(),
            held: held.clone(),
        });
        true
    }

    /// A section that is done if the guard is trusted; false if it is not, and never will be again.
    pub fn work(&self, held: &Held) -> bool {
        let mut inside = self.inside();
        if held.check().is_err() {
            inside.figures.lost += 1;
            return false;
        }
        inside.figures.sections += 1;
        let trusted = |holder: &&Holder| holder.held.check().is_ok();
        let first: Vec<_> = inside.holders.iter().filter(trusted).collect();
        // A guard that is lost stays lost. So at the moment between the two looks all of these were
        // trusted, however long the looks took.
        let both: Vec<_> = first.into_iter().filter(trusted).collect();
        let tokens: Vec<_> = both.iter().map(|holder| holder.held.token()).collect();
        if both.len() > self.capacity && inside.overlapped != tokens {
            let holders = both.iter().map(|holder| {
                let since = holder.since.elapsed();
                format!(
                    "{} on host {} for {since:?}",
                    holder.held.path(),
                    holder.host
                )
            });
            let holders: Vec<_> = holders.collect();
            self.violation(format_args!("held by {}: {holders:?}", holders.len()));
            inside.overlapped = tokens;
        }
        true
    }

    pub fn wrote(&self) {
        self.inside().figures.fenced += 1;
    }

    pub fn leave(&self, held: &Held) {
        let token = held.token();
        self.inside()
            .holders
            .retain(|other| other.held.token() != token);
    }

    /// Has holders keep it, until they lose it, or let it go as they like.
    pub fn keep(&self, keep: bool) {
        self.is_kept.store(keep, Ordering::Relaxed);
    }

    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// The hosts that hold it by their own account.
    pub fn holders(&self) -> Vec<u8> {
        let inside = self.inside();
        let holders = inside.holders.iter();
        let trusted = holders.filter(|holder| holder.held.check().is_ok());
        trusted.map(|holder| holder.host).collect()
    }

    pub fn figures(&self) -> Figures {
        self.inside().figures
    }

    fn violation(&self, what: std::fmt::Arguments<'_>) {
        let at = self.began.elapsed();
        self.run
            .violation(format!("{} at {at:.3?}: {what}", self.name));
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
