//! A barrier that holds workers back, and a double barrier that lets them begin and end together.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example barriers -- localhost:2181
//! the migration is done
//! worker 1: all three are here
//! worker 3: all three are here
//! worker 2: all three are here
//! worker 2: all three are done
//! worker 1: all three are done
//! worker 3: all three are done
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what it waits for")]

use std::error::Error;

use zk_client::Client;
use zk_recipes::{Barrier, DoubleBarrier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    meet(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Opens a barrier for three workers, which then begin and end a round together.
///
/// # Errors
/// A request failed.
pub async fn meet(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;
    let migration = Barrier::new(&zk, "/example/migration");
    migration.close().await?;

    // Usually each of the workers is a program.
    let workers: Vec<_> = (1..=3)
        .map(|number| tokio::spawn(work(zk.clone(), number)))
        .collect();
    println!("the migration is done");
    migration.open().await?;
    for worker in workers {
        worker.await??;
    }
    zk.close().await?;
    Ok(())
}

async fn work(zk: Client, number: u32) -> zk_recipes::Result<()> {
    Barrier::new(&zk, "/example/migration").wait().await?;

    let round = DoubleBarrier::new(&zk, "/example/round", 3);
    let inside = round.identifier(number.to_string()).enter().await?;
    println!("worker {number}: all three are here");
    // A worker that has lost its session has left for the others.
    inside.check()?;
    inside.leave().await?;
    println!("worker {number}: all three are done");
    Ok(())
}
