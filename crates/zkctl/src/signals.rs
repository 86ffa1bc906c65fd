//! The signals that this process receives.

use std::future::poll_fn;
use std::io;
use std::process::ExitCode;
use std::task::Poll;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

/// A signal that requests the end of this process or, [`Suspend`](Self::Suspend), its suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Hangup,
    Interrupt,
    Quit,
    Terminate,
    /// Ctrl-Z.
    Suspend,
}

impl Signal {
    const ENDING: [Signal; 4] = [
        Signal::Hangup,
        Signal::Interrupt,
        Signal::Quit,
        Signal::Terminate,
    ];

    /// The operating system's signal.
    pub(crate) fn raw(self) -> rustix::process::Signal {
        use rustix::process::Signal as Raw;
        match self {
            Signal::Hangup => Raw::HUP,
            Signal::Interrupt => Raw::INT,
            Signal::Quit => Raw::QUIT,
            Signal::Terminate => Raw::TERM,
            Signal::Suspend => Raw::TSTP,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Hangup => "SIGHUP",
            Signal::Interrupt => "SIGINT",
            Signal::Quit => "SIGQUIT",
            Signal::Terminate => "SIGTERM",
            Signal::Suspend => "SIGTSTP",
        }
    }

    /// The exit code that shells report for a process that this signal ended.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(ended_by(self.raw().as_raw()))
    }
}

/// The exit code that shells report for a process that a signal ended.
pub(crate) fn ended_by(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// Receives signals instead of letting them end the process.
pub(crate) struct Signals {
    caught: Vec<(Signal, unix::Signal)>,
    /// A bit for each signal that was ignored when this process started, the lowest for signal 1.
    ignored: u64,
    /// Whether the terminal is gone, of [`watch_terminal`](Self::watch_terminal).
    gone: Option<mpsc::Receiver<()>>,
}

impl Signals {
    /// Catches the signals that would end the process. Signals that were ignored when the process was
    /// started, as by `nohup`, stay ignored.
    pub(crate) fn catch() -> io::Result<Self> {
        let mut signals = Signals {
            caught: Vec::new(),
            ignored: ignored(),
            gone: None,
        };
        for signal in Signal::ENDING {
            signals.add(signal)?;
        }
        Ok(signals)
    }

    /// Catches Ctrl-Z as well.
    pub(crate) fn catch_suspend(&mut self) -> io::Result<()> {
        self.add(Signal::Suspend)
    }

    /// Reports [`Signal::Hangup`] as well when the terminal of standard input is gone, also where SIGHUP is ignored: a
    /// program that reads from it would have nothing left to do.
    pub(crate) fn watch_terminal(&mut self) -> io::Result<()> {
        let (gone, is_gone) = mpsc::channel(1);
        // A thread, because the runtime would make standard input non-blocking for all programs that share it.
        thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || {
                let stdin = io::stdin();
                // `poll` reports errors and hang-ups even without flags.
                let mut files = [PollFd::new(&stdin, PollFlags::empty())];
                while poll(&mut files, None) == Err(Errno::INTR) {}
                let [file] = &files;
                if file.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                    // An error means that the program has ended.
                    let _ = gone.try_send(());
                }
            })?;
        self.gone = Some(is_gone);
        Ok(())
    }

    fn add(&mut self, signal: Signal) -> io::Result<()> {
        let number = signal.raw().as_raw();
        if self.ignored & (1 << (number - 1)) != 0 {
            return Ok(());
        }
        let kind = SignalKind::from_raw(number);
        self.caught.push((signal, unix::signal(kind)?));
        Ok(())
    }

    /// The next signal.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            for (signal, stream) in &mut self.caught {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            if let Some(gone) = &mut self.gone
                && let Poll::Ready(Some(())) = gone.poll_recv(cx)
            {
                return Poll::Ready(Signal::Hangup);
            }
            Poll::Pending
        })
        .await
    }
}

/// The signals that this process ignores. Empty except on Linux: elsewhere, reading them takes unsafe
/// code.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    mask(&status).unwrap_or_default()
}

fn mask(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tzkctl\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\n";
        assert_eq!(mask(status), Some(0x1003));
        assert_eq!(mask("Name:\tzkctl\n"), None);
    }
}
