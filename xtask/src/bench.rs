//! `cargo xtask bench`: our client beside others.

use std::process::ExitCode;

use crate::workspace::{Outcome, cargo, enter_workspace};

/// Outside the workspace, for what the others depend on.
pub(crate) const MANIFEST: &str = "tests/peers/Cargo.toml";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    enter_workspace()?;
    let mut command = cargo();
    match arguments.split_first() {
        Some((first, rest)) if first == "--trends" => {
            command.args(["bench", "--quiet", "--manifest-path", MANIFEST]);
            command.args(["--bench", "trends", "--"]).args(rest);
        }
        _ => {
            command.args(["run", "--quiet", "--release"]);
            command.args(["--manifest-path", MANIFEST, "--"]);
            command.args(arguments);
        }
    }
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
