//! `cargo xtask pictures`: the pictures of zkctl's screens.

use std::process::ExitCode;

use crate::workspace::{Outcome, cargo, enter_workspace};

/// What makes the tests write the pictures instead of comparing them.
const PICTURES: &str = "ZKCTL_PICTURES";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    enter_workspace()?;
    let mut command = cargo();
    command.args([
        "test",
        "--quiet",
        "--package",
        "zkctl",
        "--test",
        "pictures",
        "--",
    ]);
    command.args(arguments).env(PICTURES, "write");
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
