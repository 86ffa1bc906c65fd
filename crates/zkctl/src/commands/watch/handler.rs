//! The command that `watch` runs for events.

use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tokio::process::Child;

use super::entry::Entry;
use super::pending::{Pending, Run};
use crate::cli::znode::Watch;
use crate::commands::guarded::child::{Target, cannot_run, prepare};
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

/// Runs the command, one run at a time.
pub(super) struct Handler {
    command: Vec<std::ffi::OsString>,
    secrets: Vec<String>,
    initially: bool,
    notices: Notices,
    pending: Pending,
    running: Option<Running>,
}

/// A run that has not ended. Dropping it sends SIGTERM to the command and its process group.
struct Running {
    process: Child,
    target: Option<Target>,
    run: Run,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(target) = self.target {
            // The process is ending, so that there is nothing else to do about an error.
            let _ = target.send(Signal::TERM);
        }
    }
}

impl Handler {
    pub(super) fn of(args: &Watch, notices: &Notices) -> Self {
        Handler {
            command: args.command.clone(),
            secrets: args.secret_variables.clone(),
            initially: args.initially,
            notices: notices.clone(),
            pending: Pending::default(),
            running: None,
        }
    }

    pub(super) fn has_command(&self) -> bool {
        !self.command.is_empty()
    }

    /// Adds an event to run the command for.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.pending.add(entry, self.initially);
    }

    /// Runs the command for the events that were added, and returns the exit code of zkctl if the command
    /// cannot be run.
    ///
    /// # Cancel safety
    /// Dropping the future neither ends the command nor loses an event.
    pub(super) async fn run(&mut self) -> Result<u8, Failure> {
        loop {
            let running = match &mut self.running {
                Some(running) => running,
                None => {
                    let Some(run) = self.pending.next() else {
                        return std::future::pending().await;
                    };
                    match self.start(run) {
                        Ok(running) => self.running.insert(running),
                        Err(error) => {
                            let (text, code) = cannot_run(&self.command, &error);
                            self.notices.say(text);
                            return Ok(code);
                        }
                    }
                }
            };
            let ended = running.process.wait().await;
            let status = ended.map_err(|error| Failure::io("wait for the command", error))?;
            if let Some(mut running) = self.running.take() {
                // Its number may be given to another process.
                running.target = None;
                self.report(&running.run, status);
            }
        }
    }

    fn start(&self, run: Run) -> io::Result<Running> {
        let mut command = prepare(&self.command, &self.secrets)?;
        command
            .process_group(0)
            // The next run would read what belongs to this one.
            .stdin(Stdio::null())
            .env("ZK_EVENT", run.event)
            .env("ZK_EVENT_PATH", &run.path)
            .env("ZK_EVENT_COUNT", run.count.to_string());
        match run.zxid {
            Some(zxid) => command.env("ZK_EVENT_ZXID", zxid.to_string()),
            None => command.env_remove("ZK_EVENT_ZXID"),
        };
        let process = command.spawn()?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Running {
            process,
            target: pid.and_then(Pid::from_raw).map(Target::Group),
            run,
        })
    }

    fn report(&self, run: &Run, status: ExitStatus) {
        if !status.success() {
            self.notices.say(format_args!(
                "the command for {} of {} has failed: {status}",
                run.event,
                visible_line(&run.path)
            ));
        }
    }
}
