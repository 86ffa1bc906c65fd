//! What people get wrong with a server at hand: each mistake is named, and harms nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use crate::common::server::server_resumes_sessions;
use crate::common::{beside, client, connect, shared_server, soon};
use zk_client::{Acl, Client, ErrorKind, Outcome, Permissions, State, digest_id};

/// A server's `jute.maxbuffer`, as it is by default.
const LIMIT: usize = 0xf_ffff;

#[tokio::test]
async fn oversize_request_is_not_sent() {
    let zk = client().await;
    zk.create("/a", "").await.unwrap();
    let mut states = zk.states();
    assert!(states.next().await.unwrap().is_connected());
    let neighbour = zk.get("/a").submit();
    let data = vec![b'x'; LIMIT];
    for error in [
        zk.create("/big", &data).await.unwrap_err(),
        zk.set("/a", &data).await.unwrap_err(),
        zk.multi()
            .set("/a", "x")
            .set("/a", &data)
            .commit()
            .await
            .unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::RequestTooLarge, Outcome::NotSent)
        );
        let text = error.to_string();
        assert!(
            text.contains("1048575") && text.contains("jute.maxbuffer"),
            "{text}"
        );
    }
    neighbour.await.unwrap();
    assert_eq!(
        zk.get("/a").await.unwrap().0,
        "",
        "the transaction had no effect"
    );
    // Just below the limit is no mistake: 64 bytes are enough for the rest of this request.
    zk.set("/a", &data[..LIMIT - 64]).await.unwrap();
    assert_eq!(zk.get("/a").await.unwrap().0.len(), LIMIT - 64);
    let lost = tokio::time::timeout(std::time::Duration::ZERO, states.next()).await;
    assert!(lost.is_err(), "{lost:?}");
}

/// ZOOKEEPER-2940: the server closes the connection; it is not tried again and again.
/// Guards: A17.
#[tokio::test]
async fn request_too_large_for_server_fails_once() {
    let server = shared_server();
    let zk = connect(&server.connect_string(), |builder| {
        builder
            .max_request_bytes(8 << 20)
            .backoff(crate::common::impatient())
    })
    .await;
    let session = zk.session();
    let data = vec![b'x'; LIMIT + (1 << 20)];
    let error = soon("the failure", zk.create("/big", &data))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    // Servers close at the length in front of it. Whether the network has taken the rest by then is
    // a race; if it has not, no server can have executed it, and the outcome says so.
    assert_ne!(error.outcome(), Outcome::Rejected);
    assert_eq!(soon("a later read", zk.exists("/big")).await.unwrap(), None);
    zk.create("/small", "").await.unwrap();
    assert_eq!(zk.session() == session, server_resumes_sessions());
}

/// One request fails, its neighbours do not.
/// Guards: A18.
#[tokio::test]
async fn oversize_reply_fails_its_request_only() {
    let server = shared_server();
    let zk = connect(&server.connect_string(), |builder| {
        builder
            .max_reply_bytes(64 * 1024)
            .backoff(crate::common::impatient())
    })
    .await;
    let session = zk.session();
    zk.create("/small", "x").await.unwrap();
    zk.create("/big", vec![b'x'; 100 * 1024]).await.unwrap();
    zk.create("/most", vec![b'x'; 64 * 1024 - 100])
        .await
        .unwrap();
    for _ in 0..3 {
        let before: Vec<_> = (0..10).map(|_| zk.get("/small").submit()).collect();
        let big = zk.get("/big").submit();
        let after: Vec<_> = (0..10).map(|_| zk.get("/small").submit()).collect();
        let error = soon("the failure", big).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReplyTooLarge, "{error}");
        assert_eq!((error.op(), error.path()), (Some("getData"), Some("/big")));
        let text = error.to_string();
        assert!(
            text.contains("65536") && text.contains("max_reply_bytes"),
            "{text}"
        );
        for read in before.into_iter().chain(after) {
            assert_eq!(soon("a neighbour", read).await.unwrap().0, "x");
        }
    }
    assert_eq!(
        soon("a large reply", zk.get("/most"))
            .await
            .unwrap()
            .0
            .len(),
        64 * 1024 - 100
    );
    assert_eq!(zk.session() == session, server_resumes_sessions());
}

