//! A walk over a znode and everything below it in the order of [`order`](crate::tree::order), which needs little
//! memory however large the tree is: only the lists of children on the way from the start to the current znode are
//! held, and a limited number of those that come next.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;
use zk_client::{Children, Client, Error, ErrorKind, Pending, Repetition, Result, Stat, path};

use crate::tree::order::{Names, compare, is_at_or_below};

/// How many of the next znodes have been requested.
const WINDOW: usize = 256;
/// As many are requested in any case.
const LEAST: usize = 32;
/// How many requested znodes may wait for those before them.
const MOST: usize = 2048;
/// How many names may have been listed ahead of time.
const NAMES: usize = 50_000;
/// After how many znodes others are requested.
const BATCH: usize = 32;
/// How many failures in a row end the walk.
const MAX_FAILURES: u32 = 10;
/// The znode of the servers' own data.
const SYSTEM: &str = "/zookeeper";

/// A visited znode.
pub(crate) struct Visit {
    pub(crate) path: String,
    /// The number of levels below the start.
    pub(crate) depth: usize,
    /// Whether it is the last of its siblings.
    pub(crate) last: bool,
    /// `None` if the stat could not be read.
    pub(crate) stat: Option<Stat>,
    /// Why the znode, or the list of its children, could not be read.
    pub(crate) unread: Option<Error>,
}

/// A walk. A znode that is deleted meanwhile is left out; one that cannot be read is visited with the error.
pub(crate) struct Walk {
    client: Client,
    start: String,
    max_depth: usize,
    /// Is not visited, nor what is below it.
    excluded: Option<&'static str>,
    /// The last znode of an earlier walk, which is continued.
    after: Option<After>,
    /// What is still to be visited, in order.
    items: VecDeque<Item>,
    /// The requested znodes.
    slots: HashMap<u64, Slot>,
    next_id: u64,
    /// In the order of submission, which is that of the replies.
    in_flight: VecDeque<(u64, Request)>,
    /// The znodes whose request is made again after the pause.
    refused: Vec<u64>,
    /// The names that were listed, or will be.
    names: usize,
    /// The visits since znodes were last requested.
    visits: usize,
    failures: u32,
    pauses: Repetition,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Where an earlier walk has ended.
#[derive(Clone, Debug)]
pub(crate) struct After {
    pub(crate) path: String,
    /// Whether the earlier walk has certainly listed its children. If not, they are listed again, and what is below
    /// it is left out if that fails.
    pub(crate) is_listed: bool,
}

impl After {
    /// Whether the earlier walk has ended at this znode, and perhaps could not list its children.
    fn is_unlisted(&self, path: &str) -> bool {
        !self.is_listed && self.path == path
    }
}

enum Item {
    /// A requested znode.
    Slot(u64),
    Siblings(Box<Siblings>),
}

/// Znodes with the same parent that have not been requested.
struct Siblings {
    parent: String,
    depth: usize,
    names: Names,
}

struct Slot {
    path: String,
    depth: usize,
    last: bool,
    state: State,
}

enum State {
    /// The stat is requested.
    Requested,
    /// There are children, which are not requested.
    Unlisted(Stat),
    Listing(Stat),
    Known(Option<Stat>, Option<Error>),
    /// Deleted meanwhile.
    Gone,
}

enum Request {
    Stat(Pending<Option<Stat>>),
    Children(Pending<Children>),
}

enum Reply {
    Stat(Result<Option<Stat>>),
    Children(Result<Children>),
}

impl Request {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        Poll::Ready(match self {
            Request::Stat(pending) => Reply::Stat(ready!(Pin::new(pending).poll(cx))),
            Request::Children(pending) => Reply::Children(ready!(Pin::new(pending).poll(cx))),
        })
    }
}

impl Walk {
    /// Begins at `start`.
    ///
    /// # Errors
    /// `start` does not exist.
    pub(crate) async fn begin(
        client: &Client,
        start: &str,
        max_depth: Option<usize>,
    ) -> Result<Self> {
        // What other clients have written before this command began is part of the tree.
        match client.sync(start).await {
            Err(error) if error.kind() != ErrorKind::ReadOnly => return Err(error),
            _ => {}
        }
        if client.exists(start).await?.is_none() {
            // Unlike `exists`, `children` fails, with an error that names the znode, or the chroot.
            client.children(start).await?;
        }
        let mut walk = Walk {
            client: client.clone(),
            start: start.to_owned(),
            max_depth: max_depth.unwrap_or(usize::MAX),
            excluded: None,
            after: None,
            items: VecDeque::new(),
            slots: HashMap::new(),
            next_id: 0,
            in_flight: VecDeque::new(),
            refused: Vec::new(),
            names: 0,
            visits: 0,
            failures: 0,
            pauses: Repetition::default(),
            pause: None,
        };
        let id = walk.request(start.to_owned(), 0, true);
        walk.items.push_back(Item::Slot(id));
        Ok(walk)
    }

