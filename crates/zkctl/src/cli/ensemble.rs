//! The arguments of `config` and `reconfig`.

use std::num::ParseIntError;
use std::path::PathBuf;

use clap::Args;
use zk_proto::config::{ConfigError, Server};

#[derive(Args)]
pub(crate) struct Config {
    /// Only the servers for clients, as --server reads them
    #[arg(short, long)]
    pub(crate) connect: bool,
    /// Also show the metadata, on standard error
    #[arg(short = 'l', long)]
    pub(crate) stat: bool,
    /// Show each later configuration as well, until interrupted
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct Reconfig {
    /// A server to add or change, as in server.4=zk4:2888:3888:participant;2181 or, from 3.10 on with
    /// a port for clients over TLS, server.4=zk4:2888:3888:participant;2181;2281
    #[arg(long, value_name = "SERVER", value_parser = server, group = "change")]
    pub(crate) join: Vec<String>,
    /// The number of a server to remove
    #[arg(long, value_name = "N", group = "change")]
    pub(crate) leave: Vec<u64>,
    /// A server of the new ensemble, which consists of the servers given in this way and no others
    #[arg(
        long,
        value_name = "SERVER",
        value_parser = server,
        conflicts_with_all = ["join", "leave"],
        group = "change"
    )]
    pub(crate) member: Vec<String>,
    /// A file with the servers of the new ensemble, as --member has them: a dynamic configuration, as `config`
    /// shows it
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["join", "leave", "member"],
        group = "change"
    )]
    pub(crate) file: Option<PathBuf>,
    /// Only if the configuration has this version, as `config` shows it
    #[arg(long, value_name = "HEX", value_parser = config_version)]
    pub(crate) from_version: Option<i64>,
    /// Also show the metadata, on standard error
    #[arg(short = 'l', long)]
    pub(crate) stat: bool,
}

fn server(text: &str) -> Result<String, ConfigError> {
    text.parse::<Server>().map(|_| text.to_owned())
}

/// Parses the hexadecimal number in the configuration's text.
fn config_version(text: &str) -> Result<i64, ParseIntError> {
    u64::from_str_radix(text, 16).map(u64::cast_signed)
}
