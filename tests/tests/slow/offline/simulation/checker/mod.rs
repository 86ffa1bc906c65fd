//! Holds a history against what the client promises.
//!
//! Each part is a function of the history alone, so that a history made by hand can be given to it;
//! the tests of each part show that it finds what it is there to find.

mod guards;
mod log;
mod reads;
mod watches;
mod wire;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;

use super::history::History;
use log::Log;

/// What was checked, how often, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<String>,
    pub(crate) checked: BTreeMap<&'static str, u64>,
}

impl Verdict {
    fn holds(&mut self, invariant: &'static str, holds: bool, otherwise: Arguments<'_>) {
        *self.checked.entry(invariant).or_default() += 1;
        if !holds {
            self.violations.push(format!("{invariant}: {otherwise}"));
        }
    }
}

/// Checks a history. What clients with wrong zxids read proves nothing.
pub(crate) fn check(history: &History, forged: &BTreeSet<usize>) -> Verdict {
    let mut verdict = Verdict::default();
    let log = Log::new(&history.log);
    writes::check(history, &log, &mut verdict);
    reads::check(history, &log, forged, &mut verdict);
    watches::check(history, &log, forged, &mut verdict);
    wire::check(history, &mut verdict);
    guards::check(history, &mut verdict);
    verdict
}

/// What is wrong with a history.
#[cfg(test)]
fn wrong(history: &History) -> Vec<String> {
    check(history, &BTreeSet::new()).violations
}
