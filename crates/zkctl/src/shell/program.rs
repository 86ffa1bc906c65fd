//! Lines that zkctl runs as a program of its own: those that need another session, standard input or the terminal.

use std::ffi::OsString;
use std::process::{ExitCode, Stdio};

use rustix::process::{Pid, kill_process};
use tokio::process::Command;

use super::state::Shell;
use super::terminal::{Terminal, sends_signals};
use crate::cli::{current, environment};
use crate::output::failure::Failure;
use crate::output::{Format, Output};
use crate::signals::{Signal, Signals, ended_by};

/// The first argument of a program that a shell starts; the current znode follows, and then the line.
const IN_SHELL: &str = "__in-shell";
/// The same of a shell whose credentials are not those of its context.
const WITH_CREDENTIALS: &str = "__in-shell-with-credentials";

/// The arguments of this process, without those that a shell has added.
pub(crate) fn arguments(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.collect();
    if let [_, sign, path, ..] = arguments.as_slice()
        && (sign == IN_SHELL || sign == WITH_CREDENTIALS)
        && let Some(path) = path.to_str()
    {
        current::enter(path);
        if sign == WITH_CREDENTIALS {
            current::replace_credentials();
        }
        arguments.drain(1..3);
    }
    arguments
}

impl Shell {
    /// Passes the servers, the context and the credentials of the session on.
    fn pass_servers(&self, words: &[String], command: &mut Command) {
        let given = &self.settings.given;
        let references = &self.settings.global.references;
        // `demo` uses the ensemble only if the user names it.
        if words.first().is_some_and(|word| word == "demo") {
            command.env(environment::SERVER, &given.server);
        } else {
            // An argument, since a context that is given precedes variables.
            command.arg(format!("--server={}", given.server));
            if !references.context.is_empty() {
                command.arg(format!("--context={}", references.context));
            }
        }
        // The program reads those of the context itself, so that `copy` does not send them to other servers.
        if references.has_credentials() {
            return;
        }
        let credentials: Vec<_> = (self.settings.credentials.iter())
            .map(|(scheme, credential)| format!("{scheme}:{credential}"))
            .collect();
        command
            .env(environment::AUTH, credentials.join("\n"))
            .env_remove(environment::AUTH_FILE);
    }

    /// Runs a line as a program; `has_own_servers` if the line names a context or servers. Signals that request the
    /// end of the shell end the program first.
    pub(super) async fn program(
        &mut self,
        words: &[String],
        has_own_servers: bool,
        signals: &mut Signals,
    ) -> Result<ExitCode, Failure> {
        let of_zkctl = || words.iter().take_while(|word| *word != "--");
        if of_zkctl().any(|word| word == "--auth" || word.starts_with("--auth=")) {
            return Err(Failure::Usage(
                "the list of processes would show the credential: use addauth, or --auth-file"
                    .to_owned(),
            ));
        }
        if self.reads_stdin && of_zkctl().any(|word| word == "-") {
            return Err(Failure::Usage(
                "standard input has the lines of this shell; name a file instead of -".to_owned(),
            ));
        }
        let start = |error| Failure::io("start zkctl", error);
        let program = std::env::current_exe().map_err(start)?;
        let mut command = Command::new(program);
        let references = &self.settings.global.references;
        let sign = match has_own_servers || references.has_credentials() {
            true => IN_SHELL,
            false => WITH_CREDENTIALS,
        };
        command.args([sign, &self.path]).args(&self.args.inherited);
        if !has_own_servers {
            self.pass_servers(words, &mut command);
        }
        command.args(words).stdin(match self.reads_stdin {
            true => Stdio::null(),
            false => Stdio::inherit(),
        });
        // What the program writes is a line of its own, if it writes.
        let line_break = self.between.line_breaks().before(b"\n");
        if !line_break.is_empty() {
            let mut output = Output::new(Format::Plain);
            output.raw(line_break).await?;
            output.flush().await?;
        }
        // A program may fill the screen.
        let pause = self.between.pause();
        let _paused = match self.is_interactive {
            true => Some(pause.lock().await),
            false => None,
        };
        let lent = self.terminal.as_ref().map(Terminal::lend);
        let mut child = command.spawn().map_err(start)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut requested = None;
        let status = loop {
            let signal = tokio::select! {
                biased;
                status = child.wait() => break status.map_err(start)?,
                signal = signals.next() => signal,
            };
            // The terminal sends them to the program as well.
            let is_of_terminal =
                matches!(signal, Signal::Interrupt | Signal::Quit) && sends_signals();
            if is_of_terminal && self.is_interactive {
                continue;
            }
            requested = Some(signal);
            if !is_of_terminal && let Some(pid) = pid {
                // An error means that it has ended.
                let _ = kill_process(pid, signal.raw());
            }
        };
        drop(lent);
        if let Some(signal) = requested {
            return Err(Failure::Signalled(signal));
        }
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(match code {
            Some(code) => ExitCode::from(code),
            None => ExitCode::from(ended_by(signal_of(status))),
        })
    }
}

fn signal_of(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.signal().unwrap_or_default()
}
