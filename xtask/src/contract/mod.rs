//! `cargo xtask contract`: what STABILITY.md promises, as far as a compiler can check it.

mod api;
mod features;
mod libraries;
mod links;
mod minimum_rust;
mod oldest;
mod platforms;
mod tools;
#[cfg(test)]
mod yaml;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use crate::check::{Check, Verdict};
use crate::report::minutes;
use crate::workspace::{Outcome, enter_workspace};
use libraries::Checks;

/// A part of the contract, by its name on the command line.
struct Part {
    name: &'static str,
    run: fn(&Options) -> Checks,
}

const PARTS: [Part; 8] = [
    Part {
        name: "links",
        run: |_| links::check(),
    },
    Part {
        name: "spelling",
        run: |_| tools::spelling(),
    },
    Part {
        name: "rust",
        run: |_| minimum_rust::check(),
    },
    Part {
        name: "api",
        run: |options| api::check(options.record),
    },
    Part {
        name: "features",
        run: |_| features::check(),
    },
    Part {
        name: "oldest",
        run: |_| oldest::check(),
    },
    Part {
        name: "platforms",
        run: |_| platforms::check(),
    },
    Part {
        name: "semver",
        run: |_| tools::semver(),
    },
];

/// What `cargo xtask ci` has time for; the workflows run all parts.
const IN_CI: [&str; 4] = ["links", "spelling", "rust", "api"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    record: bool,
    /// All of them, if none is named.
    parts: Vec<String>,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let options = parse(arguments)?;
    enter_workspace()?;
    let began = Instant::now();
    let checks = run(&options)?;
    println!("\n──── summary ────");
    for check in &checks {
        println!("{check}");
    }
    println!("{}  all of it", minutes(began.elapsed()));
    let count = |verdict| (checks.iter().filter(|check| check.verdict == verdict)).count();
    println!(
        "{} ok, {} failed, {} skipped",
        count(Verdict::Ok),
        count(Verdict::Failed),
        count(Verdict::Skipped)
    );
    Ok(match checks.iter().any(Check::has_failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The parts that run on every change.
pub(crate) fn in_ci() -> io::Result<Vec<Check>> {
    let options = Options {
        record: false,
        parts: IN_CI.map(str::to_owned).to_vec(),
    };
    run(&options).map_err(|error| io::Error::other(error.to_string()))
}

fn run(options: &Options) -> Checks {
    let mut checks = Vec::new();
    for part in PARTS {
        if options.parts.is_empty() || options.parts.iter().any(|name| name == part.name) {
            let began = Instant::now();
            let mut done = (part.run)(options)?;
            // Not every check is one command.
            if let [only] = &mut done[..] {
                only.took = began.elapsed();
            }
            checks.append(&mut done);
        }
    }
    Ok(checks)
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--record" => options.record = true,
            part if PARTS.iter().any(|known| known.name == part) => {
                options.parts.push(part.to_owned());
            }
            other => {
                let names = PARTS.map(|part| part.name).join(", ");
                return Err(format!("`contract` has no part {other}, but {names}"));
            }
        }
    }
    if options.record {
        if options.parts.is_empty() {
            options.parts.push("api".to_owned());
        }
        if options.parts != ["api"] {
            return Err("--record belongs to the part api".to_owned());
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
    fn arguments_are_parts_of_the_contract() {
        assert_eq!(parsed(&[]), Ok(Options::default()));
        let parts = parsed(&["links", "api"]).unwrap().parts;
        assert_eq!(parts, ["links", "api"]);
        assert!(parsed(&["link"]).unwrap_err().contains("links, "));
        let recording = parsed(&["--record"]).unwrap();
        assert_eq!((recording.record, &*recording.parts[0]), (true, "api"));
        assert!(parsed(&["--record", "links"]).is_err());
    }

    #[test]
    fn ci_runs_parts_that_exist() {
        for name in IN_CI {
            assert!(PARTS.iter().any(|part| part.name == name), "{name}");
        }
    }
}
