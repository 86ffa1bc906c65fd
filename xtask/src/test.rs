//! `cargo xtask test`: every test there is, one summary.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{ExitCode, Stdio};

use zk_tests::Installation;

use crate::report::{Reader, Report, Suite};
use crate::suites::Targets;
use crate::{Outcome, cargo, enter_workspace, is_ci};

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

    report.suites.extend(cargo_test(
        "workspace",
        &["--workspace".into(), "--exclude".into(), "zk-tests".into()],
        &options.filters,
    )?);

    let mut offline = vec!["--package".into(), "zk-tests".into(), "--lib".into()];
    offline.extend(
        targets
            .offline
            .iter()
            .flat_map(|name| ["--test".to_owned(), name.clone()]),
    );
    report.suites.extend(cargo_test(
        "zk-tests without a server",
        &offline,
        &options.filters,
    )?);

    let mut online = vec!["--package".to_owned(), "zk-tests".to_owned()];
    online.extend(
        targets
            .with_server
            .iter()
            .flat_map(|name| ["--test".to_owned(), name.clone()]),
    );
    if targets.with_server.is_empty() {
        return Ok(report);
    }
    match why_without_server(options) {
        None => {
            let mut arguments = options.filters.clone();
            arguments.push(SERVER_TEST_THREADS.to_owned());
            report
                .suites
                .extend(cargo_test("real servers", &online, &arguments)?);
        }
        Some(reason) => report.suites.push(skip(&online, &options.filters, reason)?),
    }
    Ok(report)
}

/// Why the tests that need a server are not run; `None` if they are.
fn why_without_server(options: &Options) -> Option<Reason> {
    if options.no_server {
        return Some(Reason {
            text: "asked for with --no-server".to_owned(),
            excused: true,
        });
    }
    match Installation::find_or_install() {
        Ok(found) => {
            println!(
                "real servers: {}, {}",
                found.origin(),
                found.java().display()
            );
            None
        }
        Err(error) => Some(Reason {
            text: format!("{error:?}"),
            excused: !is_ci(),
        }),
    }
}

struct Reason {
    text: String,
    /// In CI nobody reads the summary of a green run, so a missing server turns it red.
    excused: bool,
}

fn skip(selection: &[String], filters: &[String], reason: Reason) -> io::Result<Suite> {
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
        name: "real servers".to_owned(),
        skipped: u64::try_from(tests).unwrap_or(u64::MAX),
        remarks: vec![format!(
            "SKIPPED all tests that need a real server: {}",
            reason.text
        )],
        ..Suite::default()
    };
    if !output.status.success() {
        suite.failed += 1;
        suite
            .remarks
            .push("and they do not build; see above".to_owned());
    }
    if !reason.excused {
        suite.failed += 1;
        suite
            .remarks
            .push("which counts as a failure because CI=true".to_owned());
    }
    Ok(suite)
}

/// Runs `cargo test`, passes its output on as it comes, and reads the results out of it.
fn cargo_test(what: &str, selection: &[String], to_tests: &[String]) -> io::Result<Vec<Suite>> {
    println!("\n──── {what}: cargo test {} ────", selection.join(" "));
    // Cargo names the suites on standard error, the suites their results on standard output; only
    // through one pipe do they stay in order.
    let (reader, writer) = io::pipe()?;
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast"])
        .args(selection)
        .arg("--")
        .args(to_tests)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn()?;
    // It holds our copies of the writing end, without which the reading end would never end.
    drop(command);

    let mut reading = Reader::default();
    let mut input = BufReader::new(reader);
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    loop {
        let available = input.fill_buf()?;
        let Some(length) = available
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|end| end + 1)
            .or_else(|| (!available.is_empty()).then_some(available.len()))
        else {
            break;
        };
        let part = available.get(..length).unwrap_or_default();
        // Parts of lines too: a test that hangs has printed its name and no newline.
        output.write_all(part)?;
        output.flush()?;
        line.extend_from_slice(part);
        input.consume(length);
        if line.ends_with(b"\n") {
            reading.line(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    reading.line(&String::from_utf8_lossy(&line));
    Ok(reading.finish(what, child.wait()?.success()))
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
