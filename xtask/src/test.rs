//! `cargo xtask test`: every test there is, one summary.

use std::error::Error;
use std::io::{self, Write};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use crate::foreign::{self, Missing};
use crate::hang::Watch;
use crate::output::Output;
use crate::releases::{Reason, Servers};
use crate::report::{Reader, Report, Suite};
use crate::suites::{ONCE_TESTS, RECIPES_ON_POSES, Targets, runs_in_pose};
use crate::{Outcome, budget, bugs, cargo, enter_workspace, is_ci};

/// Servers are Java processes; more of them at a time than this starve each other on two cores.
const SERVER_TEST_THREADS: &str = "--test-threads=2";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    no_server: bool,
    filters: Vec<String>,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let options = parse(arguments)?;
    enter_workspace()?;
    let report = run(&options)?;
    print!("{report}");
    Ok(if report.failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--no-server" => options.no_server = true,
            flag if flag.starts_with('-') => {
                return Err(format!("`test` does not know {flag}; see cargo xtask help"));
            }
            filter => options.filters.push(filter.to_owned()),
        }
    }
    Ok(options)
}

/// Runs the tests and says how they went; the caller prints the summary.
pub(crate) fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    let targets = Targets::find()?;
    let mut report = Report::default();

    let began = Instant::now();
    report.suites.extend(cargo_test(
        "workspace",
        &[
            "--workspace".into(),
            "--exclude".into(),
            "zk-tests".into(),
            "--all-features".into(),
        ],
        &options.filters,
        None,
    )?);
    report.took("the workspace without zk-tests", began);

    let began = Instant::now();
    report.suites.extend(budget::tools());
    let foreign = foreign::missing();
    let without = |on_servers| {
        let missing = foreign.iter();
        let missing = missing.filter(move |missing| missing.on_servers == on_servers);
        let skipped = missing.flat_map(|missing| missing.skipped());
        let filters = options.filters.iter().cloned();
        filters.chain(skipped).collect::<Vec<String>>()
    };
    let to_servers = without(true);

    let mut offline = selection(&targets.offline);
    offline.push("--lib".to_owned());
    report.suites.extend(cargo_test(
        "zk-tests without a server",
        &offline,
        &without(false),
        None,
    )?);
    report.took("tests without a server", began);

    if !targets.on_embedded.is_empty() {
        let began = Instant::now();
        report.suites.extend(cargo_test(
            "embedded servers",
            &selection(&targets.on_embedded),
            &to_servers,
            Some(&Servers::Embedded),
        )?);
        report.took("embedded servers", began);
    }
    on_each_pose(&targets, &options.filters, &mut report)?;

    if options.filters.is_empty() {
        let began = Instant::now();
        report.suites.push(bugs::run(&[])?);
        report.took("seeded bugs", began);
    }

    let online = selection(&targets.with_server);
    for missing in foreign {
        let suites = if missing.on_servers {
            &online
        } else {
            &offline
        };
        report.suites.push(skip_foreign(suites, &missing)?);
    }
    if options.no_server {
        let asked_for = Reason {
            servers: "real servers",
            text: "asked for with --no-server".to_owned(),
            excused: true,
        };
        report
            .suites
            .push(skip(&online, &options.filters, asked_for)?);
    } else {
        on_each_release(&targets, &options.filters, &to_servers, &mut report)?;
    }
    Ok(report)
}

/// Runs what an operation that is missing could change on the embedded server in each pose.
fn on_each_pose(targets: &Targets, filters: &[String], report: &mut Report) -> io::Result<()> {
    let began = Instant::now();
    let mut recipes = vec!["--package".to_owned(), "zk-recipes".to_owned()];
    let suites = RECIPES_ON_POSES.into_iter();
    recipes.extend(suites.flat_map(|name| ["--test".to_owned(), name.to_owned()]));
    for (pose, servers) in Servers::poses() {
        let on_pose = targets.on_poses.iter();
        let on_pose: Vec<_> = on_pose
            .filter(|name| runs_in_pose(name, pose))
            .cloned()
            .collect();
        for selection in [&selection(&on_pose), &recipes] {
            let what = servers.to_string();
            let suites = cargo_test(&what, selection, filters, Some(&servers))?;
            report.suites.extend(suites);
        }
    }
    report.took("poses of the embedded server", began);
    Ok(())
}

/// Runs all suites that need a real server on the first release of Apache ZooKeeper, and on each
/// further release those that another release can make fail.
fn on_each_release(
    targets: &Targets,
    filters: &[String],
    to_tests: &[String],
    report: &mut Report,
) -> io::Result<()> {
    let mut arguments = to_tests.to_vec();
    arguments.push(SERVER_TEST_THREADS.to_owned());
    let mut is_first = true;
    for release in Servers::releases() {
        let selection = selection(if is_first {
            &targets.with_server
        } else {
            &targets.on_each_release
        });
        match release {
            Ok(servers) => {
                let began = Instant::now();
                let what = format!("real servers, {servers}");
                let mut arguments = arguments.clone();
                if !is_first {
                    let once = ONCE_TESTS.iter();
                    let once = once.flat_map(|once| ["--skip".to_owned(), once.test.to_owned()]);
                    arguments.extend(once);
                }
                let suites = cargo_test(&what, &selection, &arguments, Some(&servers))?;
                report.suites.extend(suites);
                report.took(what, began);
                if !is_first {
                    let suites = run_once(&targets.once, &servers, filters)?;
                    report.suites.extend(suites);
                }
                is_first = false;
            }
            Err(reason) => report.suites.push(skip(&selection, filters, reason)?),
        }
    }
    Ok(())
}

