//! `cargo xtask package`: the packages as a registry would have them, tried by a project outside the workspace.
//!
//! `contents` judges the files of a package; `project` makes the project and runs it.

mod command;
mod contents;
mod project;

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use crate::outside::GSSAPI;
use crate::workspace::{Outcome, cargo, enter_workspace, target};
use command::run;
use contents::Contents;

/// The packages of the workspace that are published, each after those that it needs, also for its tests.
pub(crate) const PACKAGES: [&str; 6] = [
    "zk-proto",
    "zk-transport",
    "zk-client",
    "zk-embedded",
    "zk-recipes",
    "zkctl",
];

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let keep = match arguments {
        [] => false,
        [flag] if flag == "--keep" => true,
        _ => return Err("`package` takes --keep or nothing; see cargo xtask help".into()),
    };
    enter_workspace()?;
    Ok(match are_sound(keep)? {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Makes and tries the packages, and prints what is wrong with them.
pub(crate) fn are_sound(keep: bool) -> Result<bool, Box<dyn Error>> {
    let directory = Directory::new(keep)?;
    let problems = check(&directory.0)?;
    for problem in &problems {
        println!("PROBLEM  {problem}");
    }
    Ok(problems.is_empty())
}

/// Everything that is wrong with the packages.
fn check(directory: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut problems = Vec::new();
    println!("\n──── packages ────");
    package()?;
    let mut packages = Vec::new();
    for name in PACKAGES {
        packages.push(Contents::unpack(name, directory)?);
    }
    let outside = Contents::unpack(GSSAPI.name, directory)?;
    for package in packages.iter().chain([&outside]) {
        println!("{package}");
        problems.extend(package.problems()?);
    }
    problems.extend(wrong_order(&packages)?);

    println!("\n──── a project outside the workspace ────");
    project::write(directory, &packages)?;
    fs::copy("Cargo.lock", directory.join("Cargo.lock"))?;
    let mut step = |name: &str, arguments: &[&str]| -> io::Result<()> {
        let mut command = cargo();
        command.current_dir(directory).stdin(Stdio::null());
        command.args(arguments).args(["--offline", "--target-dir"]);
        command.arg(fs::canonicalize(target())?);
        println!("cargo {}", arguments.join(" "));
        if !command.status()?.success() {
            problems.push(format!("{name}: cargo {} failed", arguments.join(" ")));
        }
        Ok(())
    };
    let features = ["check", "--workspace", "--lib", "--bins", "--examples"];
    step(
        "all features",
        &[&features[..], &["--all-features"]].concat(),
    )?;
    step("every target", &["check", "--workspace", "--all-targets"])?;
    let mut test = vec!["test", "--package", project::NAME];
    test.extend(project::TESTS.iter().flat_map(|test| ["--test", test]));
    step("the project", &test)?;
    Ok(problems)
}

/// Packages all of them. They are built afterwards, and not by cargo, which would build each alone, on those before it.
fn package() -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir("crates")? {
        let name = entry?.file_name();
        if !PACKAGES
            .iter()
            .chain([&GSSAPI.name])
            .any(|known| name == *known)
        {
            return Err(format!("{name:?} is not among the packages in {}", file!()).into());
        }
    }
    let packaging = || {
        let mut command = cargo();
        command.args(["package", "--offline", "--quiet", "--no-verify"]);
        command
            .args(["--allow-dirty", "--target-dir"])
            .arg(target());
        command
    };
    let mut all = packaging();
    for name in PACKAGES {
        all.args(["--package", name]);
    }
    run(&mut all)?;
    // A lock file would need the packages of the workspace in the registry.
    let mut outside = packaging();
    outside.args(["--exclude-lockfile", "--manifest-path", GSSAPI.manifest]);
    run(&mut outside)
}

/// Packages that need one which is published after them. Their development dependencies count: a registry
/// refuses a package whose dependencies it does not have.
fn wrong_order(packages: &[Contents]) -> io::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (position, package) in packages.iter().enumerate() {
        let manifest = package.manifest()?;
        let tables = manifest.lines().filter_map(|line| line.strip_prefix('['));
        let names = tables.filter_map(|table| {
            let (_, name) = table.split_once("dependencies.")?;
            Some(name.trim_matches([']', '"']))
        });
        for name in names.filter(|name| name.starts_with("zk")) {
            let before = packages.iter().take(position);
            if !before.into_iter().any(|other| other.name == name) {
                problems.push(format!("{} needs {name}, published later", package.name));
            }
        }
    }
    Ok(problems)
}

/// A new directory outside the workspace.
struct Directory(PathBuf, bool);

impl Directory {
    fn new(keep: bool) -> io::Result<Self> {
        let name = format!("zk-package-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(path, keep))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.1 {
            println!("kept: {}", self.0.display());
        } else if let Err(error) = fs::remove_dir_all(&self.0) {
            println!("{}: {error}", self.0.display());
        }
    }
}
