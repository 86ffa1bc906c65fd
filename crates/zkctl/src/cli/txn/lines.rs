//! Operations written as commands.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Parser};

use super::operation::{Create, Operation, check_path, text};
use crate::cli::credentials::read_acl;
use crate::cli::duration::duration;
use crate::cli::input::from_base64;
use crate::cli::words::words;
use crate::cli::znode::{deletable, znode};

#[derive(Parser)]
#[command(
    multicall = true,
    disable_help_subcommand = true,
    disable_help_flag = true
)]
enum Line {
    Check(Check),
    Create(CreateLine),
    Set(Set),
    Delete(Delete),
}

#[derive(Args)]
struct Check {
    #[arg(value_parser = znode)]
    path: String,
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    version: Option<i32>,
}

#[derive(Args)]
struct CreateLine {
    path: String,
    #[arg(allow_negative_numbers = true, default_value = "")]
    data: String,
    #[arg(short, long)]
    base64: bool,
    #[arg(short, long)]
    sequential: bool,
    #[arg(short, long, conflicts_with_all = ["sequential", "ttl"])]
    container: bool,
    #[arg(long, value_parser = duration)]
    ttl: Option<Duration>,
    #[arg(long)]
    acl: Option<String>,
}

#[derive(Args)]
struct Set {
    #[arg(value_parser = znode)]
    path: String,
    #[arg(allow_negative_numbers = true)]
    data: String,
    #[arg(short, long)]
    base64: bool,
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    version: Option<i32>,
}

#[derive(Args)]
struct Delete {
    #[arg(value_parser = deletable)]
    path: String,
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    version: Option<i32>,
}

/// Reads a command. The problem is one line.
pub(super) fn command(line: &str) -> Result<Operation, String> {
    let words = words(line)?.into_iter().map(OsString::from);
    let line = Line::try_parse_from(words).map_err(|error| in_one_line(&error.to_string()))?;
    Ok(match line {
        Line::Check(check) => Operation::Check {
            path: check.path,
            version: check.version,
        },
        Line::Create(create) => Operation::Create(self::create(create)?),
        Line::Set(set) => Operation::Set {
            path: set.path,
            data: data(set.data, set.base64)?,
            version: set.version,
        },
        Line::Delete(delete) => Operation::Delete {
            path: delete.path,
            version: delete.version,
        },
    })
}

fn create(create: CreateLine) -> Result<Create, String> {
    check_path(&create.path, create.sequential)?;
    let acl = create.acl.as_deref().map(|acl| read_acl("--acl", acl));
    Ok(Create {
        data: data(create.data, create.base64)?,
        path: create.path,
        sequential: create.sequential,
        container: create.container,
        ttl: create.ttl,
        acl: acl.transpose().map_err(text)?,
    })
}

fn data(data: String, base64: bool) -> Result<Vec<u8>, String> {
    match base64 {
        true => from_base64(data.as_bytes()).map_err(text),
        false => Ok(data.into_bytes()),
    }
}

/// What clap says before it shows the usage.
fn in_one_line(error: &str) -> String {
    let error = error.strip_prefix("error: ").unwrap_or(error);
    let paragraph = error.split("\n\n").next().unwrap_or(error);
    let lines: Vec<_> = paragraph.lines().map(str::trim).collect();
    lines.join(" ")
}
