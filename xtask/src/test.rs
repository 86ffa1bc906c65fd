//! `cargo xtask test`: the tests, and one summary.

use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::foreign::{self, Missing};
use crate::hang::Watch;
use crate::output::Output;
use crate::outside::{EXAMPLES, GSSAPI, Outside};
use crate::programs::{BUILD, Programs};
use crate::releases::{Reason, Servers};
use crate::report::{Reader, Report, Suite};
use crate::suites::{Form, Selection, left_out};
use crate::workspace::{Outcome, cargo, enter_workspace, is_ci};
use crate::{budget, bugs, kerberos};

/// Gives the tests the command line tool that the tests of the crates have built.
const TOOL: (&str, &str) = ("ZK_TESTS_ZKCTL", "zkctl");

/// Tests with servers wait for sessions to expire and for processes: two cores are idle four fifths of the time
/// if they run two at a time. Servers are Java processes, and many more of them starve each other.
const SERVER_TEST_THREADS: &str = "--test-threads=4";

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
    let programs = match Programs::build(&form.targets()?, |_| ()) {
        Ok(programs) => programs,
        Err(error) => {
            report.suites.push(Suite {
                name: "build".to_owned(),
                failed: 1,
                remarks: vec![error.to_string()],
                ..Suite::default()
            });
            return Ok(report);
        }
    };
    report.took("build", began);

    let began = Instant::now();
    let missing = foreign::missing(*form);
    let skips = |on_servers| {
        let missing = missing.iter();
        let missing = missing.filter(move |missing| missing.on_servers == on_servers);
        let skipped = missing.flat_map(Missing::skipped);
        let filters = filters.iter().cloned();
        filters.chain(skipped).collect::<Vec<String>>()
    };
    let (on_servers, without) = (skips(true), skips(false));
    let mut run = Run {
        programs: &programs,
        report: &mut report,
    };
    run.start(&Selection::crates(&programs), &without, None)?;
    run.report.took("crates", began);

    let began = Instant::now();
    run.documentation(filters)?;
    run.report.took("documentation", began);

    let began = Instant::now();
    if *form == Form::Full {
        run.report.suites.extend(budget::tools());
    }
    run.start(&Selection::offline(&programs), &without, None)?;
    run.report.took("tests without a server", began);

    let began = Instant::now();
    let servers = Some(&Servers::Embedded);
    run.start(
        &Selection::embedded(&programs),
        &beside_each_other(&on_servers),
        servers,
    )?;
    run.report.took("embedded servers", began);

    match form {
        Form::Short => report.left_out = left_out(),
        Form::Full => run.rest(options, &missing, &on_servers)?,
    }
    Ok(report)
}

/// What has been built, and what has been run of it.
struct Run<'a> {
    programs: &'a Programs,
    report: &'a mut Report,
}

