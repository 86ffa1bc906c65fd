//! `zkctl`: look at a ZooKeeper ensemble, edit it, watch it, and run programs under its locks.
//!
//! Everything a library should have is in `zk-client` and `zk-recipes`; what is here is how a
//! person or a script is spoken to.
//!
//! # Layout
//! - [`args`]: the command line.
//! - [`run`]: one invocation, from connecting to closing the session.
//! - [`commands`]: a module for each family of commands.
//! - [`serve`], [`demo`]: the embedded server, and what this is all for.
//! - [`child`], [`keeper`]: the program that `lock` and `elect` run, and its end.
//! - [`signals`]: those this process is sent.
//! - [`output`], [`failure`], [`changes`], [`node_text`], [`time`]: what is said, and how.

mod args;
mod base64;
mod changes;
mod child;
mod commands;
mod demo;
mod failure;
mod input;
mod keeper;
mod node_text;
mod output;
mod run;
mod security;
mod serve;
mod signals;
mod time;
mod walk;
mod warnings;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};

fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => args::without_secrets(error).exit(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => args::without_secrets(error).exit(),
    };
    // An ensemble that the environment names is not what somebody means who wants a demonstration.
    let server_given = matches
        .subcommand()
        .is_some_and(|(_, given)| given.value_source("server") == Some(ValueSource::CommandLine));
    if matches!(cli.command, Command::Keeper) {
        return keeper::main();
    }
    // Before there is a session to keep alive and while signals still just end the process.
    let prepared = match run::prepare(cli, server_given) {
        Ok(prepared) => prepared,
        Err(failure) => return failure.report(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::io("start", error).report(),
    };
    let outcome = runtime.block_on(run::run(prepared));
    // A name that is still being resolved, or a pipe that nobody reads, must not delay the end.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
