//! Clients that we did not write, at work on the embedded server, and on Apache's to see that what
//! they are asked for is right: kazoo, and the command line that comes with ZooKeeper.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::embedded::Embedded;
use zk_embedded::{Options, Pose};
use zk_tests::{Installation, Kazoo, ServerOptions, Standalone};

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/kazoo_suite.py");
/// As many as the suite has.
const PARTS: usize = 13;

fn embedded(pose: Pose) -> Embedded {
    let mut options = Options::default();
    options.pose = pose;
    Embedded::start(options)
}

fn apache() -> Standalone {
    Standalone::start(ServerOptions::default()).unwrap()
}

fn kazoo(server: SocketAddr) {
    // Beside the other things that are built.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kazoo");
    let kazoo = Kazoo::find_or_install(&directory).unwrap();
    let output = Command::new(kazoo.python())
        .args([SUITE, &server.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        (lines.len(), lines.last()),
        (PARTS + 1, Some(&"done")),
        "{said}\n{errors}"
    );
}

#[test]
fn kazoo_works_on_the_embedded_server() {
    kazoo(embedded(Pose::V3_9).address());
}

#[test]
fn kazoo_works_on_the_embedded_3_8() {
    kazoo(embedded(Pose::V3_8).address());
}

#[test]
fn kazoo_finds_the_same_on_apache_zookeeper() {
    kazoo(apache().address());
}

/// What a person types; each line, and what must follow it before the next one's answer.
const DIALOGUE: [(&str, &[&str]); 20] = [
    ("create /cli hello", &["Created /cli"]),
    ("create /cli again", &["Node already exists: /cli"]),
    ("get -w /cli", &["hello"]),
    (
        "set /cli changed",
        &["WatchedEvent", "NodeDataChanged", "/cli"],
    ),
    (
        "get -s /cli",
        &[
            "changed",
            "dataVersion = 1",
            "dataLength = 7",
            "numChildren = 0",
        ],
    ),
    ("ls -w /cli", &["[]"]),
    (
        "create -s /cli/s- x",
        &["Created /cli/s-0000000000", "NodeChildrenChanged"],
    ),
    ("create -e /cli/e x", &["Created /cli/e"]),
    ("ls /cli", &["[e, s-0000000000]"]),
    ("ls -R /cli", &["/cli/e", "/cli/s-0000000000"]),
    ("getEphemerals /cli", &["/cli/e"]),
    ("getAllChildrenNumber /cli", &["2"]),
    ("addauth digest ann:secret", &[]),
    ("setAcl /cli/e auth::cdrwa", &[]),
    ("getAcl /cli/e", &["'digest,'ann:", "cdrwa"]),
    ("whoami", &["digest: ann"]),
    ("stat -w /cli", &[]),
    ("deleteall /cli", &["NodeDeleted"]),
    ("stat /cli", &["Node does not exist: /cli"]),
    // The last command decides how the program exits.
    ("ls /", &["[zookeeper]"]),
];

/// Types the dialogue; returns what was shown.
fn command_line(server: SocketAddr) -> String {
    let installation = Installation::find().unwrap();
    let mut child = Command::new(installation.java())
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg("-cp")
        .arg(installation.classpath())
        .arg("org.apache.zookeeper.ZooKeeperMain")
        .args(["-waitforconnection", "-timeout", "60000", "-server"])
        .arg(server.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for (line, _) in DIALOGUE {
        writeln!(input, "{line}").unwrap();
    }
    writeln!(input, "quit").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{shown}");
    shown
}

fn check_dialogue(server: SocketAddr) {
    let shown = command_line(server);
    for (line, answers) in DIALOGUE {
        for answer in answers {
            assert!(
                shown.contains(answer),
                "{line}: {answer} is not in\n{shown}"
            );
        }
    }
}

#[test]
fn zkcli_works_on_the_embedded_server() {
    let server = embedded(Pose::V3_9);
    check_dialogue(server.address());
}

#[test]
fn zkcli_finds_the_same_on_apache() {
    let server = apache();
    check_dialogue(server.address());
}
