//! Reads what `cargo test` prints, and sums it up.

use std::fmt;
use std::time::{Duration, Instant};

use zk_tests::starvation::{UNPROVEN, VOID};

/// The tests of one binary, or the documentation tests of one crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Runs of tests that proved nothing, because the machine starved them, and were repeated.
    pub(crate) voids: u64,
    /// Tests that passed without all that they are for.
    pub(crate) unproven: u64,
    /// How long its tests ran, without the build.
    pub(crate) took: Duration,
    /// What a reader must know about it: why tests were skipped, or that it never finished.
    pub(crate) remarks: Vec<String>,
}

/// The line of a suite that begins the remarks about a failed test.
const FAILED_TEST: &str = "failed ";

/// How many failures of a suite are repeated at the end.
const MOST_FAILURES: usize = 10;

impl Suite {
    /// What failed: the tests, or, where none is known, the remarks.
    fn failures(&self) -> impl Iterator<Item = &str> {
        let tests = |remark: &&String| remark.starts_with(FAILED_TEST);
        let has_tests = self.remarks.iter().any(|remark| tests(&remark));
        let remarks = self.remarks.iter();
        let remarks = remarks.filter(move |remark| !has_tests || tests(remark));
        remarks.map(|remark| remark.trim_start_matches(FAILED_TEST))
    }
}

/// Everything that ran, or did not.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) suites: Vec<Suite>,
    /// Lines about checks other than tests, worst news first.
    pub(crate) checks: Vec<String>,
    /// What this form of the run leaves out.
    pub(crate) left_out: Vec<String>,
    /// How long the parts of the run took, builds included.
    pub(crate) times: Vec<(String, Duration)>,
}

impl Report {
    /// Notes that a part that began then has ended.
    pub(crate) fn took(&mut self, part: impl Into<String>, began: Instant) {
        self.times.push((part.into(), began.elapsed()));
    }

    pub(crate) fn failed(&self) -> bool {
        self.suites.iter().any(|suite| suite.failed > 0)
    }

    fn total(&self, count: impl Fn(&Suite) -> u64) -> u64 {
        self.suites.iter().map(count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n──── summary ────")?;
        for suite in &self.suites {
            let Suite {
                name,
                passed,
                failed,
                skipped,
                voids: _,
                unproven: _,
                took,
                remarks,
            } = suite;
            if passed + failed + skipped == 0 && remarks.is_empty() {
                continue;
            }
            let verdict = match (failed, passed) {
                (1.., _) => "FAILED",
                (0, 0) => "SKIPPED",
                (0, 1..) => "ok",
            };
            write!(
                f,
                "{verdict:>7}  {name}: {passed} passed, {failed} failed, {skipped} skipped"
            )?;
            match took.as_secs() {
                0 => writeln!(f)?,
                seconds => writeln!(f, ", {seconds} s")?,
            }
            for remark in remarks {
                writeln!(f, "           {remark}")?;
            }
        }
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        for (part, time) in &self.times {
            writeln!(f, "{}  {part}", minutes(*time))?;
        }
        for tests in &self.left_out {
            writeln!(f, "not run (`cargo xtask test --full` does): {tests}")?;
        }
        let voids = self.total(|suite| suite.voids);
        if voids > 0 {
            writeln!(
                f,
                "{voids} void runs, repeated because the machine starved the test"
            )?;
        }
        let unproven = self.total(|suite| suite.unproven);
        if unproven > 0 {
            writeln!(f, "{unproven} tests passed without all that they are for")?;
        }
        // Again, since the beginning of a long output may be cut off.
        for suite in self.suites.iter().filter(|suite| suite.failed > 0) {
            let what: Vec<_> = suite.failures().take(MOST_FAILURES).collect();
            writeln!(f, "FAILED {}: {}", suite.name, what.join("; "))?;
        }
        writeln!(
            f,
            "{} passed, {} failed, {} skipped",
            self.total(|suite| suite.passed),
            self.total(|suite| suite.failed),
            self.total(|suite| suite.skipped)
        )
    }
}

/// A time in the column of a summary.
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>3} min {:>2} s", seconds / 60, seconds % 60)
}

/// How much of the message of a panic the summary repeats.
const LINES_OF_MESSAGE: usize = 4;

/// Follows the output of one `cargo test`, line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    done: Vec<Suite>,
    /// The binary that has been started and has not printed its result yet.
    current: Option<Suite>,
    /// The failed test whose output follows.
    failed: Option<String>,
    /// How many more lines belong to the message of its panic.
    of_message: usize,
}

