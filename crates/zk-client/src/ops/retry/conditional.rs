//! Writes that only take effect on one version of a znode, made until it is known whether they did.

use std::future::Future;
use std::pin::Pin;

use zk_proto::{ErrorCode, Stat, Zxid};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::pending::Pending;
use crate::ops::retry::RetryPolicy;
use crate::ops::write::{ANY, Delete, Set};

/// [`Set`] or [`Delete`], tried again; made by [`Set::retry`] and [`Delete::retry`].
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited"]
pub struct Retried<'a, Op> {
    op: Op,
    policy: &'a RetryPolicy,
}

impl<'a, D: AsRef<[u8]>> Set<'a, D> {
    /// Tries again as `policy` says, and finds out what became of an attempt whose reply was lost or
    /// leaves open whether it was executed.
    ///
    /// With a [`version`](Self::version), the znode is read after such an attempt:
    ///
    /// | version found | data found | what follows |
    /// |---|---|---|
    /// | the one asked for | any | the attempt had no effect: another is made |
    /// | the next | ours | it took effect: the stat found is returned |
    /// | the next | others | somebody was faster: [`BadVersion`](ErrorKind::BadVersion) |
    /// | another, or no znode | any | [`Outcome::Unknown`](crate::Outcome::Unknown) it stays |
    ///
    /// It also stays unknown if the znode may have been created after the first attempt was made: as
    /// far as this side can tell, that is each one which is newer than all that the session had been
    /// answered by then. Without a version, and at the end of the session or of the client, it stays
    /// unknown in any case.
    ///
    /// # What it takes for granted
    ///
    /// That nobody else writes the very same bytes over the same version: their write cannot be told
    /// from ours. A number that several count up is such a case. Put into the data what no other
    /// writer writes, or do not retry.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop an attempt that is on the wire.
    pub fn retry(self, policy: &'a RetryPolicy) -> Retried<'a, Self> {
        Retried { op: self, policy }
    }
}

impl<'a> Delete<'a> {
    /// Tries again as `policy` says, and finds out what became of an attempt whose reply was lost or
    /// leaves open whether it was executed.
    ///
    /// With a [`version`](Self::version), the znode is looked for after such an attempt. If it has
    /// that version, the attempt had no effect, and another is made; if it has another, somebody was
    /// faster: [`BadVersion`](ErrorKind::BadVersion). If it is gone, or may have been created after
    /// the first attempt was made, the outcome stays
    /// [`Outcome::Unknown`](crate::Outcome::Unknown), for somebody else may have deleted it. Who
    /// only wants it gone calls that a success, or uses [`guaranteed`](Self::guaranteed).
    ///
    /// Without a version, and at the end of the session or of the client, it stays unknown in any
    /// case.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop an attempt that is on the wire.
    pub fn retry(self, policy: &'a RetryPolicy) -> Retried<'a, Self> {
        Retried { op: self, policy }
    }
}

/// What a look at the znode says of a conditional write of which nothing was known.
#[derive(Debug, PartialEq, Eq)]
enum Verdict<T> {
    Applied(T),
    NotApplied,
    /// It was not, and never can be.
    Conflict,
    Unknown,
}

/// A write that only takes effect on one version of a znode.
trait Conditional: Sync {
    type Output: Send;

    fn client(&self) -> &Client;

    /// Whether it is conditional at all.
    fn is_conditional(&self) -> bool;

    fn write(&self) -> Pending<Self::Output>;

    /// Finds out what became of a write that was made when the session had seen `seen`.
    fn look(&self, seen: Zxid) -> impl Future<Output = Result<Verdict<Self::Output>>> + Send;
}

impl<D: AsRef<[u8]> + Sync> Conditional for Set<'_, D> {
    type Output = Stat;

    fn client(&self) -> &Client {
        self.client
    }

    fn is_conditional(&self) -> bool {
        self.version != ANY
    }

    fn write(&self) -> Pending<Stat> {
        self.put()
    }

    async fn look(&self, seen: Zxid) -> Result<Verdict<Stat>> {
        // This connection's server may lag behind the one that was asked to write.
        let (data, stat) = match self.client.get(self.path).synced().await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Verdict::Unknown),
            Err(error) => return Err(error),
        };
        Ok(of_set(
            self.version,
            &stat,
            data == self.data.as_ref(),
            seen,
        ))
    }
}

fn of_set(version: i32, found: &Stat, ours: bool, seen: Zxid) -> Verdict<Stat> {
    if found.czxid > seen {
        // Perhaps of another znode, created after ours was written to and deleted.
        Verdict::Unknown
    } else if found.version == version {
        Verdict::NotApplied
    } else if found.version != version.wrapping_add(1) {
        Verdict::Unknown
    } else if ours && found.mzxid > seen && !zk_proto::seeded_bug!("A55") {
        Verdict::Applied(*found)
    } else {
        Verdict::Conflict
    }
}

impl Conditional for Delete<'_> {
    type Output = ();

    fn client(&self) -> &Client {
        self.client
    }

    fn is_conditional(&self) -> bool {
        self.version != ANY
    }

    fn write(&self) -> Pending<()> {
        self.put()
    }

    async fn look(&self, seen: Zxid) -> Result<Verdict<()>> {
        let found = self.client.exists(self.path).synced().await?;
        Ok(of_delete(self.version, found.as_ref(), seen))
    }
}

