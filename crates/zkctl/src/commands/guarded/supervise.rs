//! Sees to it that the command is gone before what it runs under can be somebody else's.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal as Raw;
use zk_recipes::{Guard, Lost};

use crate::child::Child;
use crate::keeper::Keeper;
use crate::output::Notices;
use crate::signals::{Signal, Signals};

/// How long a command has between SIGTERM and SIGKILL if the guard is lost without a warning. The
/// ensemble may have given it away by then, so it is not long.
const GRACE: Duration = Duration::from_secs(1);

/// How it went.
pub(super) enum Outcome {
    /// By itself, or by a signal that was not ours.
    Exited(ExitStatus),
    /// Because of us: the guard was lost or about to be.
    Lost,
}

/// A command and what it runs under.
pub(super) struct Supervision<'a> {
    pub(super) guard: &'a Guard,
    pub(super) session_timeout: Duration,
    pub(super) notices: &'a Notices,
    pub(super) path: &'a str,
}

/// How far the command has been brought to its end.
enum Stage {
    Running,
    /// It has been asked to end; it is made to at this time, or else before the guard's deadline.
    Asked(Option<Instant>),
    Killed,
}

impl Supervision<'_> {
    /// Runs until the command has ended.
    pub(super) async fn run(
        &self,
        child: &mut Child,
        signals: &mut Signals,
    ) -> io::Result<Outcome> {
        let mut lost = pin!(self.guard.lost());
        let mut known_lost = false;
        let mut stage = Stage::Running;
        let status = loop {
            let due = self.due(&stage);
            if due.is_some_and(|due| due <= Instant::now()) {
                stage = match stage {
                    Stage::Running => {
                        self.ask(child, "no server answers, and it may soon be given away");
                        Stage::Asked(None)
                    }
                    Stage::Asked(_) | Stage::Killed => {
                        self.send(child, Raw::KILL);
                        Stage::Killed
                    }
                };
                continue;
            }
            // Not reached: without a time to wait for, its branch is off.
            let wake = due.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                status = child.wait() => break status?,
                reason = &mut lost, if !known_lost => {
                    known_lost = true;
                    if matches!(stage, Stage::Running) {
                        self.ask(child, &reason.to_string());
                    }
                    stage = match stage {
                        Stage::Killed => Stage::Killed,
                        _ if reason == Lost::OutOfContact => Stage::Asked(Some(Instant::now())),
                        _ => Stage::Asked(Some(Instant::now() + GRACE)),
                    };
                }
                signal = signals.next() => self.pass_on(child, signal),
                () = tokio::time::sleep_until(wake.into()), if due.is_some() => {}
            }
        };
        if matches!(stage, Stage::Running) {
            let is_killed = status.signal() == Some(Raw::KILL.as_raw());
            if !is_killed || self.guard.check().is_ok() {
                return Ok(Outcome::Exited(status));
            }
            self.notices.say(format_args!(
                "{}: the command was ended while this program was stopped",
                self.path
            ));
        }
        if let Err(error) = child.end_the_rest() {
            self.notices.say(format_args!(
                "cannot end what the command has left behind: {error}"
            ));
        }
        Ok(Outcome::Lost)
    }

    /// Tells the keeper, again and again, until when the guard can be trusted: it ends the command
    /// then, should this process have been stopped.
    pub(super) async fn inform(&self, keeper: &mut Keeper) -> Infallible {
        while let Some(deadline) = self.guard.deadline() {
            // After what is done here, and before the deadline.
            let late = deadline.checked_sub(self.session_timeout / 60);
            if keeper.until(late.unwrap_or(deadline)).await.is_err() {
                self.notices
                    .say("the process that would end the command if this one were stopped is gone");
                break;
            }
            tokio::time::sleep(self.session_timeout / 12).await;
        }
        std::future::pending().await
    }

    /// When to take the next step, as things stand.
    ///
    /// The deadline is nine tenths of the session's timeout after the last sign of life that the
    /// leader has heard of, and never less than four tenths away while the ensemble answers. A new
    /// connection puts it off, a silent one does not.
    fn due(&self, stage: &Stage) -> Option<Instant> {
        let before = |margin| {
            let deadline = self.guard.deadline()?;
            // A clock that has just begun has nothing before it: then it is due.
            Some(deadline.checked_sub(margin).unwrap_or(deadline))
        };
        match stage {
            Stage::Running => before(self.session_timeout / 8),
            Stage::Asked(Some(at)) => Some(*at),
            Stage::Asked(None) => before(self.session_timeout / 40),
            Stage::Killed => None,
        }
    }

    fn ask(&self, child: &Child, reason: &str) {
        self.send(child, Raw::TERM);
        // A stopped process learns of it only when it goes on.
        self.send(child, Raw::CONT);
        self.notices
            .say(format_args!("ending the command: {}: {reason}", self.path));
    }

    fn pass_on(&self, child: &Child, signal: Signal) {
        let terminal = matches!(signal, Signal::Interrupt | Signal::Quit);
        if signal == Signal::Suspend {
            self.notices
                .say("not suspended: the command would go on while the lock is lost");
        } else if !(terminal && child.has_terminal()) {
            self.send(child, signal.raw());
        }
    }

    /// A command that has become somebody else, as by `sudo`, cannot be sent signals. To leave it
    /// alone would be worse than to go on waiting for it.
    fn send(&self, child: &Child, signal: Raw) {
        if let Err(error) = child.send(signal) {
            self.notices.say(format_args!(
                "cannot send {signal:?} to the command: {error}"
            ));
        }
    }
}
