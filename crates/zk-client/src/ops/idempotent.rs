//! Writes that are repeated after a lost reply, where the znode then shows that this is harmless.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode, SessionId, Stat, Zxid};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::create::{Create, Created, OwnedCreate};
use crate::ops::delete::Delete;
use crate::ops::pending::{ANY_VERSION, Boxed, Pending};
use crate::ops::retry::conditional::{Before, Verdict, of_delete, of_set};
use crate::ops::retry::repetition::Repetition;
use crate::ops::set::Set;

/// A [`Create`], [`Set`] or [`Delete`] for which only the resulting state of the znode matters. Made
/// by their methods `idempotent`.
///
/// The request is repeated after failures that may pass, until its deadline, or until ten attempts
/// have ended with an unknown outcome. If the server refuses an attempt because of the state of the
/// znode, and an earlier attempt had an unknown outcome, the client reads the znode:
///
/// | refusal | found | result |
/// |---|---|---|
/// | create: the znode exists | created since the first attempt, with the same data and kind | success |
/// | | created before the first attempt | [`NodeExists`](ErrorKind::NodeExists) |
/// | | created since, but different | [`Outcome::Unknown`] |
/// | set: the version is another | the next version with the same data, written since the first attempt | success |
/// | | the next version with other data | [`BadVersion`](ErrorKind::BadVersion) |
/// | | anything else | [`Outcome::Unknown`] |
/// | delete: there is no znode | | success |
/// | delete: the version is another | the znode of before the first attempt | [`BadVersion`](ErrorKind::BadVersion) |
/// | | another znode | [`Outcome::Unknown`] |
///
/// A success can be the effect of another client's equal write: a znode with the same data, or a
/// deletion. If no attempt had an unknown outcome, a refusal is the error that it is without
/// `idempotent`, so a znode that another client had created before is never a success.
///
/// A set without a version is executed again after each attempt of unknown outcome, and may so
/// replace what another client has written in between.
///
/// # Errors
/// Those of the operation. At the end of the session the outcome of an attempt stays unknown.
///
/// # Cancel safety
/// Dropping the future does not stop an attempt that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Idempotent<Op> {
    op: Op,
}

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Repeats the creation after a lost reply; a znode with the same data and of the same kind is
    /// then taken for the one that was to be created: see [`Idempotent`]. If several clients create
    /// the znode, more than one can succeed. [`protected`](Self::protected) distinguishes them, and
    /// sequential znodes need it: with `idempotent` they are refused as an invalid argument.
    pub fn idempotent(self) -> Idempotent<Self> {
        Idempotent { op: self }
    }
}

impl<D: AsRef<[u8]>> Set<'_, D> {
    /// Repeats the set after a lost reply: see [`Idempotent`].
    pub fn idempotent(self) -> Idempotent<Self> {
        Idempotent { op: self }
    }
}

impl Delete<'_> {
    /// Repeats the deletion after a lost reply; that there is no znode is then a success: see
    /// [`Idempotent`].
    pub fn idempotent(self) -> Idempotent<Self> {
        Idempotent { op: self }
    }
}

impl<D: AsRef<[u8]>> Idempotent<Create<'_, D>> {
    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.op.deadline = Some(deadline);
        self
    }

    /// Puts the first attempt on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<Created> {
        if self.op.is_sequential() {
            let error = Error::invalid_argument(
                "a sequential creation cannot be idempotent, as each attempt would create another \
                 znode; use protected()",
            )
            .at(OpCode::Create, self.op.path);
            return Box::pin(std::future::ready(Err(error)));
        }
        let client = self.op.client.within(self.op.deadline);
        submit(self.op.into_owned(client))
    }
}

impl<D: AsRef<[u8]>> Idempotent<Set<'_, D>> {
    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.op.deadline = Some(deadline);
        self
    }

    /// Puts the first attempt on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<Stat> {
        submit(RepeatedSet {
            client: self.op.client.within(self.op.deadline),
            path: self.op.path.to_owned(),
            data: (!self.op.null).then(|| Bytes::copy_from_slice(self.op.data.as_ref())),
            version: self.op.version,
        })
    }
}

