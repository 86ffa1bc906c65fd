//! `cargo xtask bugs`: switches on one seeded bug after another, and demands that a test fails.

mod tree;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::fs;
use std::io;
use std::process::{Command, ExitCode, Stdio};

use zk_tests::watchdog::GIVEN_UP;

use crate::hang::Watch;
use crate::report::Suite;
use crate::suites::BUILD;
use crate::workspace::{Outcome, cargo, enter_workspace};

const LIST: &str = "tests/SEEDED_BUGS.md";
const VARIABLE: &str = "ZK_SEEDED_BUG";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    enter_workspace()?;
    let suite = run(arguments)?;
    for remark in &suite.remarks {
        println!("{remark}");
    }
    println!("{} caught, {} not", suite.passed, suite.failed);
    Ok(if suite.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs all bugs of the list, or those of these numbers.
pub(crate) fn run(numbers: &[String]) -> Result<Suite, Box<dyn Error>> {
    let mut bugs = read(&fs::read_to_string(LIST)?)?;
    for number in numbers {
        check(number)?;
    }
    bugs.retain(|bug| numbers.is_empty() || numbers.contains(&bug.number));
    let mut suite = Suite {
        name: "seeded bugs".to_owned(),
        ..Suite::default()
    };
    println!("\n──── seeded bugs: {} ────", bugs.len());
    let programs = build(&bugs)?;
    // The proof needs both: that a test passes without its bug, and that it fails with it.
    let mut sound: HashMap<(&str, &str), bool> = HashMap::new();
    for bug in &bugs {
        let place = (&*bug.package, &*bug.target);
        let Some(program) = programs.get(&(bug.package.clone(), bug.target.clone())) else {
            return Err(format!("{LIST}: {} has no target {}", bug.package, bug.target).into());
        };
        let is_sound = match sound.entry(place) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let filters: Vec<&str> = (bugs.iter())
                    .filter(|other| (&*other.package, &*other.target) == place)
                    .map(|other| &*other.filter)
                    .collect();
                *unknown.insert(test(program, &filters, None)? == Verdict::Passed)
            }
        };
        let verdict = match test(program, &[&bug.filter], Some(&bug.number))? {
            _ if !is_sound => "FAILS WITHOUT IT",
            Verdict::Failed => "caught",
            Verdict::Passed => "NOT CAUGHT",
            Verdict::Neither => "NO SUCH TEST, or it does not build, or ends early",
        };
        println!("{verdict:>10}  {} {}", bug.number, bug.what);
        if verdict == "caught" {
            suite.passed += 1;
        } else {
            suite.failed += 1;
            let remark = format!("{} by {} {}: {verdict}", bug.number, bug.target, bug.filter);
            suite.remarks.push(remark);
        }
    }
    Ok(suite)
}

#[derive(Debug, PartialEq, Eq)]
struct Bug {
    number: String,
    what: String,
    package: String,
    /// `lib`, or the name of a test target.
    target: String,
    filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Neither,
}

/// The rows of the table.
fn read(list: &str) -> Result<Vec<Bug>, String> {
    let rows = list.lines().filter(|line| line.starts_with("| "));
    let mut bugs: Vec<Bug> = Vec::new();
    // The first row is the table's head.
    for row in rows.skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        let [number, what, package, target, filter] = cells[..] else {
            return Err(format!("{LIST}: not five cells: {row}"));
        };
        let is_known = |bug: &Bug| bug.number == number && bug.filter == code(filter);
        if bugs.iter().any(is_known) {
            return Err(format!("{LIST}: {number} and {filter} twice"));
        }
        bugs.push(Bug {
            number: number.to_owned(),
            what: what.to_owned(),
            package: code(package),
            target: code(target),
            filter: code(filter),
        });
    }
    Ok(bugs)
}

/// A program of tests, and the directory of its package, in which cargo would run it.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    path: String,
    directory: String,
}

/// Builds what the bugs need at once, and says where it is, by package and target.
fn build(bugs: &[Bug]) -> Result<HashMap<(String, String), Program>, Box<dyn Error>> {
    let mut targets: Vec<_> = bugs.iter().map(|bug| &*bug.target).collect();
    targets.sort_unstable();
    targets.dedup();
    let mut command = cargo();
    command.arg("test").args(BUILD);
    command.args(["--no-run", "--message-format=json-render-diagnostics"]);
    for target in targets {
        match target {
            "lib" => command.arg("--lib"),
            target => command.args(["--test", target]),
        };
    }
    switch_on(&mut command, None)?;
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the seeded bugs do not build".into());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(program).collect())
}

