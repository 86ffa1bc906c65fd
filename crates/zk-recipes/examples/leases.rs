//! A task that one machine does in each hour, whichever begins first.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example leases -- localhost:2181 host-1
//! cleaning up; …s left
//! ```
//!
//! On another machine, within the hour, it prints the name of the first one, and when its lease ends.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;
use std::time::Duration;

use zk_client::Client;
use zk_recipes::NonBlockingLease;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let hosts = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let name = arguments.next().unwrap_or("host-1".to_owned());
    clean_up(hosts.as_deref().unwrap_or("localhost:2181"), &name).await?;
    Ok(())
}

/// Does the task, if this machine has the lease of it.
///
/// # Errors
/// The ensemble cannot be reached, or refuses the lease.
pub async fn clean_up(hosts: &str, name: &str) -> Result<bool, Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;
    let hour = Duration::from_secs(60 * 60);
    let lease = NonBlockingLease::new(&zk, "/example/cleanup", hour, name);
    let obtained = lease.try_obtain().await?;
    match &obtained {
        Some(obtained) => println!("cleaning up; {:?} left", obtained.remaining()),
        None => println!("{:?} does it", lease.holder().await?),
    }
    zk.close().await?;
    Ok(obtained.is_some())
}
