//! `lock` and `elect`: run a command only while a lock, a lease of a semaphore or a leadership is held, or
//! hold it without a command.
//!
//! - [`wait`]: how long to try. [`contest`]: a lock or an election, and its guard.
//! - [`place`]: the files by which a place in the queue outlives a crash.
//! - [`child`]: the command and the processes it has started, found in the [`process_table`].
//! - [`starter`]: the process that becomes the command, once the watchdog knows it.
//! - [`hold`]: without a command. [`supervise`]: ends the command before the guard's deadline.
//! - [`watchdog`]: a second process, which ends the command if this one is killed or stopped.

pub(crate) mod child;
mod contest;
mod hold;
pub(crate) mod place;
mod process_table;
pub(crate) mod starter;
mod supervise;
pub(crate) mod wait;
pub(crate) mod watchdog;

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use zk_client::{Client, Guid};

use crate::cli::Command;
use crate::cli::guarded::Guarded;
use crate::output::Output;
use crate::output::explain::explain_recipe;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::session_changes::Changes;
use crate::output::terminal::visible_line;
use crate::signals::{Signals, ended_by};
use child::Child;
use contest::{Contest, Held};
use place::Place;
use starter::Starter;
use supervise::{Outcome, Supervision};
use wait::Wait;
use watchdog::Watchdog;

/// How long to wait before a notice names the holder.
const NOTICE_DELAY: Duration = Duration::from_millis(300);

/// How long to look for the reason after the time of `--wait` is up.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// The end of the command, or of the attempt.
pub(crate) struct Ended {
    pub(crate) code: ExitCode,
    /// Whether the guard was lost. Otherwise the session may still hold the lock or a place in the
    /// queue, and other contenders may wait for its end.
    pub(crate) lost: bool,
}

impl Ended {
    fn with(code: u8) -> Self {
        Ended {
            code: ExitCode::from(code),
            lost: false,
        }
    }

    fn not_obtained(guarded: &Guarded) -> Self {
        Ended::with(guarded.conflict_exit_code)
    }

    fn lost(guarded: &Guarded) -> Self {
        Ended {
            lost: true,
            ..Ended::with(guarded.conflict_exit_code)
        }
    }
}

/// Obtains a lock or a leadership and runs the command under it.
pub(crate) struct Guarding<'a> {
    pub(crate) client: &'a Client,
    pub(crate) notices: &'a Notices,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// The id of a place that outlives a crash.
    pub(crate) id: Option<Guid>,
}

/// Whether the command obtains a lock or a leadership.
pub(crate) fn contends(command: &Command) -> bool {
    match command {
        Command::Lock(_) => true,
        Command::Elect(elect) => !elect.observe,
        _ => false,
    }
}

/// Starts the watchdog for `lock` and `elect` with a command.
pub(crate) fn start_watchdog(
    command: &Command,
    place: Option<&Place>,
) -> Result<Option<Watchdog>, Failure> {
    let program = match command {
        Command::Lock(lock) => &lock.guarded.command,
        Command::Elect(elect) => &elect.guarded.command,
        _ => return Ok(None),
    };
    if program.is_empty() {
        return Ok(None);
    }
    place
        .map(Place::lock)
        .transpose()
        .and_then(Watchdog::start)
        .map(Some)
        .map_err(|error| Failure::io("start the watchdog process", error))
}

