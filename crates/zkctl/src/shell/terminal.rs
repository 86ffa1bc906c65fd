//! The modes of the terminal, which the programs of a shell may change.

use std::fs::File;
use std::io::{self, Write};

use rustix::process::getpgrp;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The terminal of a shell. When this is dropped, it is as it was.
pub(super) struct Terminal(Termios);

impl Terminal {
    pub(super) fn take() -> io::Result<Self> {
        Ok(Terminal(tcgetattr(io::stdin())?))
    }

    /// For a program that runs until the result is dropped. It may be killed, and leave other modes.
    pub(super) fn lend(&self) -> Lent<'_> {
        Lent(self)
    }

    fn restore(&self) {
        // An error means that the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// The terminal while a program has it.
pub(super) struct Lent<'a>(&'a Terminal);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.restore();
    }
}

/// Whether a terminal sends Ctrl-C and Ctrl-\\ to this process, and so to the programs that it starts.
pub(super) fn sends_signals() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

/// Begins a line of its own after a command that Ctrl-C has ended.
pub(super) fn end_line() {
    // An error means that the terminal is gone.
    let _ = writeln!(io::stderr());
}
