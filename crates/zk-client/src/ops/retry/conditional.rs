//! Retries of writes that depend on a znode's version, until it is known whether they took effect.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{ErrorCode, Stat, Zxid};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::delete::Delete;
use crate::ops::pending::{ANY_VERSION, Boxed, Pending};
use crate::ops::retry::again;
use crate::ops::set::Set;
use crate::retry_policy::{Attempts, RetryPolicy};

/// [`Set`], [`Delete`] or [`Multi`](crate::Multi) with retries. Made by [`Set::retry`],
/// [`Delete::retry`] and [`Multi::retry`](crate::Multi::retry).
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct ConditionalRetry<'a, Op> {
    pub(super) op: Op,
    pub(super) policy: &'a RetryPolicy,
}

impl<'a, D: AsRef<[u8]>> Set<'a, D> {
    /// Retries as `policy` says, and finds out what became of an attempt whose reply was lost or
    /// does not say whether it was executed.
    ///
    /// With a [`version`](Self::version), the client reads the znode after such an attempt:
    ///
    /// | version found | data found | what follows |
    /// |---|---|---|
    /// | the one given | any | the attempt had no effect: there is another |
    /// | the next | ours | it took effect: the stat found is the result |
    /// | the next | others | another writer was faster: [`BadVersion`](ErrorKind::BadVersion) |
    /// | another, or no znode | any | the outcome stays [`Outcome::Unknown`](crate::Outcome::Unknown) |
    ///
    /// The outcome also stays unknown if the znode may have been created after the first attempt,
    /// that is, if its creation is newer than all transactions that the session had seen by then.
    /// Without a version, and at the end of the session or of the client, it stays unknown in any
    /// case.
    ///
    /// # What it relies on
    ///
    /// No other client may write the very same bytes over the same version: its write cannot be
    /// distinguished from this one. A number that several clients increment is such a case. Put
    /// into the data what no other writer writes, or do not retry.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop an attempt that is on the wire.
    pub fn retry(self, policy: &'a RetryPolicy) -> ConditionalRetry<'a, Self> {
        ConditionalRetry { op: self, policy }
    }
}

impl<'a> Delete<'a> {
    /// Retries as `policy` says, and finds out what became of an attempt whose reply was lost or
    /// does not say whether it was executed.
    ///
    /// With a [`version`](Self::version), the client looks for the znode after such an attempt. If
    /// it has that version, the attempt had no effect, and there is another; if it has another
    /// version, another client was faster: [`BadVersion`](ErrorKind::BadVersion). If it does not
    /// exist, or may have been created after the first attempt, the outcome stays
    /// [`Outcome::Unknown`](crate::Outcome::Unknown), as another client may have deleted it. If any
    /// deletion will do, treat that as a success, or use [`guaranteed`](Self::guaranteed).
    ///
    /// Without a version, and at the end of the session or of the client, the outcome stays unknown
    /// in any case.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop an attempt that is on the wire.
    pub fn retry(self, policy: &'a RetryPolicy) -> ConditionalRetry<'a, Self> {
        ConditionalRetry { op: self, policy }
    }
}

impl<D: AsRef<[u8]>> ConditionalRetry<'_, Set<'_, D>> {
    /// Puts the first attempt on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<Stat> {
        let set = OwnedSet {
            client: self.op.client.clone(),
            path: self.op.path.to_owned(),
            data: (!self.op.null).then(|| Bytes::copy_from_slice(self.op.data.as_ref())),
            version: self.op.version,
            deadline: self.op.deadline,
            is_unique: true,
        };
        submit(set, self.policy)
    }
}

/// Sets data that another client may write over the same version, too. Equal data that the client
/// reads after an attempt of unknown outcome prove nothing then, and the outcome stays unknown.
pub(crate) fn set_with_retries(
    client: &Client,
    path: &str,
    data: Bytes,
    version: i32,
    policy: &RetryPolicy,
) -> Boxed<Stat> {
    let set = OwnedSet {
        client: client.clone(),
        path: path.to_owned(),
        data: Some(data),
        version,
        deadline: None,
        is_unique: false,
    };
    submit(set, policy)
}

impl ConditionalRetry<'_, Delete<'_>> {
    /// Puts the first attempt on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<()> {
        let delete = OwnedDelete {
            client: self.op.client.clone(),
            path: self.op.path.to_owned(),
            version: self.op.version,
            deadline: self.op.deadline,
        };
        submit(delete, self.policy)
    }
}

/// What a read of the znode says about a conditional write of unknown outcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<T> {
    Applied(T),
    NotApplied,
    /// The write was not executed, and never can be.
    Conflict,
    Unknown,
}

