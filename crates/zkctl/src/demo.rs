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

use zk_client::{BackoffPolicy, Client, ClientBuilder};
use zk_embedded::Server;

use crate::commands::check_root;
use crate::failure::Failure;
use cable::Cable;
use story::Story;

/// Of a client whose session is to end: short enough to wait for that.
const EMBEDDED_SESSION: Duration = Duration::from_secs(2);
/// The shortest that servers allow as they are shipped.
const ENSEMBLE_SESSION: Duration = Duration::from_secs(4);
/// Nobody wants to watch a client wait.
const IMPATIENT: BackoffPolicy =
    BackoffPolicy::new(Duration::from_millis(50), Duration::from_millis(400));
/// Of a client whose session is to last, whatever else the machine does.
const LONG_SESSION: Duration = Duration::from_secs(60);
/// For the way to a server of this process, which is there.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the demo takes place.
struct Stage {
    hosts: String,
    /// Of a client whose session is to end.
    session_timeout: Duration,
    connect_timeout: Option<Duration>,
    /// The znode under which everything happens.
    root: String,
    story: Story,
}

impl Stage {
    /// Without limits that a busy machine could reach.
    fn builder(&self) -> ClientBuilder {
        let builder = Client::builder(&self.hosts)
            .session_timeout(LONG_SESSION)
            .deadline(None)
            .backoff(IMPATIENT);
        match self.connect_timeout {
            Some(timeout) => builder.connect_timeout(timeout),
            None => builder,
        }
    }

    /// A client with a session of its own, on a cable of its own.
    async fn client(&self) -> Result<(Client, Cable), Failure> {
        self.client_with(LONG_SESSION).await
    }

    async fn client_with(&self, session: Duration) -> Result<(Client, Cable), Failure> {
        let cable = Cable::new();
        let builder = self.builder().session_timeout(session);
        let client = builder.dial(cable.clone()).connect().await?;
        Ok((client.chroot(&self.root)?, cable))
    }
}

/// Runs the demo on the ensemble, or, without one, on an embedded server.
pub(crate) async fn run(hosts: Option<&str>) -> Result<(), Failure> {
    let story = Story::begin();
    let (_server, hosts, session_timeout, connect_timeout) = match hosts {
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
    let stage = Stage {
        hosts,
        session_timeout,
        connect_timeout,
        root,
        story,
    };
    let stagehand = stage.builder().connect().await?;
    check_root(&stagehand).await?;
    stagehand.ensure_path(&stage.root).await?;
    let played = play(&stage).await;
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

/// Says that a scene has to begin anew: its short session ended before anything was shown, because
/// this machine did not let the client run in time.
fn again(stage: &Stage, actor: &str, session: Duration) {
    let text =
        format!("has lost its session already: this machine is busy. Again, with {session:?}");
    stage.story.say(actor, &text);
}

/// Fails the demo if what it shows is not so.
fn demand(fact: bool, what: &str) -> Result<(), Failure> {
    if fact {
        Ok(())
    } else {
        Err(Failure::Failed(format!("the demo expected that {what}")))
    }
}
