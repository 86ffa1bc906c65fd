//! Writes a tree to a server.
//!
//! The znodes are written in batches, all requests of a batch at once. What has to be done is decided by what is
//! there, so that a request whose outcome is unknown is decided again, and an import that was cut is repeated as a
//! whole.

use bytes::Bytes;
use zk_client::{
    Acl, Chroot, Client, Created, Error, ErrorKind, Pending, Repetition, Result, Stat,
};

use crate::commands::walk::of_one_znode;
use crate::output::explain::explain;
use crate::output::terminal::visible_line;
use crate::tree::difference::Difference;
use crate::tree::order::compare;
use crate::tree::plan::{LeftOut, Options, Selection, Step, step};
use crate::tree::{Kind, Node};

/// How many znodes are written at once.
const WINDOW: usize = 500;
/// How many bytes of data are written at once, unless a single znode has more.
const BYTES: usize = 2 << 20;
/// After how many rounds in a row without progress the znodes are written one at a time: one of them may be longer
/// than the server's limit, which then closes the connection.
const CAREFUL: u32 = 2;
/// How many rounds in a row may end without progress.
const MAX_LOSSES: u32 = 10;
/// How often a znode that is written alone may lose the connection.
const MAX_OWN_LOSSES: u32 = 3;

/// Writes znodes below another one.
pub(super) struct Importer<'a> {
    client: &'a Client,
    target: Chroot,
    options: Options,
    dry_run: bool,
    selection: Selection,
    batch: Vec<Node>,
    bytes: usize,
    /// Whether the last znodes did not exist, so that the next ones are created without a look at them.
    creates: bool,
    /// What was not taken yet.
    events: Events,
    pub(super) tally: Tally,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) created: u64,
    pub(super) replaced: u64,
    pub(super) same: u64,
    pub(super) kept: u64,
    pub(super) ephemerals: u64,
    pub(super) sequences: u64,
    pub(super) failed: u64,
    /// The created ones with the name of a sequential znode.
    pub(super) numbered: u64,
}

/// What happened to a znode.
#[derive(Debug)]
pub(super) enum Event {
    Created,
    Replaced(Difference),
    Same,
    Kept(Difference),
    LeftOut(LeftOut),
    /// It differs from the one that exists, and the import ends.
    Conflict(Difference),
    Failed(String),
}

/// The event of a znode, by its full path.
pub(super) type Events = Vec<(String, Event)>;

/// A znode of the batch.
struct Work {
    node: Node,
    path: String,
    own_losses: u32,
}

/// The requests for a znode.
enum Write {
    Create(Pending<Created>),
    Replace(Difference, Option<Pending<Stat>>, Option<Pending<Stat>>),
}

/// What is known of a znode after a round.
enum Outcome {
    Done(Event),
    Again(Error),
    /// The other znodes cannot be written either.
    End(Error),
}

