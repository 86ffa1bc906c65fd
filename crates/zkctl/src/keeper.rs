//! A process beside this one: if zkctl is killed while it runs a command, or stopped for so long that
//! the lock may be somebody else's, the command must not go on without it.
//!
//! It reads from a pipe which process or group to end, and until when it need not: a time by the
//! monotonic clock, which is the same in all processes, and which zkctl puts off while it holds the
//! lock. Then it waits: for `done`, for that time, or for the end of the pipe, which the operating
//! system closes when zkctl is gone, however it went. zkctl names the command right after its start; of
//! one whose zkctl is killed before that, it knows nothing.
//!
//! With each line it looks at what the command has started: after the end of zkctl, those whose
//! parents have ended cannot be found any more (Linux; elsewhere only the group is ended).

use std::io::{self, BufRead};
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use crate::child::{self, Target};
use crate::processes::{Process, Table};

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

    /// From now on, ends the command if this process ends.
    pub(crate) async fn watch_over(&mut self, command: &child::Child) -> io::Result<()> {
        let mut line = command.target().to_string();
        // "-" is not read as a process.
        let parent = command.parent().map(|parent| parent.to_string());
        line.push(' ');
        line.push_str(parent.as_deref().unwrap_or("-"));
        for process in command.before() {
            line.push_str(&format!(" {process}"));
        }
        self.say(&line).await
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
    let reader = thread::Builder::new().spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if said.send(line).is_err() {
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
    if is_dismissed(&lines, || family.look(target)) {
        return ExitCode::SUCCESS;
    }
    match target.map(|target| family.end(target)) {
        None | Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) => ExitCode::FAILURE,
    }
}

/// Waits for what comes first: `done`, the time named last, or the end of the pipe. `look` is called
/// after each line.
fn is_dismissed(lines: &mpsc::Receiver<String>, mut look: impl FnMut()) -> bool {
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
        look();
    }
}

/// What the command has started.
struct Family {
    /// zkctl, to which those without a parent belong.
    parent: Option<Process>,
    /// What zkctl had started before.
    before: Vec<Process>,
    known: Vec<Process>,
}

impl Family {
    fn look(&mut self, target: Option<Target>) {
        let table = Table::read();
        self.known.retain(|process| table.has(process));
        let mut roots: Vec<Pid> = self.known.iter().map(|process| process.pid).collect();
        roots.extend(target.map(Target::pid));
        // Once zkctl is gone, its number may be another process's.
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
        // Before anything is stopped: if zkctl is still on its way out, the system sends SIGHUP to a
        // group with a stopped process, and those whose parent dies of it could not be found.
        self.look(Some(target));
        // What is stopped starts nothing and has its parent, so that all of them are found.
        let mut found = usize::MAX;
        let mut sent = target.send(Signal::STOP);
        while found != self.known.len() {
            found = self.known.len();
            self.look(Some(target));
            sent = sent.and(self.send_to_known(Signal::STOP));
        }
        sent.and(target.send(Signal::KILL))
            .and(self.send_to_known(Signal::KILL))
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

    fn told(lines: &[&str]) -> bool {
        let (said, heard) = mpsc::channel();
        for line in lines {
            said.send((*line).to_owned()).unwrap();
        }
        drop(said);
        is_dismissed(&heard, || ())
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
        assert!(!is_dismissed(&heard, || ()));
        assert!(monotonic() >= soon);
        drop(said);
    }
}
