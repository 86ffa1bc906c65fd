//! `cargo xtask partitions`: the test of `zk-tests` on networks that are cut, for longer than the two
//! minutes that CI has.

use std::process::{ExitCode, Stdio};

use zk_tests::network;

use crate::programs::BUILD;
use crate::workspace::{Outcome, cargo, enter_workspace};
use crate::{bugs, chaos};

const TEST: &str = "apache::chaos::partitions::locks_and_writes_survive_real_partitions";
const BUG: &str = "--bug";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let (bug, rest) = split(arguments)?;
    let options = chaos::parse("partitions", &rest)?;
    enter_workspace()?;
    if let Some(number) = &bug {
        bugs::check(number)?;
    }
    network::find_or_install()?;
    let mut command = cargo();
    command
        .arg("test")
        .args(BUILD)
        .args(["--test", "slow", "--"])
        .args(["--nocapture", "--exact", TEST])
        .stdin(Stdio::null());
    let seconds = options.minutes.unwrap_or(2).saturating_mul(60);
    command.env("ZK_PARTITIONS_SECONDS", seconds.to_string());
    if let Some(seed) = options.seed {
        command.env("ZK_PARTITIONS_SEED", seed.to_string());
    }
    if bug.is_some() {
        bugs::switch_on(&mut command, bug.as_deref())?;
    }
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The bug that is to be switched on, if any, and the other arguments.
fn split(arguments: &[String]) -> Result<(Option<String>, Vec<String>), String> {
    let mut rest = arguments.to_vec();
    let Some(at) = rest.iter().position(|argument| argument == BUG) else {
        return Ok((None, rest));
    };
    if at + 1 == rest.len() {
        return Err(format!("{BUG} wants a number"));
    }
    let bug = rest.drain(at..=at + 1).next_back();
    Ok((bug, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::strings;

    /// cargo runs nothing, and succeeds, if there is no test of that name.
    #[test]
    fn the_test_is_there() {
        let source = include_str!("../../tests/tests/slow/apache/chaos/partitions/mod.rs");
        let (_, name) = TEST.rsplit_once("::").unwrap();
        assert!(source.contains(&format!("fn {name}()")));
    }

    #[test]
    fn a_bug_is_one_of_the_arguments() {
        let (bug, rest) =
            split(&strings(&["--minutes", "3", "--bug", "H1", "--seed", "7"])).unwrap();
        assert_eq!(bug.as_deref(), Some("H1"));
        assert_eq!(rest, strings(&["--minutes", "3", "--seed", "7"]));
        assert_eq!(split(&strings(&["--seed"])).unwrap().0, None);
        assert!(split(&strings(&["--bug"])).is_err());
    }
}
