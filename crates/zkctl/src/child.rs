//! The command that runs under a lock.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal};
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child as Process, Command};

/// Whom signals go to: a process, or a process and all it has started. As a text it is what the
/// `kill` program takes: negative for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(Pid),
    Group(Pid),
}

impl Target {
    /// Sends a signal. That nobody is left to receive it is no error.
    pub(crate) fn send(self, signal: Signal) -> io::Result<()> {
        let sent = match self {
            Target::Process(pid) => kill_process(pid, signal),
            Target::Group(pid) => kill_process_group(pid, signal),
        };
        match sent {
            Err(error) if error != rustix::io::Errno::SRCH => Err(error.into()),
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

/// The command, which does not survive this value.
pub(crate) struct Child {
    process: Process,
    target: Target,
    foreground: bool,
}

impl Child {
    /// Starts the command, in a process group of its own unless it is to have the terminal.
    pub(crate) fn spawn(command: &[OsString], token: &str, foreground: bool) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::other("there is no command"));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("ZK_FENCING_TOKEN", token)
            .kill_on_drop(true);
        if !foreground {
            command.process_group(0);
            if io::stdin().is_terminal() {
                // A process that reads the terminal from the background is stopped, for ever.
                command.stdin(Stdio::null());
            }
        }
        let process = command.spawn()?;
        let pid = process
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Child {
            process,
            target: if foreground {
                Target::Process(pid)
            } else {
                Target::Group(pid)
            },
            foreground,
        })
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// Whether the terminal sends its signals to the command as well as to this process.
    pub(crate) fn has_terminal(&self) -> bool {
        self.foreground
    }

    /// Sends it a signal, unless it has ended.
    pub(crate) fn send(&self, signal: Signal) -> io::Result<()> {
        match self.process.id() {
            Some(_) => self.target.send(signal),
            None => Ok(()),
        }
    }

    /// Ends what the command has left behind in its group.
    pub(crate) fn end_the_rest(&self) -> io::Result<()> {
        match self.target {
            Target::Group(_) => self.target.send(Signal::KILL),
            Target::Process(_) => Ok(()),
        }
    }

    /// Waits for its end. Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.process.id().is_some() {
            // `kill_on_drop` ends the process itself in any case.
            let _ = self.target.send(Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
