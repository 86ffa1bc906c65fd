//! What a submission must pass beside the tests.

use std::error::Error;
use std::fs;
use std::io;
use std::process::Stdio;
use std::time::Instant;

use crate::check::{Check, add_target, succeeds};
use crate::outside::{EXAMPLES, GSSAPI, MIGRATION, Outside, PEERS};
use crate::workspace::cargo;
use crate::{contract, kerberos, package};

/// Runs all of them even if the first fails: one round trip should show all there is to mend.
pub(super) fn run() -> Result<Vec<Check>, Box<dyn Error>> {
    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]);
    // What depends on nothing but the pure parts has no other build.
    let mut pure = cargo();
    pure.args(["clippy", "-p", "zk-transport", "--no-default-features"]);
    pure.args(["--lib", "--", "-D", "warnings"]);
    // As docs.rs builds them, with a note at each item that says which feature it needs.
    let mut docs = cargo();
    docs.args(["doc", "--no-deps", "--workspace", "--all-features"])
        .env("RUSTDOC", fs::canonicalize("xtask/rustdoc-as-nightly")?)
        .env("RUSTDOCFLAGS", "-Dwarnings --cfg docsrs");
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);

    let mut checks = vec![
        complete_lock("Cargo.lock", "Cargo.toml")?,
        complete_lock("fuzz/Cargo.lock", "fuzz/Cargo.toml")?,
        Check::run("format", &mut format)?,
        Check::run("clippy", &mut clippy)?,
        Check::run("clippy of zk-transport without io", &mut pure)?,
        Check::run("docs", &mut docs)?,
    ];
    checks.push(wasm()?);
    checks.push(no_runtime()?);
    checks.push(packages()?);
    checks.extend(gssapi()?);
    for package in [EXAMPLES, MIGRATION, PEERS] {
        checks.extend(lint(package)?);
    }
    checks.extend(deny()?);
    checks.extend(contract::in_ci()?);
    Ok(checks)
}

/// The lock file has all that a build needs. Those of other packages outside the workspace, their builds check.
fn complete_lock(name: &str, manifest: &str) -> io::Result<Check> {
    let mut tree = cargo();
    tree.args(["tree", "--quiet", "--locked", "--depth", "0"]);
    tree.args(["--manifest-path", manifest]);
    Check::run(format!("{name} is complete"), &mut tree)
}

/// The pure crates build where there are no threads, sockets or clocks.
fn wasm() -> io::Result<Check> {
    const NAME: &str = "zk-proto, and zk-transport without io, for wasm32";
    const TARGET: &str = "wasm32-unknown-unknown";

    if !add_target(TARGET) {
        let why = "rustup could not add the target wasm32-unknown-unknown";
        return Ok(Check::skipped(NAME, why));
    }
    let mut build = cargo();
    build.args(["check", "--target", TARGET, "--no-default-features"]);
    build.args(["-p", "zk-proto", "-p", "zk-transport"]);
    Check::run(NAME, &mut build)
}

/// What builds without a runtime has none among its dependencies either.
fn no_runtime() -> io::Result<Check> {
    const NAME: &str = "no runtime below zk-transport without io";

    println!("\n──── {NAME} ────");
    let listed = cargo()
        .args(["tree", "-p", "zk-transport", "--no-default-features"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .stdin(Stdio::null())
        .output()?;
    let packages = String::from_utf8_lossy(&listed.stdout);
    let is_runtime = |name: &str| ["tokio", "mio", "smol", "async-io", "async-std"].contains(&name);
    let names = packages.lines().filter_map(|line| line.split(' ').next());
    let runtimes: Vec<_> = names.filter(|name| is_runtime(name)).collect();
    println!("{packages}runtimes: {runtimes:?}");
    let is_listed = listed.status.success() && packages.contains("zk-proto");
    Ok(Check::judged(NAME, is_listed && runtimes.is_empty()))
}

/// What is published builds, and a project that depends on it runs.
fn packages() -> Result<Check, Box<dyn Error>> {
    const NAME: &str = "packages, and a project that depends on them";
    let began = Instant::now();
    let mut check = Check::judged(NAME, package::are_sound(false)?);
    check.took = began.elapsed();
    Ok(check)
}

/// A package outside the workspace. What its build needs and is missing, the tests report.
fn gssapi() -> io::Result<Vec<Check>> {
    if kerberos::missing().is_some() {
        return Ok(vec![format(GSSAPI)?]);
    }
    let mut checks = lint(GSSAPI)?;
    let mut docs = GSSAPI.building("doc");
    docs.arg("--no-deps").env("RUSTDOCFLAGS", "-Dwarnings");
    checks.push(Check::run(format!("docs of {}", GSSAPI.name), &mut docs)?);
    Ok(checks)
}

/// Format and clippy of a package outside the workspace.
fn lint(package: Outside) -> io::Result<Vec<Check>> {
    let mut clippy = package.building("clippy");
    clippy.args(["--all-targets", "--", "-D", "warnings"]);
    Ok(vec![
        format(package)?,
        Check::run(format!("clippy of {}", package.name), &mut clippy)?,
    ])
}

fn format(package: Outside) -> io::Result<Check> {
    let mut format = package.command("fmt");
    let name = format!("format of {}", package.name);
    Check::run(name, format.arg("--check"))
}

/// Licences, sources and bans are known from the lock file; advisories have to be fetched, and a
/// machine that may not fetch them cannot judge them.
fn deny() -> io::Result<Vec<Check>> {
    const DENY: &str = "cargo deny: licenses, bans, sources";
    const ADVISORIES: &str = "cargo deny: advisories";

    if !succeeds(cargo().args(["deny", "--version"])) {
        let why = "cargo-deny is not installed; `cargo install --locked cargo-deny`";
        return Ok(vec![
            Check::skipped(DENY, why),
            Check::skipped(ADVISORIES, why),
        ]);
    }
    let first = Check::run(
        DENY,
        cargo().args(["deny", "check", "licenses", "bans", "sources"]),
    )?;

    let mut checks = vec![first];
    for package in [GSSAPI, EXAMPLES, MIGRATION] {
        let mut deny = cargo();
        deny.args(["deny", "--manifest-path", package.manifest]);
        deny.args(["--config", "deny.toml", "check"]);
        deny.args(["licenses", "bans", "sources"]);
        let name = format!("cargo deny of {}: licenses, bans, sources", package.name);
        checks.push(Check::run(name, &mut deny)?);
    }

    println!("\n──── {ADVISORIES} ────");
    let fetched = cargo()
        .args(["deny", "fetch", "db"])
        .stdin(Stdio::null())
        .status()?
        .success();
    let second = if fetched {
        Check::run(
            ADVISORIES,
            cargo().args(["deny", "--offline", "check", "advisories"]),
        )?
    } else {
        Check::skipped(ADVISORIES, "the advisory database could not be fetched")
    };
    checks.push(second);
    Ok(checks)
}
