//! Checks by programs that have to be installed.

use std::process::Command;

use super::libraries::{Checks, LIBRARIES};
use crate::check::{Check, succeeds};
use crate::workspace::cargo;

/// `_typos.toml` has the words that are right.
pub(super) fn spelling() -> Checks {
    const NAME: &str = "spelling";

    if !succeeds(Command::new("typos").arg("--version")) {
        let why =
            "typos is not installed; `cargo install --locked typos-cli`, or `pip install typos`";
        return Ok(vec![Check::skipped(NAME, why)]);
    }
    let mut typos = Command::new("typos");
    typos.args(["--format", "brief"]);
    let remedy = "correct the words, or add those that are right to _typos.toml";
    Ok(vec![Check::run(NAME, &mut typos)?.or_else(remedy)])
}

/// The public API is compatible with that of the last release, or the version says that it is not.
pub(super) fn semver() -> Checks {
    const NAME: &str = "semver";

    let described = Command::new("git")
        .args(["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
        .output()?;
    let tag = String::from_utf8_lossy(&described.stdout).trim().to_owned();
    if !described.status.success() || tag.is_empty() {
        let why = "there is no tag of a release to compare with";
        return Ok(vec![Check::skipped(NAME, why)]);
    }
    if !succeeds(cargo().args(["semver-checks", "--version"])) {
        let why =
            "cargo-semver-checks is not installed; `cargo install --locked cargo-semver-checks`";
        return Ok(vec![Check::skipped(NAME, why)]);
    }
    let mut checks = cargo();
    checks.args(["semver-checks", "--baseline-rev", &tag]);
    for library in LIBRARIES {
        checks.args(["-p", library]);
    }
    Ok(vec![Check::run(
        format!("{NAME}, against {tag}"),
        &mut checks,
    )?])
}