    /// Leaves out the servers' own data, unless the walk begins there.
    pub(crate) fn without_system(mut self) -> Self {
        let excluded = self.client.root().is_none() && !is_at_or_below(&self.start, SYSTEM);
        self.excluded = excluded.then_some(SYSTEM);
        self
    }

    /// Visits only what comes after a znode.
    pub(crate) fn after(mut self, after: After) -> Self {
        self.after = Some(after);
        self
    }

    /// The next znode; `None` after the last.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Visit>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), unless it would wait.
    pub(crate) async fn next_now(&mut self) -> Option<Result<Option<Visit>>> {
        poll_fn(|cx| {
            Poll::Ready(match self.poll_next(cx) {
                Poll::Ready(next) => Some(next),
                Poll::Pending => None,
            })
        })
        .await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Visit>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
                for id in std::mem::take(&mut self.refused) {
                    self.request_again(id);
                }
            }
            self.handle_replies(cx)?;
            if self.pause.is_some() {
                continue;
            }
            let id = match self.items.front() {
                None => return Poll::Ready(Ok(None)),
                Some(Item::Siblings(_)) => {
                    self.request_more();
                    continue;
                }
                Some(Item::Slot(id)) => *id,
            };
            let Some(slot) = self.slots.get(&id) else {
                self.items.pop_front();
                continue;
            };
            match slot.state {
                State::Requested | State::Listing(_) => {
                    if self.visits > 0 {
                        self.request_more();
                    }
                    return Poll::Pending;
                }
                State::Unlisted(stat) => self.request_children(id, stat),
                State::Gone => drop(self.take(id)),
                State::Known(..) => {
                    let Some(slot) = self.take(id) else { continue };
                    self.visits += 1;
                    if self.visits >= BATCH {
                        self.request_more();
                    }
                    let State::Known(stat, unread) = slot.state else {
                        continue;
                    };
                    if self.is_behind(&slot.path) {
                        return Poll::Ready(Ok(Some(Visit {
                            path: slot.path,
                            depth: slot.depth,
                            last: slot.last,
                            stat,
                            unread,
                        })));
                    }
                    let after = self.after.as_ref();
                    if let Some(error) = unread
                        && !after.is_some_and(|after| after.is_unlisted(&slot.path))
                    {
                        // What comes next is below this znode.
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }

    /// Whether no earlier walk has visited this znode.
    fn is_behind(&self, path: &str) -> bool {
        let compared = self.after.as_ref().map(|after| compare(path, &after.path));
        compared.is_none_or(|order| order == Ordering::Greater)
    }

    /// Removes the first item, which has this slot.
    fn take(&mut self, id: u64) -> Option<Slot> {
        self.items.pop_front();
        self.slots.remove(&id)
    }

    fn request(&mut self, path: String, depth: usize, last: bool) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let reply = self.client.exists(&path).submit();
        self.in_flight.push_back((id, Request::Stat(reply)));
        let state = State::Requested;
        let slot = Slot {
            path,
            depth,
            last,
            state,
        };
        self.slots.insert(id, slot);
        id
    }

    fn request_children(&mut self, id: u64, stat: Stat) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.state = State::Listing(stat);
            self.names += expected(&stat);
            let reply = self.client.children(&slot.path).submit();
            self.in_flight.push_back((id, Request::Children(reply)));
        }
    }

    fn request_again(&mut self, id: u64) {
        if let Some(slot) = self.slots.get(&id) {
            let request = match slot.state {
                State::Listing(_) => Request::Children(self.client.children(&slot.path).submit()),
                _ => Request::Stat(self.client.exists(&slot.path).submit()),
            };
            self.in_flight.push_back((id, request));
        }
    }

    /// Requests the stats of the next znodes.
    fn request_more(&mut self) {
        self.visits = 0;
        let mut index = 0;
        while index < WINDOW && (index < LEAST || self.slots.len() < MOST) {
            let siblings = match self.items.get_mut(index) {
                None => return,
                Some(Item::Slot(_)) => {
                    index += 1;
                    continue;
                }
                Some(Item::Siblings(siblings)) => siblings,
            };
            let depth = siblings.depth;
            let Some(path) = siblings
                .names
                .next()
                .map(|name| path::join(&siblings.parent, name))
            else {
                self.names = self.names.saturating_sub(siblings.names.len());
                self.items.remove(index);
                continue;
            };
            if self.excluded == Some(path.as_str()) {
                continue;
            }
            let last = siblings.names.is_empty();
            let id = self.request(path, depth, last);
            self.items.insert(index, Item::Slot(id));
            index += 1;
        }
    }

    /// Takes the replies that are there.
    fn handle_replies(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while let Some((_, request)) = self.in_flight.front_mut() {
            let Poll::Ready(reply) = request.poll(cx) else {
                return Ok(());
            };
            if let Some((id, _)) = self.in_flight.pop_front() {
                self.handle_reply(id, reply)?;
            }
        }
        Ok(())
    }

    fn handle_reply(&mut self, id: u64, reply: Reply) -> Result<()> {
        let succeeded = matches!(reply, Reply::Stat(Ok(_)) | Reply::Children(Ok(_)));
        if succeeded && self.failures > 0 {
            self.failures = 0;
            self.pauses.reset();
        }
        let Some(slot) = self.slots.get_mut(&id) else {
            return Ok(());
        };
        let listing = match slot.state {
            State::Listing(stat) => Some(stat),
            _ => None,
        };
        let error = match (reply, listing) {
            (Reply::Stat(Ok(None)), _) => {
                slot.state = State::Gone;
                return Ok(());
            }
            (Reply::Stat(Ok(Some(stat))), _) => {
                let names = expected(&stat);
                let has_list = names > 0 && slot.depth < self.max_depth;
                slot.state = match has_list {
                    true => State::Unlisted(stat),
                    false => State::Known(Some(stat), None),
                };
                if has_list && self.names + names <= NAMES {
                    self.request_children(id, stat);
                }
                return Ok(());
            }
            (Reply::Children(Ok(children)), Some(stat)) => {
                let after = self.after.as_ref();
                let first = after.and_then(|after| name_below(&slot.path, &after.path));
                let names = children.iter();
                let names = names.filter(|name| first.is_none_or(|first| *name >= first));
                let siblings = Siblings {
                    parent: slot.path.clone(),
                    depth: slot.depth + 1,
                    names: Names::sorted(names),
                };
                self.names = self.names.saturating_sub(expected(&stat)) + siblings.names.len();
                slot.state = State::Known(Some(stat), None);
                let is_slot = |item: &Item| matches!(item, Item::Slot(other) if *other == id);
                if let Some(index) = self.items.iter().position(is_slot) {
                    let siblings = Item::Siblings(Box::new(siblings));
                    self.items.insert(index + 1, siblings);
                }
                return Ok(());
            }
            (Reply::Children(Ok(_)), _) => return Ok(()),
            (Reply::Stat(Err(error)) | Reply::Children(Err(error)), _) => error,
        };
        if error.is_transient() && self.failures < MAX_FAILURES {
            if self.pause.is_none() {
                self.failures += 1;
                let delay = self.pauses.next_delay();
                self.pause = Some(Box::pin(tokio::time::sleep(delay)));
            }
            self.refused.push(id);
            return Ok(());
        }
        let error = of_one_znode(error)?;
        if let Some(stat) = listing {
            self.names = self.names.saturating_sub(expected(&stat));
        }
        slot.state = match error.kind() {
            ErrorKind::NoNode => State::Gone,
            // Some servers show the stat only to those who may read the znode.
            _ => State::Known(listing, Some(error)),
        };
        Ok(())
    }
}

/// The name of the child of `parent` on the way to `path`; `None` if `path` is not below it.
fn name_below<'a>(parent: &str, path: &'a str) -> Option<&'a str> {
    if !is_at_or_below(path, parent) {
        return None;
    }
    let above = path::names(parent).count();
    path::names(path).nth(above)
}

/// Passes an error on as a value if it concerns one znode, so that others may still be read.
pub(crate) fn of_one_znode(error: Error) -> Result<Error> {
    match error.kind() {
        ErrorKind::ConnectionLost
        | ErrorKind::SessionExpired
        | ErrorKind::DeadlineExceeded
        | ErrorKind::Untrusted
        | ErrorKind::AuthFailed
        | ErrorKind::Closed => Err(error),
        _ => Ok(error),
    }
}

/// The number of names that a list of children will have.
fn expected(stat: &Stat) -> usize {
    usize::try_from(stat.num_children).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_name_on_a_way_is_found() {
        for (parent, path, name) in [
            ("/", "/a/b", Some("a")),
            ("/a", "/a/b/c", Some("b")),
            ("/a", "/a", None),
            ("/a", "/ab", None),
            ("/", "/", None),
        ] {
            assert_eq!(name_below(parent, path), name, "{parent} {path}");
        }
    }
}