impl Idempotent<Delete<'_>> {
    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.op.deadline = Some(deadline);
        self
    }

    /// Puts the first attempt on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<()> {
        submit(RepeatedDelete {
            client: self.op.client.within(self.op.deadline),
            path: self.op.path.to_owned(),
            version: self.op.version,
        })
    }
}

/// A write that may be executed twice.
trait RepeatedWrite: Send + Sync + 'static {
    type Output: Send;

    /// What the servers refuse with if an earlier attempt took effect.
    const REFUSALS: &'static [ErrorKind];

    fn client(&self) -> &Client;

    fn attempt(&self) -> Pending<Self::Output>;

    /// Finds out what a refusal with `code` means, after an attempt of unknown outcome that was made
    /// when the session had seen `seen`.
    fn look(
        &self,
        refusal: ErrorKind,
        seen: Zxid,
    ) -> impl Future<Output = Result<Verdict<Self::Output>>> + Send;
}

fn submit<W: RepeatedWrite>(write: W) -> Boxed<W::Output> {
    let before = Before::now(write.client());
    let first = write.attempt();
    Box::pin(repeat(write, before, first))
}

async fn repeat<W: RepeatedWrite>(
    write: W,
    before: Before,
    mut attempt: Pending<W::Output>,
) -> Result<W::Output> {
    let mut repetition = Repetition::default();
    // The error of the first attempt that may have taken effect.
    let mut doubt: Option<Error> = None;
    loop {
        let failed = match attempt.await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let goes_on = repetition.may_go_on(&failed);
        let kind = failed.kind();
        if let Some(error) = doubt.take_if(|_| W::REFUSALS.contains(&kind)) {
            let code = failed.code().unwrap_or(ErrorCode::NodeExists);
            return match write.look(kind, before.seen).await {
                // In another session the znode may have another history.
                Ok(_) if !before.is_same_session(write.client()) => Err(error),
                Ok(Verdict::Applied(done)) => Ok(done),
                Ok(Verdict::Conflict) => Err(error.into_rejected(code)),
                // If the read fails, the outcome of the write stays unknown.
                Ok(Verdict::NotApplied | Verdict::Unknown) | Err(_) => Err(error),
            };
        }
        if !goes_on || kind == ErrorKind::SessionExpired {
            return Err(doubt.unwrap_or(failed));
        }
        if failed.outcome() == Outcome::Unknown {
            doubt.get_or_insert(failed);
        }
        tokio::time::sleep(repetition.next_delay()).await;
        attempt = write.attempt();
    }
}

impl RepeatedWrite for OwnedCreate {
    type Output = Created;

    const REFUSALS: &'static [ErrorKind] = &[ErrorKind::NodeExists];

    fn client(&self) -> &Client {
        &self.client
    }

    fn attempt(&self) -> Pending<Created> {
        self.submit(&self.path)
    }

    async fn look(&self, _: ErrorKind, seen: Zxid) -> Result<Verdict<Created>> {
        // This connection's server may lag behind the one that refused the creation.
        let (data, stat) = match self.client.get(&self.path).nullable().synced().await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Verdict::Unknown),
            Err(error) => return Err(error),
        };
        let wanted = (!self.options.is_null()).then_some(&self.data);
        // ClickHouse Keeper stores null as empty data.
        let same_data = data.unwrap_or_default() == wanted.cloned().unwrap_or_default();
        let owner = self
            .options
            .is_ephemeral()
            .then(|| self.client.session().id);
        Ok(match of_create(owner, same_data, &stat, seen) {
            Verdict::Applied(stat) => Verdict::Applied(Created::new(self.path.clone(), stat)),
            Verdict::Conflict => Verdict::Conflict,
            Verdict::NotApplied | Verdict::Unknown => Verdict::Unknown,
        })
    }
}

/// Whether the znode that was found can be the one that was created; `owner` is the session of an
/// ephemeral one.
fn of_create(owner: Option<SessionId>, same_data: bool, found: &Stat, seen: Zxid) -> Verdict<Stat> {
    if found.czxid <= seen {
        Verdict::Conflict
    } else if same_data && found.version == 0 && found.owner() == owner {
        Verdict::Applied(*found)
    } else {
        // The znode that was created may have been changed, or deleted and created anew.
        Verdict::Unknown
    }
}

/// A [`Set`] without borrows.
struct RepeatedSet {
    client: Client,
    path: String,
    /// `None` for null.
    data: Option<Bytes>,
    version: i32,
}

