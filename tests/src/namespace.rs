//! Network namespaces: processes and threads with links and routes of their own (Linux, root).
//!
//! A [`Namespace`] has no name. It lives as long as a process is in it, and the process that holds it
//! reads a pipe whose other end only this process has. So nothing is left behind, whichever way this
//! process ends, and two runs on one machine share nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::command;
use crate::error::{Error, Result};

const READY: &str = "ready";
/// Ends with its standard input.
const HOLD: &str = "ip link set lo up && echo ready && exec cat >/dev/null";

/// A network namespace with nothing but a loopback device that is up, until this is dropped and no
/// other process is in it.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
    file: File,
}

impl Namespace {
    /// Creates one.
    ///
    /// # Errors
    ///
    /// If this process may not, or there is no `unshare` or `ip`.
    pub fn create() -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| Error::io("run `unshare --net`", source))?;
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            let mut output = BufReader::new(output);
            let read = output.read_line(&mut line);
            read.map_err(|source| Error::io("read what `unshare --net` writes", source))?;
        }
        if line.trim() != READY {
            return Err(refused(holder));
        }
        let path = format!("/proc/{}/ns/net", holder.id());
        let file = File::open(&path);
        let file = file.map_err(|source| Error::io(format!("open {path}"), source))?;
        Ok(Self { holder, file })
    }

    /// A command that runs in it, with the process id of the [`Child`] it becomes.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg("--")
            .arg(program);
        command
    }

    /// A process in it, as `ip link … netns` takes it.
    pub(crate) fn holder_id(&self) -> u32 {
        self.holder.id()
    }

    /// Runs lines of a shell in it, up to the first that fails.
    ///
    /// # Errors
    ///
    /// If one fails; with what it wrote.
    pub fn shell(&self, lines: &[String]) -> Result<()> {
        command::run(self.command("sh").args(["-ec", &lines.join("\n")]))
    }

    /// Moves the calling thread into it: sockets that the thread opens from now on are of this
    /// namespace, and so are the threads and processes that it starts.
    ///
    /// # Errors
    ///
    /// If the system refuses, or is not Linux.
    pub fn enter(&self) -> Result<()> {
        let entered = enter(&self.file);
        entered.map_err(|source| Error::io("enter a network namespace", source))
    }

    /// Runs `f` on a thread that is in it.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    ///
    /// # Panics
    ///
    /// As `f` does.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| f()));
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Both fail only for a process that has already ended.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(target_os = "linux")]
fn enter(file: &File) -> std::io::Result<()> {
    use std::os::fd::AsFd;

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    let entered = move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network));
    entered.map_err(std::io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn enter(_file: &File) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Why a holder has ended.
fn refused(mut holder: Child) -> Error {
    let mut said = String::new();
    if let Some(mut stderr) = holder.stderr.take()
        && let Err(source) = stderr.read_to_string(&mut said)
    {
        return Error::io("read what `unshare --net` writes", source);
    }
    match holder.wait() {
        Ok(status) => Error::Command {
            command: "unshare --net".to_owned(),
            outcome: format!("{status}: {}", said.trim()),
        },
        Err(source) => Error::io("wait for `unshare --net`", source),
    }
}
