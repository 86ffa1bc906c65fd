//! The fuzz targets as an ordinary test: every seed, and many small mutations of each.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::Path;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "a library's public functions, here in a module"
)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

#[allow(unreachable_pub, reason = "a public function, here in a module")]
#[path = "../../../fuzz/src/replay.rs"]
mod replaying;

const MUTATIONS: usize = 20_000;

fn replay(target: &str, run: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    replaying::replay(&seeds.join(target), MUTATIONS, run);
}

/// Guards: FZ1.
#[test]
fn seeds_of_decode_reply() {
    replay("decode_reply", targets::decode_reply);
}

/// Guards: FZ1.
#[test]
fn seeds_of_decode_request() {
    replay("decode_request", targets::decode_request);
}

/// Guards: FZ6.
#[test]
fn seeds_of_parse_text() {
    replay("parse_text", targets::parse_text);
}

/// Guards: FZ9.
#[test]
fn seeds_of_lock_names() {
    replay("lock_names", targets::lock_names);
}
