//! Compares the replies and events of the clients with what the servers have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use zk_client::NodeEventKind;
use zk_tests::Ensemble;
use zk_tests::txn_log::{self, Change, Txn};

use crate::apache::chaos::tree::Tree;
use crate::apache::chaos::watching::{Seen, TREE};
use crate::apache::chaos::workload::{Attempt, Fate, Op};
use crate::apache::chaos::{ROOT, Run, Suspicion};
use crate::common::{blocking, until};

/// Of a list of what went wrong, what is printed.
const SHOWN: usize = 5;

/// What is known of the servers in the end.
#[derive(Debug, Default)]
pub struct Verdict {
    transactions: usize,
    /// Acknowledged and logged, and missing at the leader: the servers' own loss.
    lost_by_servers: usize,
    /// Servers whose tree is another than the leader's.
    diverged: Vec<String>,
    /// Those in which the changes were made that either is about.
    epochs: BTreeSet<i64>,
    /// What may be a consequence of either.
    excused: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "servers: {} transactions logged, {} acknowledged ones lost by the servers themselves, \
             {} diverged servers {:?}, both of epochs {:x?}, {} violations excused by that {:?}",
            self.transactions,
            self.lost_by_servers,
            self.diverged.len(),
            self.diverged,
            self.epochs,
            self.excused.len(),
            self.excused.iter().take(SHOWN).collect::<Vec<_>>()
        )
    }
}

/// Every change that was logged, by what makes it unique.
#[derive(Default)]
struct Log {
    created: HashMap<String, Vec<(i64, i64)>>,
    set: HashMap<String, Vec<(i64, i64)>>,
    deleted: HashMap<String, Vec<(i64, i64)>>,
    /// When a znode was created or deleted, by its path.
    names: HashMap<String, Vec<i64>>,
    /// By path and version, when a znode was set.
    versions: HashMap<String, BTreeMap<i32, i64>>,
    /// When a znode was set to a version that another write gave it later.
    forgotten: BTreeSet<i64>,
    /// The events that a recursive watch on [`TREE`] has to deliver.
    watched: BTreeMap<i64, (NodeEventKind, String)>,
}

impl Log {
    fn new(txns: &BTreeMap<(i64, i64), Txn>) -> Self {
        let mut log = Log::default();
        for (&at, txn) in txns {
            for change in &txn.changes {
                log.add(at, change);
            }
        }
        log
    }

    fn add(&mut self, at: (i64, i64), change: &Change) {
        let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
        let mut watch = |kind, path: &str| {
            let of_worker = path.strip_prefix(TREE).filter(|rest| rest.len() > 1);
            if of_worker.is_some() {
                self.watched.insert(at.0, (kind, path.to_owned()));
            }
        };
        match change {
            Change::Created { path, data } => {
                let Some(path) = path.strip_prefix(ROOT) else {
                    return;
                };
                watch(NodeEventKind::Created, path);
                self.created.entry(text(data)).or_default().push(at);
                self.names.entry(path.to_owned()).or_default().push(at.0);
            }
            Change::Set {
                path,
                data,
                version,
            } if path.starts_with(ROOT) => {
                self.set.entry(text(data)).or_default().push(at);
                let versions = self.versions.entry(path.clone()).or_default();
                // A later leader that did not know of a version gave it again.
                let known = versions.split_off(version);
                self.forgotten.extend(known.into_values());
                versions.insert(*version, at.0);
            }
            Change::Deleted { path } => {
                let Some(path) = path.strip_prefix(ROOT) else {
                    return;
                };
                watch(NodeEventKind::Deleted, path);
                self.deleted.entry(path.to_owned()).or_default().push(at);
                self.names.entry(path.to_owned()).or_default().push(at.0);
            }
            _ => {}
        }
    }

    /// The changes by which these two trees differ.
    fn between(&self, one: &Tree, other: &Tree) -> Vec<i64> {
        let names = one.names.symmetric_difference(&other.names);
        let data = one.data.iter().chain(&other.data);
        let data = data.filter(|(path, _)| one.data.get(*path) != other.data.get(*path));
        let names = names.chain(data.map(|(path, _)| path));
        let mut zxids: Vec<_> = names
            .filter_map(|path| self.names.get(path))
            .flatten()
            .copied()
            .collect();
        for (path, version) in &one.versions {
            let other = other.versions.get(path).unwrap_or(version);
            let known = self.versions.get(&format!("{ROOT}{path}"));
            if let Some(known) = known.filter(|_| other != version) {
                // The last one that both have as well: it may have been given twice.
                let differing = known.range(version.min(other)..=version.max(other));
                zxids.extend(differing.map(|(_, zxid)| zxid));
            }
        }
        zxids
    }

    /// This transaction, and those that created or deleted the znode before it.
    fn of_znode(&self, path: &str, zxid: i64) -> Vec<i64> {
        let of_path = self.names.get(path).into_iter().flatten().copied();
        let before = of_path.filter(|at| *at < zxid);
        before.chain([zxid]).collect()
    }

