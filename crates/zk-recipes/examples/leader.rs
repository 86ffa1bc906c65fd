//! A service with one leader among its instances, which shuts down in order: it stops to accept
//! connections, steps down, and ends its session.
//!
//! Start `zkctl serve` in one terminal and this program in two others; connect to the printed ports.
//!
//! ```console
//! $ cargo run -p zk-recipes --example leader -- localhost:2181
//! serves at 127.0.0.1:41873
//! leads
//! ^C
//! shuts down: no more connections
//! shuts down: stepped down
//! shuts down: closed
//! $ nc 127.0.0.1 41873
//! leader
//! ```
//!
//! The other instance leads as soon as this one has stepped down. Without that, it would have to wait until
//! the session of this one has timed out, 10 s here.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use zk_client::Client;
use zk_recipes::Election;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    run(servers.as_deref().unwrap_or("localhost:2181")).await
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// The ensemble cannot be reached, or a task has failed.
pub async fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::builder(servers)
        .session_timeout(Duration::from_secs(10))
        .connect()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    println!("serves at {address}");

    let (role, roles) = watch::channel("standby");
    let (stop, stopping) = oneshot::channel();
    let service = serve(listener, roles);
    let leading = tokio::spawn(lead(zk.clone(), address, role, stopping));
    tokio::select! {
        failed = service => failed?,
        signal = shutdown() => signal?,
    }
    // The listener was dropped with the service.
    println!("shuts down: no more connections");
    drop(stop);
    leading.await??;
    println!("shuts down: stepped down");
    zk.close().await?;
    println!("shuts down: closed");
    Ok(())
}

/// Campaigns, and leads term after term, until the sender of `stopping` is dropped.
async fn lead(
    zk: Client,
    address: String,
    role: watch::Sender<&'static str>,
    mut stopping: oneshot::Receiver<()>,
) -> zk_recipes::Result<()> {
    let election = Election::new(&zk, "/example/leader").identifier(&address);
    loop {
        let term = tokio::select! {
            term = election.campaign() => term?,
            _ = &mut stopping => return Ok(()),
        };
        println!("leads");
        role.send_replace("leader");
        tokio::select! {
            lost = term.lost() => println!("leads no longer: {lost}"),
            _ = &mut stopping => {
                role.send_replace("standby");
                return term.resign().await;
            }
        }
        role.send_replace("standby");
    }
}

/// Sends each client the role of this instance.
async fn serve(listener: TcpListener, role: watch::Receiver<&'static str>) -> io::Result<()> {
    loop {
        let (mut client, _) = listener.accept().await?;
        let answer = format!("{}\n", *role.borrow());
        // A client that has gone is no failure of the service.
        tokio::spawn(async move { client.write_all(answer.as_bytes()).await });
    }
}

/// Waits for Ctrl-C, or for the SIGTERM of a supervisor.
async fn shutdown() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
