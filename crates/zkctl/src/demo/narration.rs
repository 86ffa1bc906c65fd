//! The output of the demo: lines with the time since its start.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::output::failure::Failure;

#[derive(Debug)]
pub(super) struct Narration {
    began: Instant,
    /// Whether all lines could be written.
    written: AtomicBool,
}

impl Narration {
    pub(super) fn begin() -> Self {
        Narration {
            began: Instant::now(),
            written: AtomicBool::new(true),
        }
    }

    /// Writes the title of a scene.
    pub(super) fn title(&self, text: &str) {
        self.line(&format!("\n== {text}\n"));
    }

    /// Writes what `subject` did or observed.
    pub(super) fn say(&self, subject: &str, what: &str) {
        let seconds = self.began.elapsed().as_secs_f32();
        self.line(&format!("{seconds:5.2} s  {subject:<9} {what}"));
    }

    fn line(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        if writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .is_err()
        {
            self.written.store(false, Ordering::Relaxed);
        }
    }

    /// Ends the output.
    ///
    /// # Errors
    /// [`Failure::ReaderGone`] if a line could not be written.
    pub(super) fn end(self) -> Result<(), Failure> {
        if self.written.into_inner() {
            Ok(())
        } else {
            Err(Failure::ReaderGone)
        }
    }
}