impl<'a> Importer<'a> {
    /// Writes to `target` and below it.
    pub(super) fn new(client: &'a Client, target: Chroot, options: Options, dry_run: bool) -> Self {
        Importer {
            client,
            target,
            options,
            dry_run,
            selection: Selection::new(options),
            batch: Vec::new(),
            bytes: 0,
            creates: false,
            events: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes the next znode, and writes a batch if that is complete.
    ///
    /// # Errors
    /// The other znodes cannot be written either.
    pub(super) async fn add(&mut self, node: Node) -> Result<()> {
        if let Some(left_out) = self.selection.leaves_out(&node) {
            let path = self.target.join(&node.path);
            self.note(&node, path, Event::LeftOut(left_out));
            return Ok(());
        }
        if node.has_masked_acl() && !self.options.ignore_acls {
            let path = self.target.join(&node.path);
            let event = Event::Failed(format!(
                "{}: its ACL lacks the hash of a password, because the client that exported it may not \
                 administer it (export it again with the credentials, or give --no-acl)",
                visible_line(&path)
            ));
            self.note(&node, path, event);
            return Ok(());
        }
        self.bytes += node.data.as_ref().map_or(0, Bytes::len);
        self.batch.push(node);
        if self.batch.len() >= WINDOW || self.bytes >= BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// What has happened since the last call, also before an error.
    pub(super) fn take_events(&mut self) -> Events {
        std::mem::take(&mut self.events)
    }

    /// Writes what was taken.
    ///
    /// # Errors
    /// The other znodes cannot be written either.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let work = batch.into_iter().map(|node| Work {
            path: self.target.join(&node.path),
            node,
            own_losses: 0,
        });
        let mut left: Vec<Work> = work.collect();
        let (mut losses, mut pauses) = (0, Repetition::default());
        while !left.is_empty() {
            let rest = match losses {
                0..CAREFUL => Vec::new(),
                _ => left.split_off(1),
            };
            let tried = left.len();
            let (mut lost, mut end) = (None, None);
            let mut done = self.round(std::mem::take(&mut left), losses).await;
            done.sort_by(|(one, _), (other, _)| compare(&one.node.path, &other.node.path));
            for (mut work, outcome) in done {
                let event = match outcome {
                    Outcome::Done(event) => event,
                    Outcome::Again(error) => {
                        work.own_losses += u32::from(tried == 1);
                        if work.own_losses < MAX_OWN_LOSSES {
                            left.push(work);
                            lost = Some(error);
                            continue;
                        }
                        Event::Failed(given_up(&work, &error))
                    }
                    Outcome::End(error) => {
                        end = end.or(Some(error));
                        continue;
                    }
                };
                self.note(&work.node, work.path, event);
            }
            if let Some(error) = end {
                return Err(error);
            }
            let progressed = left.len() < tried;
            left.extend(rest);
            if !self.dry_run && matches!(self.events.last(), Some((_, Event::Conflict(_)))) {
                break;
            }
            match lost {
                _ if progressed => {
                    losses = match losses {
                        0..CAREFUL => 0,
                        _ => CAREFUL,
                    };
                    pauses.reset();
                }
                Some(error) => {
                    losses += 1;
                    if losses >= MAX_LOSSES {
                        return Err(error);
                    }
                    // The next round reads what exists, and writes what differs.
                    if error.kind() != ErrorKind::NodeExists {
                        tokio::time::sleep(pauses.next_delay()).await;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Makes the requests for znodes, and returns what came of each, in order.
    async fn round(&mut self, work: Vec<Work>, losses: u32) -> Vec<(Work, Outcome)> {
        if self.creates && losses == 0 && !self.dry_run {
            return self.create(work).await;
        }
        let reads: Vec<_> = work
            .iter()
            .map(|work| {
                let data = self.client.get(&work.path).nullable().submit();
                let reads_acl = !self.options.ignore_acls;
                let acl = reads_acl.then(|| self.client.acl(&work.path).submit());
                (data, acl)
            })
            .collect();
        let mut found = Vec::with_capacity(work.len());
        for (work, (data, acl)) in work.into_iter().zip(reads) {
            let existing = existing(&work.node.path, data, acl).await;
            found.push((work, existing));
        }
        let mut done = Vec::with_capacity(found.len());
        let mut writes = Vec::new();
        let mut conflict = false;
        for (work, existing) in found {
            let existing = match existing {
                Ok(existing) => existing,
                Err(error) => {
                    done.push((work, failed(error)));
                    continue;
                }
            };
            let step = step(&work.node, existing.as_ref(), self.options);
            let event = match step {
                Step::Nothing => Event::Same,
                Step::Keep(difference) => Event::Kept(difference),
                Step::Conflict(difference) => {
                    // What comes behind it is not written.
                    conflict = true;
                    Event::Conflict(difference)
                }
                Step::Create if self.dry_run => Event::Created,
                Step::Replace(difference) if self.dry_run => Event::Replaced(difference),
                Step::Create | Step::Replace(_) => {
                    writes.push((work, step, existing.and_then(|node| node.stat)));
                    continue;
                }
            };
            done.push((work, Outcome::Done(event)));
            if conflict && !self.dry_run {
                break;
            }
        }
        let submitted: Vec<_> = writes
            .into_iter()
            .map(|(work, step, stat)| {
                let write = match step {
                    Step::Replace(difference) => self.replace(&work, difference, stat),
                    _ => Write::Create(self.submit_create(&work)),
                };
                (work, write)
            })
            .collect();
        self.creates = !submitted.is_empty()
            && submitted
                .iter()
                .all(|(_, write)| matches!(write, Write::Create(_)));
        self.creates &= done.is_empty();
        done.extend(finish(submitted).await);
        done
    }

    /// Creates znodes that probably do not exist.
    async fn create(&mut self, work: Vec<Work>) -> Vec<(Work, Outcome)> {
        let submitted: Vec<_> = work
            .into_iter()
            .map(|work| {
                let write = Write::Create(self.submit_create(&work));
                (work, write)
            })
            .collect();
        let done = finish(submitted).await;
        self.creates = done
            .iter()
            .all(|(_, outcome)| matches!(outcome, Outcome::Done(_)));
        done
    }

    fn submit_create(&self, work: &Work) -> Pending<Created> {
        let node = &work.node;
        let mut create = self
            .client
            .create(&work.path, node.data.clone().unwrap_or_default());
        if node.data.is_none() {
            create = create.null();
        }
        if !self.options.ignore_acls {
            create = create.acl(acl(node));
        }
        create = match node.kind {
            Kind::Plain | Kind::Ephemeral => create,
            Kind::Container => create.container(),
            Kind::Ttl(ttl) => create.ttl(ttl),
        };
        create.submit()
    }

    /// Replaces what differs, unless it is changed meanwhile.
    fn replace(&self, work: &Work, difference: Difference, stat: Option<Stat>) -> Write {
        let node = &work.node;
        let stat = stat.unwrap_or_default();
        let data = difference.data.then(|| {
            let data = node.data.clone().unwrap_or_default();
            let set = self.client.set(&work.path, data).version(stat.version);
            match node.data {
                Some(_) => set.submit(),
                None => set.null().submit(),
            }
        });
        let acl = difference.acl.then(|| {
            let set = self.client.set_acl(&work.path, acl(node));
            set.version(stat.aversion).submit()
        });
        Write::Replace(difference, data, acl)
    }

    fn note(&mut self, node: &Node, path: String, event: Event) {
        let tally = &mut self.tally;
        let counter = match &event {
            Event::Created => {
                tally.numbered += u64::from(node.is_sequence());
                &mut tally.created
            }
            Event::Replaced(_) => &mut tally.replaced,
            Event::Same => &mut tally.same,
            Event::Kept(_) => &mut tally.kept,
            Event::LeftOut(LeftOut::Ephemeral) => &mut tally.ephemerals,
            Event::LeftOut(LeftOut::Sequence) => &mut tally.sequences,
            Event::Failed(_) | Event::Conflict(_) => &mut tally.failed,
        };
        *counter += 1;
        self.events.push((path, event));
    }
}

/// The ACL to write. Servers refuse an empty one; ClickHouse Keeper shows one that permits everything so.
fn acl(node: &Node) -> Vec<Acl> {
    match node.acl.is_empty() {
        true => Acl::open(),
        false => node.acl.clone(),
    }
}

/// The znode that exists at a path.
async fn existing(
    path: &str,
    data: Pending<(Option<Bytes>, Stat)>,
    acl: Option<Pending<(Vec<Acl>, Stat)>>,
) -> Result<Option<Node>> {
    let data = data.await;
    let acl = match acl {
        Some(acl) => acl.await.map(|(acl, stat)| (acl, stat.aversion)),
        None => Ok((Vec::new(), 0)),
    };
    let ((data, mut stat), (acl, aversion)) = match (data, acl) {
        (Ok(data), Ok(acl)) => (data, acl),
        (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::NoNode => return Ok(None),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    // The ACL that was compared may be newer than the data.
    stat.aversion = aversion;
    Ok(Some(Node {
        path: path.to_owned(),
        data,
        acl,
        kind: Kind::of(&stat),
        stat: Some(stat),
    }))
}

/// Waits for the replies to writes.
async fn finish(submitted: Vec<(Work, Write)>) -> Vec<(Work, Outcome)> {
    let mut done = Vec::with_capacity(submitted.len());
    for (work, write) in submitted {
        let outcome = match write {
            Write::Create(created) => created.await.map(|_| Event::Created),
            Write::Replace(difference, data, acl) => {
                // Both are awaited: the second takes effect even if the first fails.
                let data = reply(data).await;
                let acl = reply(acl).await;
                data.and(acl).map(|()| Event::Replaced(difference))
            }
        };
        let outcome = match outcome {
            Ok(event) => Outcome::Done(event),
            Err(error) => failed(error),
        };
        done.push((work, outcome));
    }
    // A znode whose parent is still to be created is created after it.
    let mut waits = false;
    for (_, outcome) in &mut done {
        match outcome {
            Outcome::Again(error) if error.kind() != ErrorKind::NoNode => waits = true,
            Outcome::Again(error) if !waits => {
                let text = explain(error);
                *outcome = Outcome::Done(Event::Failed(text));
            }
            _ => {}
        }
    }
    done
}

async fn reply(pending: Option<Pending<Stat>>) -> Result<()> {
    match pending {
        Some(pending) => pending.await.map(drop),
        None => Ok(()),
    }
}

/// What an error means for the znode.
fn failed(error: Error) -> Outcome {
    let is_decided_again = matches!(
        error.kind(),
        ErrorKind::NodeExists
            | ErrorKind::BadVersion
            | ErrorKind::NoNode
            | ErrorKind::SessionExpired
    ) || error.is_transient()
        || error.kind() == ErrorKind::ConnectionLost
        || (error.lacks_operation() && error.outcome() == zk_client::Outcome::Unknown);
    if is_decided_again {
        return Outcome::Again(error);
    }
    match of_one_znode(error) {
        Ok(error) => Outcome::Done(Event::Failed(explain(&error))),
        Err(error) => Outcome::End(error),
    }
}

fn given_up(work: &Work, error: &Error) -> String {
    let length = work.node.data.as_ref().map_or(0, Bytes::len);
    format!(
        "{} (tried {MAX_OWN_LOSSES} times alone; its {length} bytes may be more than the server's \
         jute.maxbuffer)",
        explain(error)
    )
}
