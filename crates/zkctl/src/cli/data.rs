//! The arguments for a znode's data: how they are given, and how they are shown.

use std::path::PathBuf;

use clap::Args;

/// The form in which `get` shows data.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    /// Decompress the data, if they begin as gzip does
    #[arg(long)]
    pub(crate) gzip: bool,
    /// As hexadecimal numbers, 16 bytes a line, with the text beside them
    #[arg(short = 'x', long, conflicts_with_all = ["base64", "json_pretty"])]
    pub(crate) hex: bool,
    /// As base64
    #[arg(short, long, conflicts_with = "json_pretty")]
    pub(crate) base64: bool,
    /// As JSON with indentation; an error if the data are not JSON
    #[arg(long)]
    pub(crate) json_pretty: bool,
}

/// How the data for `set` and `create` are given.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Given {
    /// The data are the contents of this file
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) file: Option<PathBuf>,
    /// The data are given as base64; white space in it is ignored
    #[arg(short, long)]
    pub(crate) base64: bool,
    /// Compress the data with gzip, as Curator does
    #[arg(long)]
    pub(crate) gzip: bool,
    /// No data, which zkCli and Java's null write, in place of empty data
    #[arg(long, conflicts_with_all = ["data", "file", "base64", "gzip"])]
    pub(crate) null: bool,
}
