//! `zkctl demo`: what this project is for, in a quarter of a minute, on a server of its own.
//!
//! Nothing is staged: each scene does the real thing, says what it saw, and fails the demo if it
//! saw something else.

mod cable;
mod election;
mod expiry;
mod lock;
mod story;
mod watches;

use std::time::Duration;

use zk_client::{BackoffPolicy, Client};
use zk_embedded::Server;

use crate::failure::Failure;
use cable::Cable;
use story::Story;

/// Long enough to be cut off and come back within, short enough to wait for its end.
const EMBEDDED_SESSION: Duration = Duration::from_secs(2);
/// The shortest that servers allow as they are shipped.
const ENSEMBLE_SESSION: Duration = Duration::from_secs(4);
/// Nobody wants to watch a client wait.
const IMPATIENT: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(50),
    max: Duration::from_millis(400),
};
/// No scene takes this long, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the demo takes place.
struct Stage {
    hosts: String,
    session_timeout: Duration,
    /// The znode under which everything happens.
    root: String,
    story: Story,
}

impl Stage {
    /// A client of its own session, on a cable of its own.
    async fn client(&self) -> Result<(Client, Cable), Failure> {
        let cable = Cable::new();
        let client = Client::builder(&self.hosts)
            .session_timeout(self.session_timeout)
            .dial(cable.clone())
            .backoff(IMPATIENT)
            .connect()
            .await?;
        Ok((client.chroot(&self.root)?, cable))
    }
}

/// Runs the demo on the ensemble, or, without one, on an embedded server.
pub(crate) async fn run(hosts: Option<&str>) -> Result<(), Failure> {
    let story = Story::begin();
    let (_server, hosts, session_timeout) = match hosts {
        Some(hosts) => (None, hosts.to_owned(), ENSEMBLE_SESSION),
        None => {
            let server = Server::builder()
                .tick(EMBEDDED_SESSION / 10)
                .session_timeouts(EMBEDDED_SESSION, EMBEDDED_SESSION * 10)
                .start()
                .await
                .map_err(|error| Failure::io("start the embedded server", error))?;
            let hosts = server.connect_string();
            (Some(server), hosts, EMBEDDED_SESSION)
        }
    };
    let root = format!("/zkctl-demo-{:08x}", std::process::id());
    let stage = Stage {
        hosts,
        session_timeout,
        root,
        story,
    };
    let stagehand = Client::connect(&stage.hosts).await?;
    stagehand.ensure_path(&stage.root).await?;
    let played = match tokio::time::timeout(PATIENCE, play(&stage)).await {
        Ok(played) => played,
        Err(_elapsed) => Err(Failure::Failed(
            "the demo has come to a standstill".to_owned(),
        )),
    };
    stagehand.delete(&stage.root).recursive().await?;
    stagehand.close().await?;
    played?;
    stage.story.end()
}

async fn play(stage: &Stage) -> Result<(), Failure> {
    let story = &stage.story;
    story.title(&format!("A ZooKeeper at {}", stage.hosts));
    lock::play(stage).await?;
    watches::play(stage).await?;
    election::play(stage).await?;
    expiry::play(stage).await?;
    story.title("That was all of it");
    Ok(())
}

/// Fails the demo if what it shows is not so.
fn demand(fact: bool, what: &str) -> Result<(), Failure> {
    if fact {
        Ok(())
    } else {
        Err(Failure::Failed(format!("the demo expected that {what}")))
    }
}
