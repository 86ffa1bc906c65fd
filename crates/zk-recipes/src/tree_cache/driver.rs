//! The task behind a cache: watches, asks what the machine wants to know, and publishes.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::Sleep;
use zk_client::{
    Client, ErrorCode, ErrorKind, NodeEventKind, Repetition, Watch, WatchEvent, WatchMode,
    WatchStream,
};

use super::event::CacheError;
use super::machine::{Answer, Ask, Machine, Read};
use super::one_shots::OneShots;
use super::shared::Shared;
use super::work::Facet;
use crate::connections::Connections;
use crate::paths::check;
use crate::pause::pause;

/// After this many events and answers what has changed is published, even if more are there.
const BATCH: usize = 256;

/// What a server answered, and the watch that it set.
type Reply = zk_client::Result<(Answer, Option<Watch>)>;

type Replying = Pin<Box<dyn Future<Output = Reply> + Send>>;

enum Watches {
    Recursive(WatchStream),
    OneShot(OneShots),
}

enum Step {
    Event(WatchEvent),
    Fired(Arc<str>, Facet, WatchEvent),
    Answered(Ask, Reply),
    /// The session goes on by another connection.
    Reconnected,
    /// A pause is over.
    Rested,
}

/// What became of the watches.
enum Watching {
    Goes,
    Ended,
}

pub(super) struct Driver {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    pub(super) machine: Machine,
    /// How many reads are on the wire at once.
    pub(super) window: usize,
    pub(super) one_shot: bool,
}

struct Running {
    driver: Driver,
    connections: Connections,
    /// In the order of submission, which is that of the answers.
    in_flight: VecDeque<(Ask, Replying)>,
    delays: Repetition,
    rest: Option<Pin<Box<Sleep>>>,
    /// The session in which the watches are set; 0 before the first.
    epoch: u64,
}

impl Driver {
    /// Keeps the cache up to date until it cannot be.
    pub(super) async fn run(self) -> CacheError {
        if let Err(error) = check(self.machine.snapshot().tree.base()) {
            return end(error);
        }
        let mut running = Running {
            connections: Connections::of(&self.client),
            driver: self,
            in_flight: VecDeque::new(),
            delays: pause(),
            rest: None,
            epoch: 0,
        };
        loop {
            if let Err(error) = running.session().await {
                return error;
            }
        }
    }
}

impl Running {
    /// One session's time.
    async fn session(&mut self) -> Result<(), CacheError> {
        let mut watches = self.watch().await?;
        self.epoch = self.driver.client.session().epoch;
        let one_shot = matches!(watches, Watches::OneShot(_));
        self.driver.machine.load(one_shot);
        loop {
            self.ask(one_shot);
            if let Watching::Ended = poll_fn(|cx| self.poll_batch(&mut watches, cx)).await? {
                self.driver.machine.session_ended();
                self.publish();
                return Ok(());
            }
            self.publish();
        }
    }

    async fn watch(&mut self) -> Result<Watches, CacheError> {
        let client = &self.driver.client;
        let one_shot = || Watches::OneShot(OneShots::new(client.runtime().clone()));
        if self.driver.one_shot {
            return Ok(one_shot());
        }
        let base = self.driver.machine.snapshot().tree.base().clone();
        loop {
            match client.watch(&base, WatchMode::PersistentRecursive).await {
                Ok(stream) => return Ok(Watches::Recursive(stream)),
                Err(error) if is_unknown(&error) => {
                    tracing::info!(%error, "a cache goes on by one-shot watches");
                    return Ok(one_shot());
                }
                Err(error) if self.delays.may_go_on(&error) => {
                    tokio::time::sleep(self.delays.next_delay()).await;
                }
                Err(error) => return Err(end(error)),
            }
        }
    }

    /// Puts on the wire what the window has room for.
    fn ask(&mut self, one_shot: bool) {
        while self.rest.is_none() && self.in_flight.len() < self.driver.window {
            let Some(ask) = self.driver.machine.next_ask() else {
                return;
            };
            let reply = submit(&self.driver.client, &ask, one_shot);
            self.in_flight.push_back((ask, reply));
        }
    }

    fn publish(&mut self) {
        if let Some((snapshot, events)) = self.driver.machine.take_changes() {
            self.driver.shared.publish(snapshot, events);
        }
    }

