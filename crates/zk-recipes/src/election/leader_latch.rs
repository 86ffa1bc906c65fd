//! Elections with the znodes of Curator's `LeaderLatch`.

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;

use super::leader_stream::LeaderStream;
use super::{Election, Term};
use crate::error::Result;
use crate::guard::LeaseBasis;
use crate::guard::handover::Handover;
use crate::queue::{Contender, Role};

/// An [`Election`] whose candidates may be Curator's `LeaderLatch`es.
///
/// There is no `hasLeadership()`: its answer can be out of date when it is used, and with one of its
/// error policies Curator's returns true through a lost connection. Leadership is a [`Term`] here,
/// over before the ensemble can let another participant lead.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::LeaderLatch;
///
/// let latch = LeaderLatch::new(&zk, "/scheduler").id("host-1");
/// loop {
///     let term = latch.leadership().await?; // waits in the queue until it leads
///     let over = term.lost().await;
///     println!("no longer leading: {over}");
/// } // and participates again, at the end of the queue
/// # }
/// ```
///
/// # Znodes
///
/// `path/_c_<uuid>-latch-<sequence>`, ephemeral, with the id as contents. The znode at `path` is a
/// container if it has to be created, or persistent on servers without containers. kazoo has no
/// counterpart.
///
/// # Cost
///
/// That of an [`Election`], in znodes, watches and requests.
///
/// # Losing the session
///
/// As for an [`Election`]. A latch never leads by the znode of an earlier session of its own
/// (CURATOR-696): the owner of the znode decides, and a quorum confirms it.
///
/// # After a crash
///
/// As for an [`Election`], with [`adopt_by`](Self::adopt_by).
///
/// # Cancel safety
///
/// As for an [`Election`].
#[derive(Debug, Clone)]
pub struct LeaderLatch {
    election: Election,
}

impl LeaderLatch {
    /// The latch at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        LeaderLatch {
            election: Election::with_role(client, path, Role::Latch),
        }
    }

    /// The contents of this participant's znode, by which people and programs recognize it.
    #[must_use]
    pub fn id(self, id: impl AsRef<[u8]>) -> Self {
        LeaderLatch {
            election: self.election.identifier(id),
        }
    }

    /// An id by which this participant is recognised after a crash: as
    /// [`Election::adopt_by`](crate::Election::adopt_by).
    #[must_use]
    pub fn adopt_by(self, id: zk_client::Guid) -> Self {
        LeaderLatch {
            election: self.election.adopt_by(id),
        }
    }

    /// What a term's deadline depends on; [`LeaseBasis::Quorum`] unless given.
    #[must_use]
    pub fn lease_basis(self, lease_basis: LeaseBasis) -> Self {
        LeaderLatch {
            election: self.election.lease_basis(lease_basis),
        }
    }

    /// Participates, and waits until this participant leads.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses the latch's znodes. An invalid path, or the root
    /// of the ensemble, is an error before anything is sent
    /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// Dropping the future ends the participation.
    pub async fn leadership(&self) -> Result<Term> {
        self.election.campaign().await
    }

    /// Participates for at most `timeout`, connecting included.
    ///
    /// # Errors
    /// As [`leadership`](Self::leadership).
    ///
    /// # Cancel safety
    /// As [`leadership`](Self::leadership).
    pub async fn leadership_timeout(&self, timeout: Duration) -> Result<Option<Term>> {
        self.election.campaign_timeout(timeout).await
    }

    /// Takes up the term that an earlier client of this session led and handed over: see
    /// [`Election::resume`].
    ///
    /// # Errors
    /// As [`Election::resume`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn resume(&self, handover: &Handover) -> Result<Option<Term>> {
        self.election.resume(handover).await
    }

    /// Runs `work` whenever this participant leads, until it is ready: see [`Election::lead`].
    ///
    /// # Errors
    /// As [`leadership`](Self::leadership).
    ///
    /// # Cancel safety
    /// Dropping the future drops the work, and ends the participation.
    pub async fn lead<F: Future>(&self, work: impl FnMut(Arc<Term>) -> F) -> Result<F::Output> {
        self.election.lead(work).await
    }

    /// The leader, if there is one. The leader may have changed when this returns.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn leader(&self) -> Result<Option<Contender>> {
        self.election.leader().await
    }

    /// The leader and the other participants, in the order in which they will lead.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn participants(&self) -> Result<Vec<Contender>> {
        self.election.candidates().await
    }

    /// A stream of the leaders, and of the values that they proclaim. Observing does not make this program a participant.
    pub fn observe(&self) -> LeaderStream {
        self.election.observe()
    }
}
