//! `zkctl demo`: locks, watches, an election and an expiry at work, in a quarter of a minute.
//!
//! Each scene performs real requests, prints what it observed, and fails the demo if that is not what
//! the library guarantees.

mod context;
mod election;
mod expiry;
mod lock;
mod narration;
mod unpluggable_dial;
mod watches;

use zk_embedded::Server;

use crate::commands::chroot::check_root;
use crate::output::failure::Failure;
use context::{Context, EMBEDDED_SESSION, ENSEMBLE_SESSION, LONG_SESSION, NO_LIMIT};
use narration::Narration;

/// Runs the demo on an ensemble or, without `hosts`, on an embedded server.
pub(crate) async fn run(hosts: Option<&str>) -> Result<(), Failure> {
    let narration = Narration::begin();
    let (_server, hosts, short_session, connect_timeout) = match hosts {
        Some(hosts) => (None, hosts.to_owned(), ENSEMBLE_SESSION, None),
        None => {
            let server = Server::builder()
                .tick(EMBEDDED_SESSION / 10)
                .session_timeouts(EMBEDDED_SESSION, LONG_SESSION)
                .start()
                .await
                .map_err(|error| Failure::io("start the embedded server", error))?;
            let hosts = server.connect_string();
            (Some(server), hosts, EMBEDDED_SESSION, Some(NO_LIMIT))
        }
    };
    let root = format!("/zkctl-demo-{:08x}", std::process::id());
    let context = Context {
        hosts,
        short_session,
        connect_timeout,
        root,
        narration,
    };
    let client = context.builder().connect().await?;
    check_root(&client).await?;
    client.ensure_path(&context.root).await?;
    let shown = show_scenes(&context).await;
    client.delete(&context.root).recursive().await?;
    client.close().await?;
    shown?;
    context.narration.end()
}

async fn show_scenes(context: &Context) -> Result<(), Failure> {
    let narration = &context.narration;
    narration.title(&format!("A ZooKeeper at {}", context.hosts));
    lock::show(context).await?;
    watches::show(context).await?;
    election::show(context).await?;
    expiry::show(context).await?;
    narration.title("End of the demo");
    Ok(())
}