/// A write that takes effect only on one version of a znode, if any version was given.
pub(super) trait ConditionalWrite: Send + Sync + 'static {
    type Output: Send;

    fn client(&self) -> &Client;

    /// Whether the state of the znodes lets at most one of several attempts through.
    fn is_conditional(&self) -> bool;

    /// Whether an attempt may have been refused because an earlier one took effect.
    fn may_be_own_effect(&self, refusal: &Error) -> bool {
        matches!(refusal.kind(), ErrorKind::BadVersion | ErrorKind::NoNode)
    }

    /// The error of an attempt that was refused when none of them had taken effect; `doubt` is that of
    /// an earlier attempt of unknown outcome.
    fn refused_without_effect(&self, doubt: Error, _refusal: Error) -> Error {
        doubt
    }

    /// The error if the znodes do not show whether an attempt took effect.
    fn undecided(&self, doubt: Error) -> Error {
        doubt
    }

    /// Makes an attempt.
    fn submit(&self) -> Pending<Self::Output>;

    /// Finds out whether an attempt took effect that was made when the session had seen `seen`.
    fn look(&self, seen: Zxid) -> impl Future<Output = Result<Verdict<Self::Output>>> + Send;
}

/// A [`Set`] without borrows.
struct OwnedSet {
    client: Client,
    path: String,
    /// `None` for null.
    data: Option<Bytes>,
    version: i32,
    deadline: Option<Duration>,
    /// Whether no other client writes the same data over the same version.
    is_unique: bool,
}

impl ConditionalWrite for OwnedSet {
    type Output = Stat;

    fn client(&self) -> &Client {
        &self.client
    }

    fn is_conditional(&self) -> bool {
        self.version != ANY_VERSION
    }

    fn submit(&self) -> Pending<Stat> {
        let data = self.data.as_deref().unwrap_or_default();
        let mut set = self.client.set(&self.path, data);
        set.null = self.data.is_none();
        set.deadline = self.deadline;
        set.version(self.version).submit()
    }

    async fn look(&self, seen: Zxid) -> Result<Verdict<Stat>> {
        // This connection's server may lag behind the one that the write was sent to.
        let (data, stat) = match self.client.get(&self.path).synced().await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Verdict::Unknown),
            Err(error) => return Err(error),
        };
        let same_data = data == self.data.as_deref().unwrap_or_default();
        let verdict = of_set(self.version, &stat, same_data, seen);
        Ok(match verdict {
            Verdict::Applied(_) if !self.is_unique => Verdict::Unknown,
            verdict => verdict,
        })
    }
}

pub(crate) fn of_set(version: i32, found: &Stat, ours: bool, seen: Zxid) -> Verdict<Stat> {
    if found.czxid > seen {
        // This may be another znode, created after the first one was written to and deleted.
        Verdict::Unknown
    } else if found.version == version {
        Verdict::NotApplied
    } else if found.version != version.wrapping_add(1) {
        Verdict::Unknown
    } else if ours && found.mzxid > seen {
        Verdict::Applied(*found)
    } else {
        Verdict::Conflict
    }
}

/// A [`Delete`] without borrows.
struct OwnedDelete {
    client: Client,
    path: String,
    version: i32,
    deadline: Option<Duration>,
}

impl ConditionalWrite for OwnedDelete {
    type Output = ();

    fn client(&self) -> &Client {
        &self.client
    }

    fn is_conditional(&self) -> bool {
        self.version != ANY_VERSION
    }

    fn submit(&self) -> Pending<()> {
        let mut delete = self.client.delete(&self.path);
        delete.deadline = self.deadline;
        delete.version(self.version).submit()
    }

    async fn look(&self, seen: Zxid) -> Result<Verdict<()>> {
        let found = self.client.exists(&self.path).synced().await?;
        Ok(of_delete(self.version, found.as_ref(), seen))
    }
}

pub(crate) fn of_delete(version: i32, found: Option<&Stat>, seen: Zxid) -> Verdict<()> {
    match found {
        Some(stat) if stat.czxid > seen => Verdict::Unknown,
        Some(stat) if stat.version == version => Verdict::NotApplied,
        // It is still the same znode, and versions do not come back.
        Some(_) => Verdict::Conflict,
        None => Verdict::Unknown,
    }
}

pub(super) fn submit<W: ConditionalWrite>(write: W, policy: &RetryPolicy) -> Boxed<W::Output> {
    let before = Before::now(write.client());
    let attempts = policy.start();
    let first = write.submit();
    Box::pin(resolve(write, attempts, before, first))
}

/// What was known before the first attempt.
pub(crate) struct Before {
    /// The newest transaction that the session had seen.
    pub(crate) seen: Zxid,
    epoch: u64,
}

impl Before {
    pub(crate) fn now(client: &Client) -> Self {
        Before {
            seen: client.last_zxid(),
            epoch: epoch(client),
        }
    }

    /// Whether the session is still the one of the first attempt.
    pub(crate) fn is_same_session(&self, client: &Client) -> bool {
        epoch(client) == self.epoch
    }
}

/// The epoch of the session in which a request submitted now may be executed.
fn epoch(client: &Client) -> u64 {
    client.session().epoch.max(1)
}

