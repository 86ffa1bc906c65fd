//! The arguments of `bench`.

use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct Bench {
    /// The operation to measure: `watch` arms a watch, sets the znode's data and waits for the event,
    /// `lock` acquires and releases a lock that all tasks contend for, `connect` opens a session and
    /// closes it
    #[arg(value_enum)]
    pub(crate) workload: Workload,
    /// How many operations
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=100_000_000)
    )]
    pub(crate) ops: u64,
    /// How many operations at a time
    #[arg(
        long,
        value_name = "C",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(1..=100_000)
    )]
    pub(crate) concurrency: u64,
    /// The length of a znode's data; servers accept a little less than 1 MiB unless configured
    /// otherwise
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    Get,
    Set,
    Create,
    Watch,
    Lock,
    Connect,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Get => "get",
            Workload::Set => "set",
            Workload::Create => "create",
            Workload::Watch => "watch",
            Workload::Lock => "lock",
            Workload::Connect => "connect",
        }
    }
}
