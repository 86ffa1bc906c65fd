//! A program that continues its session after a crash, with the lock that it had.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example crash -- localhost:2181 /tmp/session
//! a new session: …
//! held with the token 6
//! ^C
//! $ cargo run -p zk-recipes --example crash -- localhost:2181 /tmp/session
//! the session of the last run continues
//! held with the token 6
//! ```
//!
//! The second run has to begin within the timeout of the session, 10 s. It has the lock with the same token, and
//! no other program had it meanwhile. The program runs until the lock is lost.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;

use zk_client::{Client, Guid, Restored, SessionStore};
use zk_recipes::{Lock, LockGuard, PersistentNode};

/// Chosen once for this program. Another program has another one.
const ID: &str = "5c0ffee5-0b1e-4c3e-9a57-3f9d8f2b7c11";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let hosts = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let file = arguments.next();
    let (zk, guard) = work(
        hosts.as_deref().unwrap_or("localhost:2181"),
        file.as_deref().unwrap_or("/tmp/session"),
    )
    .await?;
    let lost = guard.lost().await;
    println!("the lock is lost: {lost}");
    zk.close().await?;
    Ok(())
}

/// Waits for a lock, in the place that an earlier run had in its queue.
///
/// # Errors
/// The ensemble cannot be reached, or the session file cannot be used.
pub async fn work(hosts: &str, file: &str) -> Result<(Client, LockGuard), Box<dyn Error>> {
    let store = SessionStore::open(file)?;
    let (zk, restored) = Client::builder(hosts).restore(store).await?;
    match &restored {
        Restored::Resumed => println!("the session of the last run continues"),
        other => println!("a new session: {other}"),
    }
    // The registration of the last run, or a new one. It stays as long as the handle.
    let node = PersistentNode::builder(&zk, "/example/running")
        .adopting()
        .start();
    node.wait_created().await?;

    let lock = Lock::new(&zk, "/example/lock").adopt_by(ID.parse::<Guid>()?);
    let guard = lock.acquire().await?;
    println!("held with the token {}", guard.token());
    node.close().await?;
    Ok((zk, guard))
}
