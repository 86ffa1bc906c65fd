//! A leader that is replaced without an election: its successor leads in the same term.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example handover -- localhost:2181
//! 10.0.0.7:8080 leads with the token …
//! 10.0.0.8:8080 leads with the token …
//! ```
//!
//! Both tokens are the same.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;

use zk_client::{Client, SessionToken};
use zk_recipes::{Election, Handover};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    replace(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Leads, and leads on with another client.
///
/// # Errors
/// The ensemble cannot be reached, or the session has ended.
pub async fn replace(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;
    let term = Election::new(&zk, "/example/election").campaign().await?;
    term.proclaim("10.0.0.7:8080").await?;
    println!("10.0.0.7:8080 leads with the token {}", term.token());

    // Both texts go to the process that replaces this one. The session's is a secret.
    let handover = term.hand_over().to_string();
    let session = zk.detach()?.expose();

    let session: SessionToken = session.parse()?;
    let zk = Client::builder(hosts).resume(session).await?;
    let handover: Handover = handover.parse()?;
    let election = Election::new(&zk, "/example/election");
    let Some(term) = election.resume(&handover).await? else {
        return Err("the session has ended".into());
    };
    term.proclaim("10.0.0.8:8080").await?;
    if let Some(leader) = election.leader().await? {
        let address = String::from_utf8_lossy(&leader.identifier);
        println!("{address} leads with the token {}", leader.token);
    }
    term.resign().await?;
    zk.close().await?;
    Ok(())
}
