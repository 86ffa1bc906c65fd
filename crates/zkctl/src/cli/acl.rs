//! The arguments of `acl` and `digest`.

use clap::{Args, Subcommand};

use super::znode::znode;

#[derive(Subcommand)]
pub(crate) enum AclCommand {
    /// Print a znode's ACL, as `acl set` and `create --acl` read it
    Get(GetAcl),
    /// Replace a znode's ACL
    Set(SetAcl),
}

#[derive(Args)]
pub(crate) struct GetAcl {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The znode and everything below it, one a line, with the paths
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Also show the metadata, on standard error
    #[arg(short = 'l', long, conflicts_with = "recursive")]
    pub(crate) stat: bool,
}

#[derive(Args)]
pub(crate) struct SetAcl {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The ACL: scheme:id:permissions, separated by commas, as in world:anyone:cdrwa; `zkctl digest`
    /// makes the scheme and id of a user with a password
    pub(crate) acl: String,
    /// Also of everything below the znode, children before their parents. From the root, /zookeeper is left
    /// out
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Only if the ACL has this version (`acl version` in the metadata)
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(i32).range(0..),
        conflicts_with = "recursive"
    )]
    pub(crate) version: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Digest {
    /// The user
    #[arg(value_parser = user)]
    pub(crate) user: String,
    /// Refused, without being repeated in the error.
    #[arg(hide = true, value_parser = refused, value_name = "PASSWORD")]
    pub(crate) refused: Option<String>,
    /// From the terminal, or the first line of standard input.
    #[arg(skip)]
    pub(crate) password: String,
}

fn refused(_: &str) -> Result<String, &'static str> {
    Err(
        "a password does not belong on the command line, which other users of the machine can see; write it on \
         standard input",
    )
}

fn user(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(':') || text.trim() != text {
        // The text may be user:password.
        return Err("a user is not empty, and has no colon and no white space around it");
    }
    Ok(text.to_owned())
}
