//! The task of a cache: sets the watches, submits the reads that the machine requests, and publishes
//! the changes.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use zk_client::{
    Client, ErrorCode, ErrorKind, NodeEventKind, Watch, WatchEvent, WatchMode, WatchStream, Window,
};

use super::machine::{Answer, Machine, Query, Read};
use super::one_shot_watches::OneShotWatches;
use super::shared::Shared;
use super::worklist::Facet;
use crate::connections::Connections;
use crate::error::CacheError;
use crate::paths::check;
use crate::retry::RetryBackoff;

/// The changes are published at the latest after this many events and answers.
const BATCH: usize = 256;

/// The answer of a server, and the watch that it set.
type Reply = zk_client::Result<(Answer, Option<Watch>)>;

type Replying = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// No read is submitted before it ends: after a failure a delay, while the client has no room for another
/// request a wait for some.
type Pause = Pin<Box<dyn Future<Output = Option<Client>> + Send>>;

enum Watches {
    Recursive(WatchStream),
    OneShot(OneShotWatches),
}

enum Step {
    Event(WatchEvent),
    Fired(Arc<str>, Facet, WatchEvent),
    Answered(Query, Reply),
    /// The session resumed on another connection.
    Reconnected,
    /// The pause is over.
    PauseOver,
}

/// Whether the session of the watches has ended.
enum Watching {
    Continues,
    SessionEnded,
}

pub(super) struct Driver {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) machine: Machine,
    /// The reads in flight at once.
    pub(super) window: Window,
    pub(super) one_shot: bool,
    pub(super) create_root: bool,
}

struct Running {
    driver: Driver,
    connections: Connections,
    /// In the order of submission, which is that of the answers.
    in_flight: VecDeque<(Query, Replying)>,
    backoff: RetryBackoff,
    pause: Option<Pause>,
    /// Reserved for the next read.
    room: Option<Client>,
    /// The session in which the watches are set; 0 before the first.
    epoch: u64,
}

impl Driver {
    /// Keeps the cache up to date until that fails.
    pub(super) async fn run(self) -> CacheError {
        if let Err(error) = check(self.machine.snapshot().tree.base()) {
            return end(error);
        }
        let mut running = Running {
            connections: Connections::of(&self.client),
            driver: self,
            in_flight: VecDeque::new(),
            backoff: RetryBackoff::new(),
            pause: None,
            room: None,
            epoch: 0,
        };
        if let Err(error) = running.create_root().await {
            return end(error);
        }
        loop {
            if let Err(error) = running.session().await {
                return error;
            }
        }
    }
}

impl Running {
    /// Runs until the end of the session.
    async fn session(&mut self) -> Result<(), CacheError> {
        let mut watches = self.watch().await?;
        self.epoch = self.driver.client.session().epoch;
        let one_shot = matches!(watches, Watches::OneShot(_));
        self.driver.machine.load(one_shot);
        loop {
            self.submit_reads(one_shot);
            if let Watching::SessionEnded = poll_fn(|cx| self.poll_batch(&mut watches, cx)).await? {
                self.driver.machine.session_ended();
                self.give_up_room()?;
                self.publish();
                return Ok(());
            }
            self.publish();
        }
    }

    /// Gives up the reads in flight, whose answers would be ignored after the end of their session, and the
    /// reserved room. Nothing takes them until the watch of the next session is set, and they may be all the
    /// room that the client has for it.
    fn give_up_room(&mut self) -> Result<(), CacheError> {
        (self.room, self.pause) = (None, None);
        for (query, _) in self.in_flight.drain(..) {
            self.driver.machine.answered(&query, Answer::Failed)?;
        }
        Ok(())
    }

    async fn create_root(&mut self) -> zk_client::Result<()> {
        let base = self.driver.machine.snapshot().tree.base().clone();
        while self.driver.create_root {
            match self.driver.client.ensure_path(&base).await {
                Ok(_) => self.driver.create_root = false,
                Err(error) => self.backoff.sleep_after(error).await?,
            }
        }
        self.backoff.reset();
        Ok(())
    }

    async fn watch(&mut self) -> Result<Watches, CacheError> {
        let client = &self.driver.client;
        let one_shot = || Watches::OneShot(OneShotWatches::new(client.runtime().clone()));
        if self.driver.one_shot {
            return Ok(one_shot());
        }
        let base = self.driver.machine.snapshot().tree.base().clone();
        loop {
            match client.watch(&base, WatchMode::PersistentRecursive).await {
                Ok(stream) => return Ok(Watches::Recursive(stream)),
                Err(error) if lacks_recursive_watches(&error) => {
                    tracing::info!(%error, "the server has no usable recursive watches, the cache uses one-shot watches");
                    return Ok(one_shot());
                }
                Err(error) => self.backoff.sleep_after(error).await.map_err(end)?,
            }
        }
    }

