//! Where the commands run, and how they end.

use std::error::Error;
use std::io;
use std::process::ExitCode;

pub(crate) use zk_tests::cargo;

/// How a command ends: with an exit code, or with an error that is printed.
pub(crate) type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Changes to the repository's root: cargo runs an alias in the directory where it was called.
pub(crate) fn enter_workspace() -> io::Result<()> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Whether a missing server or program is a failure.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
