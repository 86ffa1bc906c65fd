//! The arguments of `locks`, `elections`, `semaphores`, `watchers` and `sessions`.

use clap::Args;
use zk_client::SessionId;

use super::session::session;
use super::znode::znode;

#[derive(Args)]
pub(crate) struct Queues {
    /// The znode of the lock or election
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Those at every znode below it, too
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Do not look up the clients' addresses, which sends the four-letter word cons to every server
    #[arg(long)]
    pub(crate) no_addresses: bool,
}

#[derive(Args)]
pub(crate) struct Semaphores {
    /// The znode of the semaphore
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Do not look up the clients' addresses, which sends the four-letter word cons to every server
    #[arg(long)]
    pub(crate) no_addresses: bool,
}

#[derive(Args)]
pub(crate) struct Watchers {
    /// The znode; it need not exist
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The watches on everything below it, too
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

#[derive(Args)]
pub(crate) struct Sessions {
    /// Only this session, as in 0x100004a7b0c0003
    #[arg(value_name = "SESSION", value_parser = session)]
    pub(crate) session: Option<SessionId>,
    /// Also list the ephemeral znodes of each session
    #[arg(short, long)]
    pub(crate) ephemerals: bool,
}
