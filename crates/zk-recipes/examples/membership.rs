//! Announces this program to a group, and prints the group whenever it changes.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example membership -- localhost:2181 host-1
//! members: host-1 (running)
//! ```
//!
//! Start more with other names. A member that ends with Ctrl-C leaves at once, and one that crashes when its
//! session has timed out.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;

use zk_client::Client;
use zk_recipes::{CacheError, GroupMember, GroupView};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let hosts = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let id = arguments.next().unwrap_or("host-1".to_owned());
    run(hosts.as_deref().unwrap_or("localhost:2181"), &id).await
}

/// Takes part in the group until Ctrl-C.
///
/// # Errors
/// The client cannot connect, or the ensemble refuses a request.
pub async fn run(hosts: &str, id: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;
    // The member's znode is created again in each session, until it is closed.
    let member = GroupMember::new(&zk, "/example/group", id, "starting");
    member.node().wait_created().await?;
    let _ = member.set_data("running").await?;
    tokio::select! {
        ended = show(member.view()?) => ended?,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    member.close().await?;
    zk.close().await?;
    Ok(())
}

async fn show(mut view: GroupView) -> Result<(), CacheError> {
    view.initialized().await?;
    while let Some(members) = view.next().await {
        let members = members?.into_iter();
        let members =
            members.map(|(id, data)| format!("{id} ({})", String::from_utf8_lossy(&data)));
        println!("members: {}", members.collect::<Vec<_>>().join(", "));
    }
    Ok(())
}
