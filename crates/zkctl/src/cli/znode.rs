//! The arguments of the commands on znodes.

use std::convert::Infallible;
use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use zk_client::path;
use zk_proto::path::PathProblem;

use super::current::{absolute, absolute_beginning};
use super::data::{Given, Shown};
use super::duration::duration;

#[derive(Args)]
pub(crate) struct Node {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// The znode
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// The znode itself and everything below it, by full paths
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// With kind (e ephemeral; c container and t time to live where servers show it), version, number of children, size, time of the last change
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Then wait until a child is created or deleted, or the znode itself is deleted
    #[arg(short, long, conflicts_with = "recursive")]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct Tree {
    /// The znode
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// How many levels below it to show
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Get {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Also show the metadata, on standard error
    #[arg(short = 'l', long)]
    pub(crate) stat: bool,
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Then wait until the data change or the znode is deleted, and say which
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct Stat {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Then wait until the data change or the znode is deleted, and say which
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct Exists {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Then wait until the znode is created, is deleted or its data change. The exit code is 1 if it has been
    /// deleted
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct Set {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The data; read from standard input if -, or if absent and standard input is not empty
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<OsString>,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Only if the data have this version
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) version: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Create {
    /// The znode; with --sequential the beginning of its path, which may end in a slash
    #[arg(value_parser = beginning)]
    pub(crate) path: String,
    /// The data; empty if absent, read from standard input if -
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<OsString>,
    #[command(flatten)]
    pub(crate) given: Given,
    /// The znode exists as long as this command runs
    #[arg(short, long)]
    pub(crate) ephemeral: bool,
    /// The server appends a number to the name
    #[arg(short, long)]
    pub(crate) sequential: bool,
    /// The server deletes the znode some time after its last child
    #[arg(short, long, conflicts_with_all = ["ephemeral", "sequential", "ttl"])]
    pub(crate) container: bool,
    /// The server deletes the znode when it has had no child and no change for this long
    #[arg(long, value_name = "D", value_parser = duration, conflicts_with = "ephemeral")]
    pub(crate) ttl: Option<Duration>,
    /// Create missing ancestors as well
    #[arg(short, long)]
    pub(crate) parents: bool,
    /// The ACL: scheme:id:permissions, separated by commas, as in world:anyone:cdrwa
    #[arg(long, value_name = "ACL")]
    pub(crate) acl: Option<String>,
}

#[derive(Args)]
pub(crate) struct Delete {
    /// The znodes
    #[arg(required = true, value_name = "PATH", value_parser = deletable)]
    pub(crate) paths: Vec<String>,
    /// With everything below them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Only print the znodes that would be deleted
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Only if the data have this version
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(i32).range(0..),
        conflicts_with_all = ["recursive", "dry_run"]
    )]
    pub(crate) version: Option<i32>,
}

#[derive(Args, Clone)]
pub(crate) struct Watch {
    /// The znodes; they need not exist
    #[arg(required = true, value_name = "PATH", value_parser = znode)]
    pub(crate) paths: Vec<String>,
    /// Everything below them too
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Run COMMAND for the present state as well, as soon as the znodes are watched, with
    /// ZK_EVENT=watching
    #[arg(long, requires = "command")]
    pub(crate) initially: bool,
    /// COMMAND inherits ZK_AUTH, ZK_SASL_PASSWORD, ZK_TLS_PASSPHRASE, ZK_TLS_CA_PASSPHRASE and ZK_SUPER,
    /// and the variables with secrets that the context names
    #[arg(long, requires = "command")]
    pub(crate) keep_credentials: bool,
    /// The variables that COMMAND does not inherit.
    #[arg(skip)]
    pub(crate) secret_variables: Vec<String>,
    /// The program to run for events, instead of printing them: one run at a time. Events of one znode that
    /// happen during a run are one run afterwards. ZK_EVENT_PATH is the znode, ZK_EVENT the last event
    /// (created, deleted, data_changed, children_changed; gap or lagged if events may have been missed),
    /// ZK_EVENT_COUNT how many there were, ZK_EVENT_ZXID the zxid of the last one if it is known. A signal
    /// that ends zkctl sends SIGTERM to COMMAND
    #[arg(last = true, num_args = 1.., value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Checks a path. The error is the problem alone, because clap adds the path.
pub(super) fn znode(text: &str) -> Result<String, PathProblem> {
    let path = absolute(text);
    match path::validate(&path) {
        Ok(()) => Ok(path.into_owned()),
        Err(error) => Err(error.problem),
    }
}

/// The path of a znode to create, which is checked when it is known whether the server numbers it.
fn beginning(text: &str) -> Result<String, Infallible> {
    Ok(absolute_beginning(text))
}

/// Checks the path of a znode to delete. The root is refused, because a mistyped path must not empty an
/// ensemble.
pub(super) fn deletable(text: &str) -> Result<String, String> {
    if absolute(text) == "/" {
        return Err("the root cannot be deleted; name the znodes below it".to_owned());
    }
    znode(text).map_err(|problem| problem.to_string())
}
