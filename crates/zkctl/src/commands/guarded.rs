//! `lock` and `elect`: a command that runs only while something is held.

mod contest;
mod supervise;
mod wait;

use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use zk_client::Client;

use crate::args::{Command, Guarded};
use crate::changes::Changes;
use crate::child::Child;
use crate::failure::{Failure, explain_recipe};
use crate::keeper::Keeper;
use crate::output::{Notices, name};
use crate::signals::{Signals, ended_by};
use contest::{Contest, Held};
use supervise::Supervision;
pub(crate) use wait::Wait;

/// What shells say of a command that cannot be run, …
const CANNOT_RUN: u8 = 126;
/// … and of one that is not there.
const NOT_FOUND: u8 = 127;
/// Waiting for longer than this is worth a notice.
const UNREMARKABLE: Duration = Duration::from_millis(300);

/// How long to look for what was in the way, once the time is up: `--wait` is a bound.
const LOOK: Duration = Duration::from_millis(500);

/// How it ended.
pub(crate) struct Ended {
    pub(crate) code: ExitCode,
    /// Whether it was lost. Otherwise it was held to the end, or a place in the line was: others may
    /// wait for either to go.
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

/// What the command needs from its surroundings.
pub(crate) struct Call<'a> {
    pub(crate) client: &'a Client,
    pub(crate) notices: &'a Notices,
    /// How long one request may take.
    pub(crate) patience: Duration,
}

/// Starts the keeper if the command is one of those here.
pub(crate) fn keeper_for(command: &Command) -> Result<Option<Keeper>, Failure> {
    match command {
        Command::Lock(_) | Command::Elect(_) => Keeper::start()
            .map(Some)
            .map_err(|error| Failure::io("start this program a second time", error)),
        _ => Ok(None),
    }
}

