//! The arguments of `top`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration::duration;
use super::status::Limits;

/// Shorter ones would measure the words themselves.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct Top {
    /// How long it is from one sample of a server to the next
    #[arg(short = 'd', long, value_name = "D", default_value = "2s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// End after this many samples
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) iterations: Option<u64>,
    /// Print the samples one after the other, as when the output is no terminal, or with -o json
    #[arg(short, long)]
    pub(crate) batch: bool,
    /// The column by which servers are sorted
    #[arg(short, long, value_enum, value_name = "COLUMN", default_value_t)]
    pub(crate) sort: Sort,
    /// The port of the servers' AdminServer, which is asked where mntr is not allowed; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) admin_port: u16,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What servers are sorted by: their names, or the highest values first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    #[default]
    Server,
    Role,
    State,
    Received,
    Sent,
    Latency,
    Outstanding,
    Connections,
    Watches,
    Lag,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    match interval < MIN_INTERVAL {
        true => Err("the shortest interval is 100ms".to_owned()),
        false => Ok(interval),
    }
}
