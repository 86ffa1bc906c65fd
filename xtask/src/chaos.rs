//! `cargo xtask chaos`: the chaos test of `zk-tests` for longer than the minute that CI has.

use std::process::{ExitCode, Stdio};

use crate::programs::BUILD;
use crate::workspace::{Outcome, cargo, enter_workspace};

const TEST: &str = "apache::chaos::acknowledged_writes_and_sessions_last";

/// Of a run against servers under faults.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) minutes: Option<u64>,
    pub(crate) seed: Option<u64>,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let options = parse("chaos", arguments)?;
    enter_workspace()?;
    let mut command = cargo();
    command
        .arg("test")
        .args(BUILD)
        .args(["--test", "slow", "--"])
        .args(["--nocapture", "--exact", TEST])
        .stdin(Stdio::null());
    let seconds = options.minutes.unwrap_or(1).saturating_mul(60);
    command.env("ZK_CHAOS_SECONDS", seconds.to_string());
    if let Some(seed) = options.seed {
        command.env("ZK_CHAOS_SEED", seed.to_string());
    }
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The arguments of `command`.
pub(crate) fn parse(command: &str, arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let place = match &**argument {
            "--minutes" => &mut options.minutes,
            "--seed" => &mut options.seed,
            other => {
                return Err(format!(
                    "`{command}` does not know {other}; see cargo xtask help"
                ));
            }
        };
        let number = rest.next().and_then(|number| number.parse().ok());
        *place = Some(number.ok_or_else(|| format!("{argument} wants a number"))?);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::strings;

    fn parsed(arguments: &[&str]) -> Result<Options, String> {
        parse("chaos", &strings(arguments))
    }

    /// cargo runs nothing, and is content, if there is no test of that name.
    #[test]
    fn the_test_is_there() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/tests/slow/apache/chaos/mod.rs"
        );
        let source = std::fs::read_to_string(file).unwrap();
        let (_, name) = TEST.rsplit_once("::").unwrap();
        assert!(source.contains(&format!("async fn {name}()")));
    }

    #[test]
    fn minutes_and_a_seed_are_numbers() {
        let options = Options {
            minutes: Some(10),
            seed: Some(7),
        };
        assert_eq!(parsed(&["--seed", "7", "--minutes", "10"]), Ok(options));
        assert_eq!(parsed(&[]), Ok(Options::default()));
        assert!(parsed(&["--minutes"]).is_err());
        assert!(parsed(&["--minutes", "long"]).is_err());
        assert!(parsed(&["--hours", "1"]).unwrap_err().contains("--hours"));
    }
}
