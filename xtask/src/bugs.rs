//! `cargo xtask bugs`: switches on one seeded bug after another, and demands that a test fails.

mod tree;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zk_tests::watchdog::GIVEN_UP;

use crate::hang::Watch;
use crate::programs::{Program, Programs};
use crate::report::Suite;
use crate::workspace::{Outcome, enter_workspace};

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
    let mut places: Vec<_> = bugs.iter().map(Bug::place).collect();
    places.sort_unstable();
    places.dedup();
    // The proof needs both: that a test passes without its bug, and that it fails with it.
    let sound = each(&places, |place| {
        let program = program(&programs, *place)?;
        let of_place = bugs.iter().filter(|bug| bug.place() == *place);
        let filters: Vec<_> = of_place.map(|bug| &*bug.filter).collect();
        let verdict = test(program, &filters, None)?;
        Ok::<_, io::Error>((*place, (verdict == Verdict::Passed, filters)))
    });
    let mut sound = sound.into_iter().collect::<io::Result<HashMap<_, _>>>()?;
    let verdicts = each(&bugs, |bug| {
        let verdict = test(
            program(&programs, bug.place())?,
            &[&bug.filter],
            Some(&bug.number),
        )?;
        println!("{verdict:>10}  {} {}", bug.number, bug.what);
        Ok::<_, io::Error>(verdict)
    });
    // Beside another test on a busy machine, a test may have been starved: what is not as it should be runs
    // again, alone.
    for (place, (is_sound, filters)) in &mut sound {
        if !*is_sound {
            println!("again, alone and without a bug: {place:?}");
            *is_sound = test(program(&programs, *place)?, filters, None)? == Verdict::Passed;
        }
    }
    for (bug, verdict) in bugs.iter().zip(verdicts) {
        let mut verdict = verdict?;
        if verdict != Verdict::Failed {
            println!("again, alone: {} {}", bug.number, bug.what);
            verdict = test(
                program(&programs, bug.place())?,
                &[&bug.filter],
                Some(&bug.number),
            )?;
        }
        let is_sound = sound.get(&bug.place()).is_some_and(|(sound, _)| *sound);
        let remark = match (is_sound, verdict) {
            (true, Verdict::Failed) => {
                suite.passed += 1;
                continue;
            }
            (false, _) => "FAILS WITHOUT IT".to_owned(),
            (true, verdict) => verdict.to_string(),
        };
        suite.failed += 1;
        let remark = format!("{} by {} {}: {remark}", bug.number, bug.target, bug.filter);
        suite.remarks.push(remark);
    }
    forget_builds()?;
    Ok(suite)
}

fn program<'a>(programs: &'a Programs, place: (&str, &str)) -> io::Result<&'a Program> {
    let (package, target) = place;
    let program = programs.test(package, target);
    program.ok_or_else(|| io::Error::other(format!("{LIST}: {package} has no target {target}")))
}

/// Does the work for each of them, for two at a time: most of these tests wait on a clock of their own, and use
/// one processor.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let other = scope.spawn(worker);
        let mut done = worker();
        match other.join() {
            Ok(others) => done.extend(others),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
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

impl Bug {
    /// The program that has the test: a package and a target of it.
    fn place(&self) -> (&str, &str) {
        (&self.package, &self.target)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Neither,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Failed => "caught",
            Verdict::Passed => "NOT CAUGHT",
            Verdict::Neither => "NO SUCH TEST, or it does not build, or ends early",
        })
    }
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

/// Builds what the bugs need.
fn build(bugs: &[Bug]) -> Result<Programs, Box<dyn Error>> {
    let mut targets: Vec<_> = bugs.iter().map(|bug| &*bug.target).collect();
    targets.sort_unstable();
    targets.dedup();
    let arguments = targets.into_iter().flat_map(|target| match target {
        "lib" => vec!["--lib".to_owned()],
        target => vec!["--test".to_owned(), target.to_owned()],
    });
    let (tree, target) = (tree::prepare()?, target()?);
    Programs::build(&arguments.collect::<Vec<_>>(), |command| {
        command.current_dir(tree).env("CARGO_TARGET_DIR", target);
    })
}

/// The directory that cargo builds the copy into: that of the sources, for the dependencies are the same.
fn target() -> io::Result<PathBuf> {
    Ok(std::env::current_dir()?.join("target"))
}

/// Has cargo build our packages again: by their names, it takes those that were built from the copy for those
/// of the sources, whatever has changed in these.
fn forget_builds() -> io::Result<()> {
    let known = target()?.join("debug/.fingerprint");
    for entry in fs::read_dir(known)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("zk") {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Runs the tests of a program that the filters select, with a bug or without.
fn test(program: &Program, filters: &[&str], bug: Option<&str>) -> io::Result<Verdict> {
    let mut command = program.command();
    command.args(filters).env("ZK_TESTS_SERVER", "embedded");
    select(&mut command, bug);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let watch = Watch::over(child.id());
    let output = child.wait_with_output()?;
    drop(watch);
    let said = String::from_utf8_lossy(&output.stdout);
    // A test whose wait was given up has failed, too.
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
        .env("CARGO_TARGET_DIR", target()?);
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
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(each(&items, |item| item + 1), (1..101).collect::<Vec<_>>());
    }

    #[test]
    fn each_listed_bug_has_a_patch() {
        enter_workspace().unwrap();
        let listed = read(&fs::read_to_string(LIST).unwrap()).unwrap();
        let listed: BTreeSet<_> = listed.into_iter().map(|bug| bug.number).collect();
        assert_eq!(listed, tree::numbers().unwrap());
        assert!(listed.len() >= 20);
        let catalogue = fs::read_to_string("tests/CATALOGUE.md").unwrap();
        for number in listed {
            let row = format!("| {number} | ");
            let has_row = catalogue.lines().any(|line| line.starts_with(&row));
            assert!(has_row, "tests/CATALOGUE.md has no row {number}");
        }
    }
}
