//! Workers that take turns under a lock.

use std::sync::Arc;

use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{Lock, Token};

use super::context::{Context, check};
use crate::output::failure::Failure;

const WORKERS: usize = 4;
const TURNS: usize = 3;

/// What a worker observed while it held the lock.
struct Turn {
    worker: String,
    token: Token,
    before: u32,
}

pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    context.narration.title(&format!(
        "{WORKERS} workers, one lock: each adds {TURNS} to a counter that nothing else protects"
    ));
    let (zk, _dial) = context.client().await?;
    zk.create("/counter", "0").await?;
    let (sender, mut turns) = mpsc::unbounded_channel();
    let start = Arc::new(Barrier::new(WORKERS));
    let mut workers = JoinSet::new();
    for n in 1..=WORKERS {
        let (client, _dial) = context.client().await?;
        let (start, sender) = (start.clone(), sender.clone());
        workers.spawn(async move {
            start.wait().await;
            work(client, format!("worker-{n}"), sender).await
        });
    }
    drop(sender);
    let mut last = None;
    while let Some(Turn {
        worker,
        token,
        before,
    }) = turns.recv().await
    {
        let after = before + 1;
        context.narration.say(
            &worker,
            &format!("has the lock, fencing token {token}; counter {before} -> {after}"),
        );
        check(last < Some(token), "tokens grow from holder to holder")?;
        last = Some(token);
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|error| Failure::Failed(error.to_string()))??;
    }
    let (count, _) = zk.get("/counter").await?;
    check(
        count == (WORKERS * TURNS).to_string(),
        "no addition is lost",
    )?;
    let count = String::from_utf8_lossy(&count);
    context
        .narration
        .say("counter", &format!("is {count}: no addition was lost"));
    zk.close().await?;
    Ok(())
}

async fn work(
    zk: Client,
    worker: String,
    turns: mpsc::UnboundedSender<Turn>,
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
        // An error means that the demo has failed already.
        let _ = turns.send(Turn {
            worker: worker.clone(),
            token: guard.token(),
            before,
        });
        guard.release().await?;
    }
    zk.close().await?;
    Ok(())
}
