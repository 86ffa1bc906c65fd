//! The commands that need a session.

pub(crate) mod bench;
pub(crate) mod chroot;
mod create;
mod ensemble;
pub(crate) mod guarded;
mod list;
mod node;
mod walk;
mod watch;

use std::process::ExitCode;

use zk_client::Client;

use crate::cli::Command;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;

/// Runs a command that a signal may end at any time, because dropping its future is enough. `data` come
/// from the command line or standard input.
pub(crate) async fn run(
    command: Command,
    data: Vec<u8>,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Ls(args) => list::ls(&args, client, output, notices).await,
        Command::Tree(args) => list::tree(&args, client, output, notices).await,
        Command::Get(args) => node::get(&args, client, output, notices).await,
        Command::Set(args) => node::set(&args, &data, client, output).await,
        Command::Create(args) => create::create(args, &data, client, output, notices).await,
        Command::Delete(args) => node::delete(&args, client, output, notices).await,
        Command::Stat(args) => node::stat(&args, client, output).await,
        Command::Exists(args) => node::exists(&args, client, output).await,
        Command::Watch(args) => watch::watch(args, client, output, notices).await,
        Command::Config => ensemble::config(client, output, notices).await,
        Command::Reconfig(args) => ensemble::reconfig(args, client, output, notices).await,
        // The caller runs these: they handle signals themselves, or need no session of the caller's.
        Command::Bench(_)
        | Command::Lock(_)
        | Command::Elect(_)
        | Command::Serve(_)
        | Command::Demo
        | Command::Watchdog => Err(Failure::Usage("this command is not run here".to_owned())),
    }
}
