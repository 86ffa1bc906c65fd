//! Sessions that another client continues: by a token, by a file, and those of detached clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::fs;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::connect;
use zk_client::{
    Client, Dial, DialError, Dialing, ErrorKind, Guid, HostPort, Restored, SessionStore,
    SessionToken, State,
};
use zk_embedded::Server;

/// The path of a session file in a directory of its own, which is deleted with this.
struct SessionPath(PathBuf);

impl SessionPath {
    fn new() -> Self {
        let directory = format!("zk-store-{}", Guid::random().hex());
        let directory = std::env::temp_dir().join(directory);
        fs::create_dir(&directory).unwrap();
        SessionPath(directory.join("session"))
    }

    fn store(&self) -> SessionStore {
        SessionStore::open(&self.0).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    async fn restore(&self, server: &Server) -> (Client, Restored) {
        let builder = Client::builder(server.connect_string());
        builder.restore(self.store()).await.unwrap()
    }
}

impl Drop for SessionPath {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// The way to no server, which counts the attempts.
#[derive(Debug, Clone, Default)]
struct NoServer(Arc<AtomicUsize>);

impl NoServer {
    fn attempts(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Dial for NoServer {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let refused = std::io::ErrorKind::ConnectionRefused.into();
        Box::pin(std::future::ready(Err(DialError::Other(refused))))
    }
}

/// Whether a token is that of the client's session.
fn is_of(token: &SessionToken, client: &Client) -> bool {
    token.session() == client.session().id && token.timeout() == Some(client.session().timeout)
}

#[tokio::test]
async fn a_living_clients_token_resumes_later() {
    let (server, client) = connect().await;
    let saved = client.session_token().unwrap();
    assert!(is_of(&saved, &client));
    client.create("/mine", "").ephemeral().await.unwrap();
    let session = client.session().id;
    // What a crash does to the session.
    client.detach().unwrap();
    let next = Client::builder(server.connect_string()).resume(saved);
    let next = next.await.unwrap();
    assert_eq!(next.session().id, session);
    let stat = next.exists("/mine").synced().await.unwrap().unwrap();
    assert_eq!(stat.owner(), Some(session));
    next.close().await.unwrap();
}

#[tokio::test]
async fn an_id_and_a_password_resume_a_session() {
    let (server, client) = connect().await;
    let saved = client.detach().unwrap();
    let builder = Client::builder(server.connect_string());
    let forged = SessionToken::new(saved.session(), [1; 16]);
    let error = builder.clone().resume(forged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    let pair = SessionToken::new(saved.session(), saved.expose_password());
    let next = builder.clone().resume(pair).await.unwrap();
    assert_eq!(next.session().id, saved.session());
    let none = SessionToken::new(zk_client::SessionId::NONE, [0; 16]);
    let error = builder.resume(none).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    next.close().await.unwrap();
}

/// A client that went on would close the session once a server is there.
#[tokio::test(start_paused = true)]
async fn a_failed_resume_leaves_the_session() {
    let builder = Client::builder("127.0.0.1:1").fail_eagerly(true);
    let limited = Client::builder("127.0.0.1:1").max_connect_attempts(2);
    for builder in [builder, limited] {
        let dial = NoServer::default();
        let token = SessionToken::new(zk_client::SessionId(7), [1; 16]);
        let resuming = builder.dial(dial.clone()).resume(token);
        assert_eq!(resuming.await.unwrap_err().kind(), ErrorKind::Unreachable);
        let attempts = dial.attempts();
        // On the paused clock; longer than a close takes.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(dial.attempts(), attempts);
    }
}

#[tokio::test]
async fn a_token_is_there_as_long_as_the_session() {
    let (server, client) = connect().await;
    let first = client.session_token().unwrap();
    let mut states = client.states();
    server.expire_session(first.session());
    while !matches!(states.next().await, Some(State::Connected { epoch: 2, .. })) {}
    let second = client.session_token().unwrap();
    assert!(is_of(&second, &client) && second.session() != first.session());
    let other = client.clone();
    client.close().await.unwrap();
    assert_eq!(other.session_token(), None);
}

#[tokio::test]
async fn a_session_file_is_resumed() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (first, restored) = path.restore(&server).await;
    assert_eq!(restored, Restored::New);
    first.create("/mine", "").ephemeral().await.unwrap();
    let session = first.session().id;
    first.detach().unwrap();
    let (second, restored) = path.restore(&server).await;
    assert_eq!(
        (restored, second.session().id),
        (Restored::Resumed, session)
    );
    second.close().await.unwrap();
    // The session has ended, and its secret is of no use.
    assert!(!path.0.exists());
    let (third, restored) = path.restore(&server).await;
    assert_eq!(restored, Restored::New);
    assert!(third.exists("/mine").synced().await.unwrap().is_none());
    third.close().await.unwrap();
}

#[tokio::test]
async fn an_expired_session_file_is_replaced() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (first, _) = path.restore(&server).await;
    let session = first.detach().unwrap().session();
    server.expire_session(session);
    let (second, restored) = path.restore(&server).await;
    assert_eq!(restored, Restored::Expired { session });
    assert!(restored.to_string().contains(&session.to_string()));
    let new = second.session_token().unwrap();
    assert!(
        path.text().contains(&new.expose()),
        "the new session is saved"
    );
    second.close().await.unwrap();
}

/// The ensemble may have been restored from a backup.
#[tokio::test]
async fn a_file_may_be_newer_than_the_ensemble() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (first, _) = path.restore(&server).await;
    let token = first.detach().unwrap().expose();
    let mut parts: Vec<_> = token.split('-').collect();
    parts[2] = "00000fff00000000";
    fs::write(&path.0, path.text().replace(&token, &parts.join("-"))).unwrap();
    let (second, restored) = path.restore(&server).await;
    assert_eq!(restored, Restored::Resumed);
    second.close().await.unwrap();
}

#[tokio::test]
async fn a_failed_detach_keeps_the_session_file() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (client, _) = path.restore(&server).await;
    let mut states = client.states();
    server.expire_session(client.session().id);
    while client.session_token().is_some() {
        states.next().await.unwrap();
    }
    let error = client.clone().detach().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(SessionStore::open(&path.0).is_err(), "the client has it");
    while !matches!(states.next().await, Some(State::Connected { epoch: 2, .. })) {}
    client.close().await.unwrap();
    assert!(!path.0.exists());
}