impl Call<'_> {
    pub(crate) async fn run(
        self,
        command: Command,
        wait: Wait,
        keeper: Keeper,
        signals: &mut Signals,
    ) -> Result<Ended, Failure> {
        let (contest, guarded) = match command {
            Command::Lock(args) => {
                let contest = Contest::lock(self.client, &args.guarded);
                (contest, args.guarded)
            }
            Command::Elect(args) => {
                let contest = Contest::election(self.client, &args.guarded);
                (contest, args.guarded)
            }
            _ => return Err(Failure::Usage("nothing to hold".to_owned())),
        };
        let obtained = tokio::select! {
            biased;
            signal = signals.next() => Err(Failure::Signalled(signal)),
            never = self.narrate() => match never {},
            held = self.obtain(&contest, wait, &guarded) => held,
        };
        let Some(held) = obtained? else {
            return Ok(Ended::not_obtained(&guarded));
        };
        let ended = tokio::select! {
            biased;
            ended = self.guard(&held, &guarded, keeper, signals) => ended,
            never = self.narrate() => match never {},
        };
        // What is lost, or about to be, goes with the session.
        if !matches!(ended, Ok(Ended { lost: true, .. })) && held.check().is_ok() {
            self.release(held, signals).await;
        }
        ended
    }

    /// Tells what happens to the session.
    async fn narrate(&self) -> std::convert::Infallible {
        let mut states = self.client.states();
        let mut changes = Changes::default();
        while let Some(state) = states.next().await {
            if let Some(change) = changes.next(state) {
                self.notices.say(change.text());
            }
        }
        std::future::pending().await
    }

    /// `None`, and a notice, if it was not obtained in time.
    async fn obtain(
        &self,
        contest: &Contest,
        wait: Wait,
        guarded: &Guarded,
    ) -> Result<Option<Held>, Failure> {
        let path = name(&guarded.path);
        match wait {
            Wait::NotAtAll => {
                let answer = tokio::time::timeout(self.patience, contest.try_obtain()).await;
                let held = match answer {
                    Ok(held) => held?,
                    Err(_elapsed) => {
                        self.notices.say(format_args!(
                            "{path}: no answer within {} ms",
                            self.patience.as_millis()
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

    /// The time is up, and `lost` sessions ended meanwhile. What else may be the cause, one more read
    /// finds out, if it is answered soon.
    async fn why_not_obtained(&self, contest: &Contest, limit: Duration, lost: u64) -> String {
        let limit = limit.as_millis();
        let missed = format!(": not obtained within {limit} ms");
        if !self.client.state().is_connected() {
            return missed + "; there is no connection";
        }
        if lost > 0 {
            return format!(
                "{missed}; sessions lost meanwhile, each with its place in line: {lost}"
            );
        }
        match tokio::time::timeout(self.patience.min(LOOK), contest.head()).await {
            Ok(Ok(Some(_))) => format!(" has not been free for {limit} ms"),
            Ok(Ok(None)) => missed,
            Ok(Err(error)) => format!("{missed}; {}", explain_recipe(&error)),
            Err(_elapsed) => missed + "; the server has not answered since",
        }
    }

    async fn wait_for(&self, contest: &Contest, guarded: &Guarded) -> Result<Held, Failure> {
        let path = name(&guarded.path);
        let mut obtaining = pin!(contest.obtain());
        let mut waited = false;
        let held = tokio::select! {
            biased;
            held = &mut obtaining => held?,
            () = tokio::time::sleep(UNREMARKABLE) => {
                waited = true;
                tokio::select! {
                    biased;
                    held = &mut obtaining => held?,
                    () = self.name_the_holder(contest, &path) => obtaining.await?,
                }
            }
        };
        if waited || contest.is_election() {
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
                name(&String::from_utf8_lossy(&head))
            )),
            Ok(None) => self.notices.say(format_args!("waiting for {path}")),
            Err(error) => self.notices.say(format_args!(
                "waiting for {path}; its holder is not known: {}",
                explain_recipe(&error)
            )),
        }
    }

    /// Runs the command and sees to its end.
    async fn guard(
        &self,
        held: &Held,
        guarded: &Guarded,
        mut keeper: Keeper,
        signals: &mut Signals,
    ) -> Result<Ended, Failure> {
        let path = name(&guarded.path);
        if let Err(lost) = held.check() {
            self.notices.say(format_args!("{path} was lost: {lost}"));
            return Ok(Ended::lost(guarded));
        }
        let unheard = |error| Failure::io("listen to signals", error);
        if !guarded.foreground {
            signals.catch_suspend().map_err(unheard)?;
        }
        // From before its start: an ignored SIGCHLD has the system forget how a child ended.
        let mut children = signal(SignalKind::child()).map_err(unheard)?;
        let token = held.token().to_string();
        let spawned = Child::spawn(
            &guarded.command,
            &token,
            guarded.foreground,
            guarded.keep_credentials,
        );
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => return Ok(self.cannot_run(guarded, &error)),
        };
        let run = async |child: &mut Child| {
            keeper.watch_over(child).await?;
            let supervision = Supervision {
                guard: held,
                session_timeout: self.client.session().timeout,
                notices: self.notices,
                path: &path,
            };
            tokio::select! {
                biased;
                ended = supervision.run(child, &mut children, signals) => ended,
                never = supervision.inform(&mut keeper) => match never {},
            }
        };
        let ended = child.or_end(run).await;
        keeper.dismiss().await;
        let ended = ended.map_err(|error| Failure::io("look after the command", error))?;
        Ok(match ended {
            supervise::Outcome::Lost => Ended::lost(guarded),
            supervise::Outcome::Exited(status) => Ended::with(exit_code(status)),
        })
    }

    fn cannot_run(&self, guarded: &Guarded, error: &io::Error) -> Ended {
        let program = guarded
            .command
            .first()
            .map(|program| program.to_string_lossy());
        self.notices.say(format_args!(
            "cannot run {}: {error}",
            program.unwrap_or_default()
        ));
        Ended::with(match error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => CANNOT_RUN,
        })
    }

    /// Lets go, unless that takes too long or somebody interrupts it; then closing the session
    /// does it.
    async fn release(&self, held: Held, signals: &mut Signals) {
        let released = tokio::select! {
            biased;
            _ = signals.next() => return,
            released = tokio::time::timeout(self.patience, held.release()) => released,
        };
        if let Ok(Err(error)) = released {
            self.notices
                .say(format_args!("cannot let go: {}", explain_recipe(&error)));
        }
    }
}

fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => ended_by(signal),
        (None, None) => u8::MAX,
    }
}
