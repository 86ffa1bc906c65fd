//! `cargo xtask ci`: what a submission must pass.

mod beside;
mod checks;

use std::process::ExitCode;
use std::time::Instant;

use crate::check::Check;
use crate::report::minutes;
use crate::test;
use crate::workspace::{Outcome, enter_workspace};

pub(crate) fn main(arguments: &[String]) -> Outcome {
    match arguments {
        [] => {
            enter_workspace()?;
            all()
        }
        [flag] if flag == beside::FLAG => {
            enter_workspace()?;
            only_checks()
        }
        _ => Err("`ci` takes --checks or nothing; see cargo xtask help".into()),
    }
}

/// The checks run beside the tests, which wait for servers and sessions most of the time.
fn all() -> Outcome {
    let began = Instant::now();
    let checks = beside::start()?;
    let report = test::run(&test::Options::full());
    let checks = checks.finish()?;
    let mut report = report?;
    let failed = report.failed() || checks.failed;
    report.checks = checks.summary;
    report.took("all of it", began);
    print!("{report}");
    Ok(code(failed))
}

fn only_checks() -> Outcome {
    let began = Instant::now();
    let checks = checks::run()?;
    println!("\n{}", beside::SUMMARY);
    for check in &checks {
        println!("{check}");
    }
    println!("{}  checks", minutes(began.elapsed()));
    Ok(code(checks.iter().any(Check::has_failed)))
}

fn code(failed: bool) -> ExitCode {
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
