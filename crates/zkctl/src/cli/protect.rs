//! Contexts with `protected = true`, in which commands that write need `--write`.

use super::Cli;
use crate::output::failure::Failure;

/// Refuses a command that writes in a protected context, unless `--write` is given.
pub(crate) fn check(cli: &Cli) -> Result<(), Failure> {
    let references = &cli.global.references;
    if !references.is_protected || cli.global.write || !cli.command.class().writes() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "the context {} is protected, and this command writes; give --write if it should",
        references.context
    )))
}
