//! Ends the command before another contender can obtain the guard.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal as Raw;
use tokio::signal::unix;
use tokio::sync::Notify;
use zk_recipes::{Guard, GuardLost};

use super::child::{Child, POLL};
use super::watchdog::Watchdog;
use crate::output::notices::Notices;
use crate::signals::{Signal, Signals};

/// The time between SIGTERM and SIGKILL if the guard is lost without a warning. Short, because another
/// contender may have obtained it.
const GRACE: Duration = Duration::from_secs(1);

/// The time between SIGTERM and SIGKILL, while the guard is held, for processes that outlive the
/// command.
const DESCENDANT_GRACE: Duration = Duration::from_secs(2);

/// Why the command is ended if the guard is not known to be lost.
const OUT_OF_CONTACT: &str = "no server answers, and another contender may soon obtain it";
const UNWATCHED: &str = "the watchdog process has ended";

/// Why the command ended.
pub(super) enum Outcome {
    /// By itself, or by a signal that another process sent.
    Exited(ExitStatus),
    /// This process ended it, because the guard was lost or about to be lost.
    Lost,
    /// The system refused to run the command.
    Refused(io::Error),
    /// A signal ended the process that was to become the command.
    Signalled(Signal),
}

/// Supervises a command that runs under a guard.
pub(super) struct Supervision<'a> {
    pub(super) guard: &'a Guard,
    pub(super) session_timeout: Duration,
    pub(super) notices: &'a Notices,
    pub(super) path: &'a str,
    /// Whether the place outlives this process, so that the command must not: another zkctl would start it a
    /// second time.
    pub(super) has_place: bool,
    /// The watchdog has ended, and the command has to.
    pub(super) unwatched: Notify,
}

/// The progress of ending the command.
#[derive(Clone, Copy)]
enum Stage {
    Running,
    /// The command has ended. Processes that outlive it were sent SIGTERM, and are sent SIGKILL at this
    /// time, or before the guard's deadline if that is earlier.
    Descendants(Instant),
    /// The command was sent SIGTERM, and is sent SIGKILL at this time, or before the guard's deadline.
    Terminating(Option<Instant>),
    Killed,
}

