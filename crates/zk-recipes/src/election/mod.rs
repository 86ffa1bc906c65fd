//! Elections: one leader at a time, and the stream of leaders.

pub(crate) mod leader_latch;
mod leader_stream;
mod proclamation;

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;

pub use leader_stream::LeaderStream;

use crate::error::Result;
use crate::guard::Guard;
use crate::guard::delegate::delegate_to_guard;
use crate::guard::handover::Handover;
use crate::queue::builders::{names_option, queue_options};
use crate::queue::{Contender, ContenderQueue, Role};

/// An election among all programs on the ensemble that campaign under the same path.
///
/// Leadership is a scope, not a flag: a [`Term`], with a token that grows from term to term.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::Election;
///
/// let election = Election::new(&zk, "/election").identifier("node-1");
/// let done = election
///     .lead(|term| async move {
///         // Runs while this program leads, and again after it has lost and won again.
///         term.fenced().set("/schedule", "next").commit().await
///     })
///     .await?;
/// # done?; Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of a lock: `_c_<uuid>-lock-<sequence>` under `path`. So kazoo's `Election` interoperates with
/// [`Layout::Kazoo`](crate::Layout::Kazoo), and Curator's `LeaderSelector` without an option.
/// Curator's `LeaderLatch` has other names: use [`LeaderLatch`](crate::LeaderLatch) for these. For
/// ZooKeeper's own `LeaderElectionSupport`, use [`names("n_")`](Self::names).
///
/// A leader's [proclaimed](Term::proclaim) value is the contents of its znode, in place of the
/// identifier.
///
/// # Cost
///
/// That of a lock: a znode and a watch for each candidate, two requests in one round trip to lead
/// without contention, and a notification and a round trip from one leader to the next.
/// [`observe`](Self::observe) has a task, one watch, and two reads for each change of leader.
///
/// # Losing the session
///
/// While campaigning, the place in the queue is lost, and a new one is taken at its end. While
/// leading, the term is over: see [`Guard`]. It is over in this process before the ensemble can let
/// another candidate lead.
///
/// # After a crash
///
/// A process that resumes the session of an earlier one, as a `SessionStore` of zk_client does, takes up its
/// candidacy, or its term with the same token, by the first campaign with the same id given to [`adopt_by`](Self::adopt_by). What it
/// had proclaimed stays. Without an id, the earlier candidate stays as long as the session, and leads without
/// a program. `Lock` says more.
///
/// # Cancel safety
///
/// Dropping a campaign withdraws the candidacy. Dropping a term resigns in the background.
#[doc(alias = "LeaderSelector")]
#[derive(Debug, Clone)]
pub struct Election {
    queue: ContenderQueue,
}

