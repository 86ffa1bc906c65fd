//! The checks, in a process of their own that uses the processors only when the tests do not.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::workspace::target;

/// The argument with which this program runs the checks only.
pub(super) const FLAG: &str = "--checks";
/// The line before their results.
pub(super) const SUMMARY: &str = "──── summary of the checks ────";

/// Checks that run.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

/// Checks that have run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) failed: bool,
    /// A line for each.
    pub(super) summary: Vec<String>,
}

/// Starts the checks. They have a target directory of their own: cargo locks one while it builds.
pub(super) fn start() -> io::Result<Running> {
    let directory = std::path::absolute(target())?.join("checks");
    fs::create_dir_all(&directory)?;
    let log = directory.join("log");
    let output = File::create(&log)?;
    println!("the checks run beside the tests; their output follows at the end");
    let child = Command::new("nice")
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .args(["ci", FLAG])
        .env("CARGO_TARGET_DIR", directory)
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()?;
    Ok(Running { child, log })
}

impl Running {
    /// Waits for their end, and prints what they have printed.
    pub(super) fn finish(mut self) -> io::Result<Done> {
        println!("\nwaiting for the checks");
        let status = self.child.wait()?;
        let output = fs::read(&self.log)?;
        io::stdout().lock().write_all(&output)?;
        Ok(results(&String::from_utf8_lossy(&output), status.success()))
    }
}

/// What the output of the checks says.
fn results(output: &str, succeeded: bool) -> Done {
    let summary = match output.rsplit_once(SUMMARY) {
        Some((_, lines)) => lines
            .trim_matches('\n')
            .lines()
            .map(str::to_owned)
            .collect(),
        None => vec![" FAILED  checks: they ended before their summary".to_owned()],
    };
    Done {
        failed: !succeeded || !output.contains(SUMMARY),
        summary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_behind_the_last_output() {
        let output = format!("──── format ────\n\n{SUMMARY}\n     ok  format\n FAILED  docs\n");
        let done = results(&output, false);
        assert_eq!(done.summary, ["     ok  format", " FAILED  docs"]);
        assert!(done.failed);
        assert!(!results(&output.replace(" FAILED", "     ok"), true).failed);
    }

    #[test]
    fn checks_without_a_summary_have_failed() {
        let done = results("error: no space left on device\n", true);
        assert!(done.failed);
        assert_eq!(done.summary.len(), 1);
    }
}
