//! Leadership in the znodes of Curator's `LeaderLatch`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;

use crate::election::{Election, Term};
use crate::error::Result;
use crate::layout::Role;
use crate::leaders::Leaders;
use crate::line::Contender;
use crate::renewal::Trust;

/// An [`Election`] whose candidates may be Curator's `LeaderLatch`es.
///
/// There is no `hasLeadership()`: what it says can be wrong when it is used, and Curator's goes on
/// saying yes through a lost connection if its error policy is told to. Leadership is a [`Term`]
/// here, over before the ensemble can give it away.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::LeaderLatch;
///
/// let latch = LeaderLatch::new(&zk, "/scheduler").id("host-1");
/// loop {
///     let term = latch.leadership().await?; // a place in the line until it is our turn
///     let over = term.lost().await;
///     println!("no longer leading: {over}");
/// } // and takes part again, at the end of the line
/// # }
/// ```
///
/// # Znodes
///
/// `path/_c_<uuid>-latch-<sequence>`, ephemeral, with the id for contents. The znode at `path` is a
/// container if it has to be created, or persistent on servers without containers. kazoo has nothing
/// like it.
///
/// # Cost
///
/// That of an [`Election`], in znodes, watches and requests.
///
/// # Losing the session
///
/// That of an [`Election`]. A latch never leads by the znode of an earlier session of its own
/// (CURATOR-696): what counts is who owns the znode, and that a quorum confirms it.
///
/// # Cancel safety
///
/// That of an [`Election`].
#[derive(Debug, Clone)]
pub struct LeaderLatch {
    election: Election,
}

impl LeaderLatch {
    /// The latch that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        LeaderLatch {
            election: Election::with_role(client, path, Role::Latch),
        }
    }

    /// What this participant calls itself.
    #[must_use]
    pub fn id(self, id: impl AsRef<[u8]>) -> Self {
        LeaderLatch {
            election: self.election.identifier(id),
        }
    }

    /// What a term's deadline rests on; [`Trust::Quorum`] unless given.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        LeaderLatch {
            election: self.election.trust(trust),
        }
    }

    /// Takes part, and waits until this participant leads.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses the latch's znodes. An invalid path, or the root
    /// of the ensemble, is an error before anything is sent
    /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// Dropping the future ends the participation.
    pub async fn leadership(&self) -> Result<Term> {
        self.election.campaign().await
    }

    /// Takes part, all in all no longer than `timeout`.
    ///
    /// # Errors
    /// As [`leadership`](Self::leadership).
    ///
    /// # Cancel safety
    /// As [`leadership`](Self::leadership).
    pub async fn leadership_timeout(&self, timeout: Duration) -> Result<Option<Term>> {
        self.election.campaign_timeout(timeout).await
    }

    /// Runs `work` whenever this participant leads, until it is done: see [`Election::lead`].
    ///
    /// # Errors
    /// As [`leadership`](Self::leadership).
    ///
    /// # Cancel safety
    /// Dropping the future drops the work, and ends the participation.
    pub async fn lead<F: Future>(&self, work: impl FnMut(Arc<Term>) -> F) -> Result<F::Output> {
        self.election.lead(work).await
    }

    /// Who leads, if anyone does.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn leader(&self) -> Result<Option<Contender>> {
        self.election.leader().await
    }

    /// The leader, and those who take part, in the order in which they will lead.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn participants(&self) -> Result<Vec<Contender>> {
        self.election.candidates().await
    }

    /// Follows who leads, without taking part.
    pub fn observe(&self) -> Leaders {
        self.election.observe()
    }
}