impl Supervision<'_> {
    /// Waits until `beginning` has begun the command, which can take long, as on a file system whose server does
    /// not answer. Returns the outcome if the command does not run: before it has begun, SIGKILL ends it.
    pub(super) async fn begin(
        &self,
        child: &mut Child,
        beginning: impl Future<Output = io::Result<()>>,
        signals: &mut Signals,
    ) -> Option<Outcome> {
        let mut beginning = pin!(beginning);
        let reason = match self.guard.check() {
            Err(lost) => lost.to_string(),
            Ok(()) => loop {
                let due = self.due(Stage::Running);
                if due.is_some_and(|due| due <= Instant::now()) {
                    break OUT_OF_CONTACT.to_owned();
                }
                // The default is not used: without `due`, the branch that waits for it is disabled.
                let wake = due.unwrap_or_else(Instant::now);
                tokio::select! {
                    // First, because a command that has begun is sent SIGTERM before SIGKILL.
                    biased;
                    begun = &mut beginning => match begun {
                        Ok(()) => return None,
                        Err(error) => {
                            child.end().await;
                            return Some(Outcome::Refused(error));
                        }
                    },
                    reason = self.guard.lost() => break reason.to_string(),
                    () = self.unwatched.notified() => break UNWATCHED.to_owned(),
                    signal = signals.next() => {
                        if signal == Signal::Suspend {
                            self.not_suspended();
                            continue;
                        }
                        child.end().await;
                        return Some(Outcome::Signalled(signal));
                    }
                    () = tokio::time::sleep_until(wake.into()), if due.is_some() => {}
                }
            },
        };
        child.end().await;
        self.notices.say(format_args!(
            "the command has not begun: {}: {reason}",
            self.path
        ));
        Some(Outcome::Lost)
    }

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
            if outcome.is_some() && child.all_have_ended() {
                break;
            }
            let due = self.due(stage);
            if due.is_some_and(|due| due <= Instant::now()) {
                stage = match stage {
                    Stage::Running => {
                        self.end(child, OUT_OF_CONTACT);
                        Stage::Terminating(None)
                    }
                    Stage::Descendants(_) | Stage::Terminating(_) | Stage::Killed => {
                        self.report("SIGKILL", child.send_to_all(Raw::KILL));
                        Stage::Killed
                    }
                };
                continue;
            }
            // The default is not used: without `due`, the branch that waits for it is disabled.
            let wake = due.unwrap_or_else(Instant::now);
            let polls = outcome.is_some() || matches!(stage, Stage::Killed);
            tokio::select! {
                biased;
                status = child.wait(), if outcome.is_none() => {
                    let ended = self.outcome(stage, status?);
                    if matches!(ended, Outcome::Exited(_)) && !child.all_have_ended() {
                        self.notices.say(format_args!(
                            "ending what the command has left running: {}", self.path
                        ));
                        self.terminate(child);
                        stage = Stage::Descendants(Instant::now() + DESCENDANT_GRACE);
                    }
                    outcome = Some(ended);
                }
                reason = &mut lost, if !known_lost => {
                    known_lost = true;
                    match stage {
                        Stage::Running => self.end(child, &reason.to_string()),
                        Stage::Descendants(_) => {
                            outcome = Some(Outcome::Lost);
                            self.notices.say(format_args!("{} was lost: {reason}", self.path));
                        }
                        Stage::Terminating(_) | Stage::Killed => {}
                    }
                    stage = match stage {
                        Stage::Killed => Stage::Killed,
                        _ if reason == GuardLost::OutOfContact => Stage::Terminating(Some(Instant::now())),
                        _ => Stage::Terminating(Some(Instant::now() + GRACE)),
                    };
                }
                () = self.unwatched.notified() => {
                    if matches!(stage, Stage::Running) {
                        self.end(child, UNWATCHED);
                        stage = Stage::Terminating(Some(Instant::now() + GRACE));
                    }
                }
                signal = signals.next() => self.forward(child, signal),
                _ = children.recv() => child.reap(),
                () = tokio::time::sleep(POLL), if polls => {
                    if matches!(stage, Stage::Killed) {
                        // Again, for processes that were started while the signals were being sent. An
                        // error was reported the first time.
                        let _ = child.send_to_all(Raw::KILL);
                    }
                }
                () = tokio::time::sleep_until(wake.into()), if due.is_some() => {}
            }
        }
        Ok(outcome.unwrap_or(Outcome::Lost))
    }

    /// Why the command has ended.
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

    /// Sends the guard's deadline to the watchdog, repeatedly: if this process is stopped, the watchdog
    /// ends the command before the deadline. If the watchdog ends, a command with a place is ended.
    pub(super) async fn inform(&self, watchdog: &mut Watchdog) -> Infallible {
        while let Some(sent) = self.extend(watchdog).await {
            let has_ended = tokio::select! {
                biased;
                () = watchdog.ended(), if sent.is_ok() => true,
                () = tokio::time::sleep(self.session_timeout / 12), if sent.is_ok() => false,
                else => true,
            };
            if has_ended && self.has_place {
                self.unwatched.notify_one();
                break;
            }
            if has_ended {
                self.notices
                    .say("the watchdog process has ended: if this process is stopped, the command runs on");
                break;
            }
        }
        std::future::pending().await
    }

    /// Sends the guard's deadline to the watchdog. `None` if the guard has no deadline, as after its loss.
    pub(super) async fn extend(&self, watchdog: &mut Watchdog) -> Option<io::Result<()>> {
        let deadline = self.guard.deadline()?;
        // After this process would have acted, and before the deadline.
        let late = deadline.checked_sub(self.session_timeout / 60);
        Some(watchdog.extend(late.unwrap_or(deadline)).await)
    }

    /// When to take the next step.
    ///
    /// The guard's deadline is eleven twelfths of the session's timeout after the last message that is known
    /// to have reached a quorum, and at least four tenths away while the ensemble answers. Reconnecting
    /// extends it; a connection on which no server answers does not.
    fn due(&self, stage: Stage) -> Option<Instant> {
        let before = |margin| {
            let deadline = self.guard.deadline()?;
            // If the clock cannot represent the time before, the step is due at the deadline.
            Some(deadline.checked_sub(margin).unwrap_or(deadline))
        };
        match stage {
            Stage::Running => before(self.session_timeout / 8),
            Stage::Descendants(at) => {
                Some(before(self.session_timeout / 40).map_or(at, |due| due.min(at)))
            }
            Stage::Terminating(Some(at)) => Some(at),
            Stage::Terminating(None) => before(self.session_timeout / 40),
            Stage::Killed => None,
        }
    }

    fn end(&self, child: &Child, reason: &str) {
        self.terminate(child);
        self.notices
            .say(format_args!("ending the command: {}: {reason}", self.path));
    }

    fn terminate(&self, child: &Child) {
        self.report("SIGTERM", child.send_to_all(Raw::TERM));
        // A stopped process receives SIGTERM only after SIGCONT.
        self.report("SIGCONT", child.send_to_all(Raw::CONT));
    }

    fn not_suspended(&self) {
        self.notices
            .say("not suspended: the command would run on while the lock is lost");
    }

    fn forward(&self, child: &Child, signal: Signal) {
        let terminal = matches!(signal, Signal::Interrupt | Signal::Quit);
        if signal == Signal::Suspend {
            self.not_suspended();
        } else if !(terminal && child.has_terminal()) {
            self.report(signal.name(), child.send(signal.raw()));
        }
    }

    /// Reports that a signal could not be sent, as to a command that runs as another user by `sudo`. The
    /// caller waits for the command's end all the same, because the lock is held until then.
    fn report(&self, signal: &str, sent: io::Result<()>) {
        if let Err(error) = sent {
            self.notices
                .say(format_args!("cannot send {signal} to the command: {error}"));
        }
    }
}
