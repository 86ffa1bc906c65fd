//! The fuzz target as an ordinary test: every seed, and many small mutations of each.
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

/// Guards: FZ8.
#[test]
fn seeds_of_the_embedded_server() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/embedded_server");
    let handshakes = replaying::replay(&seeds, MUTATIONS, target::embedded_server);
    // Every seed must get at least through three handshakes.
    assert!(handshakes.iter().all(|made| *made >= 3), "{handshakes:?}");
}
