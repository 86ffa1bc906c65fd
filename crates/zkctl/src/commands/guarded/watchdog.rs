//! A second process, which ends the command if zkctl is killed, or is stopped for so long that another
//! contender may hold the lock.
//!
//! zkctl sends lines through a pipe: first the process or process group to end, then deadlines by the
//! monotonic clock, which is the same in all processes. Each deadline replaces the one before, while
//! zkctl holds the lock. The watchdog ends the command at the last deadline, or at the end of the pipe,
//! which the operating system closes when zkctl ends in any way. The line `done` dismisses it. The command
//! begins after the first line and a deadline are in the pipe (see [`starter`](super::starter)).
//!
//! With each line the watchdog records the processes that the command has started, because after the end
//! of zkctl those whose parents have ended could not be found (Linux; elsewhere only the process group
//! is ended).
//!
//! With `--session-file` its standard output is a locked file, so that the lock stays until the watchdog has
//! ended, and with it the command.

use std::fs::File;
use std::io::{self, BufRead};
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::child::{self, Target};
use super::process_table::{Process, Table};

/// The name of the subcommand.
const SUBCOMMAND: &str = "__watchdog";
/// The line after which the watchdog ends without ending the command.
const DONE: &str = "done";
/// How long to wait for the end of a dismissed watchdog.
const DISMISS_TIMEOUT: Duration = Duration::from_secs(1);

/// The watchdog process, as zkctl sees it.
pub(crate) struct Watchdog {
    process: Child,
    pipe: ChildStdin,
}

impl Watchdog {
    /// Starts the process. Called before zkctl waits for the lock, because this program's file may be
    /// replaced meanwhile. `lock` stays open until the process has ended.
    pub(crate) fn start(lock: Option<File>) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SUBCOMMAND)
            // The watchdog needs neither the credentials nor any other setting.
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(lock.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = process
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("the watchdog has no pipe"))?;
        Ok(Watchdog { process, pipe })
    }

    /// Names the command to end if this process ends.
    pub(crate) async fn watch(&mut self, command: &child::Child) -> io::Result<()> {
        let mut line = command.target().to_string();
        // "-" stands for no process.
        let parent = command.parent().map(|parent| parent.to_string());
        line.push(' ');
        line.push_str(parent.as_deref().unwrap_or("-"));
        for process in command.before() {
            line.push_str(&format!(" {process}"));
        }
        self.send(&line).await
    }

    /// Sets the time at which the watchdog ends the command, unless this process sends a later one before.
    pub(crate) async fn extend(&mut self, deadline: Instant) -> io::Result<()> {
        // Read before `Instant::now`, so that time between the two makes the deadline earlier.
        let clock = monotonic();
        let left = deadline.saturating_duration_since(Instant::now());
        self.send(&(clock + left).as_nanos().to_string()).await
    }

    /// Waits for the end of the process.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) {
        // An error means that the process is not a child of this one any more.
        let _ = self.process.wait().await;
    }

    async fn send(&mut self, line: &str) -> io::Result<()> {
        self.pipe.write_all(format!("{line}\n").as_bytes()).await?;
        self.pipe.flush().await
    }

    /// Ends the watchdog, after the command has ended. If sending fails, the watchdog has no process left
    /// to end.
    pub(crate) async fn dismiss(mut self) {
        let _ = self.send(DONE).await;
        drop(self.pipe);
        let _ = tokio::time::timeout(DISMISS_TIMEOUT, self.process.wait()).await;
    }
}