    /// Submits reads until the window is full.
    fn submit_reads(&mut self, one_shot: bool) {
        while self.pause.is_none() && self.in_flight.len() < self.driver.window.size() {
            let Some(query) = self.driver.machine.next_query() else {
                self.room = None;
                return;
            };
            let room = self.room.take();
            let client = room.as_ref().unwrap_or(&self.driver.client);
            let reply = submit(client, &query, one_shot);
            self.in_flight.push_back((query, reply));
        }
    }

    fn publish(&mut self) {
        if let Some((snapshot, events)) = self.driver.machine.take_changes() {
            self.driver.shared.publish(snapshot, events);
        }
    }

    /// Handles the steps that are ready; pending if none is.
    fn poll_batch(
        &mut self,
        watches: &mut Watches,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Watching, CacheError>> {
        if self.driver.shared.poll_rebuild(cx).is_ready() {
            // Also the data of nodes whose stats have not changed are read again.
            self.driver.machine.session_ended();
            let one_shot = matches!(watches, Watches::OneShot(_));
            self.driver.machine.load(one_shot);
            return Poll::Ready(Ok(Watching::Continues));
        }
        for handled in 0..BATCH {
            let Poll::Ready(step) = self.poll_step(watches, cx) else {
                return if handled > 0 {
                    Poll::Ready(Ok(Watching::Continues))
                } else {
                    Poll::Pending
                };
            };
            match self.handle(step, watches) {
                Ok(Watching::Continues) => {}
                ended => return Poll::Ready(ended),
            }
        }
        Poll::Ready(Ok(Watching::Continues))
    }

    /// Events come before answers, so that a path with several events is read only once.
    fn poll_step(&mut self, watches: &mut Watches, cx: &mut Context<'_>) -> Poll<Step> {
        match watches {
            Watches::Recursive(stream) => {
                if let Poll::Ready(event) = Pin::new(stream).poll_next(cx) {
                    return Poll::Ready(Step::Event(event.unwrap_or(WatchEvent::SessionEnded)));
                }
            }
            Watches::OneShot(watches) => {
                if self.connections.poll_restored(cx).is_ready() {
                    return Poll::Ready(Step::Reconnected);
                }
                if let Poll::Ready(((path, facet), event)) = watches.poll(cx) {
                    return Poll::Ready(Step::Fired(path, facet, event));
                }
            }
        }
        if let Some((_, reply)) = self.in_flight.front_mut()
            && let Poll::Ready(reply) = reply.as_mut().poll(cx)
            && let Some((query, _)) = self.in_flight.pop_front()
        {
            return Poll::Ready(Step::Answered(query, reply));
        }
        if let Some(pause) = &mut self.pause
            && let Poll::Ready(room) = pause.as_mut().poll(cx)
        {
            self.pause = None;
            self.room = room;
            return Poll::Ready(Step::PauseOver);
        }
        Poll::Pending
    }

    fn handle(&mut self, step: Step, watches: &mut Watches) -> Result<Watching, CacheError> {
        let machine = &mut self.driver.machine;
        match step {
            Step::Event(WatchEvent::Node(event)) => match event.kind {
                NodeEventKind::Created | NodeEventKind::DataChanged => {
                    machine.touch(&event.path, Facet::Node);
                }
                NodeEventKind::Deleted => machine.touch_deleted(&event.path),
                // Recursive watches do not report this.
                NodeEventKind::ChildrenChanged => {}
            },
            Step::Event(WatchEvent::Gap { .. } | WatchEvent::Lagged { .. }) => {
                machine.gap();
                machine.load(false);
            }
            Step::Event(WatchEvent::SessionEnded) | Step::Fired(_, _, WatchEvent::SessionEnded) => {
                return Ok(Watching::SessionEnded);
            }
            // If the ensemble was restored from a backup, the server does not report every change when
            // one-shot watches are armed again.
            Step::Reconnected => {
                machine.gap();
                machine.load(true);
            }
            // Reads again after every event.
            Step::Fired(path, facet, _) => machine.touch(&path, facet),
            Step::Answered(query, reply) => return self.answered(&query, reply, watches),
            Step::PauseOver => {}
        }
        Ok(Watching::Continues)
    }

    fn answered(
        &mut self,
        query: &Query,
        reply: Reply,
        watches: &mut Watches,
    ) -> Result<Watching, CacheError> {
        let epoch = self.driver.client.session().epoch;
        if self.epoch == 0 {
            self.epoch = epoch;
        }
        if self.epoch != epoch {
            // The client resends reads in the next session, where there was no sync yet.
            self.driver.machine.answered(query, Answer::Failed)?;
            return Ok(Watching::SessionEnded);
        }
        let answer = match reply {
            Ok((answer, watch)) => {
                if let (Watches::OneShot(watches), Some(watch)) = (watches, watch) {
                    let facet = match query.read {
                        Read::Names => Facet::Children,
                        _ => Facet::Node,
                    };
                    watches.add(query.path.clone(), facet, watch);
                }
                self.backoff.reset();
                self.driver.window.handle_reply();
                answer
            }
            Err(error) if error.kind() == ErrorKind::QueueFull => {
                self.driver.window.handle_overload(self.in_flight.len() + 1);
                if self.pause.is_none() {
                    let room = self.driver.client.wait_for_room().submit();
                    self.pause = Some(Box::pin(async move { room.await.ok() }));
                }
                Answer::Failed
            }
            Err(error) if self.backoff.allows(&error) => {
                let delay = tokio::time::sleep(self.backoff.next_delay());
                self.pause = Some(Box::pin(async move {
                    delay.await;
                    None
                }));
                Answer::Failed
            }
            Err(error) => match error.kind() {
                // A znode whose path does not fit into a request cannot exist.
                ErrorKind::NoNode | ErrorKind::RequestTooLarge => Answer::Absent,
                ErrorKind::NoAuth => Answer::Refused(error.code().unwrap_or(ErrorCode::NoAuth)),
                ErrorKind::ReadOnly if query.read == Read::Sync => {
                    Answer::Refused(error.code().unwrap_or(ErrorCode::NotReadOnly))
                }
                _ => return Err(end(error)),
            },
        };
        self.driver.machine.answered(query, answer)?;
        Ok(Watching::Continues)
    }
}

fn end(error: zk_client::Error) -> CacheError {
    match error.kind() {
        ErrorKind::Closed => CacheError::Closed,
        _ => CacheError::Client(Arc::new(error)),
    }
}

/// Whether the server has no recursive watches, or only ones that do not report which node changed.
fn lacks_recursive_watches(error: &zk_client::Error) -> bool {
    error.kind() == ErrorKind::Unimplemented || error.code() == Some(ErrorCode::MarshallingError)
}

/// Submits a read.
fn submit(client: &Client, query: &Query, watched: bool) -> Replying {
    let path = &*query.path;
    match (query.read, watched) {
        (Read::Sync, _) => {
            let sync = client.sync(path).submit();
            Box::pin(async move { sync.await.map(|()| (Answer::Synced, None)) })
        }
        (Read::Stat, false) => {
            let stat = client.exists(path).submit();
            Box::pin(async move { Ok((exists(stat.await?), None)) })
        }
        (Read::Stat, true) => {
            let stat = client.exists(path).watch().submit();
            Box::pin(async move {
                let (stat, watch) = stat.await?;
                Ok((exists(stat), Some(watch)))
            })
        }
        (Read::Data, false) => {
            let data = client.get(path).submit();
            Box::pin(async move {
                let (data, stat) = data.await?;
                Ok((Answer::Data(owned(&data), stat), None))
            })
        }
        (Read::Data, true) => {
            let data = client.get(path).watch().submit();
            Box::pin(async move {
                let (data, stat, watch) = data.await?;
                Ok((Answer::Data(owned(&data), stat), Some(watch)))
            })
        }
        (Read::Names, false) => {
            let names = client.children(path).stat().submit();
            Box::pin(async move {
                let (names, stat) = names.await?;
                Ok((Answer::Names(names.to_vec(), stat), None))
            })
        }
        (Read::Names, true) => {
            let names = client.children(path).watch().submit();
            Box::pin(async move {
                let (names, stat, watch) = names.await?;
                Ok((Answer::Names(names.to_vec(), stat), Some(watch)))
            })
        }
    }
}

fn exists(stat: Option<zk_client::Stat>) -> Answer {
    stat.map_or(Answer::Absent, Answer::Stat)
}

/// A copy: a slice of the received bytes would keep all of them in memory.
fn owned(data: &Bytes) -> Bytes {
    if data.is_empty() {
        Bytes::new()
    } else {
        Bytes::copy_from_slice(data)
    }
}
