//! Frames in what passes through a proxy, so that it can cut at a place in one.

/// Where in a frame a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before its first byte.
    Before,
    /// After so many of its bytes, or before its last one if it is shorter.
    Within(usize),
    /// After its last byte.
    After,
}

/// A cut that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CutFrame {
    /// How many frames still pass whole before the one that is cut.
    pub(super) frames: u64,
    pub(super) place: Place,
}

/// Where in its frames one direction of a connection is.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The bytes of a length that has not arrived whole.
    length: Vec<u8>,
    /// The bytes of the frame that have passed, its length included, and those to come.
    passed: u64,
    left: u64,
}

impl Frames {
    /// Takes note of what arrived. Says how much of it may pass if that is not all, because the
    /// frame that `cut` is about is in it.
    pub(super) fn pass(&mut self, arrived: &[u8], cut: &mut Option<CutFrame>) -> Option<u64> {
        for (at, &byte) in (0..).zip(arrived) {
            let before = self.passed;
            let ends = self.step(byte);
            let Some(CutFrame { frames, place }) = cut else {
                continue;
            };
            if *frames > 0 {
                *frames -= u64::from(ends);
                continue;
            }
            let passes = match *place {
                Place::Before if before == 0 => at,
                // Before this byte, if enough have passed or it is the last.
                Place::Within(bytes)
                    if ends || before >= u64::try_from(bytes).unwrap_or(u64::MAX) =>
                {
                    at
                }
                Place::After if ends => at + 1,
                _ => continue,
            };
            *cut = None;
            return Some(passes);
        }
        None
    }

    /// One byte passes. Says whether it ends a frame.
    fn step(&mut self, byte: u8) -> bool {
        self.passed += 1;
        if self.left == 0 {
            self.length.push(byte);
            let Some(length) = self.length.first_chunk::<4>() else {
                return false;
            };
            self.left = u64::try_from(i32::from_be_bytes(*length)).unwrap_or_default();
            self.length.clear();
        } else {
            self.left -= 1;
        }
        if self.left == 0 {
            self.passed = 0;
        }
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three frames of five, nothing, and two bytes.
    const STREAM: &[u8] = b"\0\0\0\x05hello\0\0\0\0\0\0\0\x02hi";

    /// How much passes if the stream arrives in chunks of this size.
    fn passed(frames: u64, place: Place, chunk: usize) -> Option<u64> {
        let mut cut = Some(CutFrame { frames, place });
        let mut reading = Frames::default();
        let mut before = 0;
        for chunk in STREAM.chunks(chunk) {
            if let Some(passes) = reading.pass(chunk, &mut cut) {
                assert_eq!(cut, None);
                return Some(before + passes);
            }
            before += u64::try_from(chunk.len()).unwrap();
        }
        None
    }

    #[test]
    fn cut_is_exact_however_bytes_arrive() {
        for chunk in 1..=STREAM.len() {
            assert_eq!(passed(0, Place::Before, chunk), Some(0));
            assert_eq!(passed(0, Place::Within(1), chunk), Some(1));
            assert_eq!(passed(0, Place::Within(100), chunk), Some(8));
            assert_eq!(passed(0, Place::After, chunk), Some(9));
            assert_eq!(passed(1, Place::Before, chunk), Some(9));
            assert_eq!(passed(1, Place::After, chunk), Some(13));
            assert_eq!(passed(2, Place::Within(5), chunk), Some(18));
            assert_eq!(passed(2, Place::After, chunk), Some(19));
            assert_eq!(passed(3, Place::Before, chunk), None);
        }
    }
}
