//! `cargo xtask bench`: our client beside others.

use std::process::ExitCode;

use crate::outside::PEERS;
use crate::start;
use crate::workspace::{Outcome, enter_workspace};

pub(crate) fn main(arguments: &[String]) -> Outcome {
    enter_workspace()?;
    let mut command;
    match arguments.split_first() {
        Some((first, rest)) if first == "start" => return start::main(rest),
        Some((first, rest)) if first == "--trends" => {
            command = PEERS.command("bench");
            command.args(["--quiet", "--bench", "trends", "--"]);
            command.args(rest);
        }
        _ => {
            command = PEERS.command("run");
            command.args(["--quiet", "--release", "--"]);
            command.args(arguments);
        }
    }
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
