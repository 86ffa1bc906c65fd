//! Servers with TLS.

#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

use std::time::Duration;

use zk_client::{Client, Disconnect, ErrorKind, Outcome, TlsConfig};
use zk_embedded::{Server, ServerTls};

fn trusting(tls: &ServerTls) -> TlsConfig {
    TlsConfig::new().ca_pem(tls.authority_pem())
}

async fn start(tls: &ServerTls) -> Server {
    Server::builder().tls(tls).start().await.unwrap()
}

async fn connect(server: &Server, tls: TlsConfig) -> zk_client::Result<Client> {
    let builder = Client::builder(server.connect_string()).tls(tls);
    builder.fail_eagerly(true).connect().await
}

#[tokio::test]
async fn clients_connect_with_tls_only() {
    let tls = ServerTls::generate().unwrap();
    let server = start(&tls).await;
    let zk = connect(&server, trusting(&tls)).await.unwrap();
    zk.create("/config", "v1").await.unwrap();
    let version = zk.server_version().await.unwrap();
    assert!(version.to_string().starts_with("3.9"), "{version}");

    let plain = Client::builder(server.connect_string()).fail_eagerly(true);
    let error = plain.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    assert!(error.to_string().contains("connect with TLS"), "{error}");
    let other = ServerTls::generate().unwrap();
    let error = connect(&server, trusting(&other)).await.unwrap_err();
    let untrusted = matches!(error.disconnect(), Some(Disconnect::Tls(_)));
    assert!(untrusted, "{error}");
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_required() {
    let tls = ServerTls::generate().unwrap().require_client_certificate();
    let server = start(&tls).await;
    connect(&server, trusting(&tls)).await.unwrap_err();
    let identity = trusting(&tls).identity_pem(tls.client_certificate_pem(), tls.client_key_pem());
    let zk = connect(&server, identity).await.unwrap();
    zk.close().await.unwrap();

    let other = ServerTls::generate().unwrap();
    let foreign =
        trusting(&tls).identity_pem(other.client_certificate_pem(), other.client_key_pem());
    connect(&server, foreign).await.unwrap_err();
}

#[tokio::test]
async fn the_certificate_is_of_given_hosts() {
    let tls = ServerTls::generate_for(["zk.example"]).unwrap();
    let server = start(&tls).await;
    let error = connect(&server, trusting(&tls)).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    let named = trusting(&tls).server_name("zk.example");
    let zk = connect(&server, named).await.unwrap();
    zk.close().await.unwrap();
    ServerTls::generate_for(["zk\u{e4}"]).unwrap_err();
}

#[tokio::test]
async fn faults_reach_clients_with_tls() {
    let tls = ServerTls::generate().unwrap();
    let server = start(&tls).await;
    let zk = connect(&server, trusting(&tls)).await.unwrap();
    zk.create("/config", "v1").await.unwrap();
    server.faults().lose_next_reply();
    let error = zk.set("/config", "v2").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    server.faults().delay_replies(Duration::from_millis(1));
    zk.set("/config", "v3").await.unwrap();
    server.faults().dribble(Duration::from_micros(1));
    let (data, _) = zk.get("/config").await.unwrap();
    assert_eq!(data, "v3");
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_drops_handshakes() {
    let tls = ServerTls::generate().unwrap();
    let server = start(&tls).await;
    // A client that opens a connection and sends no byte.
    let mut mute = tokio::net::TcpStream::connect(server.addresses())
        .await
        .unwrap();
    server.stop().await;
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut mute, &mut byte).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
