//! What is held, until it is lost or let go.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use zk_client::{
    Client, Created, ErrorKind, Lease, OpResult, Pending, Pledge, Repetition, Stat, State, Zxid,
    path,
};

use crate::error::{Lost, Result};
use crate::fate::Fate;
use crate::fenced::Fenced;
use crate::pause::pause;
use crate::renewal::{Trust, now, renew};

/// A fencing token: the zxid at which the guard's znode was created. It grows from holder to
/// holder, also when the lock's parent znode was deleted and made again, which starts sequence
/// numbers over.
///
/// # After a restore
///
/// A token can be compared with another of the same history of the same ensemble only. When the
/// ensemble is restored from a backup, or replaced by another, zxids start again where the backup
/// ends, or at 0. Then a new holder's token is smaller than those that were seen before, and what is
/// written to refuses it, or is equal to one of them by chance.
///
/// So keep a generation of the ensemble where it is not part of the backup, such as in the program's
/// configuration, and increase it with each restore. Compare the pairs `(generation, token)`, the
/// generation first: tuples in Rust are ordered like that, and in SQL a row is,
/// `(generation, token) <= (:generation, :token)`. Without a generation, the stored tokens have to be
/// reset after a restore, once no holder from before it can write any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Zxid);

impl Token {
    pub(crate) fn of(stat: &Stat) -> Self {
        Token(stat.czxid)
    }

    /// The token as a number, for systems that know nothing of ZooKeeper.
    pub fn get(self) -> i64 {
        self.0.0
    }
}

/// The token in decimal.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A lock, a lease or a leadership, as long as it is held. Not `Clone`: it is let go once.
///
/// Dropping it lets it go in the background, also outside a runtime: the deletion of its znode is
/// submitted by the drop, and [`Client::close`] waits for it.
///
/// # Losing the session
///
/// A guard is lost when its session ends, and counts as lost earlier: at its
/// [`deadline`](Self::deadline), before which the ensemble should not have ended the session:
/// [`Trust`] and [`Lease`] say what that rests on, and [`fenced`](Self::fenced) and
/// [`token`](Self::token) are for those who must not rest on it. Once a method has said that it is
/// lost, it stays so.
///
/// One that was made to outlive its session ([`Lock::persistent`](crate::Lock::persistent)) is lost
/// only when somebody deletes its znode, and has no deadline.
///
/// # Cost
///
/// While it is held, one task, and one write every sixth of the session's timeout in all that the
/// session holds, unless the program writes anyway: see [`Trust`].
#[must_use = "dropping a guard lets go of what it guards"]
pub struct Guard {
    client: Client,
    /// None for one that outlives sessions.
    lease: Option<Arc<Lease>>,
    path: String,
    token: Token,
    /// When the znode was created.
    created: Zxid,
    trust: Trust,
    fate: Arc<Fate>,
    renewal: Option<AbortHandle>,
    /// Of a place in a line that outlives sessions: the client is not closed before it is left.
    pledge: Option<Pledge>,
    held: bool,
}

impl Guard {
    /// A place in a line. It is not renewed before it is [`held`](Self::hold).
    pub(crate) fn new(
        client: &Client,
        lease: Option<Lease>,
        trust: Trust,
        created: Created,
    ) -> Self {
        let lease = lease.map(|lease| match trust {
            Trust::Quorum => lease.by_quorum(),
            Trust::Server => lease,
        });
        Guard {
            client: client.clone(),
            lease: lease.map(Arc::new),
            path: created.path,
            token: Token::of(&created.stat),
            created: created.stat.czxid,
            trust,
            fate: Arc::default(),
            renewal: None,
            pledge: None,
            held: true,
        }
    }

    pub(crate) fn with_pledge(mut self, pledge: Option<Pledge>) -> Self {
        self.pledge = pledge;
        self
    }

    /// The place is at the head of its line.
    pub(crate) fn hold(mut self) -> Self {
        self.pledge = None;
        if let (Some(lease), Trust::Quorum) = (&self.lease, self.trust) {
            let client = self.client.with_deadline(None).background();
            let runtime = client.runtime().clone();
            let renewal = renew(client, lease.clone(), self.path.clone(), self.fate.clone());
            self.renewal = Some(runtime.spawn(renewal).abort_handle());
        }
        self
    }

    /// The place has another znode now, further in the same line: what holds it has not changed,
    /// and so its token stays.
    pub(crate) fn with_token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn trust(&self) -> Trust {
        self.trust
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        path::name(&self.path) == name
    }

    /// Whether the session that holds it is not known to be over. One that is being closed is not.
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

    pub(crate) fn outlives_sessions(&self) -> bool {
        self.lease.is_none()
    }

    pub(crate) fn lose(&self, lost: Lost) -> Lost {
        self.fate.lose(lost)
    }

    /// Its znode is not there.
    pub(crate) fn gone(&self) -> Lost {
        self.lose(if self.is_live() {
            Lost::Deleted
        } else {
            Lost::SessionEnded
        })
    }

    /// There is nothing left to let go of.
    pub(crate) fn disarm(mut self) {
        self.held = false;
    }

