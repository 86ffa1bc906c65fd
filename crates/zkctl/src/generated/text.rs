//! What the generated texts have in common.

use std::io::{self, Write};

use crate::output::failure::Failure;

/// The name of the program that the texts are about.
pub(super) const NAME: &str = "zkctl";

/// Writes to standard output. A reader that is gone is no failure.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text).and_then(|()| stdout.flush());
    Failure::unless_reader_gone(written.map_err(Failure::output))
}
