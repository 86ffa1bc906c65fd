//! `zkctl`: look at a ZooKeeper ensemble, edit it, watch it, and run programs under its locks.
//!
//! Everything a library should have is in `zk-client` and `zk-recipes`; what is here is the command
//! line, for people and scripts.
//!
//! # Layout
//! - [`args`], [`environment`], [`credentials`], [`size`]: what is read before anything is done.
//! - [`startup`]: what the system must give this process.
//! - [`run`]: one invocation, from connecting to closing the session.
//! - [`commands`]: a module for each family of commands.
//! - [`serve`], [`demo`]: the embedded server, and what this is all for.
//! - [`child`], [`keeper`], [`processes`]: the program that `lock` and `elect` run, and its end.
//! - [`signals`]: those this process is sent.
//! - [`output`], [`failure`], [`changes`], [`node_text`], [`time`]: texts and where they go.

mod args;
mod base64;
mod changes;
mod child;
mod commands;
mod credentials;
mod demo;
mod environment;
mod failure;
mod input;
mod keeper;
mod node_text;
mod output;
mod processes;
mod run;
mod security;
mod serve;
mod signals;
mod size;
mod startup;
mod time;
mod walk;
mod warnings;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use failure::{Codes, Failure};

fn main() -> ExitCode {
    let command = environment::settle(Cli::command());
    let matches = match command.clone().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return not_understood(command, error),
    };
    let codes = Codes::of(matches.subcommand_name());
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return not_understood(command, error),
    };
    if matches!(cli.command, Command::Keeper) {
        return keeper::main();
    }
    // An ensemble that the environment names is not one to demonstrate things on.
    let server_given = matches
        .subcommand()
        .is_some_and(|(_, given)| given.value_source("server") == Some(ValueSource::CommandLine));
    // Before there is a session to keep alive and while signals still just end the process.
    let prepared = match run::prepare(cli, server_given) {
        Ok(prepared) => prepared,
        Err(failure) => return failure.report(codes),
    };
    let runtime = match startup::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::io("start", error).report(codes),
    };
    let outcome = runtime.block_on(run::run(prepared));
    // A name that is still being resolved, or a pipe that is not read, must not delay the end.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(codes),
    }
}

/// Says why, or shows the help that was asked for.
fn not_understood(command: clap::Command, error: clap::Error) -> ExitCode {
    let error = args::without_secrets(error);
    // If its output is gone, the exit code is all that is left to say it with.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let understood = command.ignore_errors(true).try_get_matches().ok();
    let name = understood
        .as_ref()
        .and_then(|matches| matches.subcommand_name());
    ExitCode::from(Codes::of(name).usage)
}
