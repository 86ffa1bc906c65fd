//! Retries of transactions, until it is known whether they took effect.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::records::MultiOp;
use zk_proto::{SessionId, Stat, Zxid, path};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::guid::Guid;
use crate::ops::multi::{Multi, OpResult, submit as submit_multi};
use crate::ops::multi_body::RepeatableOps;
use crate::ops::pending::{ANY_VERSION, Boxed, Pending};
use crate::ops::retry::conditional::{ConditionalRetry, ConditionalWrite, Verdict, of_set, submit};
use crate::retry_policy::RetryPolicy;

/// The flags of the creation of an ephemeral znode.
const EPHEMERAL: i32 = 1;
/// The flags of the kinds to whose names the server appends a number.
const SEQUENTIAL: [i32; 3] = [2, 3, 6];

impl<'a> Multi<'a> {
    /// Retries as `policy` says, and finds out what became of an attempt whose reply was lost or
    /// does not say whether it was executed.
    ///
    /// A transaction takes effect as a whole, so one of its operations is enough to prove that all
    /// took effect, or that none did. After such an attempt the client reads the znodes of the
    /// transaction:
    ///
    /// | operation | proves that all took effect | proves that none did |
    /// |---|---|---|
    /// | creation of an ephemeral znode | the znode belongs to this session, and has our data | |
    /// | creation of a znode with a [`Guid`] in its name | the znode exists | |
    /// | each creation | | the znode is older than the first attempt; no znode has been created beside it since |
    /// | set with a version | the next version, and our data | the given version, or the next with other data |
    /// | set without a version | | the data have not been written since |
    /// | deletion | | the znode is older than the first attempt |
    ///
    /// If none took effect, there is another attempt, whose refusal is the result if there is one. If
    /// all did, the results are those that the znodes still show, and [`OpResult::Applied`] for the
    /// others. If nothing is proven, the error has [`Outcome::Unknown`].
    ///
    /// The outcome also stays unknown if the transaction could be executed twice: if it contains no
    /// deletion, no set with a version, and no creation that is not sequential. (One that only checks is
    /// repeated.) At the end of the session or of the client, it stays unknown in any case.
    ///
    /// # What it relies on
    ///
    /// No other client may write the very same bytes over the same version, as for
    /// [`Set::retry`](crate::Set::retry), and no other part of this program may create the same
    /// ephemeral znode with the same data at the same time.
    ///
    /// # Cost
    ///
    /// One round trip, if no reply is lost. After a lost reply the reads take one more: for each
    /// operation that is no check a read, for a creation two, each behind a `sync`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop an attempt that is on the wire.
    pub fn retry(self, policy: &'a RetryPolicy) -> ConditionalRetry<'a, Self> {
        ConditionalRetry { op: self, policy }
    }
}

impl ConditionalRetry<'_, Multi<'_>> {
    /// Puts the first attempt on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<Vec<OpResult>> {
        let Multi {
            client,
            ops,
            deadline,
        } = self.op;
        match ops.into_repeatable() {
            Ok(ops) => {
                let client = client.clone();
                let transaction = Transaction {
                    client,
                    ops,
                    deadline,
                };
                submit(transaction, self.policy)
            }
            Err(ops) => Box::pin(submit_multi(client, ops, deadline)),
        }
    }
}

impl IntoFuture for ConditionalRetry<'_, Multi<'_>> {
    type Output = Result<Vec<OpResult>>;
    type IntoFuture = Boxed<Vec<OpResult>>;

    fn into_future(self) -> Boxed<Vec<OpResult>> {
        self.submit()
    }
}

crate::ops::operation::blocking!(
    [] ConditionalRetry<'_, Multi<'_>>, Vec<OpResult>, |op| op.op.client
);

/// A [`Multi`] without borrows.
struct Transaction {
    client: Client,
    ops: RepeatableOps,
    deadline: Option<Duration>,
}

impl ConditionalWrite for Transaction {
    type Output = Vec<OpResult>;

    fn client(&self) -> &Client {
        &self.client
    }

    fn is_conditional(&self) -> bool {
        self.ops.decode().is_ok_and(|ops| happens_once(&ops))
    }

