//! Divides items among the programs that run this, and divides them again when one comes or goes.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example partition -- localhost:2181
//! working on: invoices, letters, orders, returns
//! the items are divided again
//! working on: invoices, orders
//! ```
//!
//! The last two lines are printed when the same is started in another terminal. When one ends with Ctrl-C, the
//! other works on all items at once; when one crashes, after its session has timed out.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;
use std::time::Duration;

use zk_client::Client;
use zk_recipes::{Allocation, Allocations, SetPartitioner};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    run(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Works on this program's share of the items, until Ctrl-C.
///
/// # Errors
/// The ensemble cannot be reached, or refuses the items.
pub async fn run(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;
    let queues = ["invoices", "letters", "orders", "returns"];
    // Members that come or go within this time cause one division.
    let mut member = SetPartitioner::new(&zk, "/example/queues", queues)
        .time_boundary(Duration::from_millis(500))
        .join();
    tokio::select! {
        failed = work(&mut member) => failed?,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    member.leave().await?;
    zk.close().await?;
    Ok(())
}

async fn work(member: &mut Allocations) -> zk_recipes::Result<()> {
    while let Some(allocation) = member.next().await {
        if let Allocation::Acquired(share) = allocation? {
            let items: Vec<_> = share.items().collect();
            println!("working on: {}", items.join(", "));
            // Dropped when the items are to be given back, or may have been given to another member.
            let ended = share.run(work_on(&items)).await;
            if ended.is_none() {
                println!("the items are divided again");
            }
            share.release().await?;
        }
    }
    Ok(())
}

/// What is done with the items is up to the program.
async fn work_on(_items: &[&str]) {
    std::future::pending().await
}