/// The program that a message of cargo is about, with its package and its target.
fn program(message: &str) -> Option<((String, String), Program)> {
    let value = |key: &str| {
        let (_, rest) = message.split_once(&format!("\"{key}\":\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let path = value("executable")?;
    // `path+file:///directory#1.0.0`, or `…#name@1.0.0` where the directory has another name.
    let id = value("package_id")?;
    let (directory, version) = id.split_once('#')?;
    let directory = directory.split_once("://")?.1.to_owned();
    let package = match version.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => directory.rsplit('/').next()?.to_owned(),
    };
    let target = match message.contains("\"kind\":[\"lib\"]") {
        true => "lib".to_owned(),
        false => value("name")?,
    };
    Some(((package, target), Program { path, directory }))
}

/// Runs the tests of a program that the filters select, with a bug or without.
fn test(program: &Program, filters: &[&str], bug: Option<&str>) -> io::Result<Verdict> {
    let mut command = Command::new(&program.path);
    command
        .args(filters)
        .current_dir(&program.directory)
        .env("CARGO_MANIFEST_DIR", &program.directory)
        .env("ZK_TESTS_SERVER", "embedded")
        .stdin(Stdio::null());
    select(&mut command, bug);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let watch = Watch::over(child.id());
    let output = child.wait_with_output()?;
    drop(watch);
    let said = String::from_utf8_lossy(&output.stdout);
    // A test that waits in vain has failed, too, wherever it waits.
    let given_up = String::from_utf8_lossy(&output.stderr).contains(GIVEN_UP);
    let failed = said.contains("test result: FAILED") || given_up;
    let passed = said
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .any(|counts| !counts.starts_with("0 passed"));
    let verdict = match (output.status.success(), passed, failed) {
        (true, true, _) => Verdict::Passed,
        (false, _, true) => Verdict::Failed,
        _ => Verdict::Neither,
    };
    if verdict == Verdict::Neither || (bug.is_none() && verdict == Verdict::Failed) {
        println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(verdict)
}

/// Runs `command`, which is cargo's, in a copy of the sources that has all bugs, with this one switched
/// on or with none.
pub(crate) fn switch_on(command: &mut Command, bug: Option<&str>) -> Result<(), Box<dyn Error>> {
    command
        .current_dir(tree::prepare()?)
        // The dependencies of the copy and of the sources are the same.
        .env("CARGO_TARGET_DIR", std::env::current_dir()?.join("target"));
    select(command, bug);
    Ok(())
}

/// Switches this bug on in the tests that `command` runs, or none.
fn select(command: &mut Command, bug: Option<&str>) {
    match bug {
        Some(number) => command.env(VARIABLE, number),
        None => command.env_remove(VARIABLE),
    };
}

/// Whether the list has a bug of this number.
pub(crate) fn check(number: &str) -> Result<(), Box<dyn Error>> {
    let bugs = read(&fs::read_to_string(LIST)?)?;
    if bugs.iter().any(|bug| bug.number == number) {
        return Ok(());
    }
    Err(format!("{LIST} has no bug {number}").into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn programs_are_found_by_package_and_target() {
        let message = |id: &str, kind: &str, name: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/{id}\",\
                 \"target\":{{\"kind\":[\"{kind}\"],\"name\":\"{name}\"}},\
                 \"executable\":\"/t/{name}-1\"}}"
            )
        };
        let place = |message: &str| program(message).unwrap().0;
        let pair = |package: &str, target: &str| (package.to_owned(), target.to_owned());
        let library = message("crates/zk-client#0.1.0", "lib", "zk_client");
        assert_eq!(place(&library), pair("zk-client", "lib"));
        let tests = message("tests#zk-tests@0.1.0", "test", "server");
        assert_eq!(place(&tests), pair("zk-tests", "server"));
        let found = program(&tests).unwrap().1;
        assert_eq!(
            (&*found.path, &*found.directory),
            ("/t/server-1", "/w/tests")
        );
        assert!(program("{\"reason\":\"build-finished\",\"success\":true}").is_none());
    }

    #[test]
    fn the_list_is_a_table_of_five_columns() {
        let list = "# Title\n\n| no. | what | package | target | test |\n|---|---|---|---|---|\n\
                    | B1 | it breaks | `zk-client` | `lib` | `b1_it_breaks` |\n";
        let bugs = read(list).unwrap();
        assert_eq!(bugs.len(), 1);
        assert_eq!((&*bugs[0].number, &*bugs[0].filter), ("B1", "b1_it_breaks"));
        assert!(read("| a |\n| B1 | too few |\n").is_err());
        let another_test = format!("{list}| B1 | it breaks | `p` | `lib` | `t` |\n");
        assert_eq!(read(&another_test).unwrap().len(), 2);
        let twice = format!("{list}| B1 | again | `p` | `lib` | `b1_it_breaks` |\n");
        assert!(read(&twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn each_listed_bug_has_a_patch() {
        enter_workspace().unwrap();
        let listed = read(&fs::read_to_string(LIST).unwrap()).unwrap();
        let listed: BTreeSet<_> = listed.into_iter().map(|bug| bug.number).collect();
        assert_eq!(listed, tree::numbers().unwrap());
        assert!(listed.len() >= 20);
    }
}
