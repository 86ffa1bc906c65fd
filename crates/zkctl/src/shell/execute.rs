//! How the commands of a line run.

use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use zk_client::{SessionId, path};

use super::builtin::{self, Builtin};
use super::definition::find;
use super::state::Shell;
use super::statement::statements;
use super::terminal::end_line;
use super::zkcli::{self, Step, steps};
use crate::cli::class::Session;
use crate::cli::current;
use crate::cli::secrets::without_secrets;
use crate::cli::servers::Servers;
use crate::cli::usage::one_line;
use crate::cli::znode::Watch;
use crate::cli::{Cli, Command, protect};
use crate::output::failure::{Codes, Failure};
use crate::output::notices::Notices;
use crate::output::partial::Writes;
use crate::output::terminal::visible_line;
use crate::output::{Format, Output};
use crate::session::flushed;
use crate::signals::{Signal, Signals};
use crate::{commands, reading};

/// What follows a line.
pub(super) enum Flow {
    Done(ExitCode),
    /// Another line, in its place.
    Redo(String),
    /// The end of the shell.
    Leave,
}

/// The options of all commands that a line may have without a session of its own.
const OF_LINE: [&str; 4] = ["color", "output", "timeout", "write"];

impl Shell {
    /// Runs the commands of a line, until one fails. Reports failures, with `place` before them.
    ///
    /// # Errors
    /// A signal ends the shell, or the reader of standard output is gone.
    pub(super) async fn line(
        &mut self,
        line: &str,
        place: &str,
        signals: &mut Signals,
    ) -> Result<Flow, Failure> {
        let mut code = ExitCode::SUCCESS;
        let usage = |text| Failure::Usage(text).at(place).report(Codes::of(None));
        let statements = match statements(line) {
            Ok(statements) => statements,
            Err(problem) => return Ok(Flow::Done(usage(problem))),
        };
        for statement in statements {
            let session = self.session_id();
            let steps = steps(
                &statement.words,
                statement.background,
                session,
                &self.definition,
            );
            let failed = match steps {
                Ok(steps) => match self.steps(steps, place, signals).await? {
                    Flow::Done(code) => code,
                    other => return Ok(other),
                },
                Err(problem) => usage(problem),
            };
            if failed == ExitCode::SUCCESS {
                continue;
            }
            if code == ExitCode::SUCCESS {
                code = failed;
            }
            if !self.args.keep_going {
                break;
            }
        }
        Ok(Flow::Done(code))
    }

    async fn steps(
        &mut self,
        steps: Vec<Step>,
        place: &str,
        signals: &mut Signals,
    ) -> Result<Flow, Failure> {
        for step in steps {
            let (done, codes) = match step {
                Step::Own(builtin) => {
                    let (notices, writer) = Notices::start();
                    let done = self.builtin(builtin, signals, &notices).await;
                    drop(notices);
                    writer.finish().await;
                    (done, Codes::of(None))
                }
                Step::Run { words, background } => {
                    let codes = Codes::of(words.first().map(String::as_str));
                    let done = self.command(&words, background, signals).await;
                    (done.map(Flow::Done), codes)
                }
            };
            let code = match done {
                Ok(Flow::Done(ExitCode::SUCCESS)) => continue,
                Ok(other) => return Ok(other),
                Err(Failure::Signalled(Signal::Interrupt)) if self.is_interactive => {
                    end_line();
                    Signal::Interrupt.exit_code()
                }
                Err(failure @ (Failure::Signalled(_) | Failure::ReaderGone)) => {
                    return Err(failure);
                }
                Err(failure) => failure.at(place).report(codes),
            };
            return Ok(Flow::Done(code));
        }
        Ok(Flow::Done(ExitCode::SUCCESS))
    }

    fn session_id(&self) -> SessionId {
        let none = SessionId(0);
        self.client
            .as_ref()
            .map_or(none, |client| client.session().id)
    }

