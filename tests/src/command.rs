//! Running another program to its end.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_named_with_what_it_said() {
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
