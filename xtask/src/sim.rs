//! `cargo xtask sim`: many seeds of the simulation, and what they amount to.

use std::process::ExitCode;

use crate::programs::BUILD;
use crate::workspace::{Outcome, cargo, enter_workspace};

/// Where the test binary reads its seeds from.
const FIRST: &str = "ZK_SIM_SEED";
const COUNT: &str = "ZK_SIM_SEEDS";
const TRACE: &str = "ZK_SIM_TRACE";
const TEST: &str = "offline::simulation::no_promise_is_broken";
/// The tests of the families of recipes.
const FAMILIES: &str = "offline::families::";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    first: u64,
    seeds: u64,
    trace: bool,
    family: Option<String>,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let options = parse(arguments)?;
    enter_workspace()?;
    let mut command = cargo();
    command.args(["test", "--quiet", "--profile", "simulation"]);
    command.args(BUILD).args(["--test", "slow"]);
    match &options.family {
        Some(family) => command.args(["--", &format!("{FAMILIES}{family}"), "--nocapture"]),
        None => command.args(["--", "--exact", TEST, "--nocapture"]),
    };
    command.env(FIRST, options.first.to_string());
    command.env(COUNT, options.seeds.to_string());
    // A trace of one seed is written because it is there, whatever it says.
    command.env_remove(TRACE);
    if options.trace {
        command.env(TRACE, "1");
    }
    Ok(if command.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        first: 1,
        seeds: 1_000,
        trace: false,
        family: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--family" {
            let name = arguments.next();
            options.family = Some(name.ok_or("--family wants a name")?.clone());
            continue;
        }
        let mut number = || {
            let number = arguments.next().and_then(|text| text.parse().ok());
            number.ok_or_else(|| format!("{argument} wants a number"))
        };
        match argument.as_str() {
            "--first" => options.first = number()?,
            "--seeds" => options.seeds = number()?,
            "--trace" => options.trace = true,
            other => return Err(format!("`sim` does not know {other}; see cargo xtask help")),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::strings;

    fn parsed(arguments: &[&str]) -> Result<Options, String> {
        parse(&strings(arguments))
    }

    #[test]
    fn seeds_are_counted_from_the_first() {
        let options = parsed(&["--seeds", "20", "--first", "7", "--trace"]).unwrap();
        let expected = Options {
            first: 7,
            seeds: 20,
            trace: true,
            family: None,
        };
        assert_eq!(options, expected);
        assert_eq!(parsed(&[]).unwrap().first, 1);
        assert!(parsed(&["--seeds"]).is_err() && parsed(&["--seeds", "x"]).is_err());
        let family = parsed(&["--family", "semaphore"]).unwrap().family;
        assert_eq!(family.as_deref(), Some("semaphore"));
        assert!(parsed(&["--family"]).is_err());
        assert!(parsed(&["20"]).unwrap_err().contains("20"));
    }
}
