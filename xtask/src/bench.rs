//! `cargo xtask bench`: our client beside others.

use std::process::ExitCode;

use crate::{Outcome, cargo, enter_workspace};

/// Outside the workspace, for what the others depend on.
const MANIFEST: &str = "tests/peers/Cargo.toml";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    enter_workspace()?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--release"]);
    command.args(["--manifest-path", MANIFEST, "--"]);
    command.args(arguments);
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
