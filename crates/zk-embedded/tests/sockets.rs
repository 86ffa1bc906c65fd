//! Real sockets: ports, four-letter words, garbage.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use raw::{Raw, ask};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_embedded::{Options, Server};
use zk_proto::admin::{self, ServerMode, ServerStatus};
use zk_proto::records::GetDataRequest;
use zk_proto::*;

async fn connect(server: &Server) -> Raw {
    let wire = TcpStream::connect(server.addresses()[0]).await.unwrap();
    Raw::over(wire, &ask()).await.unwrap()
}

async fn word(server: &Server, word: &str) -> String {
    let mut wire = TcpStream::connect(server.addresses()[0]).await.unwrap();
    wire.write_all(word.as_bytes()).await.unwrap();
    let mut text = String::new();
    wire.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_server_answers_on_the_port_it_names() {
    let server = Server::start().await.unwrap();
    let text = server.connect_string();
    assert_eq!(text, server.addresses()[0].to_string());
    let mut raw = connect(&server).await;
    raw.make("/a", CreateMode::Persistent).await;
    assert_eq!(
        server.paths().iter().filter(|path| *path == "/a").count(),
        1
    );
    drop(server);
    assert!(raw.closed().await);
}

#[tokio::test]
async fn four_letter_words_are_parsed_by_zk_proto() {
    let server = Server::start().await.unwrap();
    let mut raw = connect(&server).await;
    raw.make("/e", CreateMode::Ephemeral).await;
    raw.exists("/e", true).await;
    admin::ruok(&word(&server, "ruok").await).unwrap();
    assert_eq!(admin::isro(&word(&server, "isro").await), Ok(false));
    for name in ["srvr", "stat"] {
        let status: ServerStatus = word(&server, name).await.parse().unwrap();
        assert_eq!(
            (status.mode, status.node_count),
            (Some(ServerMode::Standalone), Some(6))
        );
        assert_eq!(status.zxid, Some(Zxid(2)));
        assert_eq!(status.unreadable, []);
        assert_eq!(status.clients.len(), if name == "stat" { 2 } else { 0 });
    }
    let cons = admin::connections(&word(&server, "cons").await).unwrap();
    assert_eq!(cons[0].session(), Some(raw.id()));
    assert_eq!(cons[0].get("lop"), Some("EXIS"));
    let mntr = admin::mntr(&word(&server, "mntr").await).unwrap();
    assert_eq!(mntr.get("zk_ephemerals_count"), Some("1"));
    assert_eq!(mntr.get("zk_watch_count"), Some("1"));
    for name in ["conf", "envi"] {
        let properties = admin::properties(&word(&server, name).await).unwrap();
        assert!(properties.len() > 3);
        assert_eq!(properties.unreadable(), []);
    }
    let id = raw.id().to_string();
    for name in ["dump", "wchp", "wchc"] {
        let text = word(&server, name).await;
        assert!(text.contains(&id) && text.contains("/e"), "{name}: {text}");
    }
    let wchs = "1 connections watching 1 paths\nTotal watches:1\n";
    assert_eq!(word(&server, "wchs").await, wchs);
}

#[tokio::test]
async fn words_outside_the_whitelist_are_refused() {
    let mut options = Options::default();
    options.four_letter_words = Some(vec!["srvr".to_owned()]);
    let server = Server::builder().options(options).start().await.unwrap();
    let refused = admin::ruok(&word(&server, "ruok").await);
    assert_eq!(refused, Err(admin::AdminError::NotAllowed));
}

#[tokio::test]
async fn a_refused_port_is_closed_and_comes_back() {
    let server = Server::start().await.unwrap();
    let address = server.addresses()[0];
    let mut raw = connect(&server).await;
    server.faults().refuse_connections(true).await;
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(raw.ping().await.unwrap().err, 0);
    server.faults().refuse_connections(false).await;
    connect(&server).await;
    server.restart(true).await.unwrap();
    assert!(raw.closed().await);
    let wire = TcpStream::connect(address).await.unwrap();
    let again = Raw::over(wire, &raw.resume()).await.unwrap();
    assert_eq!(again.id(), raw.id());
}

/// A process that is being started has the sockets of this one for a moment.
#[tokio::test(start_paused = true)]
async fn a_port_may_be_taken_for_a_moment() {
    let server = Server::start().await.unwrap();
    let address = server.addresses()[0];
    server.stop().await;
    let taken = std::net::TcpListener::bind(address).unwrap();
    let mut again = std::pin::pin!(server.start_again(true));
    let moment = std::time::Duration::from_secs(1);
    let waited = tokio::time::timeout(moment, &mut again).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(taken);
    again.await.unwrap();
    connect(&server).await;

    server.stop().await;
    let _taken = std::net::TcpListener::bind(address).unwrap();
    let error = server.start_again(true).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn garbage_closes_only_its_connection() {
    let server = Server::start().await.unwrap();
    let long = [b'z'; 5_000];
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x04abcd",
        b"\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01",
        &long,
    ];
    for bytes in garbage {
        let mut wire = TcpStream::connect(server.addresses()[0]).await.unwrap();
        wire.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        // A reset counts as the end: the server has not read all bytes.
        drop(wire.read_to_end(&mut rest).await);
        assert!(rest.is_empty());
    }
    let mut raw = connect(&server).await;
    assert_eq!(raw.ping().await.unwrap().err, 0);
}

#[tokio::test]
async fn a_cut_can_be_a_reset() {
    use zk_embedded::fault::{Cut, Direction};
    let server = Server::start().await.unwrap();
    server
        .faults()
        .cut(Cut::new(Direction::ToClient, 0, 10).reset());
    let mut wire = TcpStream::connect(server.addresses()[0]).await.unwrap();
    wire.write_all(&raw::framed(&ask())).await.unwrap();
    let mut got = Vec::new();
    let error = wire.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn large_replies_wait_for_the_client() {
    let mut options = Options::default();
    options.max_pending_output = 4 << 20;
    let server = Server::builder().options(options).start().await.unwrap();
    let mut raw = connect(&server).await;
    raw.make("/a", CreateMode::Persistent).await;
    raw.set("/a", &[7; 100_000], -1).await;
    let path = "/a".into();
    let request = GetDataRequest { path, watch: false };
    // 100 MB of replies, to 26 kB of requests.
    for xid in 1..=1_000 {
        raw.send(xid, OpCode::GetData.code(), &request).await;
    }
    for xid in 1..=1_000 {
        let reply = raw.reply().await.unwrap();
        assert_eq!(
            (reply.xid, reply.body_len()),
            (xid, 4 + 100_000 + Stat::LEN)
        );
    }
}

/// The start waits for no timer: the clock is paused and does not advance.
#[tokio::test(start_paused = true)]
async fn a_server_starts_without_waiting() {
    let start = tokio::time::Instant::now();
    let server = Server::builder().in_memory().start().await.unwrap();
    drop(server.connect_in_memory().unwrap());
    assert_eq!(start.elapsed(), std::time::Duration::ZERO);
}

async fn traffic(server: &Server) -> (Option<u64>, Option<u64>) {
    let status: ServerStatus = word(server, "srvr").await.parse().unwrap();
    (status.received, status.sent)
}

#[tokio::test]
async fn traffic_is_counted_since_the_start() {
    let server = Server::start().await.unwrap();
    let mut raw = connect(&server).await;
    raw.make("/a", CreateMode::Persistent).await;
    raw.send(9, OpCode::CloseSession.code(), &raw::Nothing)
        .await;
    assert!(raw.reply().await.is_some() && raw.closed().await);
    // The handshake, two requests, and the words themselves, which count before they are answered.
    assert_eq!(traffic(&server).await, (Some(4), Some(3)));
    assert_eq!(traffic(&server).await, (Some(5), Some(4)));
    assert_eq!(word(&server, "srst").await, "Server stats reset.\n");
    // As on a real server, which has then sent the answer to `srst`.
    assert_eq!(traffic(&server).await, (Some(1), Some(1)));
}

#[tokio::test]
async fn stats_of_a_connection_can_be_reset() {
    let server = Server::start().await.unwrap();
    let mut raw = connect(&server).await;
    raw.make("/a", CreateMode::Persistent).await;
    let before = traffic(&server).await;
    let listed = async || admin::connections(&word(&server, "cons").await).unwrap();
    let cons = listed().await;
    assert_eq!(
        (cons[0].get("recved"), cons[0].get("sent")),
        (Some("2"), Some("2"))
    );
    // The connection of the word itself is listed too.
    assert_eq!((cons.len(), cons[1].session()), (2, None));
    assert_eq!(
        (cons[1].get("recved"), cons[1].get("sent")),
        (Some("1"), Some("0"))
    );
    assert_eq!(word(&server, "crst").await, "Connection stats reset.\n");
    let cons = listed().await;
    assert_eq!(
        (cons[0].get("recved"), cons[0].get("sent")),
        (Some("0"), Some("0"))
    );
    assert_eq!(cons[0].get("lop"), Some("NA"));
    let after = traffic(&server).await;
    assert_eq!(after.0, before.0.map(|count| count + 4), "four words");
}

#[tokio::test]
async fn conf_names_the_port_and_the_members() {
    let builder = Server::builder().members(3).observers(1);
    let server = builder.start().await.unwrap();
    let conf = word(&server, "conf").await;
    let port = server.addresses()[0].port();
    assert!(conf.starts_with(&format!("clientPort={port}\n")), "{conf}");
    assert!(conf.contains("\nmembership: \nserver.1="), "{conf}");
    let mntr = admin::mntr(&word(&server, "mntr").await).unwrap();
    let open = mntr.get("zk_open_file_descriptor_count").unwrap();
    assert!(open.parse::<i64>().unwrap() != 0, "{open}");
    let mut leading = TcpStream::connect(server.addresses()[1]).await.unwrap();
    leading.write_all(b"mntr").await.unwrap();
    let mut text = String::new();
    leading.read_to_string(&mut text).await.unwrap();
    let mntr = admin::mntr(&text).unwrap();
    for (key, count) in [
        ("zk_synced_followers", "1"),
        ("zk_synced_non_voting_followers", "0"),
        ("zk_synced_observers", "1"),
        ("zk_quorum_size", "2"),
    ] {
        assert_eq!(mntr.get(key), Some(count), "{key}");
    }
    let envi = word(&server, "envi").await;
    let properties = admin::properties(&envi).unwrap();
    let directory = std::env::current_dir().unwrap();
    assert_eq!(properties.get("user.dir"), directory.to_str());
    assert_eq!(properties.get("java.version"), Some("<NA>"));
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let mut options = Options::default();
    options.max_client_connections = 2;
    let server = Server::builder().options(options).start().await.unwrap();
    let first = connect(&server).await;
    let _second = connect(&server).await;
    let wire = TcpStream::connect(server.addresses()[0]).await.unwrap();
    assert!(Raw::over(wire, &ask()).await.is_none());
    drop(first);
    until_connections(&server, 1).await;
    connect(&server).await;
}

async fn until_connections(server: &Server, count: usize) {
    while server.connection_count() != count {
        tokio::task::yield_now().await;
    }
}