    fn may_be_own_effect(&self, refusal: &Error) -> bool {
        refusal.outcome() == Outcome::Rejected && refusal.failed_op().is_some()
    }

    // The servers execute the requests of a session in order, so an earlier attempt cannot take effect
    // after a later one was refused.
    fn refused_without_effect(&self, _doubt: Error, refusal: Error) -> Error {
        refusal
    }

    fn undecided(&self, doubt: Error) -> Error {
        doubt.with_undecided_look()
    }

    fn submit(&self) -> Pending<Vec<OpResult>> {
        submit_multi(&self.client, self.ops.again(), self.deadline)
    }

    async fn look(&self, seen: Zxid) -> Result<Verdict<Vec<OpResult>>> {
        let ops = self.ops.decode()?;
        let found = look(&self.client, &ops).await?;
        Ok(verdict(&ops, &found, self.client.session().id, seen))
    }
}

/// What the znodes of an operation look like now.
#[derive(Debug, Clone, Default)]
struct Found {
    stat: Option<Stat>,
    /// The data, read as null if they are not needed.
    data: Option<Bytes>,
    /// The stat of the znode above, for creations.
    parent: Option<Stat>,
}

/// Reads the znodes of all operations, at once.
async fn look(client: &Client, ops: &[(&str, MultiOp<'_>)]) -> Result<Vec<Found>> {
    // The server of this connection may lag behind the one that the transaction was sent to.
    let stat_of = |path: &str| client.exists(path).synced().submit();
    let reads: Vec<_> = ops
        .iter()
        .map(|(path, op)| match (op, flags(op)) {
            (MultiOp::SetData(_), _) => {
                let data = client.get(path).nullable().synced().submit();
                (None, None, Some(data))
            }
            (MultiOp::Delete(_), _) => (Some(stat_of(path)), None, None),
            (_, Some(EPHEMERAL)) => {
                let data = client.get(path).nullable().synced().submit();
                (None, path::parent(path).map(stat_of), Some(data))
            }
            (_, Some(flags)) => {
                let own = (!SEQUENTIAL.contains(&flags)).then(|| stat_of(path));
                (own, path::parent(path).map(stat_of), None)
            }
            _ => (None, None, None),
        })
        .collect();
    let mut found = Vec::with_capacity(reads.len());
    for (stat, parent, data) in reads {
        let mut znodes = Found::default();
        if let Some(stat) = stat {
            znodes.stat = stat.await?;
        }
        if let Some(parent) = parent {
            znodes.parent = parent.await?;
        }
        if let Some(data) = data {
            match data.await {
                Ok((data, stat)) => (znodes.data, znodes.stat) = (data, Some(stat)),
                // What cannot be read proves nothing.
                Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::NoAuth) => {}
                Err(error) => return Err(error),
            }
        }
        found.push(znodes);
    }
    Ok(found)
}

/// The flags of a creation.
fn flags(op: &MultiOp<'_>) -> Option<i32> {
    Some(match op {
        MultiOp::Create(create) | MultiOp::Create2(create) | MultiOp::CreateContainer(create) => {
            create.flags
        }
        MultiOp::CreateTtl(create) => create.flags,
        _ => return None,
    })
}

/// Whether the data found are those of the operation. ClickHouse Keeper stores null as empty data.
fn has_data_of(found: &Found, op: &MultiOp<'_>) -> bool {
    let data = match op {
        MultiOp::Create(create) | MultiOp::Create2(create) => create.data,
        MultiOp::SetData(set) => set.data,
        _ => None,
    };
    found.data.as_deref().unwrap_or_default() == data.unwrap_or_default()
}

fn is_sequential(op: &MultiOp<'_>) -> bool {
    flags(op).is_some_and(|flags| SEQUENTIAL.contains(&flags))
}

/// Whether the state of the znodes lets at most one of several attempts through, or it does not matter
/// how many are executed.
fn happens_once(ops: &[(&str, MultiOp<'_>)]) -> bool {
    let excludes = |op: &MultiOp<'_>| match op {
        MultiOp::SetData(set) => set.version != ANY_VERSION,
        MultiOp::Delete(_) => true,
        op => flags(op).is_some() && !is_sequential(op),
    };
    let checks = |op: &MultiOp<'_>| matches!(op, MultiOp::Check(_));
    ops.iter().any(|(_, op)| excludes(op)) || ops.iter().all(|(_, op)| checks(op))
}

/// What an operation proves of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// All took effect, in this transaction.
    Applied(Zxid),
    NotApplied,
    None,
}

/// What the znodes prove of a transaction that was first attempted when the session had seen `seen`.
fn verdict(
    ops: &[(&str, MultiOp<'_>)],
    found: &[Found],
    session: SessionId,
    seen: Zxid,
) -> Verdict<Vec<OpResult>> {
    let mut applied = None;
    let mut only_checks = true;
    for ((path, op), found) in ops.iter().zip(found) {
        only_checks &= matches!(op, MultiOp::Check(_));
        match proof(path, op, found, session, seen) {
            Proof::NotApplied => return Verdict::NotApplied,
            Proof::Applied(zxid) => applied = applied.or(Some(zxid)),
            Proof::None => {}
        }
    }
    match applied {
        Some(zxid) => Verdict::Applied(results(ops, found, zxid)),
        None if only_checks => Verdict::NotApplied,
        None => Verdict::Unknown,
    }
}

fn proof(path: &str, op: &MultiOp<'_>, found: &Found, session: SessionId, seen: Zxid) -> Proof {
    // A creation would have changed the children of the znode above.
    let of_parent = match found.parent {
        Some(parent) if parent.pzxid <= seen => Proof::NotApplied,
        _ => Proof::None,
    };
    match (op, &found.stat) {
        (MultiOp::Check(_), _) => Proof::None,
        (MultiOp::SetData(_), None) => Proof::None,
        (MultiOp::SetData(set), Some(stat)) if set.version == ANY_VERSION => {
            match stat.mzxid <= seen {
                true => Proof::NotApplied,
                false => Proof::None,
            }
        }
        (MultiOp::SetData(set), Some(stat)) => {
            match of_set(set.version, stat, has_data_of(found, op), seen) {
                Verdict::Applied(stat) => Proof::Applied(stat.mzxid),
                Verdict::NotApplied | Verdict::Conflict => Proof::NotApplied,
                Verdict::Unknown => Proof::None,
            }
        }
        // A deletion would have deleted it, and a creation would have been refused.
        (_, Some(stat)) if stat.czxid <= seen => Proof::NotApplied,
        // ClickHouse Keeper does not count a deletion as a change of the parent's children.
        (MultiOp::Delete(_), _) => Proof::None,
        (_, None) => of_parent,
        (op, Some(stat)) => {
            let is_ours = match flags(op) == Some(EPHEMERAL) {
                true => {
                    let is_new = stat.version == 0 && has_data_of(found, op);
                    stat.owner() == Some(session) && is_new
                }
                false => Guid::of(path).is_some(),
            };
            match is_ours {
                true => Proof::Applied(stat.czxid),
                false => of_parent,
            }
        }
    }
}

/// The results of a transaction that took effect as `zxid`, as far as the znodes still show them.
fn results(ops: &[(&str, MultiOp<'_>)], found: &[Found], zxid: Zxid) -> Vec<OpResult> {
    let each = ops.iter().zip(found).enumerate();
    each.map(|(index, ((path, op), found))| match op {
        MultiOp::Check(_) => OpResult::Checked,
        MultiOp::Delete(_) => OpResult::Deleted,
        MultiOp::SetData(_) => {
            let mut later = ops.iter().skip(index + 1);
            let is_last = !later.any(|(other, _)| other == path);
            let stat = found.stat.filter(|stat| is_last && stat.mzxid == zxid);
            stat.map_or(OpResult::Applied, OpResult::Set)
        }
        op if is_sequential(op) => OpResult::Applied,
        _ => {
            let is_untouched = |stat: &Stat| {
                [stat.czxid, stat.mzxid, stat.pzxid] == [zxid; 3]
                    && (stat.version, stat.aversion, stat.num_children) == (0, 0, 0)
            };
            OpResult::Created {
                path: (*path).to_owned(),
                stat: found.stat.filter(is_untouched),
            }
        }
    })
    .collect()
}

#[cfg(test)]
mod tests;
