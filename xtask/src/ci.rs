//! `cargo xtask ci`: what a submission must pass.

use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::workspace::{Outcome, cargo, enter_workspace};
use crate::{bench, test};

pub(crate) fn main(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(format!("`ci` takes no arguments, and got {argument}").into());
    }
    enter_workspace()?;

    let began = Instant::now();
    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    // What depends on nothing but the pure parts has no other build.
    let mut pure = cargo();
    pure.args(["clippy", "-p", "zk-transport", "--no-default-features"]);
    pure.args(["--lib", "--", "-D", "warnings"]);
    let mut docs = cargo();
    docs.args(["doc", "--no-deps", "--workspace", "--all-features"])
        .env("RUSTDOCFLAGS", "-Dwarnings");
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);
    // Beside other clients, and so outside the workspace.
    let mut bench_clippy = cargo();
    bench_clippy.args([
        "clippy",
        "--manifest-path",
        bench::MANIFEST,
        "--all-targets",
    ]);
    bench_clippy.args(["--", "-D", "warnings"]);
    let mut bench_format = cargo();
    bench_format.args(["fmt", "--manifest-path", bench::MANIFEST, "--check"]);

    // All of them run even if the first fails: one round trip should show all there is to mend.
    let mut checks = vec![
        check("format", &mut format)?,
        check("clippy", &mut clippy)?,
        check("clippy of zk-transport without io", &mut pure)?,
        check("docs", &mut docs)?,
        check("format of the benchmarks", &mut bench_format)?,
        check("clippy of the benchmarks", &mut bench_clippy)?,
    ];
    checks.extend(deny()?);
    let checked = began.elapsed();

    let mut report = test::run(&test::Options::full())?;
    let failed = report.failed() || checks.iter().any(|check| check.verdict == Verdict::Failed);
    report.checks = checks.iter().map(Check::to_string).collect();
    report.times.insert(0, ("checks".to_owned(), checked));
    report.took("all of it", began);
    print!("{report}");
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Failed,
    Skipped,
}

struct Check {
    name: &'static str,
    verdict: Verdict,
    remark: &'static str,
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "SKIPPED",
        };
        write!(f, "{verdict:>7}  {}{}", self.name, self.remark)
    }
}

fn check(name: &'static str, command: &mut Command) -> io::Result<Check> {
    println!("\n──── {name} ────");
    let succeeded = command.stdin(Stdio::null()).status()?.success();
    let verdict = if succeeded {
        Verdict::Ok
    } else {
        Verdict::Failed
    };
    Ok(Check {
        name,
        verdict,
        remark: "",
    })
}

/// Licences, sources and bans are known from the lock file; advisories have to be fetched, and a
/// machine that may not fetch them cannot judge them.
fn deny() -> io::Result<Vec<Check>> {
    const DENY: &str = "cargo deny: licenses, bans, sources";
    const ADVISORIES: &str = "cargo deny: advisories";

    let installed = cargo()
        .args(["deny", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?
        .success();
    if !installed {
        let remark = ": cargo-deny is not installed; `cargo install --locked cargo-deny`";
        return Ok(vec![
            Check {
                name: DENY,
                verdict: Verdict::Skipped,
                remark,
            },
            Check {
                name: ADVISORIES,
                verdict: Verdict::Skipped,
                remark,
            },
        ]);
    }
    let first = check(
        DENY,
        cargo().args(["deny", "check", "licenses", "bans", "sources"]),
    )?;

    println!("\n──── {ADVISORIES} ────");
    let fetched = cargo()
        .args(["deny", "fetch", "db"])
        .stdin(Stdio::null())
        .status()?
        .success();
    let second = if fetched {
        check(
            ADVISORIES,
            cargo().args(["deny", "--offline", "check", "advisories"]),
        )?
    } else {
        let remark = ": the advisory database could not be fetched";
        Check {
            name: ADVISORIES,
            verdict: Verdict::Skipped,
            remark,
        }
    };
    Ok(vec![first, second])
}