impl Run<'_> {
    /// What only the full form runs.
    fn rest(
        &mut self,
        options: &Options,
        missing: &[Missing],
        on_servers: &[String],
    ) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        let arguments = beside_each_other(&options.filters);
        for servers in Servers::poses() {
            let selection = Selection::pose(self.programs);
            self.start(&selection, &arguments, Some(&servers))?;
        }
        self.report.took("poses of the embedded server", began);

        let began = Instant::now();
        self.outside(EXAMPLES, &options.filters, None)?;
        self.report.took("examples outside the workspace", began);

        let all = Selection::first_release(self.programs);
        let mut offline = Selection::offline(self.programs);
        offline
            .programs
            .extend(Selection::crates(self.programs).programs);
        for missing in missing {
            let suites = if missing.on_servers { &all } else { &offline };
            self.report.suites.push(skip_foreign(suites, missing)?);
        }
        if options.no_server {
            let asked_for = Reason {
                servers: "real servers",
                text: "asked for with --no-server".to_owned(),
                excused: true,
            };
            let suite = skip(&all, &options.filters, asked_for)?;
            self.report.suites.push(suite);
        } else {
            self.on_each_release(&options.filters, on_servers)?;
            let began = Instant::now();
            self.kerberos(&options.filters)?;
            self.report.took("logins with Kerberos", began);
        }

        // At the end: the programs of the other tests are replaced by those of the copy with the bugs.
        if options.filters.is_empty() {
            let began = Instant::now();
            self.report.suites.push(bugs::run(&[])?);
            self.report.took("seeded bugs", began);
        }
        Ok(())
    }

    /// Runs the tests of the package outside the workspace, with a KDC and one release of Apache ZooKeeper.
    fn kerberos(&mut self, filters: &[String]) -> io::Result<()> {
        if let Some(missing) = kerberos::missing() {
            self.report.suites.push(missing);
            return Ok(());
        }
        let servers = Servers::releases().into_iter().next();
        self.outside(GSSAPI, filters, servers.and_then(Result::ok).as_ref())
    }

    /// Runs the tests of a package outside the workspace.
    fn outside(
        &mut self,
        package: Outside,
        filters: &[String],
        servers: Option<&Servers>,
    ) -> io::Result<()> {
        let mut command = package.building("test");
        command.args(["--no-fail-fast", "--", SERVER_TEST_THREADS]);
        command.args(filters).stdin(Stdio::null());
        if let Some(servers) = servers {
            servers.select_for(&mut command);
        }
        let reading = Reader::default();
        let suites = follow(package.name, reading, command, Watch::over_cargo)?;
        self.report.suites.extend(suites);
        Ok(())
    }

    /// Runs all suites that need a real server on the first release of Apache ZooKeeper, and on each
    /// further release those that another release can make fail.
    fn on_each_release(&mut self, filters: &[String], to_tests: &[String]) -> io::Result<()> {
        let arguments = beside_each_other(to_tests);
        let mut selection = Selection::first_release(self.programs);
        for release in Servers::releases() {
            match release {
                Ok(servers) => {
                    let began = Instant::now();
                    self.start(&selection, &arguments, Some(&servers))?;
                    self.report.took(format!("real servers, {servers}"), began);
                    selection = Selection::further_release(self.programs);
                }
                Err(reason) => self.report.suites.push(skip(&selection, filters, reason)?),
            }
        }
        Ok(())
    }

    /// Runs these programs, passes their output on as it comes, and reads the results out of it.
    /// `servers` are those that the tests start, if they start any.
    fn start(
        &mut self,
        selection: &Selection,
        to_tests: &[String],
        servers: Option<&Servers>,
    ) -> io::Result<()> {
        for program in &selection.programs {
            let mut name = program.to_string();
            let mut command = program.command();
            command.args(selection.to_tests()).args(to_tests);
            if let Some(servers) = servers {
                name = format!("{name} on {servers}");
                servers.select_for(&mut command);
            }
            let (variable, tool) = TOOL;
            if let Some(path) = self.programs.path(tool) {
                command.env(variable, path);
            }
            let mut reading = Reader::default();
            reading.begin(name.clone());
            let suites = follow(&name, reading, command, Watch::over)?;
            self.report.suites.extend(suites);
        }
        Ok(())
    }

    /// Runs the examples in the documentation.
    fn documentation(&mut self, filters: &[String]) -> io::Result<()> {
        let mut command = cargo();
        command
            .args(["test", "--no-fail-fast", "--doc"])
            .args(BUILD);
        command.arg("--").args(filters).stdin(Stdio::null());
        // Cargo names each crate.
        let reading = Reader::default();
        let suites = follow("documentation", reading, command, Watch::over_cargo)?;
        self.report.suites.extend(suites);
        Ok(())
    }
}

/// The arguments of a test program whose tests use servers.
fn beside_each_other(arguments: &[String]) -> Vec<String> {
    [arguments, &[SERVER_TEST_THREADS.to_owned()]].concat()
}

/// Runs the command, passes its output on as it comes, and reads the results out of it.
fn follow(
    name: &str,
    mut reading: Reader,
    command: Command,
    watch: fn(u32) -> Watch,
) -> io::Result<Vec<Suite>> {
    println!("\n──── {name} ────");
    let mut input = Output::of(command)?;
    let watch = watch(input.id());
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
    Ok(reading.finish(name, input.status()?.success()))
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

/// A suite of tests that are built and not run.
fn skipped(name: &str, selection: &Selection, filters: &[String]) -> io::Result<Suite> {
    let mut suite = Suite {
        name: name.to_owned(),
        ..Suite::default()
    };
    for program in &selection.programs {
        let mut command = program.command();
        command.args(["--list", "--format=terse"]);
        command.args(selection.to_tests()).args(filters);
        let output = command.stderr(Stdio::inherit()).output()?;
        let listed = String::from_utf8_lossy(&output.stdout);
        let tests = listed.lines().filter(|line| line.ends_with(": test"));
        suite.skipped += u64::try_from(tests.count()).unwrap_or(u64::MAX);
    }
    Ok(suite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::strings;

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
