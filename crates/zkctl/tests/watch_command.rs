//! `watch PATH -- COMMAND`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use common::{Running, SECRET, Served, assert_fails};
use zk_tests::watchdog::Wait;

/// A directory for one test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("zkctl-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // An error leaves files for the system to delete.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run shows of its event.
const SHOW: &str = "echo \"$ZK_EVENT $ZK_EVENT_PATH ${ZK_EVENT_ZXID:-none} $ZK_EVENT_COUNT.\"";

#[test]
fn a_command_is_run_for_each_event() {
    let zk = Served::start();
    let watch = ["watch", "--initially", "-r", "/", "--", "sh", "-c", SHOW];
    let watch = Running::start(zk.zkctl(&watch));
    assert_eq!(watch.line("the first run"), "watching / none 1.");
    zk.done(&["create", "/a"]);
    let created = watch.line("the creation");
    assert!(
        created.starts_with("created /a 0x") && created.ends_with(" 1."),
        "{created}"
    );
    zk.done(&["set", "/a", "x"]);
    watch.says("data_changed /a 0x");
    zk.done(&["delete", "/a"]);
    watch.says("deleted /a 0x");
}

#[test]
fn runs_do_not_overlap_and_lose_no_event() {
    let zk = Served::start();
    zk.done(&["create", "/a"]);
    let directory = Directory::new("runs");
    let gate = directory.0.join("gate");
    let made = Command::new("mkfifo").arg(&gate).status().unwrap();
    assert!(made.success());
    // Each run reads a line from the pipe before it ends. A second run at the same time would fail.
    let script = format!(
        "mkdir {0}/running || echo overlap; {SHOW}; read line < {0}/gate; rmdir {0}/running",
        directory.0.display()
    );
    let watch = ["watch", "--initially", "/a", "--", "sh", "-c", &script];
    let watch = Running::start(zk.zkctl(&watch));
    assert_eq!(watch.line("the first run"), "watching /a none 1.");
    for n in 0..5 {
        zk.done(&["set", "/a", &n.to_string()]);
    }
    let mut events = 0;
    while events < 5 {
        // Opening the pipe waits for a run that reads it.
        let _wait = Wait::begin("a run that reads");
        let mut gate = std::fs::OpenOptions::new().write(true).open(&gate).unwrap();
        gate.write_all(b"\n").unwrap();
        drop(gate);
        let line = watch.line("the next run");
        let count = line.trim_end_matches('.').rsplit(' ').next().unwrap();
        events += count.parse::<u64>().expect(&line);
    }
    assert_eq!(events, 5);
}

#[test]
fn a_failed_run_does_not_end_the_watch() {
    let zk = Served::start();
    let script = format!("{SHOW}; exit 3");
    let arguments = ["watch", "--initially", "/a", "--", "sh", "-c", &script];
    let mut watch = zk.zkctl(&arguments);
    watch.stderr(std::process::Stdio::inherit());
    let watch = Running::start(watch);
    watch.says("watching /a");
    zk.done(&["create", "/a"]);
    watch.says("created /a");
}

#[test]
fn a_command_that_cannot_be_run_has_a_code() {
    let zk = Served::start();
    for (program, code) in [("/no/such/program", 127), ("/etc", 126)] {
        let (found, stdout, stderr) = zk.run(&["watch", "--initially", "/", "--", program]);
        assert_eq!((found, &*stdout), (Some(code), ""), "{stderr}");
        assert!(stderr.contains(program), "{stderr}");
    }
    assert_fails(&["watch", "--initially", "/"], 2, &["COMMAND"]);
}

/// Guards: L3.
#[test]
fn a_handler_inherits_no_credentials() {
    let zk = Served::start();
    for (option, inherits) in [(&[][..], false), (&["--keep-credentials"], true)] {
        let tail = ["--initially", "/", "--", "sh", "-c", "env; echo end"];
        let mut watch = zk.zkctl(&[&["watch"][..], option, &tail].concat());
        watch.env("ZK_AUTH", format!("digest:u:{SECRET}"));
        let watch = Running::start(watch);
        let lines = std::iter::from_fn(|| Some(watch.line("a variable")));
        let variables: Vec<_> = lines.take_while(|line| line != "end").collect();
        assert!(variables.iter().any(|line| line == "ZK_EVENT=watching"));
        let has_secret = variables.iter().any(|line| line.contains(SECRET));
        assert_eq!(has_secret, inherits);
    }
}

#[test]
fn the_end_of_zkctl_ends_the_run() {
    let zk = Served::start();
    let script = "trap 'echo ended; exit' TERM; echo begun; while :; do sleep 0.1; done";
    let watch = ["watch", "--initially", "/", "--", "sh", "-c", script];
    let mut watch = Running::start(zk.zkctl(&watch));
    watch.says("begun");
    watch.signal("INT");
    watch.says("ended");
    assert_eq!(watch.child.wait().unwrap().code(), Some(130));
}
