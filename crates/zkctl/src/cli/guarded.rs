//! The arguments of `lock` and `elect`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use zk_recipes::Layout;

use super::duration::duration;
use super::znode::znode;

#[derive(Args)]
pub(crate) struct Lock {
    /// A semaphore: up to N holders at a time. N has to be the same in all programs; -n 1 has one holder,
    /// and other znodes than a lock
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) leases: Option<u32>,
    #[command(flatten)]
    pub(crate) guarded: Guarded,
}

#[derive(Args)]
pub(crate) struct Elect {
    /// Print the leader, and each change of it, until interrupted; without being a candidate. Recognizes
    /// the candidates of Curator's LeaderLatch as well
    #[arg(
        long,
        conflicts_with_all = ["command", "wait", "no_wait", "identifier", "session_file", "conflict_exit_code"]
    )]
    pub(crate) observe: bool,
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
    /// Keep the session in this file and FILE.place, so that zkctl with the same arguments, started again after
    /// it was killed and within the session timeout, continues it: with the same place in the queue or, when
    /// COMMAND has ended, with the lock and the same token. Each lock and each process needs a file of its own
    #[arg(long, value_name = "FILE")]
    pub(crate) session_file: Option<PathBuf>,
    /// The exit code for a lock that was lost or not obtained, if COMMAND itself uses 75
    #[arg(long, value_name = "N", default_value_t = 75)]
    pub(crate) conflict_exit_code: u8,
    /// COMMAND may use the terminal. Except on Linux, processes that COMMAND has started are then not
    /// ended with it
    #[arg(long, requires = "command")]
    pub(crate) foreground: bool,
    /// COMMAND inherits ZK_AUTH, ZK_SASL_PASSWORD, ZK_TLS_PASSPHRASE, ZK_TLS_CA_PASSPHRASE and ZK_SUPER,
    /// and the variables with secrets that the context names
    #[arg(long, requires = "command")]
    pub(crate) keep_credentials: bool,
    /// The variables that COMMAND does not inherit.
    #[arg(skip)]
    pub(crate) secret_variables: Vec<String>,
    /// The znode of the lock or election
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The program to run, with ZK_FENCING_TOKEN set to a number that grows from holder to holder.
    /// COMMAND and the processes it has started (its process group; on Linux all its descendants) are
    /// sent SIGTERM, then SIGKILL, before another contender can have the lock: when the lock is about
    /// to be lost, and when COMMAND has ended. Without COMMAND, zkctl holds it until a signal ends zkctl
    /// (Ctrl-C), and prints what it holds, and when that is lost
    #[arg(last = true, num_args = 1.., value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Whether the arguments of this process end with `--`, so that a command was meant to follow, as in
/// `zkctl lock /a -- $EMPTY`.
pub(crate) fn lacks_command() -> bool {
    std::env::args_os()
        .next_back()
        .is_some_and(|last| last == "--")
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Names {
    #[default]
    Default,
    Kazoo,
    Curator,
}

impl Names {
    /// The value of `--layout`.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Names::Default => "default",
            Names::Kazoo => "kazoo",
            Names::Curator => "curator",
        }
    }
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
