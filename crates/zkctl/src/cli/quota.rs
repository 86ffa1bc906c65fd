//! The arguments of `quota`.

use clap::{ArgGroup, Args, Subcommand};

use super::znode::{Node, znode};

#[derive(Subcommand)]
pub(crate) enum QuotaCommand {
    /// Print a znode's quota, and how much of it is used
    Get(Node),
    /// Set limits of a znode; those that are not given stay as they are
    Set(SetQuota),
    /// Remove limits of a znode: those that are named, or the whole quota, with which servers stop to count
    Delete(DeleteQuota),
    /// Print all quotas at and below a znode
    Tree(Tree),
}

#[derive(Args)]
#[command(group(ArgGroup::new("limit").required(true).multiple(true)))]
pub(crate) struct SetQuota {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The number of znodes, the znode itself included, above which servers log a warning
    #[arg(short = 'n', long, value_name = "N", group = "limit", value_parser = count())]
    pub(crate) count: Option<i64>,
    /// The number of bytes of data above which servers log a warning
    #[arg(short, long, value_name = "N", group = "limit", value_parser = bytes())]
    pub(crate) bytes: Option<i64>,
    /// The number of znodes above which servers refuse more, if they have enforceQuota=true (from 3.7 on)
    #[arg(short = 'N', long, value_name = "N", group = "limit", value_parser = count())]
    pub(crate) hard_count: Option<i64>,
    /// The number of bytes of data above which servers refuse more
    #[arg(short = 'B', long, value_name = "N", group = "limit", value_parser = bytes())]
    pub(crate) hard_bytes: Option<i64>,
}

#[derive(Args)]
pub(crate) struct DeleteQuota {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The number of znodes
    #[arg(short = 'n', long)]
    pub(crate) count: bool,
    /// The number of bytes
    #[arg(short, long)]
    pub(crate) bytes: bool,
    /// The number of znodes that servers enforce
    #[arg(short = 'N', long)]
    pub(crate) hard_count: bool,
    /// The number of bytes that servers enforce
    #[arg(short = 'B', long)]
    pub(crate) hard_bytes: bool,
}

#[derive(Args)]
pub(crate) struct Tree {
    /// The znode
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
}

/// Java's servers and tools keep it in 32 bits.
fn count() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=i64::from(i32::MAX))
}

fn bytes() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(0..)
}
