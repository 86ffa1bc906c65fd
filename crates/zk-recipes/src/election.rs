//! One leader at a time, and who it is.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;

use crate::error::Result;
use crate::guard::Guard;
use crate::layout::Role;
use crate::leaders::Leaders;
use crate::line::{Contender, Line};
use crate::options::line_options;

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
///         // Runs while this program leads, and again when it has lost and won again.
///         term.fenced().set("/schedule", "next").commit().await
///     })
///     .await?;
/// # done?; Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of a [`Lock`](crate::Lock). So kazoo's `Election` takes part with
/// [`Layout::Kazoo`](crate::Layout::Kazoo), and Curator's `LeaderSelector` as it is; Curator's
/// `LeaderLatch` has names of its own, for which there is [`LeaderLatch`](crate::LeaderLatch).
///
/// # Cost
///
/// That of a [`Lock`](crate::Lock): a znode and a watch for each candidate, two requests in one round
/// trip to lead where nobody else wants to, and a notification and a round trip from one leader to the
/// next. [`observe`](Self::observe) has a task, one watch, and for each
/// change of leader two reads.
///
/// # Losing the session
///
/// While campaigning, the place in the line is lost, and a new one is taken at its end. While
/// leading, the term is over: see [`Guard`]. It is over on this side before the ensemble can let
/// another lead.
///
/// # Cancel safety
///
/// Dropping a campaign withdraws the candidacy. Dropping a term resigns in the background.
#[derive(Debug, Clone)]
pub struct Election {
    line: Line,
}

impl Election {
    /// The election that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::with_role(client, path, Role::Lock)
    }

    pub(crate) fn with_role(client: &Client, path: &str, role: Role) -> Self {
        Election {
            line: Line::new(client, path, role),
        }
    }

    /// Waits until this candidate leads.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses the election's znodes. An invalid path, or the
    /// root of the ensemble, is an error before anything is sent
    /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the candidacy.
    pub async fn campaign(&self) -> Result<Term> {
        let guard = self.line.wait().await?;
        Ok(Term { guard })
    }

    /// Waits until this candidate leads, all in all no longer than `timeout`.
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

    /// Leads if nobody does and nobody else wants to.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    ///
    /// # Cancel safety
    /// As [`campaign`](Self::campaign).
    pub async fn try_campaign(&self) -> Result<Option<Term>> {
        Ok(self.line.stand(false).await?.map(|guard| Term { guard }))
    }

    /// Runs `work` while this candidate leads, and stands again when its term is lost before the work
    /// is done: the work is dropped then, and called again in the next term. Resigns when it is done
    /// and returns what it returned; if the work has given the term to somebody else, when that one
    /// drops it.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    ///
    /// # Cancel safety
    /// Dropping the future drops the work, and resigns in the background.
    pub async fn lead<F: Future>(&self, mut work: impl FnMut(Arc<Term>) -> F) -> Result<F::Output> {
        loop {
            let term = Arc::new(self.campaign().await?);
            match term.run(work(term.clone())).await {
                Ok(done) => {
                    if let Some(term) = Arc::into_inner(term)
                        && let Err(error) = term.resign().await
                    {
                        // It ends with the session, whose end this is.
                        tracing::debug!(%error, "cannot resign");
                    }
                    return Ok(done);
                }
                Err(lost) => tracing::debug!(%lost, "stands for election again"),
            }
        }
    }

    /// Who leads, if anyone does. What it says is past when it is said.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn leader(&self) -> Result<Option<Contender>> {
        Ok(self.candidates().await?.into_iter().next())
    }

    /// The leader and those who want to succeed it, in order.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn candidates(&self) -> Result<Vec<Contender>> {
        self.line.contenders().await
    }

    /// Follows who leads, without being a candidate.
    pub fn observe(&self) -> Leaders {
        Leaders::of(&self.line)
    }
}

line_options!(Election);

/// A term of leadership. Everything about it is said at [`Guard`].
#[derive(Debug)]
#[must_use = "dropping a term resigns"]
pub struct Term {
    guard: Guard,
}

impl Term {
    /// Resigns: when this returns, the next candidate can lead.
    ///
    /// # Errors
    /// The client is over. The term then ends with the session.
    ///
    /// # Cancel safety
    /// Dropping the future resigns in the background.
    pub async fn resign(self) -> Result<()> {
        self.guard.give_up().await
    }
}

impl Deref for Term {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