    /// When and in which session this took effect.
    fn of(&self, attempt: &Attempt) -> &[(i64, i64)] {
        let map = match attempt.op {
            Op::Create | Op::Ephemeral | Op::Sequential | Op::Multi => &self.created,
            Op::Set => &self.set,
            Op::Delete => &self.deleted,
        };
        map.get(&attempt.id).map_or(&[], Vec::as_slice)
    }
}

impl Verdict {
    /// Of so many workers.
    pub async fn reach(
        ensemble: &Ensemble,
        workers: usize,
        attempts: &[Attempt],
        seen: &[Vec<Seen>],
        run: &Run,
    ) -> Self {
        let mut verdict = Verdict::default();
        let leader = blocking(|| ensemble.leader().unwrap());
        until("the ephemerals are gone", || async {
            let tree = Tree::read(leader, workers).await;
            !tree.names.iter().any(|path| path.starts_with("/e/"))
        })
        .await;
        let truth = Tree::read(leader, workers).await;
        let mut trees = Vec::new();
        for server in ensemble.servers() {
            trees.push((server, Tree::read(server, workers).await));
        }
        let txns = logged(ensemble);
        verdict.transactions = txns.len();
        let log = Log::new(&txns);
        for (server, tree) in trees {
            if tree != truth {
                verdict.note_epochs(log.between(&truth, &tree));
                let more: Vec<_> = truth.names.symmetric_difference(&tree.names).collect();
                let some: Vec<_> = more.iter().take(SHOWN).collect();
                verdict.diverged.push(format!(
                    "server {}: {} other names, such as {some:?}",
                    server.id(),
                    more.len()
                ));
            }
        }

        verdict.judge_writes(attempts, &log, &truth, run);
        judge_registers(attempts, &truth, run);
        for seen in seen {
            judge_watch(seen, &log, run);
        }
        let keeps_transactions = blocking(|| leader.srvr().unwrap()).keeps_transactions();
        verdict.settle(keeps_transactions, run);
        verdict
    }

    fn note_epochs(&mut self, zxids: impl IntoIterator<Item = i64>) {
        self.epochs.extend(zxids.into_iter().map(epoch));
    }

    /// Decides what the suspicions are. A loss excuses those about transactions of its epoch and of the
    /// epochs beside it, for a server loses one while a leader is replaced, those about znodes that were
    /// created or deleted in these epochs, and those that are about no known transaction. Of servers that keep their transactions, a loss excuses nothing: it is a
    /// violation itself.
    fn settle(&mut self, servers_keep_transactions: bool, run: &Run) {
        let has_lost = self.lost_by_servers > 0 || !self.diverged.is_empty();
        if has_lost && servers_keep_transactions {
            run.violation(&self);
        }
        for Suspicion { what, zxids } in run.take_suspicions() {
            let is_near = |zxid: &i64| {
                let near = epoch(*zxid) - 1..=epoch(*zxid) + 1;
                self.epochs.range(near).next().is_some()
            };
            let is_near = zxids.is_empty() || zxids.iter().any(is_near);
            if has_lost && !servers_keep_transactions && is_near {
                self.excused.push(what);
            } else {
                run.violation(what);
            }
        }
    }

    fn judge_writes(&mut self, attempts: &[Attempt], log: &Log, truth: &Tree, run: &Run) {
        let mut numbered: HashMap<&str, Vec<&str>> = HashMap::new();
        for (path, data) in &truth.data {
            numbered.entry(data).or_default().push(path);
        }
        let deleted: BTreeSet<&str> = attempts
            .iter()
            .filter(|attempt| attempt.op == Op::Delete && attempt.fate != Fate::NotSent)
            .map(|attempt| &*attempt.id)
            .collect();
        for attempt in attempts {
            let logged = log.of(attempt);
            let Attempt { op, id, fate, .. } = attempt;
            let is_deleted = match fate {
                Fate::Acknowledged(path) if !matches!(op, Op::Set | Op::Delete) => {
                    log.deleted.contains_key(path) && !deleted.contains(&**path)
                }
                _ => false,
            };
            if is_deleted {
                run.violation(format!("{op:?} {id}, {fate:?}, was deleted by no worker"));
            }
            if *op == Op::Sequential {
                let there = numbered.get(&**id).map_or(&[][..], Vec::as_slice);
                let right = match fate {
                    Fate::Acknowledged(path) => there == [&**path],
                    Fate::Unknown => there.len() <= 1,
                    Fate::NotSent | Fate::Rejected => there.is_empty(),
                };
                let lost =
                    matches!(fate, Fate::Acknowledged(_)) && there.is_empty() && !logged.is_empty();
                if lost && !is_deleted {
                    self.lose(logged);
                }
                if !right && !lost {
                    run.violation(format!("{op:?} {id}, {fate:?}: there is {there:?}"));
                }
                continue;
            }
            let times = logged.len();
            let right = match fate {
                Fate::Acknowledged(_) => times == 1,
                Fate::Unknown => times <= 1,
                Fate::NotSent | Fate::Rejected => times == 0,
            };
            if !right {
                let what = format!("{op:?} {id}, {fate:?}, is logged {times} times");
                match (op, fate, logged) {
                    // A server logs a deletion, and refuses it when it finds that it has lost the znode.
                    (Op::Delete, Fate::Rejected, [(zxid, _)]) => {
                        run.suspicion(log.of_znode(id, *zxid), what);
                    }
                    _ => run.violation(what),
                }
            }
            for (zxid, session) in logged {
                if attempt.session.is_some_and(|own| own.0 != *session) {
                    run.violation(format!(
                        "{op:?} {id} of {:?} took effect at {zxid:x} in session {session:x}",
                        attempt.session
                    ));
                }
            }
            if *op == Op::Multi {
                let both = log.set.get(id).map_or(&[][..], Vec::as_slice);
                if both != logged {
                    run.violation(format!(
                        "Multi {id} took effect by half: {logged:?} {both:?}"
                    ));
                }
            }
            if let Fate::Acknowledged(path) = fate {
                let there = truth.names.contains(path);
                let is_lost = match op {
                    Op::Create => !there && !deleted.contains(&**path),
                    Op::Multi => !there,
                    Op::Delete => there,
                    Op::Set => logged.iter().any(|(zxid, _)| log.forgotten.contains(zxid)),
                    _ => false,
                };
                if is_lost && !is_deleted {
                    self.lose(logged);
                }
            }
        }
    }

