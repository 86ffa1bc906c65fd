//! What a lock, a lease or a leadership is while it is held.

#[cfg(feature = "partition")]
pub(crate) mod any_loss;
pub(crate) mod claim;
#[cfg(any(feature = "locks", feature = "election"))]
pub(crate) mod delegate;
pub(crate) mod fenced;
pub(crate) mod handover;
pub(crate) mod held;
mod loss;
mod renewal;
pub(crate) mod revoke;
mod token;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use zk_client::{Client, Created, ErrorKind, Lease, OpResult, Pending, Pledge, State, Zxid, path};

use claim::Claim;
use held::Held;
use loss::LossSignal;
pub use renewal::LeaseBasis;
pub(crate) use renewal::now;
use renewal::renew;
pub use token::Token;

use crate::error::{GuardLost, Result};
use crate::retry::RetryBackoff;

/// A lock, a lease or a leadership, as long as it is held. Not `Clone`: it is released once.
///
/// The guards of the recipes, such as `LockGuard` and `Term`, have the methods of this type, and
/// `AsRef<Guard>` passes any of them to a function that takes `&Guard`:
///
/// ```
/// use zk_recipes::{Guard, LockGuard};
///
/// fn report(guard: &Guard) {
///     println!("{} is held with the token {}", guard.path(), guard.token());
/// }
///
/// fn report_lock(lock: &LockGuard) {
///     report(lock.as_ref());
/// }
/// ```
///
/// They are released with `release` or `resign`, or, if several tasks share them, with
/// `release_shared` or `resign_shared`.
///
/// Dropping a guard releases it in the background, also outside a runtime: the drop submits the
/// deletion of its znode, and [`Client::close`] waits for that.
///
/// # Losing the session
///
/// A guard is lost when its session ends, and counts as lost earlier: at its
/// [`deadline`](Self::deadline), before which the ensemble should not have ended the session.
/// [`LeaseBasis`] and [`Lease`] say what this depends on; [`fenced`](Self::fenced) and
/// [`token`](Self::token) do not depend on clocks. Once a method has reported the loss, the guard
/// stays lost.
///
/// The guard of a lock that outlives its session (`Lock::persistent`) is lost only when a client
/// deletes its znode, and has no deadline.
///
/// # Cost
///
/// While a guard is held, one task, and one write every sixth of the session's timeout for all guards
/// of the session, unless the program writes anyway: see [`LeaseBasis`].
#[must_use = "dropping a guard releases what it guards"]
pub struct Guard {
    client: Client,
    /// None for a guard that outlives sessions.
    lease: Option<Arc<Lease>>,
    path: String,
    token: Token,
    /// When the znode was created.
    created: Zxid,
    lease_basis: LeaseBasis,
    loss: Arc<LossSignal>,
    renewal: Option<AbortHandle>,
    /// Of a place in a queue that outlives sessions: keeps the client open until the place is left.
    pledge: Option<Pledge>,
    /// Whether the znode has to be deleted when this is dropped.
    armed: AtomicBool,
    /// Of a znode with a contender's id.
    held: Option<Held>,
    /// Of a znode without an id in its name.
    claim: Option<Arc<Claim>>,
}

impl Guard {
    /// A place in a queue. Its lease is renewed once it is [held](Self::start_renewal).
    pub(crate) fn new(
        client: &Client,
        lease: Option<Lease>,
        lease_basis: LeaseBasis,
        created: Created,
    ) -> Self {
        let lease = lease.map(|lease| match lease_basis {
            LeaseBasis::Quorum => lease.by_quorum(),
            LeaseBasis::Server => lease,
        });
        Guard {
            client: client.clone(),
            lease: lease.map(Arc::new),
            path: created.path,
            token: Token::of(&created.stat),
            created: created.stat.czxid,
            lease_basis,
            loss: Arc::default(),
            renewal: None,
            pledge: None,
            armed: AtomicBool::new(true),
            held: None,
            claim: None,
        }
    }

    pub(crate) fn with_pledge(mut self, pledge: Option<Pledge>) -> Self {
        self.pledge = pledge;
        self
    }

    /// Until it is dropped, no acquisition of this process takes up the znode as an earlier one's.
    pub(crate) fn with_held(mut self, held: Option<Held>) -> Self {
        self.held = held;
        self
    }

    /// Until it is dropped, no creation of this process whose reply was lost takes the znode for its own.
    pub(crate) fn with_claim(mut self, claim: Option<Arc<Claim>>) -> Self {
        self.claim = claim;
        self
    }

