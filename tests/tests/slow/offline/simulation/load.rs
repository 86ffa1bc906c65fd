//! What a program does beside the guard that it holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::history::{Kind, Outcome};
use super::workload::failed;
use super::world::{Incarnation, World};

/// Writes, all alike, at the same distance from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    None,
    /// Writes that a server refuses: the node exists, has another version, does not exist.
    Refused,
    /// Writes that are too large to be sent.
    TooLarge,
    Good,
    /// Writes that do not wait for each other, as those of a service that writes for each request.
    OpenLoop,
}

/// More than any server accepts.
const TOO_LARGE: usize = 2 << 20;

/// Writes until `end`.
pub(crate) async fn load(
    world: Arc<World>,
    seat: usize,
    kind: Load,
    every: Duration,
    end: Instant,
) {
    let mut open = JoinSet::new();
    for n in 0.. {
        if kind == Load::None || Instant::now() >= end {
            break;
        }
        let incarnation = world.client(seat);
        let write = write(world.clone(), incarnation, kind, n);
        if kind == Load::OpenLoop {
            open.spawn(write);
        } else {
            write.await;
        }
        while open.try_join_next().is_some() {}
        sleep(every).await;
    }
    while open.join_next().await.is_some() {}
}

async fn write(world: Arc<World>, incarnation: Arc<Incarnation>, kind: Load, n: u32) {
    let client = &incarnation.client;
    let begin = |kind, path| world.begin(&incarnation, kind, path);
    let (id, result) = match (kind, n % 3) {
        (Load::Refused, 0) => {
            let id = begin(Kind::Create, "/h0");
            let created = client.create("/h0", id.to_string()).await;
            (id, created.map(drop))
        }
        (Load::Refused, 1) => {
            let id = begin(Kind::SetVersion, "/h0");
            let set = client.set("/h0", id.to_string()).version(1_000_000).await;
            (id, set.map(drop))
        }
        (Load::Refused, _) => {
            let id = begin(Kind::Delete, "/gone");
            (id, client.delete("/gone").await)
        }
        (Load::TooLarge, _) => {
            let id = begin(Kind::Set, "/h1");
            let set = client.set("/h1", vec![0; TOO_LARGE]).await;
            (id, set.map(drop))
        }
        _ => {
            let id = begin(Kind::Set, "/h1");
            let set = client.set("/h1", id.to_string()).await;
            (id, set.map(drop))
        }
    };
    let (outcome, error) = match result {
        Ok(()) => (Outcome::Done, String::new()),
        Err(error) => failed(&error),
    };
    match (kind, &outcome) {
        (Load::Refused, Outcome::Rejected) => world.recorder.fault("X27 write refused"),
        (Load::TooLarge, Outcome::NotSent) => world.recorder.fault("X27 write too large"),
        (Load::OpenLoop, Outcome::Unknown) => world.recorder.fault("X28 write hung"),
        _ => {}
    }
    world.end(&incarnation, id, outcome, error);
}