    /// Counts an acknowledged change that the servers have logged and lost.
    fn lose(&mut self, logged: &[(i64, i64)]) {
        self.lost_by_servers += 1;
        self.note_epochs(logged.iter().map(|(zxid, _)| *zxid));
    }
}

/// That of the leader that made the transaction.
fn epoch(zxid: i64) -> i64 {
    zxid >> 32
}

/// All transactions that any server has logged, by their zxids and sessions.
pub fn logged(ensemble: &Ensemble) -> BTreeMap<(i64, i64), Txn> {
    let mut txns = BTreeMap::new();
    for server in ensemble.servers() {
        let directory = server.dir().join("data").join("version-2");
        for txn in txn_log::read_all(&directory).unwrap() {
            txns.insert((txn.zxid, txn.session), txn);
        }
    }
    txns
}

/// A register has a version for each write that took effect.
fn judge_registers(attempts: &[Attempt], truth: &Tree, run: &Run) {
    for (op, root) in [(Op::Set, "s"), (Op::Multi, "t")] {
        let mut counts: BTreeMap<&str, (i32, i32)> = BTreeMap::new();
        for attempt in attempts.iter().filter(|attempt| attempt.op == op) {
            let (worker, _) = attempt.id.split_once('-').unwrap();
            let (certain, possible) = counts.entry(worker).or_default();
            *certain += i32::from(matches!(attempt.fate, Fate::Acknowledged(_)));
            *possible += i32::from(attempt.fate == Fate::Unknown);
        }
        for (worker, (certain, possible)) in counts {
            let version = truth.versions[&format!("/{root}/{worker}")];
            let what = format!(
                "/{root}/{worker} has version {version} after {certain} writes and \
                     {possible} of unknown outcome"
            );
            if version > certain + possible {
                run.violation(what);
            } else if version < certain {
                run.suspicion(Vec::new(), what);
            }
        }
    }
}

/// Between two events without a gap nothing has happened, and events come in order.
fn judge_watch(seen: &[Seen], log: &Log, run: &Run) {
    let zxids: HashMap<_, _> = log
        .watched
        .iter()
        .map(|(zxid, what)| (what, *zxid))
        .collect();
    // The watch was set when the workers' own znodes had been made, and nothing else.
    let prepared = |path: &str| {
        path.strip_prefix(TREE)
            .is_some_and(|rest| rest[1..].parse::<usize>().is_ok())
    };
    let made = log.watched.iter().filter(|(_, (_, path))| prepared(path));
    let mut last = made.map(|(zxid, _)| *zxid).max();
    for seen in seen {
        let Seen::Node(kind, path) = seen else {
            last = None;
            continue;
        };
        let Some(&zxid) = zxids.get(&(*kind, path.clone())) else {
            run.violation(format!(
                "{kind:?} {path} was delivered and has not happened"
            ));
            continue;
        };
        match last {
            Some(last) if last >= zxid => {
                run.violation(format!("{kind:?} {path} was delivered late, or again"));
            }
            Some(last) => {
                for (at, (kind, missed)) in log.watched.range(last + 1..zxid) {
                    let what = format!("{kind:?} {missed} was not delivered, {path} after it was");
                    // A server that has lost the creation has no deletion to report, however late.
                    run.suspicion(log.of_znode(missed, *at), what);
                }
            }
            // What came before the first event lies in the gap before it.
            None => {}
        }
        last = Some(zxid);
    }
}

#[cfg(test)]
mod tests;