/// A server does not refuse a wrong password: it finds that it opens nothing.
#[tokio::test]
async fn a_wrong_password_opens_nothing() {
    let zk = client().await;
    let mine = Acl::new(Permissions::ALL, "digest", digest_id("me", "right"));
    zk.create("/mine", "secret").acl(vec![mine]).await.unwrap();
    for (password, opens) in [("wrong", false), ("right", true)] {
        let other = crate::common::builder(shared_server().connect_string())
            .auth("digest", format!("me:{password}"))
            .connect()
            .await
            .unwrap()
            .chroot(zk.root().as_str())
            .unwrap();
        let read = other.get("/mine").await.map(|(data, _)| data);
        match opens {
            true => assert_eq!(read.unwrap(), "secret"),
            false => {
                let error = read.unwrap_err();
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::NoAuth, Outcome::Rejected)
                );
                let text = format!("{error} {error:?} {other:?}");
                assert!(
                    text.contains("ACL does not allow") || text.contains("NoAuth"),
                    "{text}"
                );
                assert!(!text.contains("wrong"), "{text}");
            }
        }
    }
}

async fn is_over(zk: &Client) {
    for _ in 0..3 {
        for error in [
            zk.get("/").await.unwrap_err(),
            zk.create("/x", "").await.unwrap_err(),
            zk.add_auth("digest", "me:pw").await.unwrap_err(),
            zk.connected().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
            assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        }
    }
    assert_eq!(zk.state(), State::AuthFailed);
    assert_eq!(zk.statistics().outstanding, 0);
}

/// ZOOKEEPER-844.
/// Guards: B72, A32.
#[tokio::test]
async fn unknown_scheme_fails_connect() {
    for n in 0..20 {
        let connecting = crate::common::builder(shared_server().connect_string())
            .auth("digest", "me:pw")
            .auth("no-such-scheme", "canary")
            .connect();
        let error = match soon("the refusal", connecting).await {
            Ok(_) => panic!("attempt {n} got a client"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
        assert!(error.to_string().contains("credentials"), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}

/// Terminal, and every waiting request fails.
/// Guards: A32.
#[tokio::test]
async fn unknown_scheme_added_later_ends_client() {
    let zk = client().await;
    zk.create("/a", "").await.unwrap();
    let (_, _, watch) = zk.get("/a").watch().await.unwrap();
    let mut states = zk.states();
    let error = soon("the refusal", zk.add_auth("no-such-scheme", "canary"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
    crate::common::states_until(&mut states, "the end", |state| *state == State::AuthFailed).await;
    assert_eq!(states.next().await, None);
    assert_eq!(
        soon("the watch", watch).await,
        zk_client::WatchEvent::SessionEnded
    );
    is_over(&zk).await;

    // Another client is none the worse.
    let other = beside(&zk, &shared_server().connect_string()).await;
    other.get("/a").await.unwrap();
}

/// A client that was started, not awaited, and what was submitted to it.
/// Guards: B72.
#[tokio::test]
async fn unknown_scheme_fails_waiting_requests() {
    let zk = crate::common::builder(shared_server().connect_string())
        .auth("no-such-scheme", "canary")
        .start()
        .unwrap();
    let (read, write) = (zk.get("/").submit(), zk.create("/b72", "").submit());
    for error in [
        soon("the read", read).await.map(drop).unwrap_err(),
        soon("the write", write).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    }
    is_over(&zk).await;
    let other = client().await;
    assert_eq!(
        other.exists("/b72").await.unwrap(),
        None,
        "nothing is done unauthenticated"
    );
}
