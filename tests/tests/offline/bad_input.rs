//! What people get wrong before there is a session: each mistake is named, in time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{ClosedPort, soon, until_known};
use zk_client::{Client, Disconnect, Error, ErrorKind, Outcome, WatchMode};
use zk_proto::records::GetDataResponse;

const CONNECT: Duration = Duration::from_secs(3);

/// A listener that does `then` to every connection, and how many there were.
fn listener(then: impl Fn(TcpStream) + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let accepted = Arc::clone(&accepted);
        move || {
            for stream in listener.incoming() {
                accepted.fetch_add(1, Ordering::SeqCst);
                then(stream.unwrap());
            }
        }
    });
    (address, accepted)
}

/// What connecting fails with, once there was time to find out one of `reasons`; it names each of `hosts`.
async fn refusal(hosts: &str, reasons: &[&str]) -> String {
    let attempt = async |limit| {
        let started = Instant::now();
        let connecting = Client::builder(hosts)
            .session_timeout(Duration::from_secs(2))
            .connect_timeout(limit)
            .connect();
        let error = soon("the refusal", connecting).await.unwrap_err();
        let took = started.elapsed();
        assert!(took >= limit, "{took:?}: a server may yet come");
        error
    };
    let known = |error: &Error| {
        let text = error.to_string();
        reasons.iter().any(|reason| text.contains(reason))
    };
    let (limit, error) = until_known(CONNECT, attempt, known).await;
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::ConnectTimeout, Outcome::NotSent)
    );
    let text = error.to_string();
    for host in hosts.split(',') {
        assert!(text.contains(host), "{host} is not in: {text}");
    }
    let within = format!("no session within {} ms", limit.as_millis());
    assert!(text.contains(&within), "{text}");
    text
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_named() {
    let reason = "cannot resolve the host name";
    let text = refusal("no-such-host.invalid:2181", &[reason]).await;
    assert!(text.contains(reason), "{text}");
}

#[tokio::test]
async fn closed_ports_are_all_named() {
    let ports = [ClosedPort::new(), ClosedPort::new()];
    let hosts = ports.each_ref().map(ClosedPort::address);
    let reason = |host: &String| format!("{host}: cannot connect");
    let text = refusal(&hosts.join(","), &[&reason(&hosts[0])]).await;
    assert_eq!(text.matches("refused").count(), 2, "{text}");
}

#[tokio::test]
async fn mute_port_is_named() {
    let held = std::sync::Mutex::new(Vec::new());
    let (address, _) = listener(move |stream| held.lock().unwrap().push(stream));
    let reason = "the handshake was not answered within";
    let text = refusal(&address.to_string(), &[reason]).await;
    assert!(text.contains(reason), "{text}");
}

/// Guards: B44.
#[tokio::test]
async fn closing_port_is_named_and_not_hammered() {
    let (address, accepted) = listener(drop);
    let reasons = ["without answering the handshake", "reset"];
    let text = refusal(&address.to_string(), &reasons).await;
    assert!(reasons.iter().any(|reason| text.contains(reason)), "{text}");
    let accepted = accepted.load(Ordering::SeqCst);
    if text.contains("within 3000 ms") {
        assert!(accepted <= 12, "{accepted} connections in {CONNECT:?}");
    }
}

/// Waits for the client's first bytes, as most servers do, and answers.
fn answer(mut stream: TcpStream, text: &str) {
    let read = stream.read(&mut [0; 1024]);
    if read.is_ok_and(|bytes| bytes > 0) {
        // A client that has seen enough may be gone.
        let _ = stream.write_all(text.as_bytes());
    }
}

#[tokio::test]
async fn web_server_is_recognised() {
    let (address, accepted) = listener(|stream| {
        answer(
            stream,
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        );
    });
    let text = refusal(&address.to_string(), &["HTTP/1.1 400"]).await;
    assert!(
        text.contains("does not speak the ZooKeeper protocol"),
        "{text}"
    );
    assert!(text.contains("HTTP/1.1 400"), "{text}");
    if text.contains("within 3000 ms") {
        assert!(accepted.load(Ordering::SeqCst) <= 12);
    }
}

