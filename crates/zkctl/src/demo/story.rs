//! What the demo says, line by line, with the time.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::failure::Failure;

/// The narrator.
#[derive(Debug)]
pub(super) struct Story {
    began: Instant,
    /// Whether anybody listens.
    heard: AtomicBool,
}

impl Story {
    pub(super) fn begin() -> Self {
        Story {
            began: Instant::now(),
            heard: AtomicBool::new(true),
        }
    }

    /// Begins a scene.
    pub(super) fn title(&self, text: &str) {
        self.line(&format!("\n== {text}\n"));
    }

    /// Says what somebody did or saw.
    pub(super) fn say(&self, who: &str, what: &str) {
        let seconds = self.began.elapsed().as_secs_f32();
        self.line(&format!("{seconds:5.2} s  {who:<9} {what}"));
    }

    fn line(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        if writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .is_err()
        {
            self.heard.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        if self.heard.into_inner() {
            Ok(())
        } else {
            Err(Failure::ReaderGone)
        }
    }
}
