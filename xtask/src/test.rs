//! `cargo xtask test`: the tests, and one summary.

use std::error::Error;
use std::io::{self, Write};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use crate::foreign::{self, Missing};
use crate::hang::Watch;
use crate::output::Output;
use crate::releases::{Reason, Servers};
use crate::report::{Reader, Report, Suite};
use crate::suites::{BUILD, Form, Selection, left_out};
use crate::workspace::{Outcome, cargo, enter_workspace, is_ci};
use crate::{budget, bugs};

/// Gives the tests the command line tool that the tests of the crates have built.
const TOOL: (&str, &str) = ("ZK_TESTS_ZKCTL", "zkctl");

/// Servers are Java processes; more of them at a time than this starve each other on two cores.
const SERVER_TEST_THREADS: &str = "--test-threads=2";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    form: Form,
    no_server: bool,
    filters: Vec<String>,
}

impl Options {
    /// Everything.
    pub(crate) fn full() -> Self {
        Options {
            form: Form::Full,
            ..Options::default()
        }
    }
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
            "--full" => options.form = Form::Full,
            "--no-server" => options.no_server = true,
            flag if flag.starts_with('-') => {
                return Err(format!("`test` has no option {flag}; see cargo xtask help"));
            }
            filter => options.filters.push(filter.to_owned()),
        }
    }
    if options.no_server && options.form == Form::Short {
        return Err("--no-server belongs to --full: the short form starts no server".to_owned());
    }
    Ok(options)
}

/// Runs the tests. The caller prints the report.
pub(crate) fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    let Options { form, filters, .. } = options;
    let mut report = Report::default();

    let began = Instant::now();
    // On servers, and without.
    let missing = foreign::missing(*form);
    let skips = |on_servers| {
        let missing = missing.iter();
        let missing = missing.filter(move |missing| missing.on_servers == on_servers);
        let skipped = missing.flat_map(Missing::skipped);
        let filters = filters.iter().cloned();
        filters.chain(skipped).collect::<Vec<String>>()
    };
    let (on_servers, without) = (skips(true), skips(false));

    let crates = Selection::crates(*form)?;
    let mut programs = vec!["--lib".to_owned(), "--bins".to_owned()];
    programs.extend(crates.to_cargo());
    report
        .suites
        .extend(cargo_test("crates", &programs, &without, None)?);
    report.took("crates", began);

    let began = Instant::now();
    let mut documentation = vec!["--doc".to_owned()];
    documentation.extend(BUILD.map(str::to_owned));
    report
        .suites
        .extend(cargo_test("documentation", &documentation, filters, None)?);
    report.took("documentation", began);

    let began = Instant::now();
    if *form == Form::Full {
        report.suites.extend(budget::tools());
    }
    let offline = Selection::offline(*form);
    let suites = run_selection("tests without a server", &offline, &without, None)?;
    report.suites.extend(suites);
    report.took("tests without a server", began);

    let began = Instant::now();
    let embedded = Selection::embedded(*form);
    let servers = Some(&Servers::Embedded);
    let suites = run_selection("embedded servers", &embedded, &on_servers, servers)?;
    report.suites.extend(suites);
    report.took("embedded servers", began);

    match form {
        Form::Short => report.left_out = left_out(),
        Form::Full => rest(options, &missing, &on_servers, &mut report)?,
    }
    Ok(report)
}

/// What only the full form runs.
fn rest(
    options: &Options,
    missing: &[Missing],
    on_servers: &[String],
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    on_each_pose(&options.filters, report)?;
    if options.filters.is_empty() {
        let began = Instant::now();
        report.suites.push(bugs::run(&[])?);
        report.took("seeded bugs", began);
    }
    let all = Selection::first_release();
    let offline = Selection::offline(Form::Full);
    for missing in missing {
        let suites = if missing.on_servers { &all } else { &offline };
        report.suites.push(skip_foreign(suites, missing)?);
    }
    if options.no_server {
        let asked_for = Reason {
            servers: "real servers",
            text: "asked for with --no-server".to_owned(),
            excused: true,
        };
        report.suites.push(skip(&all, &options.filters, asked_for)?);
    } else {
        on_each_release(&options.filters, on_servers, report)?;
    }
    Ok(())
}

/// Runs what an operation that is missing could change on the embedded server in each pose.
fn on_each_pose(filters: &[String], report: &mut Report) -> io::Result<()> {
    let began = Instant::now();
    for servers in Servers::poses() {
        for selection in [Selection::pose(), Selection::recipes()] {
            let what = servers.to_string();
            let suites = run_selection(&what, &selection, filters, Some(&servers))?;
            report.suites.extend(suites);
        }
    }
    report.took("poses of the embedded server", began);
    Ok(())
}

/// Runs all suites that need a real server on the first release of Apache ZooKeeper, and on each
/// further release those that another release can make fail.
fn on_each_release(filters: &[String], to_tests: &[String], report: &mut Report) -> io::Result<()> {
    let mut arguments = to_tests.to_vec();
    arguments.push(SERVER_TEST_THREADS.to_owned());
    let mut selection = Selection::first_release();
    for release in Servers::releases() {
        match release {
            Ok(servers) => {
                let began = Instant::now();
                let what = format!("real servers, {servers}");
                let suites = run_selection(&what, &selection, &arguments, Some(&servers))?;
                report.suites.extend(suites);
                report.took(what, began);
                selection = Selection::further_release();
            }
            Err(reason) => report.suites.push(skip(&selection, filters, reason)?),
        }
    }
    Ok(())
}

fn skip(selection: &Selection, filters: &[String], reason: Reason) -> io::Result<Suite> {
    let mut suite = skipped(reason.servers, selection, filters)?;
    let why = format!("SKIPPED these tests: {}", reason.text);
    suite.remarks.insert(0, why);
    if !reason.excused {
        count_as_failure(&mut suite);
    }
    Ok(suite)
}

fn skip_foreign(selection: &Selection, missing: &Missing) -> io::Result<Suite> {
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
fn skipped(name: &str, selection: &Selection, filters: &[String]) -> io::Result<Suite> {
    let mut list = vec!["--list".to_owned(), "--format=terse".to_owned()];
    list.extend(selection.to_tests());
    list.extend(filters.iter().cloned());
    let output = cargo()
        .args(["test", "--quiet"])
        .args(selection.to_cargo())
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

/// Runs these tests but for those that the arguments leave out.
fn run_selection(
    what: &str,
    selection: &Selection,
    to_tests: &[String],
    servers: Option<&Servers>,
) -> io::Result<Vec<Suite>> {
    let rooms = selection.to_tests();
    let to_tests = [rooms, to_tests.to_vec()].concat();
    cargo_test(what, &selection.to_cargo(), &to_tests, servers)
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
        let (variable, name) = TOOL;
        let tool = std::env::current_exe()?.with_file_name(name);
        if tool.is_file() {
            command.env(variable, tool);
        }
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
        let options = parse(&strings(&["lock", "--full", "--no-server", "session"])).unwrap();
        assert_eq!(
            options,
            Options {
                form: Form::Full,
                no_server: true,
                filters: strings(&["lock", "session"])
            }
        );
        assert!(
            parse(&strings(&["--no-serve"]))
                .unwrap_err()
                .contains("--no-serve")
        );
        assert!(parse(&strings(&["--no-server"])).is_err());
        assert_eq!(parse(&[]).unwrap().form, Form::Short);
    }
}