impl Guarding<'_> {
    pub(crate) async fn run(
        self,
        command: Command,
        wait: Wait,
        watchdog: Option<Watchdog>,
        output: &mut Output,
        signals: &mut Signals,
    ) -> Result<Ended, Failure> {
        let (contest, guarded) = match command {
            Command::Lock(args) => {
                let contest = Contest::lock(self.client, &args, self.id);
                (contest, args.guarded)
            }
            Command::Elect(args) => {
                let contest = Contest::election(self.client, &args.guarded, self.id);
                (contest, args.guarded)
            }
            _ => return Err(Failure::Usage("the command needs no lock".to_owned())),
        };
        let obtained = tokio::select! {
            biased;
            signal = signals.next() => Err(Failure::Signalled(signal)),
            never = self.report_changes() => match never {},
            held = self.obtain(&contest, wait, &guarded) => held,
        };
        let Some(held) = obtained? else {
            return Ok(Ended::not_obtained(&guarded));
        };
        let guard = async {
            match watchdog {
                Some(watchdog) => self.guard(&held, &guarded, watchdog, signals).await,
                None => self.hold(&held, &guarded, output, signals).await,
            }
        };
        let ended = tokio::select! {
            biased;
            ended = guard => ended,
            never = self.report_changes() => match never {},
        };
        // A guard that is lost, or about to be, is released with the session.
        if !matches!(ended, Ok(Ended { lost: true, .. })) && held.check().is_ok() {
            self.release(held, &guarded, signals).await;
        }
        ended
    }

    /// Reports changes of the session.
    async fn report_changes(&self) -> std::convert::Infallible {
        let mut states = self.client.states();
        let mut changes = Changes::default();
        while let Some(state) = states.next().await {
            if let Some(change) = changes.next(state) {
                self.notices.say(change.text());
            }
        }
        std::future::pending().await
    }

    /// Obtains the guard. `None`, with a notice, if the time was not enough.
    async fn obtain(
        &self,
        contest: &Contest,
        wait: Wait,
        guarded: &Guarded,
    ) -> Result<Option<Held>, Failure> {
        let path = visible_line(&guarded.path);
        match wait {
            Wait::NotAtAll => {
                let answer = tokio::time::timeout(self.timeout, contest.try_obtain()).await;
                let held = match answer {
                    Ok(held) => held?,
                    Err(_elapsed) => {
                        self.notices.say(format_args!(
                            "{path}: no answer within {} ms",
                            self.timeout.as_millis()
                        ));
                        return Ok(None);
                    }
                };
                if held.is_none() {
                    self.notices.say(format_args!("{path} is not free"));
                }
                Ok(held)
            }
            Wait::AtMost { limit, since } => {
                let left = limit.saturating_sub(since.elapsed());
                let sessions = self.client.session().epoch;
                let answer = tokio::time::timeout(left, self.wait_for(contest, guarded)).await;
                if let Ok(held) = answer {
                    return held.map(Some);
                }
                let lost = self.client.session().epoch.saturating_sub(sessions);
                let why = self.why_not_obtained(contest, limit, lost).await;
                self.notices.say(format_args!("{path}{why}"));
                Ok(None)
            }
            Wait::Forever => self.wait_for(contest, guarded).await.map(Some),
        }
    }

    /// Why the guard was not obtained within `limit`, while `lost` sessions ended. Needs one more read
    /// unless the client's state is enough.
    async fn why_not_obtained(&self, contest: &Contest, limit: Duration, lost: u64) -> String {
        let limit = limit.as_millis();
        let missed = format!(": not obtained within {limit} ms");
        if !self.client.state().is_connected() {
            return missed + "; there is no connection";
        }
        if lost > 0 {
            return format!(
                "{missed}; sessions lost meanwhile, each with its place in the queue: {lost}"
            );
        }
        match tokio::time::timeout(self.timeout.min(LOOK_TIMEOUT), contest.head()).await {
            Ok(Ok(Some(_))) => format!(" has not been free for {limit} ms"),
            Ok(Ok(None)) => missed,
            Ok(Err(error)) => format!("{missed}; {}", explain_recipe(&error)),
            Err(_elapsed) => missed + "; the server has not answered since",
        }
    }

    async fn wait_for(&self, contest: &Contest, guarded: &Guarded) -> Result<Held, Failure> {
        let path = visible_line(&guarded.path);
        let mut obtaining = pin!(contest.obtain());
        let mut waited = false;
        let held = tokio::select! {
            biased;
            held = &mut obtaining => held?,
            () = tokio::time::sleep(NOTICE_DELAY) => {
                waited = true;
                tokio::select! {
                    biased;
                    held = &mut obtaining => held?,
                    () = self.name_the_holder(contest, &path) => obtaining.await?,
                }
            }
        };
        // Without a command, standard output says so.
        if !guarded.command.is_empty() && (waited || contest.is_election()) {
            let word = if contest.is_election() {
                "leading"
            } else {
                "holding"
            };
            self.notices
                .say(format_args!("{word} {path}, token {}", held.token()));
        }
        Ok(held)
    }

    async fn name_the_holder(&self, contest: &Contest, path: &str) {
        match contest.head().await {
            Ok(Some(head)) => self.notices.say(format_args!(
                "waiting for {path}, held by {}",
                visible_line(&String::from_utf8_lossy(&head))
            )),
            Ok(None) => self.notices.say(format_args!("waiting for {path}")),
            Err(error) => self.notices.say(format_args!(
                "waiting for {path}; its holder is not known: {}",
                explain_recipe(&error)
            )),
        }
    }

    /// Runs the command, and ends it when the guard is lost.
    async fn guard(
        &self,
        held: &Held,
        guarded: &Guarded,
        mut watchdog: Watchdog,
        signals: &mut Signals,
    ) -> Result<Ended, Failure> {
        let path = visible_line(&guarded.path);
        if let Err(lost) = held.check() {
            self.notices.say(format_args!("{path} was lost: {lost}"));
            return Ok(Ended::lost(guarded));
        }
        let uncaught = |error| Failure::io("catch signals", error);
        if !guarded.foreground {
            signals.catch_suspend().map_err(uncaught)?;
        }
        // Before the command starts: with SIGCHLD ignored, the system would discard its exit status.
        let mut children = signal(SignalKind::child()).map_err(uncaught)?;
        let token = held.token().to_string();
        let cannot_start = |error| Failure::io("start the command", error);
        // A process that reads the terminal from the background would be stopped.
        let stdin = starter::stdin(guarded.foreground || !io::stdin().is_terminal());
        let stdin = stdin.map_err(cannot_start)?;
        let (starter, process) = Starter::new(&guarded.command).map_err(cannot_start)?;
        let spawned = Child::spawn(
            process,
            &token,
            guarded.foreground,
            &guarded.secret_variables,
        );
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => return Ok(self.cannot_run(guarded, &error)),
        };
        let supervision = Supervision {
            guard: held,
            session_timeout: self.client.session().timeout,
            notices: self.notices,
            path: &path,
            has_place: self.id.is_some(),
            unwatched: Notify::new(),
        };
        let run = async |child: &mut Child| {
            watchdog.watch(child).await?;
            // The command may begin at any time from now on, also while this process is stopped.
            supervision.extend(&mut watchdog).await.transpose()?;
            let supervised = async {
                let beginning = starter.begin(stdin);
                match supervision.begin(child, beginning, signals).await {
                    Some(outcome) => Ok(outcome),
                    None => supervision.run(child, &mut children, signals).await,
                }
            };
            tokio::select! {
                biased;
                ended = supervised => ended,
                never = supervision.inform(&mut watchdog) => match never {},
            }
        };
        let ended = child.or_end(run).await;
        watchdog.dismiss().await;
        match ended.map_err(|error| Failure::io("supervise the command", error))? {
            Outcome::Lost => Ok(Ended::lost(guarded)),
            Outcome::Exited(status) => Ok(Ended::with(exit_code(status))),
            Outcome::Refused(error) => Ok(self.cannot_run(guarded, &error)),
            Outcome::Signalled(signal) => Err(Failure::Signalled(signal)),
        }
    }

    fn cannot_run(&self, guarded: &Guarded, error: &io::Error) -> Ended {
        let (text, code) = child::cannot_run(&guarded.command, error);
        self.notices.say(text);
        Ended::with(code)
    }

    /// Releases the guard. If that takes too long, or a signal arrives, closing the session releases it.
    async fn release(&self, held: Held, guarded: &Guarded, signals: &mut Signals) {
        let released = tokio::select! {
            biased;
            _ = signals.next() => return,
            released = tokio::time::timeout(self.timeout, held.release()) => released,
        };
        if let Ok(Err(error)) = released {
            self.notices.say(format_args!(
                "cannot release {}: {}; the end of the session releases it",
                visible_line(&guarded.path),
                explain_recipe(&error)
            ));
        }
    }
}

pub(crate) fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => ended_by(signal),
        (None, None) => u8::MAX,
    }
}
