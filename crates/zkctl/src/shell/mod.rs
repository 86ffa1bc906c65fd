//! `shell`: many commands in one session.
//!
//! - [`source`], [`editor`]: where lines come from.
//! - [`statement`], [`zkcli`], [`builtin`], [`definition`]: what a line says.
//! - [`state`], [`terminal`]: what the commands share.
//! - [`execute`], [`program`]: how commands run, in the session of the shell or as programs of their own.

mod builtin;
mod definition;
mod editor;
mod execute;
pub(crate) mod program;
mod source;
mod state;
mod statement;
mod terminal;
mod zkcli;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::CommandFactory;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::cli::environment::ignore_empty_variables;
use crate::cli::{Cli, Command, current};
use crate::output::between::{Between, LineBreaks, Lines, Pause};
use crate::output::failure::{Codes, Failure};
use crate::output::notices::Notices;
use crate::signals::{Signal, Signals};
use editor::secrets::may_hold_secret;
use editor::status::Status;
use editor::{Editor, Input, Printer, znodes};
use execute::Flow;
use source::Source;
pub(crate) use state::Settings;
use state::Shell;
use terminal::Terminal;

/// How long the end of a shell waits for lines that were to appear between its own.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the lines of the command line, of standard input, or of a user at a terminal.
pub(crate) async fn run(
    command: Command,
    settings: Settings,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let Command::Shell(args) = command else {
        return Err(Failure::Usage("this is not the shell".to_owned()));
    };
    let reads_stdin = args.lines.is_none();
    let is_interactive = reads_stdin && io::stdin().is_terminal() && io::stdout().is_terminal();
    if is_interactive {
        signals
            .watch_terminal()
            .map_err(|error| Failure::io("watch the terminal", error))?;
    }
    let (between, lines) = Between::new();
    current::enter("/");
    let mut definition = current::with_defaults(ignore_empty_variables(Cli::command()));
    definition.build();
    let mut shell = Shell {
        status: Status::new(&settings.given.server),
        settings,
        definition,
        client: None,
        reports: None,
        has_ephemerals: false,
        has_added_auth: false,
        between,
        path: "/".to_owned(),
        previous_path: "/".to_owned(),
        lines: Vec::new(),
        is_interactive,
        reads_stdin: reads_stdin && !is_interactive,
        terminal: match is_interactive {
            true => Some(Terminal::take().map_err(|error| Failure::io("use the terminal", error))?),
            false => None,
        },
        args: *args,
    };
    match shell.connect(signals).await {
        Err(failure @ Failure::Failed(_)) if is_interactive => {
            failure.report(Codes::of(Some("shell")));
        }
        connected => connected?,
    }
    let (mut source, printer) = shell.source(notices)?;
    let pause = shell.between.pause();
    let line_breaks = shell.between.line_breaks().clone();
    let shown = tokio::spawn(show(lines, pause, line_breaks, printer));
    let done = shell.lines(&mut source, signals).await;
    if let Source::Editor(editor) = source {
        editor.end().await;
    }
    shell.terminal = None;
    shell.disconnect(signals, notices).await;
    // The last that shows lines, so that `shown` ends when all are written.
    drop(shell);
    // A timeout means that the output is not read.
    let _ = tokio::time::timeout(END_TIMEOUT, shown).await;
    done
}

/// Writes the lines that appear between those of the user.
async fn show(
    mut lines: mpsc::Receiver<Lines>,
    pause: Arc<Pause>,
    line_breaks: LineBreaks,
    printer: Option<Printer>,
) {
    while let Some(lines) = lines.recv().await {
        let (text, is_message) = match lines {
            Lines::Results(text) => (text, false),
            Lines::Messages(text) => (text, true),
        };
        let _shown = pause.lock().await;
        match &printer {
            Some(printer) if printer.is_editing() => {
                printer.print(&text).await;
            }
            // A failure is that of a closed output, which the next command reports.
            _ if is_message => drop(tokio::io::stderr().write_all(text.as_bytes()).await),
            _ => {
                let mut stdout = tokio::io::stdout();
                let _ = stdout.write_all(line_breaks.before(text.as_bytes())).await;
                let _ = stdout.write_all(text.as_bytes()).await;
                let _ = stdout.flush().await;
            }
        }
    }
}

impl Shell {
    fn source(&self, notices: &Notices) -> Result<(Source, Option<Printer>), Failure> {
        if let Some(lines) = &self.args.lines {
            return Ok((Source::given(lines), None));
        }
        if !self.is_interactive {
            return Ok((Source::stdin()?, None));
        }
        let (paths, requests) = mpsc::unbounded_channel();
        tokio::spawn(znodes::answer(requests, self.status.clone()));
        let colors = self.settings.global.color.is_wanted();
        let editor = Editor::start(
            self.status.clone(),
            self.definition.clone(),
            paths,
            colors,
            |problem| notices.say(problem),
        )?;
        let printer = editor.printer();
        Ok((Source::Editor(editor), Some(printer)))
    }

    /// Runs lines until there are no more, or one ends the shell. Returns the exit code of the first failure.
    async fn lines(
        &mut self,
        source: &mut Source,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let mut code = ExitCode::SUCCESS;
        let mut number = 0_usize;
        loop {
            let mut line = match self.next_line(source, signals).await? {
                Input::Line(line) => line,
                Input::Cancelled => continue,
                Input::End => return Ok(code),
                Input::Failed(text) => return Err(Failure::Failed(text)),
            };
            number += 1;
            let place = match self.reads_stdin {
                true => format!("line {number}: "),
                false => String::new(),
            };
            loop {
                if !line.trim().is_empty() && !may_hold_secret(&line) {
                    self.lines.push(line.clone());
                }
                match self.line(&line, &place, signals).await? {
                    Flow::Done(ExitCode::SUCCESS) => break,
                    Flow::Done(failed) => {
                        if !self.is_interactive && code == ExitCode::SUCCESS {
                            code = failed;
                        }
                        if !self.is_interactive && !self.args.keep_going {
                            return Ok(code);
                        }
                        break;
                    }
                    Flow::Redo(again) => line = again,
                    Flow::Leave => return Ok(code),
                }
            }
        }
    }

    async fn next_line(
        &self,
        source: &mut Source,
        signals: &mut Signals,
    ) -> Result<Input, Failure> {
        // Before any signal is looked at: one that comes after the last command is for no line.
        let reading = match source {
            Source::Editor(editor) => Some(editor.begin()),
            _ => None,
        };
        let mut next = std::pin::pin!(source.next());
        let mut is_cancelled = false;
        loop {
            let signal = tokio::select! {
                biased;
                signal = signals.next() => signal,
                input = &mut next => return match input {
                    Ok(Input::Line(_)) if is_cancelled => Ok(Input::Cancelled),
                    input => input,
                },
            };
            match &reading {
                // Ctrl-C after Enter, before the line has arrived here. Otherwise it is a key.
                Some(reading) if signal == Signal::Interrupt => {
                    is_cancelled = !reading.load(Ordering::Acquire);
                }
                _ => return Err(Failure::Signalled(signal)),
            }
        }
    }
}
