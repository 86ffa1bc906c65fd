//! Workers that take turns.

use std::sync::Arc;

use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{Lock, Token};

use super::{Stage, demand};
use crate::failure::Failure;

const WORKERS: usize = 4;
const TURNS: usize = 3;

/// What a worker saw when it had the lock.
struct Turn {
    worker: String,
    token: Token,
    before: u32,
}

pub(super) async fn play(stage: &Stage) -> Result<(), Failure> {
    stage.story.title(&format!(
        "{WORKERS} workers, one lock: each adds {TURNS} to a counter that nothing else protects"
    ));
    let (zk, _cable) = stage.client().await?;
    zk.create("/counter", "0").await?;
    let (said, mut turns) = mpsc::unbounded_channel();
    let start = Arc::new(Barrier::new(WORKERS));
    let mut workers = JoinSet::new();
    for n in 1..=WORKERS {
        let (client, _cable) = stage.client().await?;
        let (start, said) = (start.clone(), said.clone());
        workers.spawn(async move {
            start.wait().await;
            work(client, format!("worker-{n}"), said).await
        });
    }
    drop(said);
    let mut last = None;
    while let Some(Turn {
        worker,
        token,
        before,
    }) = turns.recv().await
    {
        let after = before + 1;
        stage.story.say(
            &worker,
            &format!("has the lock, fencing token {token}; counter {before} -> {after}"),
        );
        demand(last < Some(token), "tokens grow from holder to holder")?;
        last = Some(token);
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|error| Failure::Failed(error.to_string()))??;
    }
    let (count, _) = zk.get("/counter").await?;
    demand(
        count == (WORKERS * TURNS).to_string(),
        "no addition is lost",
    )?;
    let count = String::from_utf8_lossy(&count);
    stage
        .story
        .say("counter", &format!("is {count}: no addition was lost"));
    zk.close().await?;
    Ok(())
}

async fn work(
    zk: Client,
    worker: String,
    said: mpsc::UnboundedSender<Turn>,
) -> Result<(), Failure> {
    let lock = Lock::new(&zk, "/lock").identifier(&worker);
    for _ in 0..TURNS {
        let guard = lock.acquire().await?;
        let (count, _) = zk.get("/counter").await?;
        let before: u32 = String::from_utf8_lossy(&count)
            .parse()
            .map_err(|_| Failure::Failed("the counter is not a number".to_owned()))?;
        let after = (before + 1).to_string();
        guard.fenced().set("/counter", after).commit().await?;
        // Nobody listens only if the demo has failed already.
        let _ = said.send(Turn {
            worker: worker.clone(),
            token: guard.token(),
            before,
        });
        guard.release().await?;
    }
    zk.close().await?;
    Ok(())
}
