//! A process beside this one: if zkctl is killed while it runs a command, or stopped for so long that
//! the lock may be somebody else's, the command must not go on without it.
//!
//! It reads from a pipe whom to end, and until when it need not: a time by the monotonic clock, which
//! is the same in all processes, and which zkctl puts off while it holds the lock. Then it waits: for
//! `done`, for that time, or for the end of the pipe, which the operating system closes when zkctl is
//! gone, however it went. It knows nothing of a command before it is told, which is right after the
//! start of that.

use std::io::{self, BufRead};
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use crate::child::Target;

const DONE: &str = "done";
/// It has nothing to do but to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The process.
pub(crate) struct Keeper {
    process: Child,
    pipe: ChildStdin,
}

impl Keeper {
    /// Starts it. Before there is anything to wait for: by then, this program's file may have been
    /// replaced.
    pub(crate) fn start() -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("__keeper")
            // It needs neither the credentials nor any other setting.
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = process
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("it has no pipe"))?;
        Ok(Keeper { process, pipe })
    }

    /// From now on, ends `target` if this process ends.
    pub(crate) async fn watch_over(&mut self, target: Target) -> io::Result<()> {
        self.say(&target.to_string()).await
    }

    /// Ends its target then, unless this process says otherwise before.
    pub(crate) async fn until(&mut self, deadline: Instant) -> io::Result<()> {
        // Asked first, so that what passes in between makes the time shorter and not longer.
        let clock = monotonic();
        let left = deadline.saturating_duration_since(Instant::now());
        self.say(&(clock + left).as_nanos().to_string()).await
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.pipe.write_all(format!("{line}\n").as_bytes()).await?;
        self.pipe.flush().await
    }

    /// Its target has ended. If it cannot be told so, or is gone itself, there is nothing left for
    /// it to end.
    pub(crate) async fn dismiss(mut self) {
        let _ = self.say(DONE).await;
        drop(self.pipe);
        let _ = tokio::time::timeout(PATIENCE, self.process.wait()).await;
    }
}

/// Since some time that all processes agree on.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// The process's part.
pub(crate) fn main() -> ExitCode {
    let (said, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if said.send(line).is_err() {
                return;
            }
        }
    });
    let target = lines
        .recv()
        .ok()
        .and_then(|line| line.parse::<Target>().ok());
    if is_dismissed(&lines) {
        return ExitCode::SUCCESS;
    }
    match target.map(|target| target.send(Signal::KILL)) {
        None | Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) => ExitCode::FAILURE,
    }
}

/// Waits for what comes first: `done`, the time told last, or the end of the pipe.
fn is_dismissed(lines: &mpsc::Receiver<String>) -> bool {
    let mut until: Option<Duration> = None;
    loop {
        let line = match until {
            None => lines.recv().map_err(RecvTimeoutError::from),
            Some(until) => lines.recv_timeout(until.saturating_sub(monotonic())),
        };
        match line {
            Ok(line) if line == DONE => return true,
            Ok(line) => until = line.parse().ok().map(Duration::from_nanos).or(until),
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> bool {
        let (said, heard) = mpsc::channel();
        for line in lines {
            said.send((*line).to_owned()).unwrap();
        }
        drop(said);
        is_dismissed(&heard)
    }

    #[test]
    fn it_is_dismissed_by_a_word_and_by_nothing_else() {
        assert!(told(&[DONE]));
        assert!(told(&["99999999999999", DONE]));
        assert!(!told(&[]));
        assert!(!told(&["99999999999999", "don"]));
    }

    #[test]
    fn a_time_that_was_not_put_off_is_the_end_although_the_pipe_is_open() {
        let (said, heard) = mpsc::channel();
        let soon = monotonic() + Duration::from_millis(20);
        said.send(soon.as_nanos().to_string()).unwrap();
        assert!(!is_dismissed(&heard));
        assert!(monotonic() >= soon);
        drop(said);
    }
}
