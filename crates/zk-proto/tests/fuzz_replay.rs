//! The fuzz targets as an ordinary test: every seed, and many small changes to each.
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

const MUTATIONS: usize = 20_000;

/// A small generator of our own, so that a failure is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    /// Changes, removes, repeats or adds a few bytes, or plants a length.
    fn mutate(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(6) {
                0 => data.truncate(at),
                1 => data.insert(at, self.next().to_le_bytes()[0]),
                2 if at < data.len() => data[at] = self.next().to_le_bytes()[0],
                3 if at < data.len() => data[at] ^= 1 << self.below(8),
                4 => data.extend_from_within(at..),
                5 if at + 4 <= data.len() => {
                    let lengths = [i32::MAX, i32::MIN, -1, -2, 0, 1, 256];
                    let length = lengths[self.below(lengths.len())];
                    data[at..at + 4].copy_from_slice(&length.to_be_bytes());
                }
                _ => {}
            }
        }
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let seeds: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert!(seeds.len() >= 10, "{} seeds", seeds.len());
    for seed in &seeds {
        run(seed);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..MUTATIONS {
        let mut data = seeds[random.below(seeds.len())].clone();
        random.mutate(&mut data);
        run(&data);
    }
}

#[test]
fn decode_reply() {
    replay("decode_reply", targets::decode_reply);
}

#[test]
fn decode_request() {
    replay("decode_request", targets::decode_request);
}

#[test]
fn parse_text() {
    replay("parse_text", targets::parse_text);
}