/// The time of the monotonic clock, whose origin is the same in all processes.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// The program of the watchdog process.
pub(crate) fn main() -> ExitCode {
    let (sender, lines) = mpsc::channel();
    let reader = thread::Builder::new().spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    if reader.is_err() {
        return ExitCode::FAILURE;
    }
    let first = lines.recv().unwrap_or_default();
    let mut words = first.split(' ');
    let target = words.next().and_then(|word| word.parse::<Target>().ok());
    let mut family = Family {
        parent: words.next().and_then(|word| word.parse().ok()),
        before: words.filter_map(|word| word.parse().ok()).collect(),
        known: Vec::new(),
    };
    if is_dismissed(&lines, || family.record(target)) {
        return ExitCode::SUCCESS;
    }
    let Some(target) = target else {
        return ExitCode::SUCCESS;
    };
    let ended = family.end(target);
    family.wait_for_end(target);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Waits for `done`, the last deadline, or the end of the pipe, and returns whether it was `done`.
/// `after_line` is called after each line.
fn is_dismissed(lines: &mpsc::Receiver<String>, mut after_line: impl FnMut()) -> bool {
    let mut deadline: Option<Duration> = None;
    loop {
        let line = match deadline {
            None => lines.recv().map_err(RecvTimeoutError::from),
            Some(deadline) => lines.recv_timeout(deadline.saturating_sub(monotonic())),
        };
        match line {
            Ok(line) if line == DONE => return true,
            Ok(line) => deadline = line.parse().ok().map(Duration::from_nanos).or(deadline),
            Err(_) => return false,
        }
        after_line();
    }
}

/// The processes that the command has started.
struct Family {
    /// zkctl, which adopts processes whose parent has ended.
    parent: Option<Process>,
    /// The processes that zkctl had started before the command.
    before: Vec<Process>,
    known: Vec<Process>,
}

impl Family {
    fn record(&mut self, target: Option<Target>) {
        let table = Table::read();
        self.known.retain(|process| table.has(process));
        let mut roots: Vec<Pid> = self.known.iter().map(|process| process.pid).collect();
        roots.extend(target.map(Target::pid));
        // After the end of zkctl, its number may be given to another process.
        roots.extend(
            self.parent
                .filter(|parent| table.has(parent))
                .map(|parent| parent.pid),
        );
        for root in roots {
            for process in table.below(root, &self.before) {
                if !process.is_zombie && !self.known.iter().any(|known| known.is(&process)) {
                    self.known.push(process);
                }
            }
        }
    }

    fn end(&mut self, target: Target) -> io::Result<()> {
        // Before any process is stopped: while zkctl is still ending, the system sends SIGHUP to a group
        // with a stopped process, and the descendants of a process that dies of it could not be found.
        self.record(Some(target));
        // A stopped process starts no other and keeps its parent, so that all are found.
        let mut found = usize::MAX;
        let mut sent = target.send(Signal::STOP);
        while found != self.known.len() {
            found = self.known.len();
            self.record(Some(target));
            sent = sent.and(self.send_to_known(Signal::STOP));
        }
        sent.and(target.send(Signal::KILL))
            .and(self.send_to_known(Signal::KILL))
    }

    /// Waits until the processes have ended. A process that is not waited for by its parent has ended, too.
    fn wait_for_end(&self, target: Target) {
        loop {
            let table = Table::read();
            let is_running = match table.is_empty() {
                true => target.exists(),
                false => self.known.iter().any(|process| table.has(process)),
            };
            if !is_running {
                return;
            }
            thread::sleep(child::POLL);
        }
    }

    fn send_to_known(&self, signal: Signal) -> io::Result<()> {
        let mut sent = Ok(());
        for process in &self.known {
            sent = sent.and(Target::Process(process.pid).send(signal));
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dismissed_by(lines: &[&str]) -> bool {
        let (sender, receiver) = mpsc::channel();
        for line in lines {
            sender.send((*line).to_owned()).unwrap();
        }
        drop(sender);
        is_dismissed(&receiver, || ())
    }

    #[test]
    fn only_the_word_done_dismisses() {
        assert!(is_dismissed_by(&[DONE]));
        assert!(is_dismissed_by(&["99999999999999", DONE]));
        assert!(!is_dismissed_by(&[]));
        assert!(!is_dismissed_by(&["99999999999999", "don"]));
    }

    #[test]
    fn a_deadline_passes_with_the_pipe_open() {
        let (sender, receiver) = mpsc::channel();
        let soon = monotonic() + Duration::from_millis(20);
        sender.send(soon.as_nanos().to_string()).unwrap();
        assert!(!is_dismissed(&receiver, || ()));
        assert!(monotonic() >= soon);
        drop(sender);
    }
}
