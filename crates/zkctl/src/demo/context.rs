//! What all scenes share.

use std::time::Duration;

use zk_client::{BackoffPolicy, Client, ClientBuilder};

use super::narration::Narration;
use super::unpluggable_dial::UnpluggableDial;
use crate::output::failure::Failure;

/// The timeout of a session that the demo lets expire, on the embedded server.
pub(super) const EMBEDDED_SESSION: Duration = Duration::from_secs(2);
/// The same on an ensemble: the shortest timeout that servers grant by default.
pub(super) const ENSEMBLE_SESSION: Duration = Duration::from_secs(4);
/// The timeout of a session that must not expire even on a busy machine.
pub(super) const LONG_SESSION: Duration = Duration::from_secs(60);
/// The connect timeout for the embedded server, which is always reachable.
pub(super) const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Shorter than the default, so that the demo does not spend its time in pauses.
const SHORT_BACKOFF: BackoffPolicy =
    BackoffPolicy::new(Duration::from_millis(50), Duration::from_millis(400));

/// The server, the root znode and the output of the demo.
pub(super) struct Context {
    pub(super) hosts: String,
    /// The timeout of a session that a scene lets expire.
    pub(super) short_session: Duration,
    pub(super) connect_timeout: Option<Duration>,
    /// The parent of all znodes of the demo.
    pub(super) root: String,
    pub(super) narration: Narration,
}

impl Context {
    /// The configuration of clients, without limits that a busy machine could reach.
    pub(super) fn builder(&self) -> ClientBuilder {
        let builder = Client::builder(&self.hosts)
            .session_timeout(LONG_SESSION)
            .deadline(None)
            .backoff(SHORT_BACKOFF);
        match self.connect_timeout {
            Some(timeout) => builder.connect_timeout(timeout),
            None => builder,
        }
    }

    /// A client with a session and connections of its own.
    pub(super) async fn client(&self) -> Result<(Client, UnpluggableDial), Failure> {
        self.client_with(LONG_SESSION).await
    }

    pub(super) async fn client_with(
        &self,
        session_timeout: Duration,
    ) -> Result<(Client, UnpluggableDial), Failure> {
        let dial = UnpluggableDial::new();
        let builder = self.builder().session_timeout(session_timeout);
        let client = builder.dial(dial.clone()).connect().await?;
        Ok((client.chroot(&self.root)?, dial))
    }

    /// Reports that a scene starts again, because its short session expired before the scene was
    /// shown: this machine did not run the client in time.
    pub(super) fn report_restart(&self, subject: &str, session: Duration) {
        let text =
            format!("has lost its session early: this machine is busy. Again, with {session:?}");
        self.narration.say(subject, &text);
    }
}

/// Fails the demo unless `fact` is true.
pub(super) fn check(fact: bool, what: &str) -> Result<(), Failure> {
    if fact {
        Ok(())
    } else {
        Err(Failure::Failed(format!("the demo expected that {what}")))
    }
}
