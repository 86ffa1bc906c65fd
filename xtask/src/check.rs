//! Checks other than tests: a command each, and a line of the summary.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Failed,
    Skipped,
}

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// Why it was skipped, or what to do about a failure.
    pub(crate) remark: String,
    pub(crate) took: Duration,
}

impl Check {
    /// Runs the command, whose output is passed on.
    pub(crate) fn run(name: impl Into<String>, command: &mut Command) -> io::Result<Self> {
        let name = name.into();
        println!("\n──── {name} ────");
        let began = Instant::now();
        let succeeded = command.stdin(Stdio::null()).status()?.success();
        Ok(Check {
            took: began.elapsed(),
            ..Self::judged(name, succeeded)
        })
    }

    pub(crate) fn judged(name: impl Into<String>, succeeded: bool) -> Self {
        Check {
            name: name.into(),
            verdict: match succeeded {
                true => Verdict::Ok,
                false => Verdict::Failed,
            },
            remark: String::new(),
            took: Duration::ZERO,
        }
    }

    pub(crate) fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Check {
            name: name.into(),
            verdict: Verdict::Skipped,
            remark: why.into(),
            took: Duration::ZERO,
        }
    }

    /// The same with what to do if it has failed.
    pub(crate) fn or_else(mut self, remedy: &str) -> Self {
        if self.has_failed() {
            remedy.clone_into(&mut self.remark);
        }
        self
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "SKIPPED",
        };
        write!(f, "{verdict:>7}  {}", self.name)?;
        if self.took.as_secs() > 0 {
            write!(f, ", {} s", self.took.as_secs())?;
        }
        match &*self.remark {
            "" => Ok(()),
            remark => write!(f, ": {remark}"),
        }
    }
}

/// Whether the command runs and succeeds; its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Adds a target to the toolchain in use, for the standard library of another platform.
pub(crate) fn add_target(target: &str) -> bool {
    succeeds(Command::new("rustup").args(["target", "add", target]))
}
