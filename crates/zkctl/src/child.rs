//! The command that runs under a lock.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal};
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, test_kill_process,
    test_kill_process_group, waitpgid, waitpid,
};
use tokio::process::{Child as Process, Command};

use crate::credentials::SECRET_VARIABLES;
use crate::processes::{self, Table};

/// Where signals go: to a process, or to a process group. As a text it is what the
/// `kill` program takes: negative for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(Pid),
    Group(Pid),
}

impl Target {
    pub(crate) fn pid(self) -> Pid {
        let (Target::Process(pid) | Target::Group(pid)) = self;
        pid
    }

    /// Sends a signal. That nothing is left to receive it is no error.
    pub(crate) fn send(self, signal: Signal) -> io::Result<()> {
        let sent = match self {
            Target::Process(pid) => kill_process(pid, signal),
            Target::Group(pid) => kill_process_group(pid, signal),
        };
        match sent {
            Err(error) if error != Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Process(pid) => write!(f, "{}", pid.as_raw_nonzero()),
            Target::Group(pid) => write!(f, "-{}", pid.as_raw_nonzero()),
        }
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number: i32 = text.parse().map_err(|_| ())?;
        // Neither everybody nor init is ever meant.
        let pid = match number.checked_abs() {
            Some(number) if number > 1 => Pid::from_raw(number).ok_or(())?,
            _ => return Err(()),
        };
        Ok(if number < 0 {
            Target::Group(pid)
        } else {
            Target::Process(pid)
        })
    }
}

/// How often to look whether all has ended: the end of a process that is not a child is no event.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// The command and all it has started, which do not survive this value.
pub(crate) struct Child {
    process: Process,
    pid: Pid,
    target: Target,
    foreground: bool,
    /// This process, if the system shows it, and what it had started before.
    parent: Option<processes::Process>,
    before: Vec<processes::Process>,
    /// Its number may be another process's by now.
    has_no_target: bool,
}

impl Child {
    /// Starts the command, in a process group of its own unless it is to have the terminal.
    pub(crate) fn spawn(
        command: &[OsString],
        token: &str,
        foreground: bool,
        credentials: bool,
    ) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::other("there is no command"));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("ZK_FENCING_TOKEN", token)
            .kill_on_drop(true);
        if !credentials {
            for variable in SECRET_VARIABLES {
                command.env_remove(variable);
            }
        }
        if !foreground {
            command.process_group(0);
            if io::stdin().is_terminal() {
                // A process that reads the terminal from the background is stopped, for ever.
                command.stdin(Stdio::null());
            }
        }
        // A descendant whose parent ends becomes a child of this process, so that it is found.
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(getpid()))?;
        let table = Table::read();
        let (parent, before) = (table.find(getpid()), table.below(getpid(), &[]));
        let process = command.spawn()?;
        let pid = process
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Child {
            process,
            pid,
            target: if foreground {
                Target::Process(pid)
            } else {
                Target::Group(pid)
            },
            foreground,
            parent,
            before,
            has_no_target: false,
        })
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// This process, if the system shows it.
    pub(crate) fn parent(&self) -> Option<processes::Process> {
        self.parent
    }

    /// What this process had started before it.
    pub(crate) fn before(&self) -> &[processes::Process] {
        &self.before
    }

    /// Whether the terminal sends its signals to the command as well as to this process.
    pub(crate) fn has_terminal(&self) -> bool {
        self.foreground
    }

    /// Sends it a signal, unless it has ended.
    pub(crate) fn send(&self, signal: Signal) -> io::Result<()> {
        if self.has_no_target {
            return Ok(());
        }
        self.target.send(signal)
    }

    /// Sends a signal to the command and to all it has started. The first error is returned after
    /// all have been tried.
    pub(crate) fn send_to_all(&self, signal: Signal) -> io::Result<()> {
        let mut sent = self.send(signal);
        for process in self.descendants() {
            // The group has had it already.
            let in_group = matches!(self.target, Target::Group(group)
                if rustix::process::getpgid(Some(process.pid)) == Ok(group));
            if process.pid != self.pid && !in_group {
                sent = sent.and(Target::Process(process.pid).send(signal));
            }
        }
        sent
    }

    /// Waits for its end; what it has started may go on. Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait().await?;
        self.has_no_target |= matches!(self.target, Target::Process(_));
        Ok(status)
    }

    /// Whether all it has started has ended, once [`wait`](Self::wait) has returned.
    pub(crate) fn has_left_nothing(&mut self) -> bool {
        self.reap();
        if !self.has_no_target {
            let left = match self.target {
                Target::Group(group) => {
                    // Members without a parent are children of this process. Until it has asked how
                    // they ended, the group is not empty.
                    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
                    test_kill_process_group(group)
                }
                Target::Process(process) => {
                    // `wait` has failed. An error means that it is no child of this process by now.
                    let _ = waitpid(Some(process), WaitOptions::NOHANG);
                    test_kill_process(process)
                }
            };
            self.has_no_target = left == Err(Errno::SRCH);
        }
        self.has_no_target && self.descendants().iter().all(|process| process.is_zombie)
    }

    /// Lets go of the descendants that have ended and whose parents have ended before them.
    pub(crate) fn reap(&self) {
        let me = getpid().as_raw_nonzero().get();
        for process in self.descendants() {
            if process.is_zombie && process.parent == me && process.pid != self.pid {
                // If it is gone already, there is nothing left to let go of.
                let _ = waitpid(Some(process.pid), WaitOptions::NOHANG);
            }
        }
    }

    /// Ends it all at once.
    pub(crate) async fn end(&mut self) {
        loop {
            // What cannot be sent a signal is waited for.
            let _ = self.send_to_all(Signal::KILL);
            let ended = tokio::time::timeout(POLL, self.wait()).await.is_ok();
            if ended && self.has_left_nothing() {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Runs a task, and ends it all if the task fails, before its error is returned.
    pub(crate) async fn or_end<T>(
        &mut self,
        task: impl AsyncFnOnce(&mut Child) -> io::Result<T>,
    ) -> io::Result<T> {
        let done = task(self).await;
        if done.is_err() {
            self.end().await;
        }
        done
    }

    fn descendants(&self) -> Vec<processes::Process> {
        Table::read().below(getpid(), &self.before)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // `kill_on_drop` ends the process itself in any case.
        let _ = self.send_to_all(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(script: &str, foreground: bool) -> Child {
        let command = ["sh", "-c", script].map(OsString::from);
        Child::spawn(&command, "1", foreground, false).unwrap()
    }

    /// In one test, because every child of the process is taken for the command's.
    #[tokio::test]
    async fn a_failure_is_returned_after_the_end() {
        for foreground in [false, true] {
            let mut child = spawn("sleep 1000 & wait", foreground);
            let task = async |_: &mut Child| Err::<(), _>(io::Error::other("a test's"));
            let failed = child.or_end(task).await.unwrap_err();
            assert_eq!(failed.to_string(), "a test's");
            assert_eq!(test_kill_process(child.pid), Err(Errno::SRCH));
            let mut left = child.descendants().into_iter();
            assert!(left.all(|process| process.is_zombie));
            // As where the system lets go of children unasked.
            let mut child = spawn("exit 0", foreground);
            waitpid(Some(child.pid), WaitOptions::empty()).unwrap();
            let waiting = async |child: &mut Child| child.wait().await;
            child.or_end(waiting).await.unwrap_err();
        }
    }

    #[test]
    fn a_target_is_read_as_it_is_written_and_never_everybody() {
        for text in ["123", "-123"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["0", "1", "-1", "", "x", "-2147483648"] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
