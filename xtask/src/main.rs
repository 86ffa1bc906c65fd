//! The project's own commands: `cargo xtask test`, `bench`, `budget`, `bugs`, `chaos`, `ci`, `contract`, `fuzz`,
//! `help`, `package`, `partitions`, `pictures`, `release`, `servers`, `sim`, `structure`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is for people and CI"
)]

mod bench;
mod budget;
mod bugs;
mod chaos;
mod check;
mod ci;
mod contract;
mod foreign;
mod fuzz;
mod hang;
mod kerberos;
mod output;
mod outside;
mod package;
mod partitions;
mod pictures;
mod programs;
mod release;
mod releases;
mod report;
mod servers;
mod sim;
mod start;
mod structure;
mod suites;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

commands:
  test [--full [--no-server]] [FILTER…]
      Runs the tests and prints one summary: those of the crates, those that need no server, and those
      that run on the embedded server. That takes at most ten minutes on two cores, build included; the
      summary names what is left out. --full also runs what the short form leaves out: the long tests,
      the embedded server as each older server, the seeded bugs, and all tests with a server on Debian's
      Apache ZooKeeper and, but for a few, on the release in ZOOKEEPER_HOME. Where a server is missing,
      and with --no-server, its tests are skipped, and the summary says why. With FILTERs, runs only the
      tests whose names contain one of them. No test has a time limit: a test fails when it makes no
      more progress, however slow the machine is. Where a test depends on real time and did not get the
      processor, the run is void and is repeated, and the summary counts it.
  bench [--quick] [OPTIONS] [WORKLOAD…]
      Measures this client beside others, in turns, and prints a table with ratios; --write replaces
      tests/peers/RESULTS.md and the plot. All of it takes about ten minutes, --quick less than
      one; --help lists the options. With --trends, measures the layers of this client one by one, each
      beside its own last run.
  bench start [--rounds N] [--zkctl PROGRAM]
      Measures the time from the start of `zkctl get` to the first byte of the data, in N rounds (30), beside
      zkCli, zk-shell, which is installed below the target directory, and etcdctl, if etcd is on PATH. With
      --zkctl, measures this program and builds none.
  budget [--record]
      Counts what a request costs: instructions, system calls, allocations. With --record, writes it
      into tests/BUDGET.md, with which a test compares. Needs strace and valgrind.
  bugs [NUMBER…]
      Switches on one bug of other clients after another, in a copy of the sources, and checks that a
      test fails with it and passes without it. tests/SEEDED_BUGS.md lists the bugs.
  ci [--checks]
      What .ci/run runs: `test --full` and, beside it, the checks, --checks only those: format, clippy,
      docs, packages, cargo-deny where it is installed, the parts rust, api, links and spelling of `contract`.
  chaos [--minutes N] [--seed S]
      Breaks a real ensemble of three for N minutes (1) under sixteen clients, and prints the outcome;
      `test --full` runs it for a minute. A seed repeats the plan, not the timing.
  contract [--record] [PART…]
      Checks what STABILITY.md promises, in PARTs: links (of Markdown), spelling, rust (a build on the
      minimum Rust), api (the public API is that in tests/api), features (each alone, and none), oldest
      (the oldest dependencies that the manifests allow), platforms (the libraries for Windows and macOS),
      semver (against the last release). What needs a program that is missing is skipped. With --record,
      writes the public API into tests/api.
  fuzz [--seconds N] [TARGET…]
      Runs the fuzz targets, or those named, for N seconds (20) each. Needs cargo-fuzz; the test
      suite replays their seeds without it.
  package [--keep]
      Packages all crates, checks their files, and builds the packages, with all features and all targets.
      Then a new project outside the workspace depends on the packages, with the lines of their READMEs;
      it runs the quick start and the programs of the READMEs on the packaged zk-embedded. Uses no
      network. --keep leaves the project behind.
  partitions [--minutes N] [--seed S] [--bug NUMBER]
      Runs three real servers and fourteen clients on a network of their own, cuts it for N minutes
      (2) in every way, kills and stops servers meanwhile, and prints the outcome for locks, writes and
      watches. Needs Linux and root; where both are there, `test --full` runs it for two minutes. A seed
      repeats the plan, not the timing. With --bug, runs a build in which that bug of
      tests/SEEDED_BUGS.md is switched on; the run has to find it.
  pictures [SCENE…]
      Runs zkctl in a terminal, and writes the pictures of its screens into crates/zkctl/pictures.
  release [--prepare | --dry-run] VERSION
      Publishes a version: see RELEASING.md. With --prepare, writes it into the manifests and moves the
      notes in changes into CHANGELOG.md. With --dry-run, checks everything and publishes nothing.
  servers [--ensemble] [--keep] [--until-signal]
      Starts a standalone ZooKeeper, or an ensemble of three, on free loopback ports and runs it
      until standard input ends (Ctrl-D) or the program is interrupted (Ctrl-C). --keep leaves
      data and logs behind; --until-signal does not read standard input.
  sim [--seeds N] [--first S] [--trace] [--family NAME]
      Runs N seeds of the simulation (1000), from S on (1), and prints what was done, what went
      wrong and what was checked. A seed replays its run; --trace prints all of it. With --family,
      runs the tests of a family of recipes, which are in tests/tests/slow/offline/families.
  structure [--verbose] [DIRECTORY]
      Prints, for each crate of this or another checkout, how its files are placed and depend on each
      other, the lines with words that the prose rule of CONTRIBUTING.md excludes, and the lengths of
      test names. With --verbose, names the files.

environment:
  ZOOKEEPER_HOME   an unpacked Apache ZooKeeper release, or a directory with its jars: `test` and
                   `ci` run on it and on Debian's package, the other commands use only this release
  ZK_CLASSPATH     a Java class path to use instead of either, such as 'DIR/*': `test` runs on it alone
  ZOOKEEPER_HOME_UNSET
                   why ZOOKEEPER_HOME is not set, for the summary of `test` and `ci`
  JAVA_HOME        the Java runtime to use instead of the first on PATH
  ZK_TESTS_KEEP=1  keep the directories of the servers tests start
  ZK_TESTS_SERVER  what `cargo test -p zk-tests` starts: apache, embedded or embedded-POSE; `test`
                   sets it itself
  ZK_TESTS_ROUNDS=few
                   the long tests on Apache ZooKeeper do less: `test` sets it on a release of which a newer
                   one is here
  ZK_CATALOGUE=write
                   the test of tests/CATALOGUE.md writes the names of the tests into it
  ZK_SIM_SEED, ZK_SIM_SEEDS
                   the first seed of the simulation's tests, and how many they run; `sim` sets both itself
  CI=true          a missing ZooKeeper is a failure";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = arguments.first().map_or("help", String::as_str);
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match command {
        "test" => test::main(rest),
        "bench" => bench::main(rest),
        "budget" => budget::main(rest),
        "bugs" => bugs::main(rest),
        "ci" => ci::main(rest),
        "chaos" => chaos::main(rest),
        "contract" => contract::main(rest),
        "fuzz" => fuzz::main(rest),
        "package" => package::main(rest),
        "partitions" => partitions::main(rest),
        "pictures" => pictures::main(rest),
        "release" => release::main(rest),
        "servers" => servers::main(rest),
        "sim" => sim::main(rest),
        "structure" => structure::main(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(format!("there is no command {other:?}\n\n{USAGE}").into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            eprintln!("  because: {error}");
            cause = error.source();
        }
        ExitCode::from(2)
    })
}