fn of_delete(version: i32, found: Option<&Stat>, seen: Zxid) -> Verdict<()> {
    match found {
        Some(stat) if stat.czxid > seen => Verdict::Unknown,
        Some(stat) if stat.version == version => Verdict::NotApplied,
        // It is the same znode still, and its version does not come back.
        Some(_) => Verdict::Conflict,
        None => Verdict::Unknown,
    }
}

/// Makes a write until its outcome is known, or `policy` gives it up.
async fn resolve<C: Conditional>(op: C, policy: &RetryPolicy) -> Result<C::Output> {
    let client = op.client();
    let seen = client.last_zxid();
    let epoch = || client.session().epoch.max(1);
    let begun = epoch();
    let mut attempts = policy.start();
    // How the first attempt ended that may have taken effect.
    let mut doubt: Option<Error> = None;
    loop {
        let failed = match op.write().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let refused = matches!(failed.kind(), ErrorKind::BadVersion | ErrorKind::NoNode);
        let lost = op.is_conditional() && failed.is_unresolved();
        // An attempt in doubt may be what makes the next one be refused.
        if lost || (refused && doubt.is_some()) {
            let error = doubt.take().unwrap_or(failed);
            let found = match op.look(seen).await {
                // In another session the znode may be one of another history, with versions and
                // zxids of its own: the ensemble may have been restored from a backup.
                Ok(_) if epoch() != begun && !zk_proto::seeded_bug!("M1") => Ok(Verdict::Unknown),
                found => found,
            };
            match found {
                Ok(Verdict::Applied(done)) => return Ok(done),
                Ok(Verdict::Conflict) => return Err(error.into_rejected(ErrorCode::BadVersion)),
                Ok(Verdict::NotApplied) if !refused => doubt = Some(error),
                // Whatever is wrong with looking, the write's fate is unknown.
                Ok(Verdict::NotApplied | Verdict::Unknown) | Err(_) => return Err(error),
            }
        } else if failed.is_retryable() {
            if doubt.is_none() {
                if !attempts.again(client, &failed).await {
                    return Err(failed.with_retries_exhausted());
                }
                continue;
            }
        } else {
            return Err(doubt.unwrap_or(failed));
        }
        // It had no effect when it was looked for. Were it to have one still, its version would let
        // only one of all attempts through; but if this is given up, that is not known.
        if let Some(error) = doubt.take() {
            if !attempts.again(client, &error).await {
                return Err(error.with_retries_exhausted());
            }
            doubt = Some(error);
        }
    }
}

macro_rules! retried {
    ([$($generics:tt)*] $op:ty, $output:ty) => {
        impl $($generics)* IntoFuture for Retried<'a, $op> {
            type Output = Result<$output>;
            type IntoFuture = Pin<Box<dyn Future<Output = Result<$output>> + Send + 'a>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(resolve(self.op, self.policy))
            }
        }

        crate::ops::pending::blocking!([$($generics)*] Retried<'a, $op>, $output, |op| op.op.client);
    };
}

retried!([<'a, D: AsRef<[u8]> + Send + Sync + 'a>] Set<'a, D>, Stat);
retried!([<'a>] Delete<'a>, ());

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Zxid = Zxid(100);

    fn stat(version: i32, czxid: i64, mzxid: i64) -> Stat {
        let mut stat = Stat::default();
        (stat.version, stat.czxid, stat.mzxid) = (version, Zxid(czxid), Zxid(mzxid));
        stat
    }

    #[test]
    fn a55_a_versioned_set_is_known_by_version_data_and_time() {
        let verdict = |found: Stat, ours| of_set(3, &found, ours, SEEN);
        let applied = stat(4, 50, 101);
        assert_eq!(verdict(applied, true), Verdict::Applied(applied));
        assert_eq!(verdict(stat(4, 50, 101), false), Verdict::Conflict);
        // Written before the first attempt was made.
        assert_eq!(verdict(stat(4, 50, 100), true), Verdict::Conflict);
        assert_eq!(verdict(stat(3, 50, 90), false), Verdict::NotApplied);
        assert_eq!(verdict(stat(3, 50, 90), true), Verdict::NotApplied);
        // Ours may have been the fourth, or not.
        assert_eq!(verdict(stat(5, 50, 120), true), Verdict::Unknown);
        assert_eq!(verdict(stat(2, 50, 90), true), Verdict::Unknown);
        // Perhaps another znode.
        assert_eq!(verdict(stat(4, 101, 102), true), Verdict::Unknown);
        assert_eq!(verdict(stat(3, 101, 102), true), Verdict::Unknown);
        let wrapped = stat(i32::MIN, 50, 101);
        let verdict = of_set(i32::MAX, &wrapped, true, SEEN);
        assert_eq!(verdict, Verdict::Applied(wrapped));
    }

    #[test]
    fn a56_a_znode_that_is_gone_was_deleted_by_nobody_knows_whom() {
        assert_eq!(of_delete(3, None, SEEN), Verdict::Unknown);
        let found = |version, czxid| of_delete(3, Some(&stat(version, czxid, czxid)), SEEN);
        assert_eq!(found(3, 50), Verdict::NotApplied);
        assert_eq!(found(4, 50), Verdict::Conflict);
        assert_eq!(found(3, 101), Verdict::Unknown);
        assert_eq!(found(0, 101), Verdict::Unknown);
    }
}
