//! `cargo xtask budget`: what a request costs, beside what it may.

use std::process::ExitCode;

use zk_tests::Tool;

use crate::programs::BUILD;
use crate::report::Suite;
use crate::workspace::{Outcome, cargo, enter_workspace};

/// What makes the test write down what it finds.
const RECORD: &str = "ZK_BUDGET_RECORD";
const TEST: &str = "offline::budget::";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let record = match arguments {
        [] => false,
        [flag] if flag == "--record" => true,
        _ => return Err("`budget` takes --record or nothing; see cargo xtask help".into()),
    };
    enter_workspace()?;
    for tool in Tool::ALL {
        tool.find_or_install()?;
    }
    let mut command = cargo();
    command.args(["test", "--quiet"]).args(BUILD);
    command.args(["--test", "slow"]);
    command.args(["--", TEST, "--nocapture", "--test-threads=1"]);
    command.env_remove(RECORD);
    if record {
        command.env(RECORD, "1");
    }
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Installs the programs that count, where that is allowed. The summary says what could not be counted:
/// a machine that does not allow tracing is no reason to fail.
pub(crate) fn tools() -> Option<Suite> {
    let missing = Tool::ALL.map(|tool| (tool, tool.find_or_install()));
    let remarks: Vec<_> = missing
        .iter()
        .filter_map(|(tool, found)| {
            let reason = found.as_ref().err()?;
            Some(format!("SKIPPED what {tool} counts in {TEST}: {reason:?}"))
        })
        .collect();
    let count = u64::try_from(remarks.len()).unwrap_or(u64::MAX);
    (count > 0).then(|| Suite {
        name: "what a request costs".to_owned(),
        skipped: count,
        remarks,
        ..Suite::default()
    })
}
