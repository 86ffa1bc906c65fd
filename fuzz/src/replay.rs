//! Fuzz targets as ordinary tests: every seed, and many small mutations of each.

use std::path::Path;

/// A generator of fixed random numbers, so that a failure is the same everywhere.
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

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Changes, removes, repeats or adds a few bytes, plants a length, or appends another seed.
    fn mutate(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(8) {
                0 => data.truncate(at),
                1 => data.insert(at, self.byte()),
                2 if at < data.len() => data[at] = self.byte(),
                3 if at < data.len() => data[at] ^= 1 << self.below(8),
                4 => data.extend_from_within(at..),
                5 if at + 4 <= data.len() => {
                    let lengths = [i32::MAX, i32::MIN, -1, -2, 0, 1, 256];
                    let length = lengths[self.below(lengths.len())];
                    data[at..at + 4].copy_from_slice(&length.to_be_bytes());
                }
                6 => data.extend_from_slice(other.get(1..).unwrap_or_default()),
                _ => {}
            }
            data.truncate(4096);
        }
    }
}

/// Runs a target on all seeds in `folder`, and on so many mutated ones. Returns its results for the
/// seeds.
pub fn replay<T>(folder: &Path, mutations: usize, run: impl Fn(&[u8]) -> T) -> Vec<T> {
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
    let results = seeds.iter().map(|seed| run(seed)).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..mutations {
        let mut data = seeds[random.below(seeds.len())].clone();
        let other = random.below(seeds.len());
        random.mutate(&mut data, &seeds[other]);
        run(&data);
    }
    results
}
