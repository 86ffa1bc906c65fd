//! The arguments of `lock` and `elect`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum};
use zk_recipes::Layout;

use super::duration::duration;
use super::znode::znode;

#[derive(Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) guarded: Guarded,
}

#[derive(Args)]
pub(crate) struct Elect {
    #[command(flatten)]
    pub(crate) guarded: Guarded,
}

#[derive(Args)]
pub(crate) struct Guarded {
    /// Give up after this long, connecting included, with exit code 75; to find out why may take up to
    /// half a second more
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Give up at once, with exit code 75, if another contender holds it or waits for it, or if no
    /// server answers within a second (--connect-timeout)
    #[arg(long, conflicts_with = "wait")]
    pub(crate) no_wait: bool,
    /// The name that other contenders see; user@host:pid unless given
    #[arg(long, value_name = "TEXT")]
    pub(crate) identifier: Option<String>,
    /// The names of the contenders' znodes: kazoo's, Curator's, or Curator's with kazoo's contenders
    /// recognized
    #[arg(long, value_enum, value_name = "NAMES", default_value_t)]
    pub(crate) layout: Names,
    /// The exit code for a lock that was lost or not obtained, if COMMAND itself uses 75
    #[arg(long, value_name = "N", default_value_t = 75)]
    pub(crate) conflict_exit_code: u8,
    /// COMMAND may use the terminal. Except on Linux, processes that COMMAND has started are then not
    /// ended with it
    #[arg(long)]
    pub(crate) foreground: bool,
    /// COMMAND inherits ZK_AUTH, ZK_SASL_PASSWORD and ZK_SUPER
    #[arg(long)]
    pub(crate) keep_credentials: bool,
    /// The znode of the lock or election
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The program to run, with ZK_FENCING_TOKEN set to a number that grows from holder to holder.
    /// COMMAND and the processes it has started (its process group; on Linux all its descendants) are
    /// sent SIGTERM, then SIGKILL, before another contender can have the lock: when the lock is about
    /// to be lost, and when COMMAND has ended
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Names {
    #[default]
    Default,
    Kazoo,
    Curator,
}

impl From<Names> for Layout {
    fn from(names: Names) -> Self {
        match names {
            Names::Default => Layout::Default,
            Names::Kazoo => Layout::Kazoo,
            Names::Curator => Layout::Curator,
        }
    }
}
