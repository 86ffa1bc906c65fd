//! The fuzz targets of connections and sessions as ordinary tests. Those of the records are replayed
//! by `zk-proto`, those of the server by `zk-embedded`.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

#[path = "../../../fuzz/src/replay.rs"]
mod replaying;
#[path = "../../../fuzz/src/session.rs"]
mod session;
#[path = "../../../fuzz/src/transport.rs"]
mod transport;

use std::path::Path;

const MUTATIONS: usize = 20_000;
/// A session takes longer than a frame.
const OF_SESSIONS: usize = 5000;

fn replay<T>(target: &str, mutations: usize, run: impl Fn(&[u8]) -> T) -> Vec<T> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    replaying::replay(&seeds.join(target), mutations, run)
}

/// Guards: FZ2.
#[test]
fn frames() {
    replay("frames", MUTATIONS, transport::frames);
}

/// Guards: FZ3.
#[test]
fn handshake() {
    replay("handshake", MUTATIONS, transport::handshake);
}

/// Guards: FZ4.
#[test]
fn session() {
    let acknowledged = replay("session", OF_SESSIONS, session::session);
    // A seed without writes that took effect exercises little.
    assert!(
        acknowledged.iter().all(|writes| *writes > 0),
        "{acknowledged:?}"
    );
}

/// Guards: FZ5.
#[test]
fn server_bytes() {
    replay("server_bytes", MUTATIONS, session::server_bytes);
}
