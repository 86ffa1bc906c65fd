//! What each command does with a session.

pub(crate) mod bench;
mod create;
mod ensemble;
pub(crate) mod guarded;
mod list;
mod node;
mod watch;

use std::process::ExitCode;

use zk_client::Client;

use crate::args::Command;
use crate::failure::Failure;
use crate::output::{Notices, Output};

/// Runs a command that a signal ends at once. `data` are those that were given or read.
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
        // These are not run by this function: they have to do with signals themselves, or with no
        // session, or one of their own.
        Command::Bench(_)
        | Command::Lock(_)
        | Command::Elect(_)
        | Command::Serve(_)
        | Command::Demo
        | Command::Keeper => Err(Failure::Usage("this command is not run here".to_owned())),
    }
}

/// Fails if the root is a chroot that does not exist, for commands that would create it together with
/// znodes of their own: it may be misspelt.
pub(crate) async fn check_root(client: &Client) -> zk_client::Result<()> {
    if client.exists("/").await?.is_none() {
        // The error of a read names the chroot.
        client.children("/").await?;
    }
    Ok(())
}
