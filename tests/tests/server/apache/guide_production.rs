//! What the guide's page about production says of servers and their settings.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::fs;

use zk_client::{Client, Disconnect, Error};
use zk_tests::{Ensemble, ServerOptions, Standalone};

use crate::common::{LONG_SESSION, builder};

const PAGE: &str = include_str!("../../../../crates/zk-recipes/src/guide/production.md");

/// Larger than the default of `jute.maxbuffer`.
const LARGE: usize = 1_100_000;

async fn client(server: &Standalone) -> Client {
    let builder = builder(server.connect_string());
    builder
        .max_request_bytes(2 * LARGE)
        .connect()
        .await
        .unwrap()
}

/// The keys of `mntr` in the page's table.
fn keys() -> BTreeSet<&'static str> {
    let (_, rest) = PAGE.split_once("\nKeys of `mntr`").unwrap();
    let rows = rest.split("\n# ").next().unwrap().lines();
    rows.filter(|line| line.starts_with("| `zk_"))
        .flat_map(|row| row.split('`'))
        .filter(|word| word.starts_with("zk_"))
        .collect()
}

#[test]
fn mntr_has_the_keys_of_the_page() {
    let ensemble = Ensemble::start(3, ServerOptions::default()).unwrap();
    let leader = ensemble.leader().unwrap();
    let report = leader.four_letter("mntr").unwrap();
    let reported: BTreeSet<_> = report
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    let keys = keys();
    assert!(keys.len() > 15, "{keys:?}");
    let missing: Vec<_> = keys.difference(&reported).collect();
    assert!(missing.is_empty(), "{missing:?} of:\n{report}");
}

#[tokio::test]
async fn the_frame_limit_is_a_system_property() {
    let limit = (2 * LARGE).to_string();
    let of_file = ServerOptions::default().config("jute.maxbuffer", &limit);
    let server = Standalone::start(of_file).unwrap();
    let refused = client(&server).await.create("/a", vec![0; LARGE]).await;
    let closed = refused.unwrap_err();
    assert!(
        matches!(
            closed.disconnect(),
            Some(Disconnect::ClosedByServer | Disconnect::Reset(_))
        ),
        "{closed:?}"
    );
    let of_java = ServerOptions::default().system_property("jute.maxbuffer", &limit);
    let server = Standalone::start(of_java).unwrap();
    client(&server)
        .await
        .create("/a", vec![0; LARGE])
        .await
        .unwrap();
}

/// The harness has `extendedTypesEnabled` in `zoo.cfg`.
#[tokio::test]
async fn settings_of_the_file_take_effect() {
    let options = ServerOptions::default()
        .config("fsync.warningthresholdms", "-1")
        .config("forceSync", "yes")
        .config("maxClientCnxns", "2");
    let server = Standalone::start(options).unwrap();
    let zk = client(&server).await;
    zk.create("/a", "").ttl(LONG_SESSION).await.unwrap();
    let log = fs::read_to_string(server.log_path()).unwrap();
    assert!(log.contains("fsync-ing the write ahead log"), "{log}");
    let _second = client(&server).await;
    let third = builder(server.connect_string()).fail_eagerly(true);
    let refused: Error = third.connect().await.unwrap_err();
    assert_eq!(refused.disconnect(), Some(&Disconnect::ClosedInHandshake));
}