    /// Runs a command of zkctl.
    async fn command(
        &mut self,
        words: &[String],
        background: bool,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let arguments = std::iter::once("zkctl").chain(words.iter().map(String::as_str));
        let parsed = (self.definition.clone().try_get_matches_from(arguments))
            .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
        let (mut cli, matches) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.usage(error, words).await,
        };
        let Some((_, matches)) = matches.subcommand() else {
            return Err(Failure::Usage("there is no command".to_owned()));
        };
        let is_given = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let has_own_servers = is_given("server") || is_given("context");
        let class = cli.command.class();
        if class.session != Session::Shared || self.has_own_session(matches) {
            if background {
                return Err(Failure::Usage(
                    "this command does not run in the session of the shell, and not in the background"
                        .to_owned(),
                ));
            }
            if !has_own_servers {
                self.check_protection(&mut cli)?;
                let has_login = !matches!(class.session, Session::OfNone | Session::WithoutServers);
                if has_login && !is_given("auth_file") {
                    self.check_login()?;
                }
            }
            return self.program(words, has_own_servers, signals).await;
        }
        self.check_protection(&mut cli)?;
        // What it changes would depend on when the shell ends.
        if background && class.writes() {
            return Err(Failure::Usage(
                "this command changes znodes, and does not run in the background: leave & out"
                    .to_owned(),
            ));
        }
        let format = match is_given("output") {
            true => cli.global.output,
            false => self.settings.global.output,
        };
        let timeout = cli.global.timeout.filter(|_| is_given("timeout"));
        self.in_session(cli.command, format, timeout, background, signals)
            .await
    }

    /// Refuses a command that the context of the shell protects its servers from.
    fn check_protection(&self, cli: &mut Cli) -> Result<(), Failure> {
        let global = &self.settings.global;
        cli.global.references = global.references.clone();
        cli.global.write |= global.write;
        protect::check(cli)
    }

    /// Refuses a command with a session of its own that would not have the credentials of `addauth`: it reads those of the
    /// context instead.
    fn check_login(&self) -> Result<(), Failure> {
        let references = &self.settings.global.references;
        if self.has_added_auth && references.has_credentials() {
            return Err(Failure::Usage(format!(
                "this command has a session of its own, with the login of the context {} and not with that of addauth: \
                 give all of them with --auth-file",
                visible_line(&references.context)
            )));
        }
        Ok(())
    }

    /// Whether a line has options for the connection.
    fn has_own_session(&self, matches: &ArgMatches) -> bool {
        let global = self
            .definition
            .get_arguments()
            .filter(|arg| arg.is_global_set());
        let mut ids = global.map(|arg| arg.get_id().as_str());
        ids.any(|id| {
            !OF_LINE.contains(&id) && matches.value_source(id) == Some(ValueSource::CommandLine)
        })
    }

    async fn in_session(
        &mut self,
        mut command: Command,
        format: Format,
        timeout: Option<Duration>,
        background: bool,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let client = self.client.as_ref().ok_or_else(|| {
            Failure::Failed("there is no session; `connect` opens one".to_owned())
        })?;
        let client = match timeout {
            Some(timeout) => client.with_deadline(timeout),
            None => client.clone(),
        };
        let data = reading::data(&mut command, self.settings.global.max_request_bytes)?;
        if let Command::Create(create) = &command {
            self.has_ephemerals |= create.ephemeral;
        }
        let between = self.between.clone();
        if background {
            for command in apart(command) {
                let (client, data) = (client.clone(), data.clone());
                let mut output = Output::in_background(format, between.clone());
                let notices = Notices::in_background(between.clone());
                between.spawn(watched(&command), async move {
                    let done = commands::run(command, data, &client, &mut output, &notices).await;
                    if let Err(Failure::Failed(text) | Failure::Usage(text)) = done {
                        notices.say(text);
                    }
                    // Lines in the background have no reader that could be gone.
                    let _ = output.flush().await;
                });
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut output = Output::of_shell(format, between);
        let (notices, writer) = Notices::start();
        let writes = Writes::from_now(&client);
        let done = tokio::select! {
            biased;
            signal = signals.next() => {
                writes.report(signal, &notices);
                Err(Failure::Signalled(signal))
            }
            done = commands::run(command, data, &client, &mut output, &notices) => done,
        };
        let done = flushed(done, &mut output, signals).await;
        drop(notices);
        writer.finish().await;
        done
    }

    /// Shows why a line is wrong, or the help that it requests.
    async fn usage(&self, error: clap::Error, words: &[String]) -> Result<ExitCode, Failure> {
        let error = without_secrets(error);
        let text = error.to_string();
        if !error.use_stderr() {
            return self.print(text.trim_end()).await;
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Err(Failure::Usage(
                "a command is missing; `help` lists them".to_owned(),
            ));
        }
        let name = words.first().map(String::as_str);
        Err(Failure::Usage(one_line(&text, name)))
    }

    /// Prints lines on standard output.
    async fn print(&self, text: &str) -> Result<ExitCode, Failure> {
        let mut output = Output::of_shell(Format::Plain, self.between.clone());
        output.line(text).await?;
        output.flush().await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn builtin(
        &mut self,
        builtin: Builtin,
        signals: &mut Signals,
        notices: &Notices,
    ) -> Result<Flow, Failure> {
        let done = |code| Ok(Flow::Done(code));
        match builtin {
            Builtin::Cd(path) => self.enter(&path, signals).await?,
            Builtin::Pwd => return done(self.print(&visible_line(&self.path)).await?),
            Builtin::AddAuth { scheme, credential } => {
                let Some(client) = &self.client else {
                    return Err(Failure::Failed(
                        "there is no session; `connect` opens one".to_owned(),
                    ));
                };
                tokio::select! {
                    biased;
                    signal = signals.next() => return Err(Failure::Signalled(signal)),
                    added = client.add_auth(&scheme, credential.clone()) => added?,
                }
                self.settings.credentials.push((scheme, credential));
                self.has_added_auth = true;
            }
            Builtin::Connect(hosts) => {
                if let Some(hosts) = hosts {
                    let references = &self.settings.global.references;
                    if !references.secrets.is_empty() {
                        return Err(Failure::Usage(format!(
                            "the login of the context {} is for its servers; for others, start `zkctl --server HOSTS \
                             shell`",
                            references.context
                        )));
                    }
                    let mut global = self.settings.given.clone();
                    global.server.clone_from(&hosts);
                    let servers = Servers::read(&hosts, true)?;
                    let given = global.clone();
                    servers.complete(&mut global)?;
                    self.settings.given = given;
                    self.settings.global = global;
                    self.settings.servers = servers;
                }
                self.disconnect(signals, notices).await;
                self.connect(signals).await?;
            }
            Builtin::Close => self.disconnect(signals, notices).await,
            Builtin::History => {
                let lines = self.lines.iter().zip(1..);
                let lines: Vec<_> = lines
                    .map(|(line, number)| format!("{number:>5}  {}", visible_line(line)))
                    .collect();
                return done(self.print(&lines.join("\n")).await?);
            }
            Builtin::Redo(number) => {
                // It is the last line itself, unless it was left out.
                if self
                    .lines
                    .last()
                    .is_some_and(|line| line.trim_start().starts_with("redo"))
                {
                    self.lines.pop();
                }
                let line = number
                    .checked_sub(1)
                    .and_then(|index| self.lines.get(index));
                let line = line.cloned().ok_or_else(|| {
                    Failure::Usage(format!("there is no line {number}; `history` lists them"))
                })?;
                if line
                    .split(';')
                    .any(|it| it.trim_start().starts_with("redo"))
                {
                    return Err(Failure::Usage(format!(
                        "line {number} has a redo itself; give the number of the line that it repeats"
                    )));
                }
                self.print(&visible_line(&line)).await?;
                return Ok(Flow::Redo(line));
            }
            Builtin::PrintWatches(shown) => match shown {
                Some(shown) => self.between.show_results(shown),
                None => {
                    let text = match self.between.shows_results() {
                        true => "printwatches is on",
                        false => "printwatches is off",
                    };
                    return done(self.print(text).await?);
                }
            },
            Builtin::RemoveWatches(path) => {
                let path = current::absolute(&path);
                if self.between.end(&path) == 0 {
                    return Err(Failure::Failed(format!(
                        "{}: this shell has no watch there",
                        visible_line(&path)
                    )));
                }
            }
            Builtin::Help(words) => return done(self.print(&self.help(&words)?).await?),
            Builtin::Quit => return Ok(Flow::Leave),
        }
        done(ExitCode::SUCCESS)
    }

    /// Makes a znode the current one, if it exists.
    async fn enter(&mut self, to: &str, signals: &mut Signals) -> Result<(), Failure> {
        let to = match to {
            "-" => self.previous_path.clone(),
            to => current::resolve(&self.path, to),
        };
        path::validate(&to).map_err(|error| Failure::Usage(error.to_string()))?;
        let client = self.client.as_ref().ok_or_else(|| {
            Failure::Failed("there is no session; `connect` opens one".to_owned())
        })?;
        let exists = tokio::select! {
            biased;
            signal = signals.next() => return Err(Failure::Signalled(signal)),
            exists = client.exists(&to) => exists?,
        };
        // The root is there although the chroot may have to be created.
        if exists.is_none() && to != "/" {
            return Err(Failure::Failed(format!(
                "{}: the znode does not exist",
                visible_line(&to)
            )));
        }
        self.previous_path = std::mem::replace(&mut self.path, to);
        self.status.set_path(&self.path);
        current::enter(&self.path);
        Ok(())
    }

    /// The help of a command, or the list of all.
    fn help(&self, words: &[String]) -> Result<String, Failure> {
        let Some(name) = words.first() else {
            let own = builtin::NAMES
                .iter()
                .map(|(usage, does)| (*usage, (*does).to_owned()));
            let zkctl = self
                .definition
                .get_subcommands()
                .filter(|command| !command.is_hide_set())
                .map(|command| (command.get_name(), command.get_about()))
                .map(|(name, about)| (name, about.map(ToString::to_string).unwrap_or_default()));
            let rows = own.chain(zkctl);
            let rows: Vec<_> = rows
                .map(|(name, does)| format!("{name:<24}  {does}"))
                .collect();
            let others = zkcli::NAMES.join(", ");
            return Ok(format!(
                "{}\nzkCli's other names: {others}",
                rows.join("\n")
            ));
        };
        let is_name = |usage: &str| {
            usage
                .split(' ')
                .next()
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        if let Some((usage, does)) = builtin::NAMES.iter().find(|(usage, _)| is_name(usage)) {
            return Ok(format!("{usage}\n{does}"));
        }
        let steps = steps(words, false, self.session_id(), &self.definition);
        let named = match steps.map_err(Failure::Usage)?.into_iter().next() {
            Some(Step::Run { words, .. }) => words,
            _ => Vec::new(),
        };
        let Some(found) = find(&self.definition, &named) else {
            return Err(Failure::Usage(format!(
                "{name} is no command; `help` lists them"
            )));
        };
        let help = found.command.clone().render_help();
        Ok(help.to_string().trim_end().to_owned())
    }
}

/// A command for each znode that is watched: `removewatches` ends one of them.
fn apart(command: Command) -> Vec<Command> {
    match command {
        Command::Watch(watch) if watch.command.is_empty() => {
            let of_one = |path: &String| {
                Command::Watch(Watch {
                    paths: vec![path.clone()],
                    ..watch.clone()
                })
            };
            watch.paths.iter().map(of_one).collect()
        }
        command => vec![command],
    }
}

/// The znodes whose changes a command shows.
fn watched(command: &Command) -> Vec<String> {
    match command {
        Command::Watch(watch) => watch.paths.clone(),
        Command::Config(_) => vec!["/zookeeper/config".to_owned()],
        _ => Vec::new(),
    }
}
