//! Sees to it that the command is gone before what it runs under can be somebody else's.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal as Raw;
use tokio::signal::unix;
use zk_recipes::{Guard, GuardLost};

use crate::child::{Child, POLL};
use crate::keeper::Keeper;
use crate::output::Notices;
use crate::signals::{Signal, Signals};

/// How long a command has between SIGTERM and SIGKILL if the guard is lost without a warning. The
/// ensemble may have given it away by then, so it is not long.
const GRACE: Duration = Duration::from_secs(1);

/// How long what a command has left running has between SIGTERM and SIGKILL while the guard is held.
const REST_GRACE: Duration = Duration::from_secs(2);

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
#[derive(Clone, Copy)]
enum Stage {
    Running,
    /// It has ended; what it has left running was asked to end, and is made to at this time, or else
    /// before the guard's deadline.
    Left(Instant),
    /// It has been asked to end; it is made to at this time, or else before the guard's deadline.
    Asked(Option<Instant>),
    Killed,
}

impl Supervision<'_> {
    /// Runs until the command and all it has started have ended. `children` receives SIGCHLD.
    pub(super) async fn run(
        &self,
        child: &mut Child,
        children: &mut unix::Signal,
        signals: &mut Signals,
    ) -> io::Result<Outcome> {
        let mut lost = pin!(self.guard.lost());
        let mut known_lost = false;
        let mut stage = Stage::Running;
        let mut outcome = None;
        loop {
            if outcome.is_some() && child.has_left_nothing() {
                break;
            }
            let due = self.due(stage);
            if due.is_some_and(|due| due <= Instant::now()) {
                stage = match stage {
                    Stage::Running => {
                        self.ask(child, "no server answers, and it may soon be given away");
                        Stage::Asked(None)
                    }
                    Stage::Left(_) | Stage::Asked(_) | Stage::Killed => {
                        self.report("SIGKILL", child.send_to_all(Raw::KILL));
                        Stage::Killed
                    }
                };
                continue;
            }
            // Not reached: without a time to wait for, its branch is off.
            let wake = due.unwrap_or_else(Instant::now);
            let polls = outcome.is_some() || matches!(stage, Stage::Killed);
            tokio::select! {
                biased;
                status = child.wait(), if outcome.is_none() => {
                    let ended = self.outcome(stage, status?);
                    if matches!(ended, Outcome::Exited(_)) && !child.has_left_nothing() {
                        self.notices.say(format_args!(
                            "ending what the command has left running: {}", self.path
                        ));
                        self.terminate(child);
                        stage = Stage::Left(Instant::now() + REST_GRACE);
                    }
                    outcome = Some(ended);
                }
                reason = &mut lost, if !known_lost => {
                    known_lost = true;
                    match stage {
                        Stage::Running => self.ask(child, &reason.to_string()),
                        Stage::Left(_) => {
                            outcome = Some(Outcome::Lost);
                            self.notices.say(format_args!("{} was lost: {reason}", self.path));
                        }
                        Stage::Asked(_) | Stage::Killed => {}
                    }
                    stage = match stage {
                        Stage::Killed => Stage::Killed,
                        _ if reason == GuardLost::OutOfContact => Stage::Asked(Some(Instant::now())),
                        _ => Stage::Asked(Some(Instant::now() + GRACE)),
                    };
                }
                signal = signals.next() => self.pass_on(child, signal),
                _ = children.recv() => child.reap(),
                () = tokio::time::sleep(POLL), if polls => {
                    if matches!(stage, Stage::Killed) {
                        // Again: what was started while the signals were being sent. An error has
                        // been reported the first time.
                        let _ = child.send_to_all(Raw::KILL);
                    }
                }
                () = tokio::time::sleep_until(wake.into()), if due.is_some() => {}
            }
        }
        Ok(outcome.unwrap_or(Outcome::Lost))
    }

    /// What the end of the command means.
    fn outcome(&self, stage: Stage, status: ExitStatus) -> Outcome {
        if !matches!(stage, Stage::Running) {
            return Outcome::Lost;
        }
        let is_killed = status.signal() == Some(Raw::KILL.as_raw());
        if !is_killed || self.guard.check().is_ok() {
            return Outcome::Exited(status);
        }
        self.notices.say(format_args!(
            "{}: the command was ended while this program was stopped",
            self.path
        ));
        Outcome::Lost
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
    fn due(&self, stage: Stage) -> Option<Instant> {
        let before = |margin| {
            let deadline = self.guard.deadline()?;
            // A clock that has just begun has nothing before it: then it is due.
            Some(deadline.checked_sub(margin).unwrap_or(deadline))
        };
        match stage {
            Stage::Running => before(self.session_timeout / 8),
            Stage::Left(at) => {
                Some(before(self.session_timeout / 40).map_or(at, |due| due.min(at)))
            }
            Stage::Asked(Some(at)) => Some(at),
            Stage::Asked(None) => before(self.session_timeout / 40),
            Stage::Killed => None,
        }
    }

    fn ask(&self, child: &Child, reason: &str) {
        self.terminate(child);
        self.notices
            .say(format_args!("ending the command: {}: {reason}", self.path));
    }

    fn terminate(&self, child: &Child) {
        self.report("SIGTERM", child.send_to_all(Raw::TERM));
        // A stopped process receives it only when it goes on.
        self.report("SIGCONT", child.send_to_all(Raw::CONT));
    }

    fn pass_on(&self, child: &Child, signal: Signal) {
        let terminal = matches!(signal, Signal::Interrupt | Signal::Quit);
        if signal == Signal::Suspend {
            self.notices
                .say("not suspended: the command would go on while the lock is lost");
        } else if !(terminal && child.has_terminal()) {
            self.report(signal.name(), child.send(signal.raw()));
        }
    }

    /// A command that runs as another user, as by `sudo`, cannot be sent signals. To leave it alone
    /// would be worse than to go on waiting for it.
    fn report(&self, signal: &str, sent: io::Result<()>) {
        if let Err(error) = sent {
            self.notices
                .say(format_args!("cannot send {signal} to the command: {error}"));
        }
    }
}