#[tokio::test]
async fn each_new_session_is_written() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (client, _) = path.restore(&server).await;
    for epoch in 2..5 {
        let mut states = client.states();
        server.expire_session(client.session().id);
        while !matches!(
            states.next().await,
            Some(State::Connected { epoch: it, .. }) if it == epoch
        ) {}
        // The keeper of the file reads the same state.
        let token = client.session_token().unwrap().expose();
        while !path.text().contains(&token) {
            tokio::task::yield_now().await;
        }
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_another_chroot_is_not_used() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (first, _) = path.restore(&server).await;
    first.create("/mine", "").ephemeral().await.unwrap();
    let session = first.detach().unwrap().session();
    let builder = Client::builder(server.connect_string() + "/other");
    let (second, restored) = builder.restore(path.store()).await.unwrap();
    let Restored::Foreign {
        session: old,
        ensemble,
    } = restored
    else {
        panic!("{restored}");
    };
    assert_eq!((old, ensemble), (session, server.connect_string()));
    assert_ne!(second.session().id, session);
    // The earlier session is left alone.
    let all = Client::connect(server.connect_string()).await.unwrap();
    assert!(all.exists("/mine").synced().await.unwrap().is_some());
    second.close().await.unwrap();
    all.close().await.unwrap();
}

#[tokio::test]
async fn one_file_has_one_client() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (client, _) = path.restore(&server).await;
    let error = SessionStore::open(&path.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionFile);
    assert!(error.to_string().contains("in use"), "{error}");
    client.detach().unwrap();
    path.store();
}

#[tokio::test]
async fn an_unusable_file_is_an_error_of_restore() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let store = path.store();
    fs::write(&path.0, "mine").unwrap();
    let error = Client::builder(server.connect_string())
        .restore(store)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionFile);
    assert_eq!(path.text(), "mine");
    let store = path.store();
    fs::remove_dir_all(path.0.parent().unwrap()).unwrap();
    let error = Client::builder(server.connect_string())
        .restore(store)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionFile);
    assert!(error.to_string().contains("cannot be written"), "{error}");
}

/// A restore that is dropped after each number of polls.
#[tokio::test]
async fn a_dropped_restore_leaves_the_session() {
    let (server, path) = (Server::start().await.unwrap(), SessionPath::new());
    let (first, _) = path.restore(&server).await;
    first.create("/mine", "").ephemeral().await.unwrap();
    let session = first.detach().unwrap().session();
    for polls in 1.. {
        let store = loop {
            // The thread that reads or writes the file has the lock until it is done.
            match SessionStore::open(&path.0) {
                Ok(store) => break store,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let restoring = Client::builder(server.connect_string()).restore(store);
        let mut restoring = pin!(restoring);
        let mut polled = 0;
        let done = poll_fn(|cx| {
            polled += 1;
            match restoring.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if polled >= polls => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(done) = done.await {
            let (client, restored) = done.unwrap();
            assert_eq!(
                (restored, client.session().id),
                (Restored::Resumed, session)
            );
            assert!(client.exists("/mine").synced().await.unwrap().is_some());
            client.close().await.unwrap();
            break;
        }
    }
}

#[tokio::test]
async fn a_detached_clients_session_stays() {
    let server = Server::start().await.unwrap();
    let detached = Client::builder(server.connect_string()).detached(true);
    let client = detached.clone().connect().await.unwrap();
    client.create("/mine", "").ephemeral().await.unwrap();
    client.create("/temporary", "").await.unwrap();
    let token = client.session_token().unwrap();
    // A clean-up that is under way is done first.
    client.delete("/temporary").guaranteed();
    let mut states = client.states();
    drop(client);
    while states.next().await.is_some() {}
    assert_eq!(
        server.paths(),
        [
            "/",
            "/mine",
            "/zookeeper",
            "/zookeeper/config",
            "/zookeeper/quota"
        ]
    );
    let next = detached.resume(token).await.unwrap();
    assert!(next.exists("/mine").synced().await.unwrap().is_some());
    next.close().await.unwrap();
    assert!(!server.paths().contains(&"/mine".to_owned()));
}

#[cfg(feature = "blocking")]
#[test]
fn a_blocking_client_is_restored() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let path = SessionPath::new();
    let restore = || {
        let builder = Client::builder(server.connect_string());
        zk_client::blocking::Client::restore_with(builder, path.store()).unwrap()
    };
    let (first, restored) = restore();
    assert_eq!(restored, Restored::New);
    let session = first.session_token().unwrap().session();
    first.detach().unwrap();
    let (second, restored) = restore();
    assert_eq!(
        (restored, second.session().id),
        (Restored::Resumed, session)
    );
    second.close().unwrap();
    assert!(!path.0.exists());
}