#[tokio::test]
async fn ssh_server_is_recognised() {
    let (address, _) = listener(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        // Until the client hangs up; reading on is what keeps the banner from being lost.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let text = refusal(&address.to_string(), &["SSH-2.0"]).await;
    assert!(
        text.contains("does not speak the ZooKeeper protocol"),
        "{text}"
    );
    assert!(text.contains("SSH-2.0"), "{text}");
}

#[tokio::test]
async fn garbled_connect_string_is_explained() {
    for (hosts, part) in [
        ("", "no host; write host:port"),
        (" ", "no host; write host:port"),
        (",", "no host; write host:port"),
        ("/app", "no host; write host:port"),
        (":2181", "not a host"),
        ("zk1:2181,z k2", "not a host"),
        ("zk1\0:2181", "not a host"),
        ("zk1:port", "a number from 1 to 65535"),
        ("zk1:0", "a number from 1 to 65535"),
        ("zk1:65536", "a number from 1 to 65535"),
        ("zk1:", "a number from 1 to 65535"),
        ("2001:db8::1", "write [2001:db8::1]:2181"),
        ("[2001:db8::1:2181", "not a host"),
        ("http://zk1:2181", "no scheme"),
        ("me:hunter2@zk1:2181", "credentials do not belong"),
        ("zk1:2181/a//b", "the chroot is not valid"),
        ("zk1:2181/../b", "the chroot is not valid"),
    ] {
        let connecting = tokio::time::timeout(Duration::ZERO, Client::connect(hosts));
        let error = connecting.await.expect("at the first poll").unwrap_err();
        let text = chain(&error).join(": ");
        let said = (error.kind(), error.outcome());
        assert_eq!(
            said,
            (ErrorKind::InvalidArgument, Outcome::NotSent),
            "{hosts:?}: {text}"
        );
        assert!(
            text.contains("connect string") && text.contains(part),
            "{hosts:?}: {text}"
        );
        assert!(!format!("{text} {error:?}").contains("hunter2"), "{text}");
    }
}

/// The texts of an error and of its causes.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut next = Some(error);
    let errors = std::iter::from_fn(|| {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    });
    errors.collect()
}

/// Guards: P40.
#[tokio::test]
async fn no_error_repeats_its_cause() {
    let zk = Client::builder("127.0.0.1:1").start().unwrap();
    let tls = zk_client::TlsConfig::new().ca_file("/nowhere/ca.pem");
    let errors: Vec<Box<dyn std::error::Error>> = vec![
        Box::new(zk.create("", "x").await.unwrap_err()),
        Box::new(zk.get("/a/").await.unwrap_err()),
        Box::new(zk.chroot("a").unwrap_err()),
        Box::new(zk.update_hosts("zk1:0").unwrap_err()),
        Box::new(zk.update_hosts("").unwrap_err()),
        Box::new(zk.reconfig().joining("server.x").await.unwrap_err()),
        Box::new(Client::connect("zk1:2181/a//b").await.unwrap_err()),
        Box::new(Client::connect("dns-srv://").await.unwrap_err()),
        Box::new(Client::builder("zk1").tls(tls).start().unwrap_err()),
        Box::new(zk_recipes::Error::Lost(zk_recipes::GuardLost::Deleted)),
        Box::new(zk_recipes::Error::Undecodable {
            path: "/a".to_owned(),
            version: 1,
            source: "no JSON".into(),
        }),
        Box::new(Disconnect::from(
            zk_proto::decode_frame::<GetDataResponse>(&bytes::Bytes::new(), 0).unwrap_err(),
        )),
    ];
    for error in errors {
        let texts = chain(&*error);
        for (index, text) in texts.iter().enumerate() {
            let mut causes = texts.iter().skip(index + 1);
            assert!(!causes.any(|cause| text.contains(&**cause)), "{texts:#?}");
        }
    }
}

#[tokio::test]
async fn invalid_path_needs_no_server() {
    // Long enough that whatever is submitted is found out, and does not hold up the test.
    let zk = Client::builder("127.0.0.1:1")
        .deadline(Duration::from_millis(300))
        .start()
        .unwrap();
    let mut accepted = Vec::new();
    for path in [
        "",
        "a",
        "a/b",
        "/a/",
        "//",
        "//a",
        "/a//b",
        "/.",
        "/./a",
        "/a/..",
        "/../a",
        "/a\0b",
        "/a\u{1}",
        "/a\u{7f}",
        "/\u{f8ff}",
        "/\u{fff0}",
    ] {
        let errors: Vec<Error> = vec![
            zk.get(path).await.unwrap_err(),
            zk.get(path).watch().await.unwrap_err(),
            zk.exists(path).await.unwrap_err(),
            zk.children(path).await.unwrap_err(),
            zk.create(path, "").await.unwrap_err(),
            zk.create(path, "").parents().await.unwrap_err(),
            zk.create(path, "").protected().await.unwrap_err(),
            zk.set(path, "").await.unwrap_err(),
            zk.delete(path).await.unwrap_err(),
            zk.delete(path).recursive().await.unwrap_err(),
            zk.ensure_path(path).await.unwrap_err(),
            zk.sync(path).await.unwrap_err(),
            zk.acl(path).await.unwrap_err(),
            zk.watch(path, WatchMode::PersistentRecursive)
                .await
                .unwrap_err(),
            zk.multi()
                .create("/fine", "")
                .delete(path)
                .commit()
                .await
                .unwrap_err(),
            zk.multi_read().get(path).await.unwrap_err(),
        ];
        for error in errors {
            let said = (
                error.kind(),
                error.outcome(),
                chain(&error).join(": ").contains("invalid path"),
            );
            if said != (ErrorKind::InvalidPath, Outcome::NotSent, true) {
                accepted.push(format!("{path:?}: {error}"));
            }
        }
        // No chroot is written as an empty one.
        if !path.is_empty() {
            let error = zk.chroot(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{path:?}: {error}");
        }
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
    assert_eq!(zk.statistics().outstanding, 0);
}
