//! The command that runs under a lock, and the processes it has started.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::str::FromStr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, test_kill_process,
    test_kill_process_group, waitpgid, waitpid,
};
use tokio::process::{Child as Process, Command};

use super::process_table::{self, Table};
use crate::cli::kerberos;

/// The receiver of signals: a process or a process group. As text it has the form of the `kill`
/// program's argument, which is negative for a group.
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

    /// Whether the target has not ended.
    pub(crate) fn exists(self) -> bool {
        let found = match self {
            Target::Process(pid) => test_kill_process(pid),
            Target::Group(pid) => test_kill_process_group(pid),
        };
        found != Err(Errno::SRCH)
    }

    /// Sends a signal. A target that has ended is not an error.
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
        // 0 and -1 would address every process, and 1 is init.
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

/// How often to check whether all processes have ended: the end of a process that is not a child is no
/// event.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// The command and the processes it has started. Dropping this value kills them.
pub(crate) struct Child {
    process: Process,
    pid: Pid,
    target: Target,
    foreground: bool,
    /// This process, if the system lists it.
    parent: Option<process_table::Process>,
    /// The processes that this process had started before the command.
    before: Vec<process_table::Process>,
    /// The target has ended, and its number may have been given to another process.
    target_is_gone: bool,
}

/// The exit code of shells for a command that cannot be run.
const CANNOT_RUN: u8 = 126;
/// The exit code of shells for a command that does not exist.
const NOT_FOUND: u8 = 127;

/// The message and the exit code for a command that cannot be started.
pub(crate) fn cannot_run(command: &[OsString], error: &io::Error) -> (String, u8) {
    let program = command.first().map(|program| program.to_string_lossy());
    let text = format!("cannot run {}: {error}", program.unwrap_or_default());
    let code = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    };
    (text, code)
}

/// A command with the variables of this process, without those in `secrets`.
pub(crate) fn prepare(command: &[OsString], secrets: &[String]) -> io::Result<Command> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::other("there is no command"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    with_variables_of_this_process(&mut command, secrets);
    Ok(command)
}

/// Gives the command the variables that this process was started with, without those in `secrets`.
fn with_variables_of_this_process(command: &mut Command, secrets: &[String]) {
    kerberos::restore(command.as_std_mut());
    for variable in secrets {
        command.env_remove(variable);
    }
}

impl Child {
    /// Starts a process, in a process group of its own unless `foreground` is set.
    pub(crate) fn spawn(
        mut command: Command,
        token: &str,
        foreground: bool,
        secrets: &[String],
    ) -> io::Result<Self> {
        with_variables_of_this_process(&mut command, secrets);
        command.env("ZK_FENCING_TOKEN", token).kill_on_drop(true);
        if !foreground {
            command.process_group(0);
        }
        // A descendant whose parent ends becomes a child of this process, and so is still found.
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
            target_is_gone: false,
        })
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// This process, if the system lists it.
    pub(crate) fn parent(&self) -> Option<process_table::Process> {
        self.parent
    }

    /// The processes that this process had started before the command.
    pub(crate) fn before(&self) -> &[process_table::Process] {
        &self.before
    }

    /// Whether the terminal sends its signals to the command as well as to this process.
    pub(crate) fn has_terminal(&self) -> bool {
        self.foreground
    }

    /// Sends a signal to the target, unless it has ended.
    pub(crate) fn send(&self, signal: Signal) -> io::Result<()> {
        if self.target_is_gone {
            return Ok(());
        }
        self.target.send(signal)
    }

    /// Sends a signal to the command and all processes it has started, and returns the first error after
    /// that.
    pub(crate) fn send_to_all(&self, signal: Signal) -> io::Result<()> {
        let mut sent = self.send(signal);
        for process in self.descendants() {
            // The members of the group have received the signal already.
            let in_group = matches!(self.target, Target::Group(group)
                if rustix::process::getpgid(Some(process.pid)) == Ok(group));
            if process.pid != self.pid && !in_group {
                sent = sent.and(Target::Process(process.pid).send(signal));
            }
        }
        sent
    }

    /// Waits for the end of the command. Processes it has started may run on.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait().await?;
        self.target_is_gone |= matches!(self.target, Target::Process(_));
        Ok(status)
    }

    /// Whether all processes that the command has started have ended, after [`wait`](Self::wait) has
    /// returned.
    pub(crate) fn all_have_ended(&mut self) -> bool {
        self.reap();
        if !self.target_is_gone {
            let left = match self.target {
                Target::Group(group) => {
                    // Members without a parent are children of this process. Until it has waited for
                    // them, the group is not empty.
                    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
                    test_kill_process_group(group)
                }
                Target::Process(process) => {
                    // Only after `wait` has failed. An error means that the process is not a child of
                    // this one any more.
                    let _ = waitpid(Some(process), WaitOptions::NOHANG);
                    test_kill_process(process)
                }
            };
            self.target_is_gone = left == Err(Errno::SRCH);
        }
        self.target_is_gone && self.descendants().iter().all(|process| process.is_zombie)
    }

    /// Reaps the descendants that have ended and whose parents ended before them.
    pub(crate) fn reap(&self) {
        let me = getpid().as_raw_nonzero().get();
        for process in self.descendants() {
            if process.is_zombie && process.parent == me && process.pid != self.pid {
                // An error means that the process has been reaped.
                let _ = waitpid(Some(process.pid), WaitOptions::NOHANG);
            }
        }
    }

    /// Kills the command and all processes it has started, and waits for their end.
    pub(crate) async fn end(&mut self) {
        loop {
            // Waits for processes that cannot be sent signals, too.
            let _ = self.send_to_all(Signal::KILL);
            let ended = tokio::time::timeout(POLL, self.wait()).await.is_ok();
            if ended && self.all_have_ended() {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Runs a task. If the task fails, kills the command and all processes it has started before the
    /// error is returned.
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

    fn descendants(&self) -> Vec<process_table::Process> {
        Table::read().below(getpid(), &self.before)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // After an error, `kill_on_drop` still kills the command itself.
        let _ = self.send_to_all(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(script: &str, foreground: bool) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Child::spawn(command, "1", foreground, &[]).unwrap()
    }

    /// One test for both cases, because every child of the test process counts as the command's.
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
            // As on a system that reaps children by itself.
            let mut child = spawn("exit 0", foreground);
            waitpid(Some(child.pid), WaitOptions::empty()).unwrap();
            let waiting = async |child: &mut Child| child.wait().await;
            child.or_end(waiting).await.unwrap_err();
        }
    }

    #[test]
    fn a_target_is_never_all_processes() {
        for text in ["123", "-123"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["0", "1", "-1", "", "x", "-2147483648"] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