    /// The place has reached the head of its queue.
    pub(crate) fn start_renewal(mut self) -> Self {
        self.pledge = None;
        if let (Some(lease), LeaseBasis::Quorum) = (&self.lease, self.lease_basis) {
            let client = self.client.with_deadline(None).background();
            let runtime = client.runtime().clone();
            let renewal = renew(client, lease.clone(), self.path.clone(), self.loss.clone());
            self.renewal = Some(runtime.spawn(renewal).abort_handle());
        }
        self
    }

    /// Replaces the token by that of an earlier znode of the same holder, which held without a break.
    pub(crate) fn with_token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    #[cfg(feature = "locks")]
    pub(crate) fn lease_basis(&self) -> LeaseBasis {
        self.lease_basis
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        path::name(&self.path) == name
    }

    /// Whether the guard's session is not known to have ended. False while it is being closed.
    pub(crate) fn is_live(&self) -> bool {
        let Some(lease) = &self.lease else {
            return true;
        };
        let session = self.client.session();
        let over = matches!(
            self.client.state(),
            State::Expired { .. } | State::AuthFailed | State::Closed
        );
        !over && session.id == lease.session() && session.epoch == lease.epoch()
    }

    fn outlives_sessions(&self) -> bool {
        self.lease.is_none()
    }

    pub(crate) fn lose(&self, lost: GuardLost) -> GuardLost {
        self.loss.set(lost)
    }

    /// The znode does not exist: the guard is lost, for the reason that follows from that.
    pub(crate) fn lose_missing(&self) -> GuardLost {
        self.lose(if self.is_live() {
            GuardLost::Deleted
        } else {
            GuardLost::SessionEnded
        })
    }

    /// Drops the guard without deleting the znode.
    #[cfg(feature = "locks")]
    pub(crate) fn forget(self) {
        self.set_armed(false);
    }

    /// Whether a drop deletes the znode.
    fn set_armed(&self, armed: bool) {
        self.armed.store(armed, Ordering::Relaxed);
    }

