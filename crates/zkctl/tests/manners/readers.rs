//! A reader of standard output that leaves.

use std::process::{Command, Stdio};

use crate::common::{Served, finish, temporary_file, text};
use crate::every_command_has_a_row;

/// As after `| head`, also before anything was written.
/// Guards: P57.
#[test]
fn a_reader_that_leaves_is_no_error() {
    let zk = Served::start();
    let contenders = (0..500).map(|n| format!("x-lock-{n:010}"));
    zk.fill("/l", contenders);
    let leases = (0..500).map(|n| format!("x-lease-{n:010}"));
    zk.fill("/s/leases", leases);
    zk.fill("/p", (0..500).map(|n| format!("p{n}")));
    let file = temporary_file("reader", zk.done(&["export", "/p"]).as_bytes());
    let operations = temporary_file("operations", b"set /p v\n");
    let mut rows = Vec::new();
    for format in ["plain", "json"] {
        for arguments in [
            &["ls", "/l"][..],
            &["ls", "-l", "/l"],
            &["ls", "-R", "/"],
            &["tree", "/"],
            &["get", "/l"],
            &["stat", "/l"],
            &["export", "/l"],
            &["diff", "/l", "/l"],
            &["du", "-d", "1", "/"],
            &["find", "/l"],
            &["delete", "-r", "-n", "/l"],
            &["copy", "-n", "/l", "/c"],
            &["context", "show"],
            &["count", "/l"],
            &["ephemerals"],
            &["acl", "get", "-R", "/"],
            &["quota", "tree"],
            &["sync"],
            &["whoami"],
            &["version"],
            &["four-letter", "mntr"],
            &["health"],
            &["top", "-n", "1"],
            &["exists", "/l"],
            &["locks", "/l"],
            &["locks", "-r", "/"],
            &["elections", "/l"],
            &["semaphores", "/s"],
            &["watchers", "/l"],
            &["sessions", "-e"],
            &["diff", "/l", "/s"],
            &["import", "-n", &file, "/m"],
            &["import", "-v", &file, "/m"],
            &["import", &file, "/m"],
            &["copy", "-v", "/m", "/n"],
            &["copy", "/m", "/n"],
            &["acl", "get", "/l"],
            &["acl", "set", "/m", "world:anyone:cdrwa"],
            &["acl", "set", "-R", "/m", "world:anyone:cdrwa"],
            &["quota", "set", "-n", "900", "/l"],
            &["quota", "get", "/l"],
            &["quota", "delete", "-n", "/l"],
            &["quota", "delete", "/l"],
            &["top", "-d", "100ms", "-n", "2"],
            &["bench", "get", "--ops", "3"],
            &["set", "/m", "v"],
            &["create", "-s", "/m/n-", "v"],
            &["txn", &operations],
            &["shell", "-c", "ls /l"],
            &["completions", "bash"],
            &["man"],
            &["help"],
            &["delete", "-r", "/m", "/n"],
        ] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = zk.zkctl(&[&["-o", format], arguments].concat());
            command.stdout(writer);
            let output = finish(command);
            rows.push(arguments[0].to_owned());
            let ended = (output.status.code(), text(&output.stderr));
            assert_eq!(ended, (Some(0), String::new()), "{format} {arguments:?}");
        }
    }
    for file in [&file, &operations] {
        std::fs::remove_file(file).unwrap();
    }
    // They have a message here, run until a signal, read a password, or fill the screen.
    let others = [
        "config", "demo", "digest", "elect", "lock", "reconfig", "serve", "ui", "watch",
    ];
    every_command_has_a_row(rows.iter().map(|name| [name.as_str()]), &others);
    // A pipe with a reader that takes one line.
    let zkctl = env!("CARGO_BIN_EXE_zkctl");
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            &format!("{zkctl} locks --no-addresses /l | head -n 1"),
        ])
        .env("ZK_SERVER", zk.hosts())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = finish(shell);
    assert_eq!(
        (&*text(&output.stdout), &*text(&output.stderr)),
        ("/l\n", "")
    );
}
