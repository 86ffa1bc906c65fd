//! The arguments of the commands on znodes.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use zk_client::path;
use zk_proto::path::PathProblem;

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
}

#[derive(Args)]
pub(crate) struct Set {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The data; read from standard input if -, or if absent and standard input is not empty
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<OsString>,
    /// Only if the data have this version
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) version: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Create {
    /// The znode; with --sequential the beginning of its path, which may end in a slash
    pub(crate) path: String,
    /// The data; empty if absent, read from standard input if -
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<OsString>,
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
    /// Only if the data have this version
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(i32).range(0..),
        conflicts_with = "recursive"
    )]
    pub(crate) version: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Watch {
    /// The znodes; they need not exist
    #[arg(required = true, value_name = "PATH", value_parser = znode)]
    pub(crate) paths: Vec<String>,
    /// Everything below them too
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

/// Checks a path. The error is the problem alone, because clap adds the path.
pub(super) fn znode(text: &str) -> Result<String, PathProblem> {
    match path::validate(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(error.problem),
    }
}

/// Checks the path of a znode to delete. The root is refused, because a mistyped path must not empty an
/// ensemble.
fn deletable(text: &str) -> Result<String, String> {
    if text == "/" {
        return Err("the root cannot be deleted; name the znodes below it".to_owned());
    }
    znode(text).map_err(|problem| problem.to_string())
}
