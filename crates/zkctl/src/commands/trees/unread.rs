//! What could not be read or written, reported after what could.

use crate::output::failure::Failure;
use crate::output::notices::Notices;

/// How many texts are kept.
const SHOWN: usize = 10;

/// Counts failures, and keeps the texts of the first ones.
#[derive(Default)]
pub(super) struct Failures {
    first: Vec<String>,
    count: usize,
}

impl Failures {
    pub(super) fn add(&mut self, text: String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(text);
        }
    }

    /// Writes the failures; `what` says what the others did not.
    pub(super) fn report(self, what: &str, notices: &Notices) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - self.first.len();
        for text in self.first {
            notices.say(text);
        }
        if more > 0 {
            notices.say(format_args!("{more} more {what}"));
        }
        Err(Failure::Reported)
    }
}