    /// Has a quorum confirm it, if that is what it needs to be trusted; false if it is gone.
    pub(crate) async fn assure(&self) -> Result<bool> {
        let mut pause = pause();
        let timeout = self.client.session().timeout;
        let started = now();
        let mut wanted = timeout / 2;
        while self.trust == Trust::Quorum && !self.has_left(wanted) {
            // What a server has answered after a pause is proven three tenths of the timeout later, and
            // a renewal must be in time for that. Where every reply takes long, so much is never left.
            wanted = match now() < started + timeout / 2 {
                true => timeout * 2 / 5,
                false => timeout / 5,
            };
            match self.confirm().await {
                // The leader's refusal proves as much as a success.
                Err(error) if error.kind() == ErrorKind::NoAuth => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::SessionExpired) =>
                {
                    return Ok(false);
                }
                // To ask twice does no harm.
                Err(error) if pause.may_go_on(&error) => {}
                Err(error) => return Err(error.into()),
                Ok(_) if self.has_left(wanted) => break,
                Ok(_) => {}
            }
            tokio::time::sleep(pause.next_delay().min(timeout / 24)).await;
        }
        Ok(self.is_live())
    }

    /// Whether so much time is left of the lease.
    fn has_left(&self, left: Duration) -> bool {
        self.lease.as_ref().is_none_or(|lease| {
            lease
                .deadline()
                .is_some_and(|deadline| deadline > now() + left)
        })
    }

    /// Whether a [confirmation](Self::confirm) would leave more of the lease than is left now.
    pub(crate) fn needs_assurance(&self) -> bool {
        self.trust == Trust::Quorum && !self.has_left(self.client.session().timeout / 2)
    }

    /// Asks a quorum whether its znode is there, which is what assures it.
    pub(crate) fn confirm(&self) -> Pending<Vec<OpResult>> {
        let client = self.client.with_deadline(None);
        client.multi().check(&self.path, -1).commit()
    }

    /// The fencing token.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The path of the znode that stands for it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Until when it can be trusted, as things stand: the local time, by the monotonic clock, at
    /// which the ensemble could first give it away. Moves forward while the ensemble answers; by how
    /// much, [`Trust`] says. `None` if it is lost, or outlives its session.
    pub fn deadline(&self) -> Option<Instant> {
        if self.fate.lost().is_some() {
            return None;
        }
        self.lease.as_ref()?.deadline()
    }

    /// Whether it is held now. Asks the clock and nobody else, so it is right also in a process
    /// that was stopped and continued and has heard nothing since. What that rests on is said at
    /// [`Trust`] and [`Lease`].
    ///
    /// # Errors
    /// It is lost.
    pub fn check(&self) -> Result<(), Lost> {
        if zk_proto::seeded_bug!("A61") {
            return Ok(());
        }
        if let Some(lost) = self.fate.lost() {
            return Err(lost);
        }
        match &self.lease {
            Some(lease) => lease.check().map_err(|lost| self.lose(lost.into())),
            None => Ok(()),
        }
    }

    /// Waits until it is lost: its session ended or could have ended, or its znode was deleted by
    /// somebody. Sets a watch on the znode.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> Lost {
        if let Err(lost) = self.check() {
            return lost;
        }
        let mut told = pin!(self.fate.told());
        let mut lease = pin!(async {
            match &self.lease {
                Some(lease) => lease.lost().await.into(),
                None => std::future::pending().await,
            }
        });
        let mut deleted = pin!(self.deleted());
        let lost = std::future::poll_fn(|cx| {
            if let Poll::Ready(lost) = told.as_mut().poll(cx) {
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

    /// Waits until the znode is gone. If the ensemble cannot be asked, the lease will tell.
    async fn deleted(&self) -> Lost {
        let client = self.client.with_deadline(None);
        let mut pause = pause();
        loop {
            match client.exists(&self.path).watch().await {
                Ok((Some(stat), watch)) if stat.czxid == self.created => {
                    pause.reset();
                    watch.await;
                }
                Ok(_) => return Lost::Deleted,
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot watch the guard's znode");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Runs `future` while the guard is held, and drops it when the guard is lost.
    ///
    /// # Errors
    /// The guard was lost before the future was done.
    ///
    /// # Cancel safety
    /// Drops `future`.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, Lost> {
        self.check()?;
        let mut future = pin!(future);
        let mut lost = pin!(self.lost());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(lost) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(lost));
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Writes that take effect only if the guard is still held when the ensemble executes them: a
    /// transaction that begins with a check of the guard's znode.
    pub fn fenced(&self) -> Fenced<'_> {
        Fenced::new(self, self.client.multi().check(&self.path, -1))
    }

    /// Lets go: deletes the znode, through lost connections, until it is gone.
    pub(crate) async fn give_up(mut self) -> Result<()> {
        self.end_renewal();
        // Once its session is over, it is gone.
        delete(&self.client.with_deadline(None), &self.path, || {
            self.is_live()
        })
        .await?;
        self.held = false;
        Ok(())
    }

    fn end_renewal(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
    }
}

/// Deletes a guard's znode, as long as it may be there.
async fn delete(client: &Client, path: &str, may_be_there: impl Fn() -> bool) -> Result<()> {
    let mut pause = Repetition::of_cleanup();
    while may_be_there() {
        match client.delete(path).await {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::NoNode => break,
            Err(error) if pause.may_go_on(&error) => {
                if error.kind() == ErrorKind::SessionExpired {
                    // Another session follows, or this says why not.
                    client.connected().await?;
                }
                tokio::time::sleep(pause.next_delay()).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end_renewal();
        if !self.held || zk_proto::seeded_bug!("D3") {
            return;
        }
        let delete = self.client.delete(&self.path);
        match &self.lease {
            // Its session is over or being closed, which deletes it.
            Some(lease) if lease.deadline().is_none() => {}
            Some(_) => delete.guaranteed_ephemeral(),
            None => delete.guaranteed_across_sessions(),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("path", &self.path)
            .field("token", &self.token)
            .field("lost", &self.fate.lost())
            .finish_non_exhaustive()
    }
}