impl Reader {
    /// A program of this name has been started, whose output follows.
    pub(crate) fn begin(&mut self, name: String) {
        self.close();
        self.current = Some(Suite {
            name,
            ..Suite::default()
        });
    }

    pub(crate) fn line(&mut self, line: &str) {
        let line = without_escapes(line);
        let text = line.trim();
        if self.failure(text) {
            return;
        }
        if let Some(name) = suite_name(text) {
            self.begin(name);
        } else if let Some(counts) = text.strip_prefix("test result: ") {
            let Some(mut suite) = self.current.take() else {
                return;
            };
            suite.passed = count(counts, "passed");
            suite.failed = count(counts, "failed");
            suite.skipped = count(counts, "ignored");
            suite.took = time(counts);
            self.done.push(suite);
        } else if let Some(suite) = &mut self.current
            && (text.starts_with(VOID) || text.starts_with(UNPROVEN))
        {
            suite.voids += u64::from(text.starts_with(VOID));
            suite.unproven += u64::from(text.starts_with(UNPROVEN));
            suite.remarks.push(text.to_owned());
        } else if let Some(suite) = &mut self.current
            && let Some((test, ignored)) = text
                .strip_prefix("test ")
                .and_then(|test| test.split_once(" ... ignored"))
        {
            let why = ignored
                .strip_prefix(", ")
                .unwrap_or("marked as ignored, without a reason");
            suite.remarks.push(format!("skipped {test}: {why}"));
        }
    }

    /// Whether the line is of what a failed test printed. Its name and the message of its first panic
    /// become remarks: the end of a long log is all that some readers see of it.
    fn failure(&mut self, text: &str) -> bool {
        let Some(suite) = &mut self.current else {
            return false;
        };
        let began = text
            .strip_prefix("---- ")
            .and_then(|text| text.strip_suffix(" stdout ----"));
        if let Some(test) = began {
            suite.remarks.push(format!("{FAILED_TEST}{test}"));
            self.failed = Some(test.to_owned());
            return true;
        }
        if text == "failures:" || text.starts_with("test result: ") {
            self.failed = None;
            self.of_message = 0;
        } else if self.of_message > 0 && !text.is_empty() {
            suite.remarks.push(format!("    {text}"));
            self.of_message -= 1;
            return true;
        } else if self.failed.is_some() && text.contains(" panicked at ") {
            suite.remarks.push(format!("    {text}"));
            self.failed = None;
            self.of_message = LINES_OF_MESSAGE;
            return true;
        }
        self.failed.is_some()
    }

    /// The suites that ran. `what` names the command, `succeeded` is its exit status: a failure no
    /// test accounts for (it did not compile, it crashed) counts as one.
    pub(crate) fn finish(mut self, what: &str, succeeded: bool) -> Vec<Suite> {
        self.close();
        if !succeeded && self.done.iter().all(|suite| suite.failed == 0) {
            self.done.push(Suite {
                name: what.to_owned(),
                failed: 1,
                remarks: vec!["did not build, or ended before its tests; see above".to_owned()],
                ..Suite::default()
            });
        }
        self.done
    }

    fn close(&mut self) {
        if let Some(mut suite) = self.current.take() {
            suite.failed = 1;
            suite
                .remarks
                .push("ended without a result: it crashed, or was killed".to_owned());
            self.done.push(suite);
        }
    }
}

/// `Running unittests src/lib.rs (target/debug/deps/zk_proto-0123456789abcdef)`, or
/// `Doc-tests zk_proto`.
fn suite_name(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} (documentation)"));
    }
    let (source, binary) = line.strip_prefix("Running ")?.split_once(" (")?;
    let binary = binary.strip_suffix(')')?;
    let file = binary.rsplit(['/', '\\']).next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _hash)| name);
    Some(match source.strip_prefix("unittests ") {
        Some(_) => format!("{name} (unit tests)"),
        None => format!("{name} ({source})"),
    })
}

fn count(counts: &str, what: &str) -> u64 {
    counts
        .split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        .unwrap_or(0)
}

