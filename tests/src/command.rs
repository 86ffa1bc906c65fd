//! Running another program to its end, and cargo.

use std::env;
use std::process::Command;

use crate::error::{Error, Result};

/// Runs it; if it fails, with what it said.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .map_err(|source| Error::io(format!("run {command:?}"), source))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Command {
        command: format!("{command:?}"),
        outcome: format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&said).trim()
        ),
    })
}

/// The cargo that started this program, or else the one that built it, as a shell would start it:
/// without what cargo says to a program about its package. The build script of `ring` reads that; for
/// another package it would run again, and all that depends on it would be built again.
#[must_use]
pub fn cargo() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_runs_as_from_a_shell() {
        let command = cargo();
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(env::var_os(name).is_some(), "the test is run by cargo");
            let removed = command
                .get_envs()
                .any(|(key, value)| key == name && value.is_none());
            assert!(removed, "{name}");
        }
    }

    #[test]
    fn failed_command_is_named_with_its_output() {
        let error = run(Command::new("sh").args(["-c", "echo no such package >&2; exit 3"]));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("no such package") && error.contains('3'),
            "{error}"
        );
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
