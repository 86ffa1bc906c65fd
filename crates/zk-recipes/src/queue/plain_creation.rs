//! Creating an ephemeral sequential znode whose name has no id. Where the reply is lost, the client recognises
//! the znode by its session, the time of its creation and its contents, which never change: contenders of
//! ZooKeeper's `LeaderElectionSupport` watch a znode for its deletion, and a change of its contents would
//! use up their watch.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use zk_client::{Client, Created, Error, ErrorKind, Outcome, Pending, Pledge, Result, Zxid, path};

use crate::guard::claim::Claim;
use crate::retry::RetryBackoff;

/// Creates `parent/prefix<number>` in the current session. The first request is submitted at once.
///
/// # Cancel safety
/// Dropping the future deletes the znode in the background, should it be created.
pub(super) fn create_plain(
    client: &Client,
    parent: &str,
    prefix: &str,
    identifier: &[u8],
) -> impl Future<Output = Result<(Created, Arc<Claim>)>> + Send + 'static {
    let left = Left::default();
    let creation = PlainCreation {
        client: client.background(),
        left: left.clone(),
        parent: parent.to_owned(),
        prefix: prefix.to_owned(),
        identifier: identifier.to_vec(),
        seen: client.last_zxid(),
    };
    let attempt = creation.submit();
    let (mut finished, result) = oneshot::channel();
    let creating = Creating {
        client: creation.client.clone(),
        // Not the path of the znode, which is not being deleted yet.
        below: format!("{}/", parent.trim_end_matches('/')),
        result: Some(result),
        left,
        is_finished: false,
    };
    // A task of its own, since it has to find and delete the znode also after the caller has dropped
    // its future.
    client.runtime().spawn(async move {
        let client = creation.client.clone();
        let created = creation.finish(attempt, &mut finished).await;
        let created = created.map(|created| {
            created.map(|(created, claim)| Unclaimed {
                client,
                created,
                claim,
                armed: true,
            })
        });
        if let Some(created) = created.transpose() {
            // A znode that is not awaited is deleted by the drop, before the end of the pledge.
            drop(finished.send(created));
        }
        drop(creation);
    });
    creating
}

/// The clean-up of a creation whose future was dropped.
type Left = Arc<Mutex<Option<Pledge>>>;

/// What a contender awaits.
struct Creating {
    client: Client,
    below: String,
    /// `None` once the client's runtime has shut down, so that no request is completed any more.
    result: Option<oneshot::Receiver<Result<Unclaimed>>>,
    left: Left,
    is_finished: bool,
}

impl Future for Creating {
    type Output = Result<(Created, Arc<Claim>)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(result) = &mut self.result else {
            return Poll::Pending;
        };
        match Pin::new(result).poll(cx) {
            Poll::Ready(Ok(created)) => {
                self.is_finished = true;
                Poll::Ready(created.map(Unclaimed::claim))
            }
            Poll::Ready(Err(_)) => {
                self.result = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        if !self.is_finished {
            // A detached client ends no session, and must not end before the znode is deleted.
            let pledge = self.client.pledge_ephemeral(&self.below);
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(pledge);
        }
    }
}

struct PlainCreation {
    client: Client,
    left: Left,
    parent: String,
    prefix: String,
    identifier: Vec<u8>,
    /// A transaction before that of the creation.
    seen: Zxid,
}

/// What was found of a creation whose reply was lost, or whose znode another contender has taken.
enum Found {
    Znode(Created, Arc<Claim>),
    /// A znode that may be the one, or is about to be deleted.
    InDoubt,
    Nothing,
}

impl PlainCreation {
    /// The handle for requests, also those for a clean-up.
    fn client(&self) -> Client {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let cleaning_up = left.as_ref().and_then(Pledge::client);
        cleaning_up.unwrap_or(&self.client).clone()
    }

    fn submit(&self) -> Pending<Created> {
        let path = path::join(&self.parent, &self.prefix);
        let create = self.client.create(&path, &self.identifier);
        create.ephemeral().sequential().submit()
    }

