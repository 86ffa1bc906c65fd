//! Writing the session of a living client to its file.

use std::time::Duration;

use zk_proto::ConnectTarget;

use super::record::Record;
use super::store::SessionStore;
use super::stored_session::StoredSession;
use crate::client::Client;
use crate::error::Result;
use crate::session::state::State;
use crate::session::token::SessionToken;

/// The longest delay before a write that has failed is repeated.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Writes the client's session, and then each change of it as long as the client lives.
pub(crate) async fn keep(
    client: &Client,
    store: SessionStore,
    target: ConnectTarget,
) -> Result<()> {
    let stored = StoredSession::new(store.file);
    let mut keeper = Keeper {
        stored: stored.clone(),
        client: client.background(),
        target,
        written: None,
    };
    keeper.write().await?;
    client.shared().set_stored_session(stored);
    client.runtime().spawn(keeper.run());
    Ok(())
}

struct Keeper {
    stored: StoredSession,
    /// A handle that does not keep the session open.
    client: Client,
    target: ConnectTarget,
    /// What the file contains.
    written: Option<SessionToken>,
}

impl Keeper {
    async fn run(mut self) {
        let mut states = self.client.states();
        while let Some(state) = states.next().await {
            if matches!(state, State::Connected { .. }) {
                self.write_through().await;
            }
        }
        let ended = self.client.shared().with(|core| core.has_ended_session());
        self.stored.finish(ended).await;
    }

    /// Writes until it succeeds or the client is over.
    async fn write_through(&mut self) {
        let mut delay = Duration::from_millis(100);
        while let Err(error) = self.write().await {
            tracing::warn!(%error, "the session would be lost with a crash of this process");
            if tokio::time::timeout(delay, self.client.end()).await.is_ok() {
                return;
            }
            delay = LONGEST_DELAY.min(delay * 2);
        }
    }

    /// Writes the session, unless the file has it.
    async fn write(&mut self) -> Result<()> {
        let Some(token) = self.client.session_token() else {
            return Ok(());
        };
        let is_written = self.written.as_ref().is_some_and(|written| {
            (written.id, &written.password, written.timeout)
                == (token.id, &token.password, token.timeout)
        });
        if is_written {
            return Ok(());
        }
        let target = self.target.clone();
        let written = self.stored.write(Record { token, target }).await?;
        self.written = Some(written.token);
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use zk_proto::SessionId;

    use super::super::file::SessionFile;
    use super::super::file::tests::Directory;
    use super::*;
    use crate::shared::now;

    /// The file is another client's as soon as the client is over.
    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_client_ends_the_writes() {
        let directory = Directory::new();
        let file = Arc::new(SessionFile::open(&directory.file()).unwrap());
        // What is at the path of the new file prevents the writes.
        fs::create_dir(directory.file().with_extension("new")).unwrap();
        let builder = Client::builder("127.0.0.1:1");
        let client = builder.session_timeout(LONGEST_DELAY * 60).start().unwrap();
        let token = SessionToken::new(SessionId(7), [1; 16]);
        client.shared().with(|core| core.resume(now(), token));
        let mut keeper = Keeper {
            stored: StoredSession::new(file),
            client: client.background(),
            target: "127.0.0.1:1".parse().unwrap(),
            written: None,
        };
        let writing = tokio::spawn(async move { keeper.write_through().await });
        // On the paused clock, until the delay is the longest.
        tokio::time::sleep(LONGEST_DELAY * 10).await;
        assert!(!writing.is_finished());
        let ended = now();
        client.detach().unwrap();
        writing.await.unwrap();
        assert_eq!(now(), ended);
    }

    /// A disk that does not answer delays a close by `close_timeout` at most.
    #[cfg(feature = "testkit")]
    #[tokio::test]
    #[allow(
        clippy::await_holding_lock,
        reason = "the task that takes it is on another thread"
    )]
    async fn a_close_does_not_wait_for_a_slow_disk() {
        let server = zk_embedded::Server::start().await.unwrap();
        let directory = Directory::new();
        let store = SessionStore::open(directory.file()).unwrap();
        let file = store.file.clone();
        let builder = Client::builder(server.connect_string());
        let restoring = builder.close_timeout(Duration::from_millis(100));
        let (client, _) = restoring.restore(store).await.unwrap();
        let disk = file.disk.lock().unwrap();
        // On a slow machine the end is not acknowledged, either.
        let _ = client.close().await;
        drop(disk);
        // The file is deleted, or left as it is.
        while SessionFile::open(&directory.file()).is_err() {
            tokio::task::yield_now().await;
        }
    }
}
