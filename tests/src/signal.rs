//! Signals, through the shell: the workspace forbids `unsafe`, and `kill` is a shell builtin even
//! where the package that brings `/bin/kill` is missing.

use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// A signal the harness sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: an orderly end, as by Ctrl-C.
    Interrupt,
    /// SIGTERM: an orderly end.
    Term,
    /// SIGKILL: an end at once.
    Kill,
    /// SIGSTOP: frozen, with sockets open; what a long garbage collection looks like.
    Stop,
    /// SIGCONT: thawed.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// Sends `signal` to process `pid`.
///
/// # Errors
///
/// If there is no such process, it is not ours, or `sh` cannot be run.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    let command = format!("kill -{} {pid}", signal.name());
    let output = Command::new("sh")
        .args(["-c", &command])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::io(format!("run `{command}`"), source))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Error::Command {
        command,
        outcome: format!("{}: {}", output.status, stderr.trim()),
    })
}

/// Whether every thread of `pid` is stopped; `None` on systems without `/proc`.
///
/// SIGSTOP is delivered to one thread and reaches the others a moment later, so "sent" is not yet
/// "frozen".
#[must_use]
pub fn is_stopped(pid: u32) -> Option<bool> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let all = threads.flatten().all(|thread| {
        // A thread that ended between the listing and the look does not run any more.
        std::fs::read_to_string(thread.path().join("stat")).map_or(true, |stat| {
            matches!(thread_state(&stat), Some('T' | 't' | 'Z' | 'X'))
        })
    });
    Some(all)
}

/// The state letter of a `/proc/…/stat` line: the field after the name, which is in parentheses
/// and may itself contain any character.
fn thread_state(stat: &str) -> Option<char> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awkward_thread_names_do_not_hide_state() {
        assert_eq!(thread_state("12 (a) R (b) T 1 2 3"), Some('T'));
        assert_eq!(thread_state("12 (java) S 1 2 3"), Some('S'));
        assert_eq!(thread_state("rubbish"), None);
    }

    #[test]
    fn signal_to_missing_process_is_an_error() {
        let mut child = Command::new("sh").args(["-c", "exit 0"]).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let error = send(pid, Signal::Term).unwrap_err();
        assert!(
            error.to_string().contains(&format!("kill -TERM {pid}")),
            "{error}"
        );
    }
}
