//! The features of the crates: each alone, and none.

use std::error::Error;
use std::fs;

use super::libraries::{Checks, LIBRARIES, TARGET, TOOL};
use crate::check::{Check, succeeds};
use crate::workspace::cargo;

/// No part of the API.
const TESTKIT: &str = "testkit";
/// Takes a C compiler and minutes, and adds no item.
const AWS_LC_RS: &str = "tls-aws-lc-rs";

pub(super) fn check() -> Checks {
    const NAME: &str = "each feature alone, and none";

    if !succeeds(cargo().args(["hack", "--version"])) {
        let why = "cargo-hack is not installed; `cargo install --locked cargo-hack`";
        return Ok(vec![Check::skipped(NAME, why)]);
    }
    let mut hack = cargo();
    hack.args([
        "hack",
        "check",
        "--each-feature",
        "--keep-going",
        "--lib",
        "--bins",
    ]);
    for package in LIBRARIES.iter().chain(&[TOOL]) {
        hack.args(["-p", package]);
    }
    // Without the features of development dependencies, which only tests enable.
    hack.args(["--exclude-features", AWS_LC_RS, "--exclude-all-features"]);
    hack.args(["--target-dir", TARGET])
        .env("RUSTFLAGS", "-Dwarnings");
    Ok(vec![Check::run(NAME, &mut hack)?])
}

/// All features of these crates in the form of `--features`, without those left out and those that
/// are no part of the contract.
pub(super) fn everywhere(packages: &[&str], left_out: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut all = Vec::new();
    for package in packages {
        let manifest = fs::read_to_string(format!("crates/{package}/Cargo.toml"))?;
        let features = features(&manifest);
        let wanted = features
            .into_iter()
            .filter(|name| ![TESTKIT, AWS_LC_RS].contains(name) && !left_out.contains(name));
        all.extend(wanted.map(|name| format!("{package}/{name}")));
    }
    Ok(all.join(","))
}

/// The names in the table `[features]` of a manifest.
fn features(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().skip_while(|line| *line != "[features]");
    let table = lines.skip(1).take_while(|line| !line.starts_with('['));
    let named = table.filter_map(|line| line.split_once(" = ["));
    named.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_from_the_manifest() {
        let manifest = "[dependencies]\na = [\"no\"]\n\n[features]\n# One.\ndefault = [\"io\"]\nio = [\n    \
                        \"dep:x\",\n]\nnone = []\n\n[dev-dependencies]\nb = []\n";
        assert_eq!(features(manifest), ["default", "io", "none"]);
        assert!(features("[package]\n").is_empty());
    }

    #[test]
    fn the_contract_has_all_public_features() {
        crate::workspace::enter_workspace().unwrap();
        let all = everywhere(&LIBRARIES, &["tls"]).unwrap();
        let all: Vec<_> = all.split(',').collect();
        for feature in ["zk-proto/serde", "zk-client/metrics", "zk-recipes/gzip"] {
            assert!(all.contains(&feature), "{all:?}");
        }
        for feature in ["zk-client/testkit", "zk-client/tls"] {
            assert!(!all.contains(&feature), "{all:?}");
        }
    }
}
