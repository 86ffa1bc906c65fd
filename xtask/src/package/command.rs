//! How the programs are run that make and unpack the packages.

use std::error::Error;
use std::process::{Command, Stdio};

pub(super) fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.stdin(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {status}").into()),
    }
}