/// Repeats a write until its outcome is known, or the policy of `attempts` gives up.
async fn resolve<W: ConditionalWrite>(
    write: W,
    mut attempts: Attempts,
    before: Before,
    mut attempt: Pending<W::Output>,
) -> Result<W::Output> {
    let client = write.client();
    // The error of the first attempt that may have taken effect.
    let mut doubt: Option<Error> = None;
    loop {
        let failed = match attempt.await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let refused = write.may_be_own_effect(&failed);
        let lost = write.is_conditional() && failed.is_unresolved();
        // A refusal may be the effect of an earlier attempt of unknown outcome.
        if lost || (refused && doubt.is_some()) {
            let (error, refusal) = match doubt.take() {
                Some(doubt) => (doubt, Some(failed).filter(|_| refused)),
                None => (failed, None),
            };
            let found = match write.look(before.seen).await {
                // In another session the znode may have another history, with versions and zxids
                // of its own: the ensemble may have been restored from a backup.
                Ok(_) if !before.is_same_session(client) => Ok(Verdict::Unknown),
                found => found,
            };
            match (found, refusal) {
                (Ok(Verdict::Applied(done)), _) => return Ok(done),
                (Ok(Verdict::Conflict), _) => {
                    return Err(error.into_rejected(ErrorCode::BadVersion));
                }
                (Ok(Verdict::NotApplied), None) => doubt = Some(error),
                (Ok(Verdict::NotApplied), Some(refusal)) => {
                    return Err(write.refused_without_effect(error, refusal));
                }
                (Ok(Verdict::Unknown), _) => return Err(write.undecided(error)),
                // If the read fails, the outcome of the write stays unknown.
                (Err(_), _) => return Err(error),
            }
        } else if !attempts.allows_repeat(&failed) {
            return Err(doubt.unwrap_or(failed));
        } else if doubt.is_none() {
            if !again(&mut attempts, client, &failed).await {
                return Err(failed.with_retries_exhausted());
            }
            attempt = write.submit();
            continue;
        }
        // The earlier attempt had no effect when the client looked. Should it have one later, its
        // version lets only one of all attempts through; but without a further look that is unknown.
        if let Some(error) = doubt.take() {
            if !again(&mut attempts, client, &error).await {
                return Err(error.with_retries_exhausted());
            }
            doubt = Some(error);
        }
        attempt = write.submit();
    }
}

impl<D: AsRef<[u8]>> IntoFuture for ConditionalRetry<'_, Set<'_, D>> {
    type Output = Result<Stat>;
    type IntoFuture = Boxed<Stat>;

    fn into_future(self) -> Boxed<Stat> {
        self.submit()
    }
}

impl IntoFuture for ConditionalRetry<'_, Delete<'_>> {
    type Output = Result<()>;
    type IntoFuture = Boxed<()>;

    fn into_future(self) -> Boxed<()> {
        self.submit()
    }
}

crate::ops::operation::blocking!(
    [<D: AsRef<[u8]>>] ConditionalRetry<'_, Set<'_, D>>, Stat, |op| op.op.client
);
crate::ops::operation::blocking!([] ConditionalRetry<'_, Delete<'_>>, (), |op| op.op.client);

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Zxid = Zxid(100);

    fn stat(version: i32, czxid: i64, mzxid: i64) -> Stat {
        let mut stat = Stat::default();
        (stat.version, stat.czxid, stat.mzxid) = (version, Zxid(czxid), Zxid(mzxid));
        stat
    }

    /// Guards: A55.
    #[test]
    fn version_data_and_age_identify_a_set() {
        let verdict = |found: Stat, ours| of_set(3, &found, ours, SEEN);
        let applied = stat(4, 50, 101);
        assert_eq!(verdict(applied, true), Verdict::Applied(applied));
        assert_eq!(verdict(stat(4, 50, 101), false), Verdict::Conflict);
        // Written before the first attempt was made.
        assert_eq!(verdict(stat(4, 50, 100), true), Verdict::Conflict);
        assert_eq!(verdict(stat(3, 50, 90), false), Verdict::NotApplied);
        assert_eq!(verdict(stat(3, 50, 90), true), Verdict::NotApplied);
        // Ours may have been the write before, or not.
        assert_eq!(verdict(stat(5, 50, 120), true), Verdict::Unknown);
        assert_eq!(verdict(stat(2, 50, 90), true), Verdict::Unknown);
        // This may be another znode.
        assert_eq!(verdict(stat(4, 101, 102), true), Verdict::Unknown);
        assert_eq!(verdict(stat(3, 101, 102), true), Verdict::Unknown);
        let wrapped = stat(i32::MIN, 50, 101);
        let verdict = of_set(i32::MAX, &wrapped, true, SEEN);
        assert_eq!(verdict, Verdict::Applied(wrapped));
    }

    /// Guards: A56.
    #[test]
    fn a_missing_znode_leaves_a_delete_unknown() {
        assert_eq!(of_delete(3, None, SEEN), Verdict::Unknown);
        let found = |version, czxid| of_delete(3, Some(&stat(version, czxid, czxid)), SEEN);
        assert_eq!(found(3, 50), Verdict::NotApplied);
        assert_eq!(found(4, 50), Verdict::Conflict);
        assert_eq!(found(3, 101), Verdict::Unknown);
        assert_eq!(found(0, 101), Verdict::Unknown);
    }
}
