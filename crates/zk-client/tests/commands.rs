//! Four-letter words to the servers behind one name.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::future::pending;
use std::net::SocketAddr;

use zk_client::admin::{ServerMode, ServerStatus};
use zk_client::{Client, ErrorKind, HostPort, Outcome, Resolve, Resolving, TcpDial};
use zk_embedded::Server;

/// Finds these addresses for every name.
#[derive(Debug)]
struct Found(Vec<SocketAddr>);

impl Resolve for Found {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

#[tokio::test]
async fn each_address_of_a_name_answers() {
    let server = Server::builder().members(2).start().await.unwrap();
    let hosts = server.connect_string();
    let mut addresses: Vec<SocketAddr> = hosts.split(',').map(|one| one.parse().unwrap()).collect();
    // A port on which nothing listens any more.
    addresses.push({
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    });
    let dial = TcpDial::default().resolver(Found(addresses.clone()));
    let zk = Client::builder("ensemble:2181").dial(dial);
    let zk = zk.connect().await.unwrap();
    let answers = zk.command("srvr").all().await.unwrap();
    let found: Vec<_> = answers.iter().map(|one| one.address.unwrap()).collect();
    assert_eq!(found, addresses);
    let mode = |answer: &str| answer.parse::<ServerStatus>().unwrap().mode.unwrap();
    let modes = answers.iter().map(|one| match &one.answer {
        Ok(answer) => Ok(mode(answer)),
        Err(error) => Err(error.kind()),
    });
    let modes: Vec<_> = modes.collect();
    for expected in [
        Ok(ServerMode::Leader),
        Ok(ServerMode::Follower),
        Err(ErrorKind::ConnectionLost),
    ] {
        assert!(modes.contains(&expected), "{modes:?}");
    }
    // The server of the session answers, and no other one in its place.
    for _ in 0..4 {
        assert!(zk.server_version().await.is_ok());
    }
    zk.close().await.unwrap();
}

/// Never finds an address, and never fails.
#[derive(Debug)]
struct Hung;

impl Resolve for Hung {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_lookup_is_no_mute_server() {
    let dial = TcpDial::default().resolver(Hung);
    let zk = Client::builder("ensemble:2181").dial(dial).start().unwrap();
    let answers = zk.command("srvr").all().await.unwrap();
    let errors: Vec<_> = answers
        .into_iter()
        .map(|one| one.answer.unwrap_err())
        .collect();
    assert_eq!(errors.len(), 1);
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert_eq!(error.outcome(), Outcome::NotSent);
        let text = error.to_string();
        assert!(
            text.contains("cannot look up ensemble:2181 within 5000 ms"),
            "{text}"
        );
    }
}
