//! The commands that need a session.

mod acl;
pub(crate) mod bench;
pub(crate) mod chroot;
pub(crate) mod context;
mod create;
pub(crate) mod digest;
mod ensemble;
pub(crate) mod four_letter;
pub(crate) mod guarded;
pub(crate) mod health;
mod holders;
mod list;
mod next_change;
mod node;
mod observe;
mod quota;
mod servers;
mod session;
pub(crate) mod top;
pub(crate) mod trees;
mod txn;
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
        Command::Stat(args) => node::stat(&args, client, output, notices).await,
        Command::Exists(args) => node::exists(&args, client, output, notices).await,
        Command::Count(args) => session::count(&args, client, output).await,
        Command::Ephemerals(args) => session::ephemerals(&args, client, output, notices).await,
        Command::Acl(command) => acl::acl(command, client, output, notices).await,
        Command::Txn(args) => txn::txn(&args, client, output).await,
        Command::Quota(command) => quota::quota(command, client, output, notices).await,
        Command::Sync(args) => session::sync(&args, client, output).await,
        Command::Whoami => session::whoami(client, output).await,
        Command::Watch(args) => watch::watch(args, client, output, notices).await,
        Command::Locks(args) => holders::locks(&args, client, output, notices).await,
        Command::Elections(args) => holders::elections(&args, client, output, notices).await,
        Command::Semaphores(args) => holders::semaphores(&args, client, output, notices).await,
        Command::Watchers(args) => holders::watchers(&args, client, output, notices).await,
        Command::Sessions(args) => holders::sessions(&args, client, output, notices).await,
        Command::Elect(args) if args.observe => {
            observe::observe(&args.guarded, client, output, notices).await
        }
        Command::Export(args) => trees::export(&args, client, output, notices).await,
        Command::Import(args) => trees::import(&args, client, output, notices).await,
        Command::Du(args) => trees::du(&args, client, output, notices).await,
        Command::Find(args) => trees::find(args, client, output, notices).await,
        Command::Config(args) => ensemble::config(&args, client, output, notices).await,
        Command::Reconfig(args) => ensemble::reconfig(args, client, output, notices).await,
        // The caller runs these: they handle signals themselves, or need no session of the caller's.
        Command::Bench(_)
        | Command::Lock(_)
        | Command::Elect(_)
        | Command::Copy(_)
        | Command::Diff(_)
        | Command::Context(_)
        | Command::Serve(_)
        | Command::Demo
        | Command::Ui(_)
        | Command::Shell(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Digest(_)
        | Command::Health(_)
        | Command::Version(_)
        | Command::FourLetter(_)
        | Command::Top(_)
        | Command::Watchdog => Err(Failure::Usage("this command is not run here".to_owned())),
    }
}
