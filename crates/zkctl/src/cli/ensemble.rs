//! The arguments of `reconfig`.

use std::num::ParseIntError;

use clap::Args;
use zk_proto::config::{ConfigError, Server};

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
    /// Only if the configuration has this version, as `config` shows it
    #[arg(long, value_name = "HEX", value_parser = config_version)]
    pub(crate) from_version: Option<i64>,
}

fn server(text: &str) -> Result<String, ConfigError> {
    text.parse::<Server>().map(|_| text.to_owned())
}

/// Parses the hexadecimal number in the configuration's text.
fn config_version(text: &str) -> Result<i64, ParseIntError> {
    u64::from_str_radix(text, 16).map(u64::cast_signed)
}
