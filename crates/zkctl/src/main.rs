//! `zkctl`: reads and changes a ZooKeeper ensemble, watches it, and runs programs under its locks.
//!
//! This crate is the command line only; sessions, watches and recipes are in `zk-client` and
//! `zk-recipes`.
//!
//! # Layout
//! From the bottom up; a module uses only those above it in this list.
//! - [`signals`]: the signals that this process receives.
//! - [`output`]: standard output and standard error, failures and their exit codes, how values are shown.
//! - [`cli`]: options, arguments, environment variables, credentials.
//! - [`commands`]: a module for each family of commands. `commands/guarded` runs a program under a lock.
//! - [`serve`], [`demo`]: the commands that start an embedded server.
//! - [`run`]: one invocation, from connecting to closing the session.
//! - [`runtime`]: the tokio runtime.

mod cli;
mod commands;
mod demo;
mod output;
mod run;
mod runtime;
mod serve;
mod signals;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use cli::environment::ignore_empty_variables;
use cli::secrets::without_secrets;
use cli::{Cli, Command};
use commands::guarded::watchdog;
use output::failure::{Codes, Failure};

fn main() -> ExitCode {
    let command = ignore_empty_variables(Cli::command());
    let matches = match command.clone().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage(command, error),
    };
    let codes = Codes::of(matches.subcommand_name());
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(command, error),
    };
    if matches!(cli.command, Command::Watchdog) {
        return watchdog::main();
    }
    // `demo` ignores a server that only the environment names: it may be a production ensemble.
    let server_given = matches
        .subcommand()
        .is_some_and(|(_, given)| given.value_source("server") == Some(ValueSource::CommandLine));
    // Reads standard input, so before there is a session to keep alive, and while signals still end the
    // process.
    let prepared = match run::prepare(cli, server_given) {
        Ok(prepared) => prepared,
        Err(failure) => return failure.report(codes),
    };
    let runtime = match runtime::build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::io("start", error).report(codes),
    };
    let outcome = runtime.block_on(run::run(prepared));
    // Does not wait for a host name that is still being resolved, or for a pipe that is not read.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(codes),
    }
}

/// Shows why the command line is wrong, or the help that it requests.
fn usage(command: clap::Command, error: clap::Error) -> ExitCode {
    let error = without_secrets(error);
    // If the output is closed, the exit code still reports the error.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let partial = command.ignore_errors(true).try_get_matches().ok();
    let name = partial
        .as_ref()
        .and_then(|matches| matches.subcommand_name());
    ExitCode::from(Codes::of(name).usage)
}
