//! The program that is counted (`tests/measured`), as users build theirs, and the counting.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use zk_tests::Tool;
use zk_tests::run_directory::ServerDirectory;

const PACKAGE: &str = "zk-measured";

#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// In release, whatever this test was built in.
    pub fn build() -> Self {
        let mut command = zk_tests::cargo();
        command.args(["build", "--release", "--package", PACKAGE]);
        command.arg("--message-format=json-render-diagnostics");
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{PACKAGE} does not build");
        let messages = String::from_utf8(output.stdout).unwrap();
        let path = messages.lines().find_map(|line| {
            let (_, path) = line.split_once(r#""executable":""#)?;
            Some(path.split_once('"')?.0)
        });
        Program(path.expect("cargo names the program").into())
    }

    /// A constant-answer server in a process of its own, so that it is not counted.
    pub fn serve(&self, size: usize) -> Served {
        let mut command = Command::new(&self.0);
        command.args(["serve", &size.to_string()]);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut address).unwrap();
        Served {
            process,
            address: address.trim().to_owned(),
        }
    }

    /// Runs it by another program.
    fn run_by(&self, tool: Tool, options: &[&str], arguments: &[&str]) {
        let mut command = Command::new(tool.name());
        command.args(options).arg(&self.0).args(arguments);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
    }
}

/// Ends when its standard input does, as it does with this.
#[derive(Debug)]
pub struct Served {
    process: Child,
    address: String,
}

impl Served {
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It says itself why it failed, if it did.
        let _ = self.process.wait();
    }
}

/// How many instructions the program executes in user mode.
pub fn instructions(program: &Program, arguments: &[&str]) -> u64 {
    let counted = counted_by(program, Tool::Valgrind, arguments, |file| {
        vec![
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={file}"),
        ]
    });
    let summary = counted
        .lines()
        .find_map(|line| line.strip_prefix("summary: "));
    summary.expect("callgrind sums up").trim().parse().unwrap()
}

/// What a program takes from the heap.
pub struct Allocations {
    pub count: u64,
    pub bytes: u64,
}

/// What the program takes from the heap, growing what it has included.
pub fn allocations(program: &Program, arguments: &[&str]) -> Allocations {
    let counted = counted_by(program, Tool::Valgrind, arguments, |file| {
        let options = [
            "--tool=memcheck",
            "--leak-check=no",
            "--undef-value-errors=no",
        ];
        let mut options = options.map(str::to_owned).to_vec();
        options.push(format!("--log-file={file}"));
        options
    });
    let (_, usage) = counted
        .split_once("total heap usage: ")
        .expect("memcheck sums up");
    // N allocs, N frees, N bytes allocated; with commas in the numbers.
    let mut words = usage.split_whitespace().map(|word| word.replace(',', ""));
    let count = words.next().unwrap().parse().unwrap();
    let bytes = words.nth(3).unwrap().parse().unwrap();
    Allocations { count, bytes }
}

/// How many system calls all its threads make.
pub fn system_calls(program: &Program, arguments: &[&str]) -> u64 {
    let counted = counted_by(program, Tool::Strace, arguments, |file| {
        ["-f", "-c", "-o", file].map(str::to_owned).to_vec()
    });
    let total = counted.lines().find(|line| line.ends_with(" total"));
    // % time, seconds, usecs/call, calls, and errors if there are any.
    let calls = total.and_then(|line| line.split_whitespace().nth(3));
    calls.expect("strace sums up").parse().unwrap()
}

fn counted_by(
    program: &Program,
    tool: Tool,
    arguments: &[&str],
    options: impl Fn(&str) -> Vec<String>,
) -> String {
    let directory = ServerDirectory::create("budget").unwrap();
    let file = directory.path().join("counted");
    let options = options(file.to_str().expect("a path in UTF-8"));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    program.run_by(tool, &options, arguments);
    std::fs::read_to_string(file).unwrap()
}
