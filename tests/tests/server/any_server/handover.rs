//! A session that continues in another client.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::time::Duration;

use crate::common::server::server_resumes_sessions;
use crate::common::{
    NO_LIMIT, client, client_of, own_server, shared_server, soon, states_until, until,
};
use zk_client::{Client, ErrorKind, Outcome, SessionPolicy, SessionToken, State};

fn builder() -> zk_client::ClientBuilder {
    crate::common::builder(shared_server().connect_string()).connect_timeout(NO_LIMIT)
}

#[tokio::test]
async fn handover_keeps_ephemerals() {
    let zk = client().await;
    let root = zk.root().clone();
    let session = zk.session().id;
    zk.create("/e", "").ephemeral().await.unwrap();
    let other = zk.clone();
    let (_, _, watch) = zk.get("/e").watch().await.unwrap();
    let text = zk.detach().unwrap().expose();
    assert_eq!(other.state(), State::Closed);
    let refused = other.get("/e").await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (ErrorKind::Closed, Outcome::NotSent)
    );
    soon("the watch to end", watch).await;
    assert_eq!(other.detach().unwrap_err().kind(), ErrorKind::Closed);

    if !server_resumes_sessions() {
        return assert_over(&shared_server().connect_string(), &text).await;
    }
    let token: SessionToken = text.parse().unwrap();
    let resumed = builder().resume(token).await.unwrap();
    assert_eq!(
        (resumed.session().id, resumed.session().epoch),
        (session, 1)
    );
    let resumed = resumed.chroot(root.as_str()).unwrap();
    let stat = resumed.exists("/e").await.unwrap().unwrap();
    assert_eq!(stat.owner(), Some(session));
    resumed.close().await.unwrap();
    let witness = client().await;
    let gone = witness.chroot("/").unwrap();
    assert_eq!(gone.exists("/e").await.unwrap(), None);
}

/// Where the session ends with the connection, a token opens nothing.
async fn assert_over(hosts: &str, text: &str) {
    let resumed = crate::common::builder(hosts)
        .resume(text.parse().unwrap())
        .await;
    let error = resumed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(error.to_string().contains("has ended"), "{error}");
}

/// Guards: A7.
#[tokio::test]
async fn invalid_token_is_reported() {
    let zk = client().await;
    let text = zk.clone().detach().unwrap().expose();
    if !server_resumes_sessions() {
        return assert_over(&shared_server().connect_string(), &text).await;
    }
    let resumed = builder().resume(text.parse().unwrap()).await.unwrap();
    resumed.close().await.unwrap();
    let error = builder().resume(text.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(error.to_string().contains("has ended"), "{error}");

    let zk = client().await;
    let mut wrong = zk.clone().detach().unwrap().expose();
    let right = wrong.clone();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let error = builder().resume(wrong.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    // The session lives, and the right password opens it.
    let resumed = builder().resume(right.parse().unwrap()).await.unwrap();
    resumed.close().await.unwrap();
}

#[tokio::test]
async fn closing_session_is_not_handed_over() {
    let zk = client().await;
    let mut closing = std::pin::pin!(zk.clone().close());
    tokio::select! {
        biased;
        closed = &mut closing => panic!("without asking a server: {closed:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(zk.detach().unwrap_err().kind(), ErrorKind::Closed);
    closing.await.unwrap();
}

#[tokio::test]
async fn failed_resume_leaves_the_session_alone() {
    let server = own_server();
    let zk = client_of(&server.connect_string()).await;
    let session = zk.session().id;
    let text = zk.detach().unwrap().expose();
    let anonymous = Client::builder("127.0.0.1:1")
        .connect_timeout(Duration::from_millis(300))
        .resume(text.parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(anonymous.kind(), ErrorKind::ConnectTimeout);
    if !server_resumes_sessions() {
        return assert_over(&server.connect_string(), &text).await;
    }
    let resumed = crate::common::builder(server.connect_string())
        .connect_timeout(NO_LIMIT)
        .resume(text.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(resumed.session().id, session);
    resumed.close().await.unwrap();
}

/// Each takes the connection from the other; neither may spin.
/// Guards: A8.
#[tokio::test]
async fn two_clients_of_a_session_do_not_spin() {
    let server = own_server();
    let zk = client_of(&server.connect_string()).await;
    let text = zk.detach().unwrap().expose();
    let hosts = server.connect_string();
    if !server_resumes_sessions() {
        return assert_over(&hosts, &text).await;
    }
    let resume = || async {
        crate::common::builder(&*hosts)
            .connect_timeout(NO_LIMIT)
            .session_policy(SessionPolicy::Close)
            .resume(text.parse().unwrap())
            .await
            .unwrap()
    };
    let first = resume().await;
    let mut states = first.states();
    let second = resume().await;
    states_until(&mut states, "the session to be taken away", |state| {
        matches!(state, State::Suspended { .. })
    })
    .await;
    states_until(&mut states, "the session to be taken back", |state| {
        state.is_connected()
    })
    .await;
    let answered = soon("an answer", async {
        until("a request gets through", || async {
            second.exists("/").await.is_ok()
        })
        .await;
    });
    answered.await;
    assert_eq!(first.session().id, second.session().id);
    drop(second);
    first.close().await.unwrap_or_default();
}
