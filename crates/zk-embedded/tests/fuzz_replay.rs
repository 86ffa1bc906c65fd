//! The fuzz target as an ordinary test: every seed, and many small changes to each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::Path;

#[allow(unreachable_pub, reason = "a public function, here in a module")]
#[path = "../../../fuzz/src/embedded_server.rs"]
mod target;

const MUTATIONS: usize = 20_000;

/// A small generator of our own, so that a failure is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }

    /// Changes, removes or repeats a few bytes, plants a length, or goes on with another seed.
    fn mutate(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(6) {
            let at = self.below(data.len());
            match self.below(7) {
                0 => data.truncate(at),
                1 => data.insert(at, self.byte()),
                2 | 3 if at < data.len() => data[at] = self.byte(),
                4 => data.extend_from_within(at..),
                5 if at + 4 <= data.len() => {
                    let lengths = [i32::MAX, i32::MIN, -1, -2, 0, 1, 256];
                    let length = lengths[self.below(lengths.len())];
                    data[at..at + 4].copy_from_slice(&length.to_be_bytes());
                }
                _ => data.extend_from_slice(other.get(1..).unwrap_or_default()),
            }
            data.truncate(4_096);
        }
    }
}

#[test]
fn fz8_embedded_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/embedded_server");
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
    assert!(seeds.len() >= 20, "{} seeds", seeds.len());
    for (seed, file) in seeds.iter().zip(&files) {
        // Three handshakes at the least: a seed that is not understood is none.
        assert!(target::embedded_server(seed) >= 3, "{}", file.display());
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..MUTATIONS {
        let mut data = seeds[random.below(seeds.len())].clone();
        let other = random.below(seeds.len());
        random.mutate(&mut data, &seeds[other]);
        target::embedded_server(&data);
    }
}