/// These test targets of `zk-tests`, as arguments.
fn selection(targets: &[String]) -> Vec<String> {
    let mut arguments = vec!["--package".to_owned(), "zk-tests".to_owned()];
    let tests = targets
        .iter()
        .flat_map(|name| ["--test".to_owned(), name.clone()]);
    arguments.extend(tests);
    arguments
}

/// What has run on another release, and not on these servers.
fn run_once(
    once: &[(String, &str)],
    servers: &Servers,
    filters: &[String],
) -> io::Result<Vec<Suite>> {
    let mut suites = Vec::new();
    if !once.is_empty() {
        let targets: Vec<_> = once.iter().map(|(name, _)| name.clone()).collect();
        let name = format!("suites of one release, not run on {servers}");
        let mut suite = skipped(&name, &selection(&targets), filters)?;
        (suite.remarks).extend(once.iter().map(|(name, why)| format!("{name}: {why}")));
        suites.push(suite);
    }
    for once in ONCE_TESTS {
        // With two filters, a test runs that either is for.
        if !filters.is_empty() && !filters.iter().any(|filter| once.test.contains(filter)) {
            continue;
        }
        let name = format!("a test of one release, not run on {servers}");
        let target = [once.target.to_owned()];
        let mut suite = skipped(&name, &selection(&target), &[once.test.to_owned()])?;
        suite.remarks.push(format!("{}: {}", once.test, once.why));
        suites.push(suite);
    }
    suites.retain(|suite| suite.skipped > 0 || suite.failed > 0);
    Ok(suites)
}

fn skip(selection: &[String], filters: &[String], reason: Reason) -> io::Result<Suite> {
    let mut suite = skipped(reason.servers, selection, filters)?;
    let why = format!("SKIPPED these tests: {}", reason.text);
    suite.remarks.insert(0, why);
    if !reason.excused {
        count_as_failure(&mut suite);
    }
    Ok(suite)
}

fn skip_foreign(selection: &[String], missing: &Missing) -> io::Result<Suite> {
    let name = format!("with {}", missing.what);
    let mut suite = skipped(&name, selection, &[missing.mark.to_owned()])?;
    let why = format!("SKIPPED all tests with {}: {}", missing.what, missing.why);
    suite.remarks.insert(0, why);
    if is_ci() && !missing.is_excused {
        count_as_failure(&mut suite);
    }
    Ok(suite)
}

fn count_as_failure(suite: &mut Suite) {
    suite.failed += 1;
    let why = "which counts as a failure because CI=true".to_owned();
    suite.remarks.push(why);
}

/// A suite of tests that are not run, but built.
fn skipped(name: &str, selection: &[String], filters: &[String]) -> io::Result<Suite> {
    let mut list = vec!["--list".to_owned(), "--format=terse".to_owned()];
    list.extend(filters.iter().cloned());
    let output = cargo()
        .args(["test", "--quiet"])
        .args(selection)
        .arg("--")
        .args(list)
        .stderr(Stdio::inherit())
        .output()?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let tests = listed
        .lines()
        .filter(|line| line.ends_with(": test"))
        .count();
    let mut suite = Suite {
        name: name.to_owned(),
        skipped: u64::try_from(tests).unwrap_or(u64::MAX),
        ..Suite::default()
    };
    if !output.status.success() {
        suite.failed += 1;
        suite
            .remarks
            .push("and they do not build; see above".to_owned());
    }
    Ok(suite)
}

/// Runs `cargo test`, passes its output on as it comes, and reads the results out of it. `servers`
/// are those its tests start, if they start any.
fn cargo_test(
    what: &str,
    selection: &[String],
    to_tests: &[String],
    servers: Option<&Servers>,
) -> io::Result<Vec<Suite>> {
    println!("\n──── {what}: cargo test {} ────", selection.join(" "));
    // Cargo names the suites on standard error, the suites their results on standard output.
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast"])
        .args(selection)
        .arg("--")
        .args(to_tests)
        .stdin(Stdio::null());
    if let Some(servers) = servers {
        servers.select_for(&mut command);
    }
    let mut input = Output::of(command)?;
    let watch = Watch::over(input.id());
    let mut reading = Reader::default();
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    loop {
        // Parts of lines too: a test that hangs has printed its name and no newline.
        let part = input.part()?;
        if part.is_empty() {
            break;
        }
        watch.progress();
        output.write_all(&part)?;
        output.flush()?;
        line.extend_from_slice(&part);
        if line.ends_with(b"\n") {
            reading.line(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    reading.line(&String::from_utf8_lossy(&line));
    let mut suites = reading.finish(what, input.status()?.success());
    if let Some(servers) = servers {
        // The same suites run on several servers, and the summary shows each.
        for suite in &mut suites {
            suite.name = format!("{} on {servers}", suite.name);
        }
    }
    Ok(suites)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn arguments_are_filters_or_known_flags() {
        let options = parse(&strings(&["lock", "--no-server", "session"])).unwrap();
        assert_eq!(
            options,
            Options {
                no_server: true,
                filters: strings(&["lock", "session"])
            }
        );
        assert!(
            parse(&strings(&["--no-serve"]))
                .unwrap_err()
                .contains("--no-serve")
        );
    }
}