/// From `…; finished in 12.34s`.
fn time(counts: &str) -> Duration {
    let seconds = counts
        .rsplit_once("finished in ")
        .and_then(|(_, time)| time.trim().strip_suffix('s')?.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or_default()
}

/// The line without terminal colours.
fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // ESC [ parameters letter
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
   Compiling zk-proto v0.1.0
    Finished `test` profile [unoptimized + debuginfo] target(s) in 1.02s
\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m unittests src/lib.rs (target/debug/deps/zk_proto-94bd)

running 3 tests
test a ... ok
test b::slow ... ignored, needs a machine with 64 GiB
test c ... ok

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

     Running tests/golden-bytes.rs (target/debug/deps/golden_bytes-01ab)
test d ... FAILED
test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 61.51s

   Doc-tests zk_proto
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn read(output: &str, succeeded: bool) -> Report {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        Report {
            suites: reader.finish("all of it", succeeded),
            ..Report::default()
        }
    }

    fn last_line(report: &Report) -> String {
        report.to_string().lines().last().unwrap().to_owned()
    }

    #[test]
    fn suites_are_named_and_counted() {
        let report = read(OUTPUT, false);
        let names: Vec<_> = report
            .suites
            .iter()
            .map(|suite| suite.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "zk_proto (unit tests)",
                "golden_bytes (tests/golden-bytes.rs)",
                "zk_proto (documentation)"
            ]
        );
        assert_eq!(last_line(&report), "13 passed, 2 failed, 1 skipped");
        assert!(report.failed());
        let text = report.to_string();
        assert!(
            text.contains("skipped b::slow: needs a machine with 64 GiB"),
            "{text}"
        );
        let slow = "golden_bytes (tests/golden-bytes.rs): 7 passed, 2 failed, 0 skipped, 61 s\n";
        assert!(text.contains(slow), "{text}");
    }

    #[test]
    fn failed_tests_are_named_with_their_panic() {
        let failures = "\
test d ... FAILED

failures:

---- d stdout ----
some output

thread 'd' (12) panicked at tests/d.rs:7:5:
assertion `left == right` failed
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
more output

failures:
    d
";
        let report = read(&OUTPUT.replace("test d ... FAILED\n", failures), false);
        let text = report.to_string();
        let lines = "failed d\n               thread 'd' (12) panicked at tests/d.rs:7:5:\n";
        assert!(text.contains(lines), "{text}");
        assert!(text.contains("right: 2\n"), "{text}");
        assert!(!text.contains("output"), "{text}");
        let end =
            "\nFAILED golden_bytes (tests/golden-bytes.rs): d\n13 passed, 2 failed, 1 skipped\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn the_summary_says_what_took_long() {
        let mut report = read(OUTPUT, false);
        let nine_minutes = Duration::from_secs(9 * 60 + 5);
        report.times.push(("bugs".to_owned(), nine_minutes));
        let text = report.to_string();
        assert!(text.contains("  9 min  5 s  bugs\n"), "{text}");
    }

    #[test]
    fn a_binary_that_crashes_is_a_failure() {
        let crashed = OUTPUT.replace("test result: FAILED. 7 passed; 2 failed", "Killed");
        let report = read(&crashed, false);
        assert_eq!(last_line(&report), "6 passed, 1 failed, 1 skipped");
        assert!(
            report.to_string().contains("ended without a result"),
            "{report}"
        );
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        let report = read("error[E0308]: mismatched types\n", false);
        assert_eq!(last_line(&report), "0 passed, 1 failed, 0 skipped");
        assert!(report.to_string().contains("FAILED  all of it"), "{report}");
    }

    #[test]
    fn green_run_omits_empty_suites() {
        let empty = "     Running unittests src/main.rs (target/debug/deps/zkctl-1)\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let report = read(empty, true);
        assert!(!report.failed());
        assert!(!report.to_string().contains("zkctl"), "{report}");
        assert_eq!(last_line(&report), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn void_runs_are_counted_and_named() {
        let void = format!("\n{VOID}c: it did not run for 2 s at a time\ntest c ... ok");
        let report = read(&OUTPUT.replace("test c ... ok", &void), true);
        let text = report.to_string();
        assert!(text.contains("1 void runs, repeated"), "{text}");
        assert!(
            text.contains("void run: c: it did not run for 2 s"),
            "{text}"
        );
        assert!(!read(OUTPUT, true).to_string().contains("void"));
    }

    #[test]
    fn an_unproven_test_is_no_void_run() {
        let unproven = format!("\n{UNPROVEN}c: no leader was deposed\ntest c ... ok");
        let report = read(&OUTPUT.replace("test c ... ok", &unproven), true);
        let text = report.to_string();
        assert!(text.contains("1 tests passed without all"), "{text}");
        assert!(text.contains("unproven: c: no leader was"), "{text}");
        assert!(!text.contains("void"), "{text}");
        assert!(!read(OUTPUT, true).to_string().contains("without all"));
    }

    #[test]
    fn printed_results_do_not_count() {
        let twice = format!("{OUTPUT}test result: ok. 100 passed; 0 failed; 0 ignored\n");
        assert_eq!(
            last_line(&read(&twice, false)),
            "13 passed, 2 failed, 1 skipped"
        );
    }
}
