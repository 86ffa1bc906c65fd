//! The oldest Rust that the manifests allow builds the crates.

use std::fs;
use std::process::Command;

use super::features::everywhere;
use super::libraries::{Checks, LIBRARIES, TARGET, TOOL};
use crate::check::{Check, succeeds};

/// `rust-version` of the workspace's manifest.
pub(super) fn version() -> Result<String, String> {
    let manifest = fs::read_to_string("Cargo.toml").map_err(|error| error.to_string())?;
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    version
        .map(str::to_owned)
        .ok_or_else(|| "Cargo.toml has no rust-version".to_owned())
}

/// Installs that Rust if it is missing, or says why it cannot.
pub(super) fn install(version: &str) -> Result<(), String> {
    let rustc = |command: &mut Command| succeeds(command.args(["run", version, "rustc", "-V"]));
    if rustc(&mut Command::new("rustup")) {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", version]);
    install.args(["--profile", "minimal", "--no-self-update"]);
    match succeeds(&mut install) {
        true => Ok(()),
        false => Err(format!("rustup could not install Rust {version}")),
    }
}

/// A cargo command of that Rust.
pub(super) fn cargo(version: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", version, "cargo"]);
    // The listing of the API needs it, and some dependencies are built again when it changes.
    command.env("RUSTC_BOOTSTRAP", "1");
    command
}

pub(super) fn check() -> Checks {
    let version = version()?;
    let name = format!("build on Rust {version}");
    if let Err(why) = install(&version) {
        return Ok(vec![Check::skipped(name, why)]);
    }
    let mut build = cargo(&version);
    build.args(["check", "--lib", "--bins", "--target-dir", TARGET]);
    for package in LIBRARIES.iter().chain(&[TOOL]) {
        build.args(["-p", package]);
    }
    build.args(["--features", &everywhere(&LIBRARIES, &[])?]);
    Ok(vec![Check::run(name, &mut build)?])
}
