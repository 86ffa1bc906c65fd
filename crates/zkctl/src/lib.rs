#![doc = include_str!("../README.md")]
#![doc = ""]
#![doc = include_str!("../OUTPUT.md")]
//!
//! # The library
//!
//! This crate is the command line only; sessions, watches and recipes are in `zk-client` and
//! `zk-recipes`. As a library it has one function, [`main`], for programs that add a login with Kerberos, as
//! `zkctl-gssapi` of the crate `zk-sasl-gssapi` does.
//!
//! # Layout
//! From the bottom up; a module uses only those above it in this list.
//! - `signals`: the signals that this process receives.
//! - `output`: standard output and standard error, failures and their exit codes, how values are shown.
//! - `tree`: trees of znodes as values: the format of exports, differences, the plan of an import.
//! - `cli`: options, arguments, environment variables, credentials.
//! - `screen`: a terminal that a command fills.
//! - `commands`: a module for each family of commands. `commands/guarded` runs a program under a lock.
//! - `ui`: the browser of the tree.
//! - `serve`, `demo`: the commands that start an embedded server.
//! - `generated`: completions and manual pages.
//! - `reading`, `session`: what a command reads, the session in which it runs.
//! - `shell`: many commands in one session.
//! - `run`: one invocation, from connecting to closing the session.
//! - `runtime`: the tokio runtime.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod cli;
mod commands;
mod demo;
mod generated;
mod output;
mod reading;
mod run;
mod runtime;
mod screen;
mod serve;
mod session;
mod shell;
mod signals;
mod tree;
mod ui;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use cli::class::Session;
use cli::context::args::ContextCommand;
use cli::context::choice::{Choice, Given};
use cli::context::settings;
use cli::current::with_defaults;
use cli::environment::ignore_empty_variables;
use cli::global::Global;
use cli::secrets::without_secrets;
use cli::shell::inherited;
use cli::usage::one_line;
use cli::{Cli, Command};
use commands::guarded::{starter, watchdog};
use output::failure::{Codes, Failure};

pub use cli::kerberos::{Kerberos, KerberosLogin};

/// Runs the command line of this process. Without `kerberos`, the option `--kerberos` is refused.
///
/// With `--kerberos-keytab`, the process begins again with other variables (`execve`), so this has to be the first
/// that it does.
pub fn main(kerberos: Option<KerberosLogin>) -> ExitCode {
    // Arguments that are another program's.
    if let Some(code) = starter::main(std::env::args_os()) {
        return code;
    }
    let arguments = shell::program::arguments(std::env::args_os());
    let command = with_defaults(ignore_empty_variables(Cli::command()));
    let (mut cli, matches) = match parse(&command, &arguments) {
        Ok(parsed) => parsed,
        Err(error) => return usage(command, &arguments, error),
    };
    let codes = Codes::of(matches.subcommand_name());
    if matches!(cli.command, Command::Watchdog) {
        return watchdog::main();
    }
    if let Some(written) = generated::write(&cli.command, &command) {
        return match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(codes),
        };
    }
    let plain = match with_context(&command, &arguments, &matches, &mut cli) {
        Ok(plain) => plain,
        Err(failure) => return failure.report(codes),
    };
    if let (Command::Shell(shell), Some((_, matches))) = (&mut cli.command, matches.subcommand()) {
        shell.inherited = inherited(&command, matches);
    }
    if let Command::Context(context) = cli.command {
        return end(run::without_server(context, cli.global.output), codes);
    }
    if let Err(failure) = cli.global.security.set_kerberos(kerberos) {
        return failure.report(codes);
    }
    // `demo` ignores a server that only the environment names: it may be a production ensemble.
    let server_given = matches
        .subcommand()
        .is_some_and(|(_, given)| given.value_source("server") == Some(ValueSource::CommandLine));
    // Reads standard input, so before there is a session to keep alive, and while signals still end the
    // process.
    let prepared = match run::prepare(cli, server_given, plain) {
        Ok(prepared) => prepared,
        Err(failure) => return failure.report(codes),
    };
    end(run::run(prepared), codes)
}

/// The command line, and where its values are from.
fn parse(
    command: &clap::Command,
    arguments: &[OsString],
) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = command.clone().try_get_matches_from(arguments)?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// Completes the command line with the context, and returns its options without it.
fn with_context(
    command: &clap::Command,
    arguments: &[OsString],
    matches: &ArgMatches,
    cli: &mut Cli,
) -> Result<Option<Global>, Failure> {
    let shown = match &cli.command {
        Command::Context(ContextCommand::Show(show)) => Some(show.name.clone()),
        command if command.class().session == Session::WithoutServers => return Ok(None),
        _ => None,
    };
    let given = Given::of(matches);
    let name = shown.as_ref().and_then(Option::as_deref);
    let mut choice = Choice::of(command, given, name)?;
    if let Some(choice) = &mut choice {
        choice.complete(command, given)?;
    }
    if let Command::Context(ContextCommand::Show(show)) = &mut cli.command {
        show.rows = settings::rows(command, given, choice.as_ref())?;
        return Ok(None);
    }
    let Some(choice) = choice else {
        return Ok(None);
    };
    let (completed, _) = parse(&choice.apply(command.clone())?, arguments)
        // Its values have been checked.
        .map_err(|error| Failure::Usage(one_line(&without_secrets(error).to_string(), None)))?;
    let plain = std::mem::replace(cli, completed).global;
    cli.global.references = choice.references();
    Ok(Some(plain))
}

/// Runs a command to its end, and reports its failure.
fn end(command: impl Future<Output = Result<ExitCode, Failure>>, codes: Codes) -> ExitCode {
    let runtime = match runtime::build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::io("start", error).report(codes),
    };
    let outcome = runtime.block_on(command);
    // Does not wait for a host name that is still being resolved, or for a pipe that is not read.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(codes),
    }
}

/// Shows why the command line is wrong, or the help that it requests.
fn usage(command: clap::Command, arguments: &[OsString], error: clap::Error) -> ExitCode {
    let error = without_secrets(error);
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // If the output is closed, the exit code still reports the error.
        let _ = error.print();
    }
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let partial = command
        .ignore_errors(true)
        .try_get_matches_from(arguments)
        .ok();
    let name = partial
        .as_ref()
        .and_then(|matches| matches.subcommand_name());
    let codes = Codes::of(name);
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => ExitCode::from(codes.usage),
        _ => Failure::Usage(one_line(&error.to_string(), name)).report(codes),
    }
}