    /// Has a quorum confirm the znode until enough of the lease is left, if the lease depends on a
    /// quorum; false if the znode or the session is gone.
    pub(crate) async fn confirm_lease(&self) -> Result<bool> {
        let mut backoff = RetryBackoff::new();
        let timeout = self.client.session().timeout;
        let started = now();
        let mut wanted = timeout / 2;
        while self.lease_basis == LeaseBasis::Quorum && !self.has_left(wanted) {
            // What a server answers after a pause is proven three tenths of the timeout later, and a
            // renewal must be in time for that. Where every reply takes long, so much is never left.
            wanted = match now() < started + timeout / 2 {
                true => timeout * 2 / 5,
                false => timeout / 5,
            };
            match self.submit_check().await {
                // The leader's refusal proves as much as a success.
                Err(error) if error.kind() == ErrorKind::NoAuth => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::SessionExpired) =>
                {
                    return Ok(false);
                }
                // A check has no effect and can be repeated.
                Err(error) if backoff.allows(&error) => {}
                Err(error) => return Err(error.into()),
                Ok(_) if self.has_left(wanted) => break,
                Ok(_) => {}
            }
            tokio::time::sleep(backoff.next_delay().min(timeout / 24)).await;
        }
        Ok(self.is_live())
    }

    /// Whether more than this time is left of the lease.
    fn has_left(&self, left: Duration) -> bool {
        self.lease.as_ref().is_none_or(|lease| {
            lease
                .deadline()
                .is_some_and(|deadline| deadline > now() + left)
        })
    }

    /// Whether a [check](Self::submit_check) would leave more of the lease than is left now.
    pub(crate) fn needs_check(&self) -> bool {
        self.lease_basis == LeaseBasis::Quorum && !self.has_left(self.client.session().timeout / 2)
    }

    /// Has a quorum decide whether the znode exists, which renews the lease.
    pub(crate) fn submit_check(&self) -> Pending<Vec<OpResult>> {
        let client = self.client.with_deadline(None);
        client.multi().check(&self.path, -1).commit()
    }

    /// The fencing token.
    #[doc(alias = "getLastPathIsLeader")]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The path of the guard's znode.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The local time, by the monotonic clock, until which the guard can be trusted as things stand:
    /// the ensemble cannot give it to another client before. Moves forward while the ensemble
    /// answers; by how much, [`LeaseBasis`] says. `None` if the guard is lost, or outlives its
    /// session.
    pub fn deadline(&self) -> Option<Instant> {
        if self.loss.get().is_some() {
            return None;
        }
        self.lease.as_ref()?.deadline()
    }

    /// Whether the guard is held now. Reads the clock and sends nothing, so the answer is also right
    /// in a process that was just continued after a stop and has not received anything since.
    /// [`LeaseBasis`] and [`Lease`] say what this depends on.
    ///
    /// # Errors
    /// The guard is lost.
    #[doc(alias = "hasLeadership")]
    #[doc(alias = "isAcquiredInThisProcess")]
    pub fn check(&self) -> Result<(), GuardLost> {
        if let Some(lost) = self.loss.get() {
            return Err(lost);
        }
        match &self.lease {
            Some(lease) => lease.check().map_err(|lost| self.lose(lost.into())),
            None => Ok(()),
        }
    }

    /// Waits until the guard is lost: its session ended or could have ended, a client deleted its
    /// znode, or it was released through a shared reference. Sets a watch on the znode.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> GuardLost {
        if let Err(lost) = self.check() {
            return lost;
        }
        let mut known = pin!(self.loss.wait());
        let mut lease = pin!(async {
            match &self.lease {
                Some(lease) => lease.lost().await.into(),
                None => std::future::pending().await,
            }
        });
        let mut deleted = pin!(self.deleted());
        let lost = std::future::poll_fn(|cx| {
            if let Poll::Ready(lost) = known.as_mut().poll(cx) {
                return Poll::Ready(lost);
            }
            if let Poll::Ready(lost) = lease.as_mut().poll(cx) {
                return Poll::Ready(lost);
            }
            deleted.as_mut().poll(cx)
        })
        .await;
        self.lose(lost)
    }

    /// Waits until the znode is deleted. Stays pending if the ensemble refuses the read: the
    /// lease still ends then.
    async fn deleted(&self) -> GuardLost {
        let client = self.client.with_deadline(None);
        let mut backoff = RetryBackoff::new();
        loop {
            let error = match client.exists(&self.path).watch().await {
                Ok((Some(stat), watch)) if stat.czxid == self.created => {
                    backoff.reset();
                    watch.await;
                    continue;
                }
                Ok(_) => return GuardLost::Deleted,
                Err(error) => error,
            };
            if let Err(error) = backoff.sleep_after(error).await {
                tracing::debug!(%error, "cannot watch the guard's znode");
                return std::future::pending().await;
            }
        }
    }

    /// Runs `future` while the guard is held, and drops it when the guard is lost. Dropping a future
    /// does not stop what it has moved to other tasks or threads, such as with `spawn_blocking`:
    /// these have to call [`check`](Self::check).
    ///
    /// # Errors
    /// The guard was lost before the future was ready.
    ///
    /// # Cancel safety
    /// Drops `future`.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, GuardLost> {
        self.check()?;
        run_until(self.lost(), future).await
    }

    /// Releases: deletes the znode, through lost connections, until it does not exist.
    pub(crate) async fn release(self) -> Result<()> {
        self.delete().await
    }

    /// Releases through a shared reference: the guard is lost for all of its users from now on.
    pub(crate) async fn release_shared(&self) -> Result<()> {
        self.lose(GuardLost::Released);
        self.delete().await
    }

    /// Deletes the znode, through lost connections, until it does not exist.
    pub(crate) async fn delete(&self) -> Result<()> {
        self.end_renewal();
        let client = self.client.with_deadline(None);
        let mut backoff = RetryBackoff::of_cleanup();
        // The end of the session deletes the znode.
        while self.armed.load(Ordering::Relaxed) && self.is_live() {
            match client.delete(&self.path).await {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::NoNode => break,
                Err(error) if backoff.allows(&error) => {
                    if error.kind() == ErrorKind::SessionExpired {
                        // Waits for the next session, or fails with the reason why there is none.
                        client.connected().await?;
                    }
                    backoff.sleep().await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.set_armed(false);
        Ok(())
    }

    fn end_renewal(&self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}

/// Runs `future` until `lost` is ready.
pub(crate) async fn run_until<F: Future>(
    lost: impl Future<Output = GuardLost>,
    future: F,
) -> Result<F::Output, GuardLost> {
    let mut future = pin!(future);
    let mut lost = pin!(lost);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(lost) = lost.as_mut().poll(cx) {
            return Poll::Ready(Err(lost));
        }
        future.as_mut().poll(cx).map(Ok)
    })
    .await
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end_renewal();
        if !self.armed.load(Ordering::Relaxed) {
            return;
        }
        let delete = self.client.delete(&self.path);
        match &self.lease {
            // The session has ended or is being closed, which deletes the znode.
            Some(lease) if lease.deadline().is_none() => {}
            Some(_) => delete.guaranteed_ephemeral(),
            None => delete.guaranteed_across_sessions(),
        }
    }
}

impl AsRef<Guard> for Guard {
    fn as_ref(&self) -> &Guard {
        self
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("path", &self.path)
            .field("token", &self.token)
            .field("lost", &self.loss.get())
            .finish_non_exhaustive()
    }
}
