//! The texts of errors: what happened, to which operation and path, whether it took effect, and what
//! to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::common::{ClosedPort, blocking, connect, own_server, shared_server, soon, states_until};
use crate::common::{unless_starved, until_known, until_suspended};
use zk_client::{Acl, Client, Error, ErrorKind, Permissions, SessionPolicy, State, digest_id};
use zk_tests::{Direction, Proxy};

/// The error and its causes, as most programs print them.
fn aloud(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The text, if it says all of `parts`, in that order.
#[track_caller]
fn says(error: &Error, parts: &[&str]) -> String {
    let text = aloud(error);
    let mut rest = text.as_str();
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part:?} is not, or not in its place, in: {text}");
        };
        rest = after;
    }
    assert!(!text.contains('\n'), "more than a line: {text}");
    text
}

async fn behind(proxy: &Proxy) -> Client {
    connect(&proxy.connect_string(), |builder| {
        builder.backoff(crate::common::impatient())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_and_a_set_under_an_outage() {
    unless_starved(Duration::from_secs(2), a_get_and_a_set).await;
}

/// Within `time_limit` an attempt to connect fails, which is the cause that the error reports.
async fn a_get_and_a_set(time_limit: Duration) {
    let within = format!(
        "the deadline passed: no server within {}",
        time_limit.as_secs()
    );
    let proxy = Proxy::start(shared_server().address()).unwrap();
    let zk = behind(&proxy).await;
    zk.create("/config", "v1").await.unwrap();
    let mut states = zk.states();
    proxy.refuse(true).unwrap();
    proxy.cut_all();
    until_suspended(&mut states).await;
    let get = zk.get("/config").deadline(time_limit).submit();
    let set = zk.set("/config", "v2").deadline(time_limit).submit();
    let error = soon("the read's deadline", get).await.unwrap_err();
    says(
        &error,
        &[
            &format!("getData /config: {within}"),
            " ms: ",
            &proxy.connect_string(),
            "refused",
            "; it was not sent",
            "(see that the servers run and can be reached, or give it more time)",
        ],
    );
    let error = soon("the write's deadline", set).await.unwrap_err();
    says(
        &error,
        &[
            &format!("setData /config: {within}"),
            "refused",
            "; it had no effect",
            "(see that the servers run",
        ],
    );
    // What was wrong then is not what is wrong later.
    proxy.refuse(false).unwrap();
    soon("a read after the outage", zk.get("/config"))
        .await
        .unwrap();
    proxy.stall(true);
    let error = soon(
        "the deadline of a read that is not answered",
        zk.get("/config").deadline(Duration::from_millis(200)),
    )
    .await
    .unwrap_err();
    let text = says(
        &error,
        &[
            "getData /config: the deadline passed: no answer within 2",
            &format!(" ms from {}", proxy.connect_string()),
            "; a read changes nothing (it can be made again, or given more time)",
        ],
    );
    assert!(!text.contains("refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_reply_was_lost() {
    let proxy = Proxy::start(shared_server().address()).unwrap();
    let zk = behind(&proxy).await;
    zk.create("/config", "v1").await.unwrap();
    proxy.cut_after(Direction::ToClient, 0);
    let error = soon("the loss", zk.set("/config", "v2")).await.unwrap_err();
    says(
        &error,
        &[
            "setData /config: the connection was lost",
            "; whether it took effect is unknown",
            "(read what it would have changed before making it again)",
            // The cause: which of the two the network says is not ours to choose.
            ": ",
        ],
    );
    assert!(error.source().is_some());
    soon("the next connection", zk.get("/config"))
        .await
        .unwrap();
    let error = {
        proxy.stall(true);
        let set = zk.set("/config", "v3").deadline(Duration::from_millis(200));
        let error = soon("the deadline", set).await.unwrap_err();
        proxy.stall(false);
        error
    };
    says(
        &error,
        &[
            "setData /config: the deadline passed: no answer within 2",
            "; whether it took effect is unknown",
            "(read what it would have changed before making it again)",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session() {
    unless_starved(Duration::from_secs(1), expires).await;
}

async fn expires(session: Duration) {
    let proxy = Proxy::start(shared_server().address()).unwrap();
    let zk = connect(&proxy.connect_string(), |builder| {
        builder
            .session_timeout(session)
            .session_policy(SessionPolicy::Close)
            .backoff(crate::common::impatient())
    })
    .await;
    let mut states = zk.states();
    proxy.refuse(true).unwrap();
    proxy.cut_all();
    until_suspended(&mut states).await;
    let waiting = zk.create("/e", "").ephemeral().submit();
    let expired = |state: &State| matches!(state, State::Expired { .. });
    states_until(&mut states, "the expiry", expired).await;
    for error in [
        soon("what waited", waiting).await.unwrap_err(),
        soon("what came later", zk.create("/e", "").ephemeral())
            .await
            .unwrap_err(),
    ] {
        says(
            &error,
            &[
                "create /e: the session has expired; it had no effect (",
                "ephemeral znodes and watches are gone",
                "in the next session)",
            ],
        );
    }
}

/// What connecting to `hosts` fails with, once there was time to find out, and how that text begins.
async fn refused(hosts: &str, reason: &str) -> (Error, String) {
    let attempt = async |limit| {
        let connecting = Client::builder(hosts)
            .session_timeout(Duration::from_secs(2))
            .connect_timeout(limit)
            .connect();
        soon("the refusal", connecting).await.unwrap_err()
    };
    let first = Duration::from_millis(1500);
    let (limit, error) = until_known(first, attempt, |error| aloud(error).contains(reason)).await;
    (
        error,
        format!("no session within {} ms: ", limit.as_millis()),
    )
}

#[tokio::test]
async fn unreachable_hosts() {
    let port = ClosedPort::new();
    let closed = port.address();
    const ADVICE: &str = "(check the addresses, and that the servers run and have a quorum)";
    let (error, session) = refused(&closed, "refused").await;
    says(
        &error,
        &[&session, &closed, "cannot connect", "refused", ADVICE],
    );

    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let web = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let (error, session) = refused(&web, "HTTP/1.1").await;
    says(
        &error,
        &[
            &session,
            &web,
            "does not speak the ZooKeeper protocol",
            "HTTP/1.1",
            ADVICE,
        ],
    );

    let (error, session) = refused("no-such-host.invalid:2181", "cannot resolve").await;
    says(
        &error,
        &[
            &session,
            "no-such-host.invalid:2181: cannot resolve the host name",
            ADVICE,
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_without_a_quorum() {
    let ensemble = blocking(crate::common::ensemble);
    let zk = connect(&ensemble.connect_string(), |builder| {
        builder.backoff(crate::common::impatient())
    })
    .await;
    zk.create("/a", "").await.unwrap();
    let left = &ensemble.servers()[0];
    for server in &ensemble.servers()[1..] {
        blocking(|| server.kill().unwrap());
    }
    // It accepts connections for as long as it has not noticed.
    let error = loop {
        match Client::builder(left.connect_string())
            .session_timeout(Duration::from_secs(2))
            .connect_timeout(Duration::from_secs(3))
            .connect()
            .await
        {
            Ok(early) => drop(early),
            Err(error) => break error,
        }
    };
    says(
        &error,
        &[
            "no session within 3000 ms: ",
            &left.connect_string(),
            "(check the addresses, and that the servers run and have a quorum)",
        ],
    );
    let error = soon(
        "the deadline",
        zk.create("/b", "").deadline(Duration::from_secs(3)),
    )
    .await
    .unwrap_err();
    let text = aloud(&error);
    assert!(text.starts_with("create /b: "), "{text}");
    assert!(
        text.contains("it had no effect") || text.contains("whether it took effect is unknown"),
        "{text}"
    );
    assert!(text.contains(" ("), "what to do? {text}");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_scheme() {
    let zk = crate::common::client().await;
    let mine = Acl::new(Permissions::ALL, "digest", digest_id("me", "right"));
    zk.create("/mine", "").acl(vec![mine]).await.unwrap();
    zk.add_auth("digest", "me:wrong").await.unwrap();
    let error = zk.get("/mine").await.unwrap_err();
    says(
        &error,
        &[
            "getData /mine: the znode's ACL does not allow it",
            "(give the credentials that the ACL names with auth() or add_auth())",
        ],
    );
    let error = zk.set("/mine", "").await.unwrap_err();
    says(
        &error,
        &["setData /mine", "ACL", "it had no effect", "add_auth()"],
    );

    let server = shared_server().connect_string();
    let error = soon("the refusal", zk.add_auth("no-such-scheme", "canary"))
        .await
        .unwrap_err();
    let advice = "(this client is closed; check the scheme and the credentials, and make another)";
    let text = says(
        &error,
        &[
            "auth: ",
            &server,
            "the server refused the credentials of scheme \"no-such-scheme\"",
            "it had no effect",
            advice,
        ],
    );
    assert!(!text.contains("canary"), "{text}");
    let error = zk.get("/mine").await.unwrap_err();
    says(
        &error,
        &[
            "getData /mine: ",
            "no-such-scheme",
            "it was not sent",
            advice,
        ],
    );
    let connecting = Client::builder(&server)
        .auth("no-such-scheme", "canary")
        .connect();
    let error = soon("the refusal", connecting).await.unwrap_err();
    says(
        &error,
        &[
            "the server refused the credentials",
            "no-such-scheme",
            advice,
        ],
    );
}

#[tokio::test]
async fn what_is_refused_before_it_is_sent() {
    let server = shared_server().connect_string();
    let zk = connect(&server, |builder| builder.max_outstanding(2)).await;
    let error = zk.create("/big", vec![b'x'; 2 << 20]).await.unwrap_err();
    says(
        &error,
        &[
            "create /big: the request is 2097",
            "bytes long and the limit is 1048575; it had no effect",
            "(split it, or raise max_request_bytes and the servers' jute.maxbuffer)",
        ],
    );
    let waiting = [zk.get("/").submit(), zk.get("/").submit()];
    let error = zk.set("/a", "").await.unwrap_err();
    says(
        &error,
        &[
            "setData /a: too many requests are outstanding; it had no effect",
            "(use wait_for_room(), or raise max_outstanding)",
        ],
    );
    drop(waiting);
    let error = zk.get("a").await.unwrap_err();
    says(
        &error,
        &["getData a: the path is invalid", "it was not sent"],
    );
    let closed = zk.clone();
    zk.close().await.unwrap();
    let error = closed.set("/a", "").await.unwrap_err();
    says(
        &error,
        &[
            "setData /a: the client is closed; it had no effect",
            "(make another client)",
        ],
    );
}

#[tokio::test]
async fn what_the_server_refuses() {
    let zk = crate::common::client().await;
    zk.create("/a", "").await.unwrap();
    zk.create("/a/b", "").await.unwrap();
    let refusals = [
        (
            zk.create("/x/y", "").await.map(drop).unwrap_err(),
            "create /x/y: the znode's parent does not exist; it had no effect (create it first, or \
             use parents())",
        ),
        (
            zk.create("/a", "").await.map(drop).unwrap_err(),
            "create /a: the znode exists already; it had no effect",
        ),
        (
            zk.set("/a", "").version(7).await.map(drop).unwrap_err(),
            "setData /a: the znode has another version; it had no effect (read it again, and \
             decide again)",
        ),
        (
            zk.delete("/a").await.unwrap_err(),
            "delete /a: the znode has children; it had no effect (delete its children first, or \
             use recursive())",
        ),
        (
            zk.multi()
                .set("/a", "")
                .check("/a/b", 5)
                .commit()
                .await
                .map(drop)
                .unwrap_err(),
            "multi /a/b: operation 1 of the transaction: the znode has another version; it had no \
             effect (read it again, and decide again)",
        ),
        (
            zk.get("/x").await.map(drop).unwrap_err(),
            "getData /x: the znode does not exist",
        ),
    ];
    // The client of this test has a chroot, which the text names.
    let chroot = format!(" in the chroot {}", zk.root());
    for (error, text) in refusals {
        assert_eq!(error.to_string().replace(&chroot, ""), text);
        let named = error.to_string().contains(&chroot);
        assert_eq!(named, error.kind() == ErrorKind::NoNode, "{error}");
    }
}

/// A frozen server, and a close without a reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unacknowledged_close() {
    let server = blocking(own_server);
    let zk = connect(&server.connect_string(), |builder| {
        builder.close_timeout(Duration::from_millis(200))
    })
    .await;
    let waiting = {
        server.pause().unwrap();
        zk.set("/a", "").submit()
    };
    let error = soon("the close", zk.close()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CloseUnacknowledged);
    says(
        &error,
        &[
            "no server acknowledged the end of the session",
            "its ephemeral znodes go when",
        ],
    );
    let error = soon("what was in flight", waiting).await.unwrap_err();
    says(
        &error,
        &[
            "setData /a: the client is closed; whether it took effect is unknown",
            "read what it would have changed with another client",
        ],
    );
    server.resume().unwrap();
}
