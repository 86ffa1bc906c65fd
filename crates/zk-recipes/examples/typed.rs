//! Typed data: one value, a model of many at paths with a parameter, and caches of them.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example typed -- localhost:2181
//! limit: 20
//! watching the users
//! user 7: Ada
//! user 8: Alan
//! users at one time: 2
//! cached users: 2
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what it read")]

use std::error::Error;

use zk_client::{Client, WatchMode};
use zk_recipes::{
    ChildrenCache, ChildrenWithData, Model, NodeOptions, PathTemplate, PersistentEvent,
    PersistentWatch, Text, TypedNode,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    run(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Reads and writes values, and prints them.
///
/// # Errors
/// Those of the requests.
pub async fn run(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;

    // One value. With the feature `serde` the codec may be `Json`, for types of your own.
    let limit = TypedNode::<u32>::new(&zk, "/example/limit", Text);
    limit.set(&10).await?;
    let doubled = limit.update(|limit| Some(limit.unwrap_or(10) * 2)).await?;
    if let Some(limit) = doubled {
        println!("limit: {}", limit.value);
    }

    // Many values, at paths with a parameter.
    let path = PathTemplate::new("/example/users/{id}")?;
    let users = Model::<String>::new(path, Text).options(NodeOptions::new().container());
    let mut events = PersistentWatch::new(&zk, "/example/users", WatchMode::PersistentRecursive);
    if let Some(Ok(PersistentEvent::Armed)) = events.next().await {
        println!("watching the users");
    }
    for (id, name) in [(7, "Ada"), (8, "Alan")] {
        users.at(&zk, &[&id])?.set(&name.to_owned()).await?;
    }
    for (id, user) in users.list(&zk, &[]).await? {
        println!("user {id}: {}", user.value);
    }
    let read = ChildrenWithData::new(&zk, "/example/users").consistent();
    println!("users at one time: {}", read.read().await?.children.len());

    // The same, kept up to date.
    let mut cached = ChildrenCache::<String>::new(&zk, "/example/users", Text);
    if let Some(children) = cached.next().await {
        println!("cached users: {}", children?.values.len());
    }
    zk.close().await?;
    Ok(())
}