    /// Takes what has come, and waits if nothing has.
    fn poll_batch(
        &mut self,
        watches: &mut Watches,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Watching, CacheError>> {
        for taken in 0..BATCH {
            let Poll::Ready(step) = self.poll_step(watches, cx) else {
                return if taken > 0 {
                    Poll::Ready(Ok(Watching::Goes))
                } else {
                    Poll::Pending
                };
            };
            match self.handle(step, watches) {
                Ok(Watching::Goes) => {}
                ended => return Poll::Ready(ended),
            }
        }
        Poll::Ready(Ok(Watching::Goes))
    }

    /// Events first: what they are about need be read only once.
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
            && let Some((ask, _)) = self.in_flight.pop_front()
        {
            return Poll::Ready(Step::Answered(ask, reply));
        }
        if let Some(rest) = &mut self.rest
            && rest.as_mut().poll(cx).is_ready()
        {
            self.rest = None;
            return Poll::Ready(Step::Rested);
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
                // No recursive watch tells that.
                NodeEventKind::ChildrenChanged => {}
            },
            Step::Event(WatchEvent::Gap { .. } | WatchEvent::Lagged { .. }) => {
                machine.gap();
                machine.load(false);
            }
            Step::Event(WatchEvent::SessionEnded) | Step::Fired(_, _, WatchEvent::SessionEnded) => {
                return Ok(Watching::Ended);
            }
            // What a server reports when one-shot watches are armed again is not all of it, if the
            // ensemble was restored from a backup.
            Step::Reconnected => {
                machine.gap();
                machine.load(true);
            }
            // Whatever it tells, look again.
            Step::Fired(path, facet, _) => machine.touch(&path, facet),
            Step::Answered(ask, reply) => return self.answered(&ask, reply, watches),
            Step::Rested => {}
        }
        Ok(Watching::Goes)
    }

    fn answered(
        &mut self,
        ask: &Ask,
        reply: Reply,
        watches: &mut Watches,
    ) -> Result<Watching, CacheError> {
        let epoch = self.driver.client.session().epoch;
        if self.epoch == 0 {
            self.epoch = epoch;
        }
        if self.epoch != epoch {
            // Reads go on into the next session, in which there was no sync yet.
            self.driver.machine.answered(ask, Answer::Failed)?;
            return Ok(Watching::Ended);
        }
        let answer = match reply {
            Ok((answer, watch)) => {
                if let (Watches::OneShot(watches), Some(watch)) = (watches, watch) {
                    let facet = match ask.read {
                        Read::Names => Facet::Children,
                        _ => Facet::Node,
                    };
                    watches.add(ask.path.clone(), facet, watch);
                }
                self.delays.reset();
                answer
            }
            Err(error) if self.delays.may_go_on(&error) => {
                let delay = self.delays.next_delay();
                self.rest = Some(Box::pin(tokio::time::sleep(delay)));
                Answer::Failed
            }
            Err(error) => match error.kind() {
                // There is no znode whose path does not fit into a request.
                ErrorKind::NoNode | ErrorKind::RequestTooLarge => Answer::Absent,
                ErrorKind::NoAuth => Answer::Refused(error.code().unwrap_or(ErrorCode::NoAuth)),
                ErrorKind::ReadOnly if ask.read == Read::Sync => {
                    Answer::Refused(error.code().unwrap_or(ErrorCode::NotReadOnly))
                }
                _ => return Err(end(error)),
            },
        };
        self.driver.machine.answered(ask, answer)?;
        Ok(Watching::Goes)
    }
}

fn end(error: zk_client::Error) -> CacheError {
    match error.kind() {
        ErrorKind::Closed => CacheError::Closed,
        _ => CacheError::Client(Arc::new(error)),
    }
}

/// Whether the server has no recursive watches, or none that report which node has changed.
fn is_unknown(error: &zk_client::Error) -> bool {
    error.kind() == ErrorKind::Unimplemented || error.code() == Some(ErrorCode::MarshallingError)
}

/// Puts a read on the wire.
fn submit(client: &Client, ask: &Ask, watched: bool) -> Replying {
    let path = &*ask.path;
    match (ask.read, watched) {
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

/// Data of their own: a slice of what was received would keep all of that in memory.
fn owned(data: &Bytes) -> Bytes {
    if data.is_empty() {
        Bytes::new()
    } else {
        Bytes::copy_from_slice(data)
    }
}
