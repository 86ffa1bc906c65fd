//! Which servers a client knows, which one it prefers, and what is wrong with the others.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-client --example servers -- 'zk://localhost:2181/?session_timeout=20s'
//! localhost:2181, serves
//! from localhost:2181 to localhost:2181
//! ```
//!
//! Without an argument, the servers are those in the variable `ZK_SERVER`.

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;

use zk_client::ClientConfig;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = match std::env::args().nth(1) {
        Some(servers) => ClientConfig::from_url(&servers)?,
        None => ClientConfig::from_env()?,
    };
    show(config).await
}

/// Connects, shows the servers, and leaves the one that serves.
///
/// # Errors
/// No server could be reached.
pub async fn show(config: ClientConfig) -> Result<(), Box<dyn Error>> {
    let zk = config
        .builder()?
        // Those in this zone first, whenever one of them serves.
        .prefer(|server| u32::from(!server.host.ends_with(".eu-1.example.org")))
        // No second attempt at servers that do not answer.
        .fail_eagerly(true)
        .connect()
        .await?;
    for server in zk.hosts() {
        let serves = if server.connected { ", serves" } else { "" };
        println!("{}{serves}", server.host);
        for address in &server.addresses {
            println!("  {}", address.address);
        }
        let of_addresses = server.addresses.iter().filter_map(|it| it.failure.as_ref());
        for failure in server.failure.iter().chain(of_addresses) {
            println!("  failed {} times: {}", failure.count, failure.reason);
        }
    }
    if let Some(left) = zk.leave_server() {
        zk.sync("/").await?;
        if let Some(server) = zk.server() {
            println!("from {left} to {server}");
        }
    }
    zk.close().await?;
    Ok(())
}
