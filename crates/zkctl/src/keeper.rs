//! A process that outlives this one by a moment: if zkctl is killed while it runs a command, the
//! command must not go on without the lock.
//!
//! It reads from a pipe whom to end, and then waits: for `done`, or for the end of the pipe, which
//! the operating system closes when zkctl is gone, however it went.

use std::io::{self, Read};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::Signal;
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
        let line = format!("{target}\n");
        self.pipe.write_all(line.as_bytes()).await?;
        self.pipe.flush().await
    }

    /// Its target has ended. If it cannot be told so, or is gone itself, there is nothing left for
    /// it to end.
    pub(crate) async fn dismiss(mut self) {
        let _ = self.pipe.write_all(DONE.as_bytes()).await;
        let _ = self.pipe.flush().await;
        drop(self.pipe);
        let _ = tokio::time::timeout(PATIENCE, self.process.wait()).await;
    }
}

/// The process's part.
pub(crate) fn main() -> ExitCode {
    let mut told = String::new();
    let read = io::stdin().lock().read_to_string(&mut told);
    let mut lines = told.lines();
    let target = lines.next().and_then(|line| line.parse::<Target>().ok());
    // What could not be read was not `done`.
    if read.is_ok() && lines.next() == Some(DONE) {
        return ExitCode::SUCCESS;
    }
    match target.map(|target| target.send(Signal::KILL)) {
        None | Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) => ExitCode::FAILURE,
    }
}
