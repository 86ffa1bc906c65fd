//! The health of an ensemble, from the four-letter word `srvr`: a probe for scripts and containers that
//! opens no session. Servers answer this word unless they are configured not to.
//!
//! ```console
//! $ zkctl serve --members 3 &
//! $ cargo run -p zk-transport --example health -- 127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183
//! 127.0.0.1:2181: leader, 1 connections, 0 requests outstanding
//! 127.0.0.1:2182: follower, 1 connections, 0 requests outstanding
//! 127.0.0.1:2183: follower, 1 connections, 0 requests outstanding
//! healthy: 3 of 3 serve
//! ```
//!
//! The exit status is 0 if a majority of the servers serve, one of them as the leader, and 1 otherwise.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use zk_proto::admin::{ServerMode, ServerStatus};
use zk_proto::{ConnectString, HostPort};
use zk_transport::{Dial, TcpDial, four_letter};

/// For each server, connecting included.
const TIMEOUT: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let servers = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    let servers = servers.as_deref().unwrap_or("localhost:2181");
    let is_healthy = check(&TcpDial::default(), servers).await?;
    Ok(if is_healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Queries each server of a connect string, and returns whether the ensemble can serve.
///
/// # Errors
/// The connect string is invalid.
pub async fn check(dial: &dyn Dial, servers: &str) -> Result<bool, Box<dyn Error>> {
    let servers = servers.parse::<ConnectString>()?.hosts;
    let (mut serving, mut has_leader) = (0, false);
    for server in &servers {
        match status(dial, server).await {
            Ok(status) => {
                let (mode, serves) = match status.mode {
                    Some(ServerMode::Leader) => ("leader", true),
                    Some(ServerMode::Follower) => ("follower", true),
                    Some(ServerMode::Observer) => ("observer", true),
                    Some(ServerMode::Standalone) => ("standalone", true),
                    Some(ServerMode::ReadOnly) => ("read-only, without a quorum", false),
                    _ => ("in an unknown mode", false),
                };
                serving += usize::from(serves);
                has_leader |= matches!(mode, "leader" | "standalone");
                let connections = status.connections.unwrap_or_default();
                let outstanding = status.outstanding.unwrap_or_default();
                println!(
                    "{server}: {mode}, {connections} connections, {outstanding} requests outstanding"
                );
            }
            Err(error) => println!("{server}: {error}"),
        }
    }
    let is_healthy = has_leader && serving * 2 > servers.len();
    let verdict = if is_healthy { "healthy" } else { "UNHEALTHY" };
    println!("{verdict}: {serving} of {} serve", servers.len());
    Ok(is_healthy)
}

async fn status(dial: &dyn Dial, server: &HostPort) -> Result<ServerStatus, Box<dyn Error>> {
    let answer = tokio::time::timeout(TIMEOUT, four_letter::ask(dial, server, "srvr")).await??;
    // An error if the server is not serving, or the word is not allowed.
    Ok(answer.parse()?)
}
