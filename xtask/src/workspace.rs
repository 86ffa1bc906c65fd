//! Where the commands run, and how they end.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub(crate) use zk_tests::cargo;

/// How a command ends: with an exit code, or with an error that is printed.
pub(crate) type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Changes to the repository's root: cargo runs an alias in the directory where it was called.
pub(crate) fn enter_workspace() -> io::Result<()> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The directory that cargo builds into.
pub(crate) fn target() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty());
    given.map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Whether a missing server or program is a failure.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The arguments of a command, for tests of how it reads them.
#[cfg(test)]
pub(crate) fn strings(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(ToString::to_string).collect()
}

/// Runs git in a repository, and returns what it printed.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git {}: {}", arguments.join(" "), problem.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// All files of the working copy that git knows or would take.
pub(crate) fn sources() -> Result<BTreeSet<PathBuf>, Box<dyn Error>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()?;
    if !listed.status.success() {
        let problem = String::from_utf8_lossy(&listed.stderr);
        return Err(
            format!("the sources are to be copied, and git does not list them: {problem}").into(),
        );
    }
    let names = listed.stdout.split(|byte| *byte == 0);
    let paths = names.map(|name| PathBuf::from(&*String::from_utf8_lossy(name)));
    // A file that was deleted and not committed is listed, too.
    Ok(paths.filter(|path| path.is_file()).collect())
}

/// Copies a file into a directory that may not exist yet.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::copy(from, to).map(|_| ())
}
