//! Reports the states of a session, and hands it over to another client.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-client --example sessions -- localhost:2181
//! session 0x…, timeout …
//! connected, session 0x…, epoch 1
//! closed
//! the ephemeral znode is still there: true
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use zk_client::{Client, SessionPolicy, State};

#[tokio::main]
async fn main() -> zk_client::Result<()> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    hand_over(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Hands a session over, and prints the states.
///
/// # Errors
/// A request failed.
pub async fn hand_over(hosts: &str) -> zk_client::Result<()> {
    let builder = Client::builder(hosts)
        .session_timeout(std::time::Duration::from_secs(20))
        .session_policy(SessionPolicy::Renew);
    let zk = builder.clone().connect().await?;

    let mut states = zk.states();
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            match state {
                State::Suspended { until } => {
                    println!("no server; the session may live to {until:?}")
                }
                State::Expired { epoch } => println!("session {epoch} and its ephemerals are gone"),
                state => println!("{state}"),
            }
        }
    });

    let session = zk.session();
    println!("session {}, timeout {:?}", session.id, session.timeout);
    zk.create("/demo-claim", "me").ephemeral().await?;

    // Another process can continue the session with this token; its ephemeral znodes stay.
    let token = zk.detach()?;
    let successor = builder.resume(token).await?;
    assert_eq!(successor.session().id, session.id);
    let claim = successor.exists("/demo-claim").await?;
    println!("the ephemeral znode is still there: {}", claim.is_some());
    successor.close().await
}
