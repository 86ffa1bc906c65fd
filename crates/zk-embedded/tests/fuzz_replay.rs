//! The fuzz target as an ordinary test: every seed, and many small changes to each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::Path;

#[allow(unreachable_pub, reason = "a public function, here in a module")]
#[path = "../../../fuzz/src/replay.rs"]
mod replaying;
#[allow(unreachable_pub, reason = "a public function, here in a module")]
#[path = "../../../fuzz/src/embedded_server.rs"]
mod target;

const MUTATIONS: usize = 20_000;

#[test]
fn fz8_embedded_server() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/embedded_server");
    let handshakes = replaying::replay(&seeds, MUTATIONS, target::embedded_server);
    // A seed that is not understood is none.
    assert!(handshakes.iter().all(|made| *made >= 3), "{handshakes:?}");
}
