//! The example `raw_get`, against the embedded server.
#![cfg(feature = "io")]

use std::time::Duration;

use tokio::sync::mpsc;
use zk_embedded::Server;
use zk_transport::TcpDial;

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../examples/raw_get.rs"]
mod example;

#[tokio::test(start_paused = true)]
async fn it_survives_idle_time_and_a_restart() {
    let server = Server::start().await.unwrap();
    let (got, mut gets) = mpsc::unbounded_channel();
    let report = move |data: &[u8]| got.send(data.to_vec()).unwrap();
    let host = server.members_string().parse().unwrap();
    let path = "/zookeeper".to_owned();
    let running = tokio::spawn(example::raw_get(server.dial(), host, path, report));

    assert_eq!(gets.recv().await.unwrap(), b"");
    let [session] = &server.sessions()[..] else {
        panic!("more than one session")
    };
    // Only pings keep the session, whose timeout is 4 s.
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.restart(true).await.unwrap();
    assert_eq!(gets.recv().await.unwrap(), b"");
    assert_eq!(server.sessions()[0].id, session.id);
    assert_eq!(server.sessions().len(), 1);
    running.abort();
}

#[tokio::test]
async fn it_survives_a_restart_over_tcp() {
    let server = Server::start().await.unwrap();
    let (got, mut gets) = mpsc::unbounded_channel();
    let report = move |data: &[u8]| got.send(data.to_vec()).unwrap();
    let host = server.connect_string().parse().unwrap();
    let path = "/zookeeper".to_owned();
    let dial = TcpDial::default();
    let running = tokio::spawn(example::raw_get(dial, host, path, report));
    for _ in 0..3 {
        assert_eq!(gets.recv().await.unwrap(), b"");
        server.restart(true).await.unwrap();
    }
    running.abort();
}
