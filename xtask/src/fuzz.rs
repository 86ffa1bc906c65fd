//! `cargo xtask fuzz`: every fuzz target for a while. Ordinary tests replay their seeds; this looks
//! for new ones.

use std::error::Error;
use std::fs;
use std::process::{ExitCode, Stdio};

use crate::workspace::{Outcome, cargo, enter_workspace};

const TARGETS: &str = "fuzz/fuzz_targets";
const CORPUS: &str = "fuzz/corpus";
const SEEDS: &str = "fuzz/seeds";
const SECONDS: u64 = 20;
/// No target reads further than a seed is long.
const LONGEST: &str = "-max_len=4096";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u64,
    /// All of them, if none is named.
    targets: Vec<String>,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let options = parse(arguments)?;
    enter_workspace()?;
    let all = targets()?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no target {unknown}, but {}", all.join(", ")).into());
    }
    if !has_cargo_fuzz()? {
        return Err(
            "cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`, which also \
                    needs a C++ compiler. The seeds are replayed without it: `cargo xtask test fuzz_replay`"
                .into(),
        );
    }
    let wanted = match options.targets.is_empty() {
        true => all,
        false => options.targets,
    };
    let mut failed = Vec::new();
    for target in wanted {
        println!("\n──── {target}, {} s ────", options.seconds);
        let corpus = format!("{CORPUS}/{target}");
        fs::create_dir_all(&corpus)?;
        let status = cargo()
            .args([
                "fuzz",
                "run",
                &target,
                &corpus,
                &format!("{SEEDS}/{target}"),
            ])
            .args(["--", LONGEST, "-print_final_stats=1"])
            .arg(format!("-max_total_time={}", options.seconds))
            // Sanitizers and coverage are not stable yet; nothing that is shipped is built so.
            .env("RUSTC_BOOTSTRAP", "1")
            .stdin(Stdio::null())
            .status()?;
        if !status.success() {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "\nfailed: {}; what did it is in fuzz/artifacts",
        failed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// The names of all targets.
fn targets() -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(TARGETS)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        names.extend(name.map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn has_cargo_fuzz() -> std::io::Result<bool> {
    let mut version = cargo();
    version.args(["fuzz", "--version"]);
    let quiet = version
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(quiet.status()?.success())
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        seconds: SECONDS,
        targets: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match &**argument {
            "--seconds" => {
                let number = rest.next().and_then(|number| number.parse().ok());
                options.seconds = number.ok_or("--seconds wants a number")?;
            }
            flag if flag.starts_with('-') => {
                return Err(format!("`fuzz` does not know {flag}; see cargo xtask help"));
            }
            target => options.targets.push(target.to_owned()),
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
    fn arguments_are_targets_and_seconds() {
        let options = Options {
            seconds: 5,
            targets: vec!["session".to_owned()],
        };
        assert_eq!(parsed(&["session", "--seconds", "5"]), Ok(options));
        assert!(parsed(&["--seconds"]).is_err());
        assert!(
            parsed(&["--minutes", "1"])
                .unwrap_err()
                .contains("--minutes")
        );
    }

    /// A target without seeds starts from nothing, and is not replayed.
    #[test]
    fn every_target_has_a_program_and_seeds() {
        enter_workspace().unwrap();
        let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
        let targets = targets().unwrap();
        assert!(targets.len() >= 9, "{targets:?}");
        for target in targets {
            let program = format!("path = \"fuzz_targets/{target}.rs\"");
            assert!(manifest.contains(&program), "{target} is not in Cargo.toml");
            let seeds = fs::read_dir(format!("{SEEDS}/{target}")).unwrap().count();
            assert!(seeds >= 10, "{target} has {seeds} seeds");
        }
    }
}