impl RepeatedWrite for RepeatedSet {
    type Output = Stat;

    const REFUSALS: &'static [ErrorKind] = &[ErrorKind::BadVersion, ErrorKind::NoNode];

    fn client(&self) -> &Client {
        &self.client
    }

    fn attempt(&self) -> Pending<Stat> {
        let data = self.data.as_deref().unwrap_or_default();
        let mut set = self.client.set(&self.path, data).version(self.version);
        set.null = self.data.is_none();
        set.submit()
    }

    async fn look(&self, refusal: ErrorKind, seen: Zxid) -> Result<Verdict<Stat>> {
        if refusal == ErrorKind::NoNode || self.version == ANY_VERSION {
            return Ok(Verdict::Unknown);
        }
        let (data, stat) = self.client.get(&self.path).synced().await?;
        let same_data = data == self.data.as_deref().unwrap_or_default();
        Ok(of_set(self.version, &stat, same_data, seen))
    }
}

/// A [`Delete`] without borrows.
struct RepeatedDelete {
    client: Client,
    path: String,
    version: i32,
}

impl RepeatedWrite for RepeatedDelete {
    type Output = ();

    const REFUSALS: &'static [ErrorKind] = &[ErrorKind::NoNode, ErrorKind::BadVersion];

    fn client(&self) -> &Client {
        &self.client
    }

    fn attempt(&self) -> Pending<()> {
        let delete = self.client.delete(&self.path);
        delete.version(self.version).submit()
    }

    async fn look(&self, refusal: ErrorKind, seen: Zxid) -> Result<Verdict<()>> {
        if refusal == ErrorKind::NoNode {
            return Ok(Verdict::Applied(()));
        }
        let found = self.client.exists(&self.path).synced().await?;
        Ok(of_delete(self.version, found.as_ref(), seen))
    }
}

impl<D: AsRef<[u8]>> IntoFuture for Idempotent<Create<'_, D>> {
    type Output = Result<Created>;
    type IntoFuture = Boxed<Created>;

    fn into_future(self) -> Boxed<Created> {
        self.submit()
    }
}

impl<D: AsRef<[u8]>> IntoFuture for Idempotent<Set<'_, D>> {
    type Output = Result<Stat>;
    type IntoFuture = Boxed<Stat>;

    fn into_future(self) -> Boxed<Stat> {
        self.submit()
    }
}

impl IntoFuture for Idempotent<Delete<'_>> {
    type Output = Result<()>;
    type IntoFuture = Boxed<()>;

    fn into_future(self) -> Boxed<()> {
        self.submit()
    }
}

crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] Idempotent<Create<'a, D>>, Created, |op| op.op.client
);
crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] Idempotent<Set<'a, D>>, Stat, |op| op.op.client
);
crate::ops::operation::blocking!([<'a>] Idempotent<Delete<'a>>, (), |op| op.op.client);

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Zxid = Zxid(100);

    #[test]
    fn only_a_later_equal_znode_can_be_ours() {
        let found = |czxid, version, owner| {
            let mut stat = Stat::default();
            (stat.czxid, stat.version, stat.ephemeral_owner) = (Zxid(czxid), version, owner);
            stat
        };
        let verdict = |owner, same, stat: Stat| of_create(owner, same, &stat, SEEN);
        let ours = found(101, 0, 0);
        assert_eq!(verdict(None, true, ours), Verdict::Applied(ours));
        // It existed before the first attempt.
        assert_eq!(verdict(None, true, found(100, 0, 0)), Verdict::Conflict);
        assert_eq!(verdict(None, false, found(99, 3, 0)), Verdict::Conflict);
        // It may be ours, changed since, or another's.
        assert_eq!(verdict(None, false, ours), Verdict::Unknown);
        assert_eq!(verdict(None, true, found(101, 1, 0)), Verdict::Unknown);
        assert_eq!(verdict(None, true, found(101, 0, 7)), Verdict::Unknown);
        let me = Some(SessionId(7));
        assert_eq!(verdict(me, true, ours), Verdict::Unknown);
        let ours = found(101, 0, 7);
        assert_eq!(verdict(me, true, ours), Verdict::Applied(ours));
    }
}
