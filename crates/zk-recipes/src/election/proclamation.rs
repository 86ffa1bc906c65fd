//! A value that a leader publishes.

use zk_client::{ErrorKind, Outcome};

use super::Term;
use crate::error::{Error, GuardLost, Result};
use crate::retry::RetryBackoff;

impl Term {
    /// Publishes a value for the duration of this term, such as the address of this leader or the
    /// step that it has reached. [`Election::observe`](super::Election::observe) yields it with the
    /// leader, and [`Election::leader`](super::Election::leader) returns it, as the
    /// [`identifier`](crate::Contender::identifier).
    ///
    /// The value is the contents of the candidate's own znode, where it replaces the identifier: only a
    /// leader whose znode exists can proclaim, and the value goes with the term. For data that
    /// outlive the term use [`fenced`](Term::fenced). kazoo's `contenders()` and Curator's
    /// `getParticipants()` return it as the name of this candidate.
    ///
    /// Repeated after lost connections until the value is set. Of calls at the same time one takes
    /// effect last, in no particular order.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
    /// use zk_recipes::Election;
    ///
    /// let election = Election::new(&zk, "/election");
    /// let term = election.campaign().await?;
    /// term.proclaim("10.0.0.7:8080").await?;
    ///
    /// // In other programs:
    /// let mut leaders = election.observe();
    /// while let Some(leader) = leaders.next().await {
    ///     if let Some(leader) = leader? {
    ///         println!("{:?} leads with the token {}", leader.identifier, leader.token);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a term of a [`LeaderLatch`](crate::LeaderLatch), or of an election with
    /// [names](super::Election::names) that have no id: Curator's `LeaderLatch` and ZooKeeper's
    /// `LeaderElectionSupport` watch the znode ahead of them for its deletion only, and a change of its
    /// contents uses up that watch. [`Error::Lost`] if the term is over, and nothing was written. Otherwise the ensemble refuses the
    /// value, or the client is closed. Where the session ended during a request, its error, with an
    /// unknown outcome: the value was published until then or was not.
    ///
    /// # Cost
    /// One request. An observer is notified and reads the leader again: two reads.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a request that is on the wire. Of two proclamations one after
    /// the other, the later one remains.
    pub async fn proclaim(&self, value: impl AsRef<[u8]>) -> Result<()> {
        if self.has_fixed_contents {
            return Err(Error::Unsupported(
                "Java's candidates of a LeaderLatch or LeaderElectionSupport watch a leader's znode for its \
                 deletion only, and would wait for ever after a change of its contents; use an Election \
                 with the default names",
            ));
        }
        let client = self.guard.client().with_deadline(None);
        let mut backoff = RetryBackoff::of_repeatable();
        loop {
            self.guard.check()?;
            let error = match client.set(self.guard.path(), value.as_ref()).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            match (error.kind(), error.outcome()) {
                (ErrorKind::NoNode, _) => return Err(Error::Lost(self.guard.lose_missing())),
                (ErrorKind::SessionExpired, Outcome::Unknown) => {
                    self.guard.lose(GuardLost::SessionEnded);
                    return Err(error.into());
                }
                (ErrorKind::SessionExpired, _) => {
                    return Err(Error::Lost(self.guard.lose(GuardLost::SessionEnded)));
                }
                // The same value can be set again.
                (ErrorKind::ConnectionLost, _) => backoff.sleep().await,
                _ => backoff.sleep_after(error).await?,
            }
        }
    }
}
