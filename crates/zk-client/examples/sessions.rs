//! Reports the states of a session, and hands it over to another client.
//!
//! `cargo run --example sessions -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use zk_client::{Client, SessionPolicy, State};

#[tokio::main]
async fn main() -> zk_client::Result<()> {
    let hosts = std::env::args().nth(1);
    let hosts = hosts.unwrap_or("127.0.0.1:2181".to_owned());
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
    println!("{:?}", successor.exists("/demo-claim").await?.is_some());
    successor.close().await
}
