//! Sessions that only one server knows of (`localSessionsEnabled`): their loss is an expiry like any
//! other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use crate::common::{NO_LIMIT, blocking, soon};
use zk_client::{Client, ErrorCode, Outcome, State};
use zk_tests::{Ensemble, Server, ServerOptions};

fn ensemble(upgrading: bool) -> Ensemble {
    let options = ServerOptions::default()
        .config("localSessionsEnabled", "true")
        .config("localSessionsUpgradingEnabled", upgrading.to_string());
    Ensemble::start(3, options).unwrap()
}

async fn client(ensemble: &Ensemble) -> Client {
    crate::common::builder(ensemble.connect_string())
        .connect_timeout(NO_LIMIT)
        .deadline(NO_LIMIT)
        .backoff(crate::common::impatient())
        .connect()
        .await
        .unwrap()
}

fn serving<'a>(ensemble: &'a Ensemble, zk: &Client) -> &'a Server {
    let sid = format!("sid={},", zk.session().id);
    let mut servers = ensemble.servers().iter();
    let here = |server: &&Server| server.four_letter("cons").unwrap().contains(&sid);
    servers.find(here).expect("one of them serves it")
}

/// Guards: A35.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_session_ends_with_its_server() {
    let ensemble = blocking(|| ensemble(false));
    let zk = client(&ensemble).await;
    zk.create("/a", "").await.unwrap();
    let refused = zk.create("/e", "").ephemeral().await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.outcome()),
        (Some(ErrorCode::EphemeralOnLocalSession), Outcome::Rejected)
    );
    let (_, _, watch) = zk.get("/a").watch().await.unwrap();
    let mut states = zk.states();
    blocking(|| serving(&ensemble, &zk).kill().unwrap());
    // No other server knows the session.
    let expired = |state: &State| matches!(state, State::Expired { epoch: 1 });
    crate::common::states_until(&mut states, "the expiry", expired).await;
    assert_eq!(
        soon("the end", watch).await,
        zk_client::WatchEvent::SessionEnded
    );
    soon("a new session", zk.connected()).await.unwrap();
    assert_eq!(zk.session().epoch, 2);
    zk.set("/a", "x").await.unwrap();
}

/// Guards: A35.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ephemeral_makes_a_local_session_global() {
    let ensemble = blocking(|| ensemble(true));
    let zk = client(&ensemble).await;
    let session = zk.session();
    let made = zk.create("/e", "").ephemeral().await.unwrap();
    assert_eq!(made.stat.owner(), Some(session.id));
    blocking(|| serving(&ensemble, &zk).kill().unwrap());
    let there = soon("an answer of another server", zk.exists("/e")).await;
    assert_eq!(
        there.unwrap().and_then(|stat| stat.owner()),
        Some(session.id)
    );
    assert_eq!(zk.session(), session);
    zk.close().await.unwrap();
}