impl Election {
    /// The election at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::with_role(client, path, Role::Lock)
    }

    fn with_role(client: &Client, path: &str, role: Role) -> Self {
        Election {
            queue: ContenderQueue::new(client, path, role),
        }
    }

    fn term(&self, guard: Guard) -> Term {
        Term {
            guard,
            has_fixed_contents: self.queue.has_fixed_contents(),
        }
    }

    /// Waits until this candidate leads.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses the election's znodes. An invalid path, or the
    /// root of the ensemble, is an error before anything is sent
    /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the candidacy.
    pub async fn campaign(&self) -> Result<Term> {
        let guard = self.queue.wait().await?;
        Ok(self.term(guard))
    }

    /// Waits until this candidate leads, for at most `timeout`, connecting included.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    ///
    /// # Cancel safety
    /// As [`campaign`](Self::campaign).
    pub async fn campaign_timeout(&self, timeout: Duration) -> Result<Option<Term>> {
        match tokio::time::timeout(timeout, self.campaign()).await {
            Ok(term) => term.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    /// Leads if there is no other candidate. Waits for a connection, not for the leadership.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    ///
    /// # Cancel safety
    /// As [`campaign`](Self::campaign).
    pub async fn try_campaign(&self) -> Result<Option<Term>> {
        Ok((self.queue.try_enter().await?).map(|guard| self.term(guard)))
    }

    /// Takes up the term that an earlier client of this session led and [handed over](Handover);
    /// `None` if the session is not the earlier client's, the znode was deleted, the candidate did not
    /// lead, or a term of this process has the znode.
    ///
    /// # Errors
    /// A request failed, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect: the session stays the leader's.
    pub async fn resume(&self, handover: &Handover) -> Result<Option<Term>> {
        let resumed = self.queue.resume(handover).await?;
        Ok(resumed.map(|guard| self.term(guard)))
    }

    /// Runs `work` while this candidate leads. When its term is lost before the work is ready, the
    /// work is dropped, and called again in the next term. When the work is ready, the candidate
    /// resigns, and this returns the work's output. If the work has kept a clone of the term, the
    /// candidate resigns when that is dropped.
    ///
    /// `work` may change variables before it returns its future. An `async` closure that changes them
    /// is refused, since its future would borrow from the closure and could not be spawned:
    ///
    /// ```no_run
    /// # async fn run(election: zk_recipes::Election) -> zk_recipes::Result<()> {
    /// let mut terms = 0;
    /// election
    ///     .lead(|term| {
    ///         terms += 1;
    ///         let message = format!("term {terms} has the token {}", term.token());
    ///         async move { println!("{message}") }
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the work does not stop what it has moved elsewhere: a closure in `spawn_blocking` and
    /// a spawned task continue after the term is lost. These have to call
    /// [`Term::check`](Term::check) before each step, or write with [`Term::fenced`](Term::fenced).
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    ///
    /// # Cancel safety
    /// Dropping the future drops the work, and resigns in the background.
    #[doc(alias = "takeLeadership")]
    #[doc(alias = "autoRequeue")]
    pub async fn lead<F: Future>(&self, mut work: impl FnMut(Arc<Term>) -> F) -> Result<F::Output> {
        loop {
            let term = Arc::new(self.campaign().await?);
            match term.run(work(term.clone())).await {
                Ok(done) => {
                    if let Some(term) = Arc::into_inner(term)
                        && let Err(error) = term.resign().await
                    {
                        // The term ends with the session, which has ended or is being closed.
                        tracing::debug!(%error, "cannot resign");
                    }
                    return Ok(done);
                }
                Err(lost) => tracing::debug!(%lost, "the term was lost, campaigning again"),
            }
        }
    }

    /// The leader, if there is one. The leader may have changed when this returns.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn leader(&self) -> Result<Option<Contender>> {
        Ok(self.candidates().await?.into_iter().next())
    }

    /// The leader and the other candidates, in the order in which they will lead.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn candidates(&self) -> Result<Vec<Contender>> {
        self.queue.contenders().await
    }

    /// A stream of the leaders, and of the values that they [proclaim](Term::proclaim). Observing does
    /// not make this program a candidate.
    pub fn observe(&self) -> LeaderStream {
        LeaderStream::of(&self.queue)
    }
}

queue_options!(Election);
names_option!(Election);

/// A term of leadership. It has the methods of [`Guard`], whose page says how it is lost.
#[derive(Debug)]
#[must_use = "dropping a term resigns"]
pub struct Term {
    guard: Guard,
    /// Whether candidates of other clients ignore, and lose their watch by, a change of the contents.
    has_fixed_contents: bool,
}

impl Term {
    /// Resigns: when this returns, the next candidate can lead.
    ///
    /// # Errors
    /// The client is closed. The term then ends with the session.
    ///
    /// # Cancel safety
    /// Dropping the future resigns in the background.
    pub async fn resign(self) -> Result<()> {
        self.guard.release().await
    }

    /// Resigns through a shared reference, such as an `Arc<Term>`. From this call on the term is lost
    /// for all of its users: [`check`](Self::check) fails with
    /// [`GuardLost::Released`](crate::GuardLost::Released), and [`run`](Self::run) drops its future.
    /// The work of [`Election::lead`] that calls this is dropped, and the candidate campaigns again.
    ///
    /// # Errors
    /// As [`resign`](Self::resign).
    ///
    /// # Cancel safety
    /// After a dropped future, the drop of the term resigns, or another call.
    pub async fn resign_shared(&self) -> Result<()> {
        self.guard.release_shared().await
    }
}

delegate_to_guard!(Term);