    /// The znode; `None` if it is not awaited any more, and there is none.
    async fn finish<T>(
        &self,
        first: Pending<Created>,
        finished: &mut oneshot::Sender<T>,
    ) -> Result<Option<(Created, Arc<Claim>)>> {
        let epoch = self.client.session().epoch;
        let mut next = Some(first);
        loop {
            let attempt = next.take().unwrap_or_else(|| self.submit());
            let failed = match unless_closed(attempt, finished).await {
                Some(Ok(created)) => match Claim::take(&self.client, &created.stat) {
                    Some(claim) => return Ok(Some((created, claim))),
                    // A contender whose reply was lost has taken this znode for its own. There may be
                    // another in place of it.
                    None => None,
                },
                Some(Err(error)) if error.outcome() == Outcome::Unknown => Some(error),
                Some(Err(error)) => return Err(error),
                // The request was dropped: it is not sent any more, or its reply is discarded.
                None => None,
            };
            match (self.find(epoch).await?, failed) {
                (Some(found), _) => return Ok(Some(found)),
                (None, Some(error)) => return Err(error),
                (None, None) if finished.is_closed() => return Ok(None),
                (None, None) => {}
            }
        }
    }

    /// The znode, if a creation took effect that no other contender has taken for its own.
    async fn find(&self, epoch: u64) -> Result<Option<(Created, Arc<Claim>)>> {
        let mut backoff = RetryBackoff::of_cleanup();
        // The end of the session deletes the znode.
        while self.client.session().epoch == epoch {
            match self.look().await {
                Ok(Found::Znode(created, claim)) => return Ok(Some((created, claim))),
                Ok(Found::Nothing) => return Ok(None),
                Ok(Found::InDoubt) => backoff.sleep().await,
                Err(error) if error.kind() == ErrorKind::SessionExpired => return Ok(None),
                Err(error) => backoff.sleep_after(error).await.inspect_err(|error| {
                    let path = &self.parent;
                    tracing::warn!(%error, path, "a contender's znode cannot be looked for and may be left");
                })?,
            }
        }
        Ok(None)
    }

    /// The oldest znode of the session that can be the one. A contender that was submitted earlier can only
    /// have an older one, so that none takes the last one that another can have.
    async fn look(&self) -> Result<Found> {
        let client = self.client();
        let session = client.session().id;
        // This connection's server may lag behind the one that executed the creation.
        let children = match client.children(&self.parent).synced().await {
            Err(error) if is_missing(&error) => return Ok(Found::Nothing),
            children => children?,
        };
        let mut changed = Vec::new();
        let mut own = Vec::new();
        for name in children.iter() {
            if path::sequence_after(name, &self.prefix).is_none() {
                continue;
            }
            let path = path::join(&self.parent, name);
            let (data, stat) = match client.get(&path).await {
                // That of a contender with another ACL.
                Err(error) if error.kind() == ErrorKind::NoAuth => continue,
                Err(error) if is_missing(&error) => continue,
                read => read?,
            };
            let is_one = stat.owner() == Some(session) && stat.czxid > self.seen;
            if !is_one || Claim::is_handed_over(&client, &stat) {
                continue;
            }
            if data == self.identifier {
                own.push((stat, path));
            } else if stat.version > 0 {
                // Contents that have changed are no longer the identifier.
                changed.push((stat, path));
            }
        }
        own.sort_unstable_by_key(|(stat, _)| stat.czxid);
        changed.sort_unstable_by_key(|(stat, _)| stat.czxid);
        let mut nothing = Found::Nothing;
        for (stat, path) in own.into_iter().chain(changed) {
            let Some(claim) = Claim::take(&client, &stat) else {
                continue;
            };
            // A clean-up begins before the drop of the claim of what has had the znode.
            if client.is_cleaning_up(&path) {
                nothing = Found::InDoubt;
                continue;
            }
            // After the claim: before it, what had the znode could delete it.
            match client.exists(&path).await? {
                Some(found) if found.czxid == stat.czxid => {
                    return Ok(Found::Znode(Created::new(path, found), claim));
                }
                _ => {}
            }
        }
        Ok(nothing)
    }
}

/// The result of the attempt; `None` if the receiver was dropped before, and with it the attempt.
async fn unless_closed<T>(
    attempt: Pending<Created>,
    finished: &mut oneshot::Sender<T>,
) -> Option<Result<Created>> {
    let mut attempt = pin!(attempt);
    poll_fn(|cx| {
        if let Poll::Ready(done) = attempt.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        finished.poll_closed(cx).map(|()| None)
    })
    .await
}

fn is_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::NoNode
}

/// The znode until the caller has it.
struct Unclaimed {
    client: Client,
    created: Created,
    claim: Arc<Claim>,
    armed: bool,
}

impl Unclaimed {
    fn claim(mut self) -> (Created, Arc<Claim>) {
        self.armed = false;
        (self.created.clone(), self.claim.clone())
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if self.armed {
            self.client
                .delete(&self.created.path)
                .guaranteed_ephemeral();
        }
    }
}
