//! Those of zk-proto and zk-transport.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zk_client::{Client, ErrorKind};
use zk_embedded::{Server, WallClock};
use zk_transport::{TcpDial, dial_fn};

use super::program::{arguments, documented, examples, is_like, run, start};
use crate::common::soon;

examples! {
    decode_capture "../../../crates/zk-proto/examples/decode_capture.rs";
    health "../../../crates/zk-transport/examples/health.rs";
}

const CAPTURE: &str = "../crates/zk-proto/examples/capture.txt";

/// What passes between a client and a server, as `tshark -z follow,tcp,raw` prints it.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<String>>);

impl Capture {
    fn add(&self, indent: &str, bytes: &[u8]) {
        let mut text = self.0.lock().unwrap();
        text.push_str(indent);
        for byte in bytes {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }

    /// A stream whose other end is connected to the server, and captured.
    fn pass_on(&self, server: DuplexStream) -> DuplexStream {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (from_client, to_client) = tokio::io::split(far);
        let (from_server, to_server) = tokio::io::split(server);
        tokio::spawn(self.clone().copy("", from_client, to_server));
        tokio::spawn(self.clone().copy("\t", from_server, to_client));
        near
    }

    async fn copy(
        self,
        indent: &str,
        mut from: impl AsyncReadExt + Unpin,
        mut to: impl AsyncWriteExt + Unpin,
    ) {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            self.add(indent, &bytes[..length]);
            if to.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
        // The other side has gone as well then.
        to.shutdown().await.ok();
    }
}

/// A short session, as it is captured.
async fn capture() -> String {
    const RULE: &str = "===================================================================\n";
    // In 2024, and the same in every run.
    let clock = WallClock::From(1_717_200_000_000);
    let server = Server::builder().wall_clock(clock).in_memory();
    let server = Arc::new(server.start().await.unwrap());
    let capture = Capture::default();
    let dial = dial_fn({
        let capture = capture.clone();
        move |_| {
            let stream = server.connect_in_memory().map(|it| capture.pass_on(it));
            async move { stream }
        }
    });
    let zk = Client::builder("127.0.0.1:2181")
        .dial(dial)
        .connect()
        .await
        .unwrap();
    zk.create("/example", "v1").await.unwrap();
    let (_, stat, watch) = zk.get("/example").watch().await.unwrap();
    let multi = zk.multi().set_version("/example", "v2", stat.version);
    multi.create("/example/child", "").commit().await.unwrap();
    watch.await;
    let missing = zk.get("/missing").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoNode);
    zk.children("/example").await.unwrap();
    zk.delete("/example/child").await.unwrap();
    zk.close().await.unwrap();
    let packets = capture.0.lock().unwrap();
    format!(
        "\n{RULE}Follow: tcp,raw\nFilter: tcp.stream eq 0\nNode 0: 127.0.0.1:51412\n\
         Node 1: 127.0.0.1:2181\n{packets}{RULE}"
    )
}

fn decode(capture: &str) -> Vec<String> {
    let mut connection = decode_capture::Connection::default();
    let lines = capture.lines();
    lines
        .flat_map(|line| connection.decode_line(line).unwrap())
        .collect()
}

/// `ZK_TESTS_WRITE=1` writes the capture that the example has.
#[tokio::test(start_paused = true)]
async fn the_capture_is_of_this_client() {
    let now = capture().await;
    if std::env::var_os("ZK_TESTS_WRITE").is_some() {
        std::fs::write(CAPTURE, &now).unwrap();
    }
    let kept = std::fs::read_to_string(CAPTURE).unwrap();
    assert_eq!(
        decode(&kept),
        decode(&now),
        "ZK_TESTS_WRITE=1 writes it again"
    );
}

#[test]
fn the_capture_is_decoded() {
    let lines = decode(&std::fs::read_to_string(CAPTURE).unwrap());
    let source = include_str!("../../../crates/zk-proto/examples/decode_capture.rs");
    for shown in documented(source) {
        let is_decoded = lines.iter().any(|line| is_like(line, shown));
        assert!(is_decoded, "{shown} is not in {lines:#?}");
    }
    assert!(lines.last().unwrap().ends_with("CloseSession(())"));
}

#[test]
fn a_capture_of_something_else_is_an_error() {
    let mut connection = decode_capture::Connection::default();
    let hello: String = b"GET / HTTP/1.1\r\n"
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    assert!(connection.decode_line(&hello).is_err());
}

#[tokio::test]
async fn health_counts_the_servers_that_serve() {
    if let Some(arguments) = arguments() {
        let dial = TcpDial::default();
        return run(async {
            let is_healthy = health::check(&dial, &arguments[0]).await;
            is_healthy.map(|is_healthy| println!("{is_healthy}"))
        })
        .await;
    }
    let here = (module_path!(), "health_counts_the_servers_that_serve");
    let server = Server::builder().members(3).start().await.unwrap();
    let hosts = server.connect_string();
    let check = async || {
        let mut program = start(here, &[&hosts]);
        assert!(soon("the answers", program.ended()).await);
        program.said()
    };
    let line = |address: &SocketAddr, mode: &str| {
        format!("{address}: {mode}, 1 connections, 0 requests outstanding")
    };
    let addresses = server.addresses();
    let mut expected: Vec<_> = addresses.iter().map(|it| line(it, "follower")).collect();
    expected[server.leader()] = line(&addresses[server.leader()], "leader");
    let lines = check().await;
    assert_eq!(lines[..3], expected);
    assert_eq!(lines[3..], ["healthy: 3 of 3 serve", "true"]);

    server.member(2).stop();
    let lines = check().await;
    assert!(
        lines[2].starts_with(&format!("{}: ", addresses[2])),
        "{lines:?}"
    );
    assert_eq!(lines[3..], ["healthy: 2 of 3 serve", "true"]);
    server.member(1).stop();
    let lines = check().await;
    // The one that runs has no quorum.
    assert!(
        lines[0].contains("read-only, without a quorum"),
        "{lines:?}"
    );
    assert_eq!(lines[3..], ["UNHEALTHY: 0 of 3 serve", "false"]);
}
