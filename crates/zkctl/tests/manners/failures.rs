//! Errors, exit codes and signals.

use zk_tests::watchdog::Wait;

use crate::common::{Running, Served, temporary_file};
use crate::every_command_has_a_row;

#[test]
fn an_error_is_one_line_that_names_the_path() {
    let zk = Served::start();
    zk.done(&["create", "/here"]);
    let mut rows = Vec::new();
    let file = temporary_file("error", zk.done(&["export", "/here"]).as_bytes());
    for arguments in [
        &["ls", "/typo"][..],
        &["tree", "/typo"],
        &["get", "/typo"],
        &["set", "/typo", "v"],
        &["create", "/typo/x"],
        &["delete", "/typo"],
        &["stat", "/typo"],
        &["export", "/typo"],
        &["copy", "/typo", "/t"],
        &["du", "/typo"],
        &["find", "/typo"],
        &["count", "/typo"],
        &["ephemerals", "/typo"],
        &["acl", "get", "/typo"],
        &["acl", "get", "-R", "/typo"],
        &["acl", "set", "/typo", "world:anyone:r"],
        &["quota", "get", "/typo"],
        &["quota", "set", "-n", "1", "/typo"],
        &["quota", "delete", "/typo"],
        &["locks", "/typo"],
        &["locks", "-r", "/typo"],
        &["elections", "/typo"],
        &["semaphores", "/typo"],
        &["delete", "-r", "/typo"],
        &["txn", "/typo"],
        &["copy", "/here", "/typo/x"],
        &["import", &file, "/typo/x"],
        &["import", "/typo"],
        &["acl", "set", "-R", "/typo", "world:anyone:r"],
        &["acl", "set", "--version", "9", "/typo", "world:anyone:r"],
        &["quota", "set", "-N", "1", "/typo"],
        &["quota", "delete", "-n", "/typo"],
    ] {
        rows.push(arguments[0].to_owned());
        for format in ["plain", "json"] {
            let (code, stdout, stderr) = zk.run(&[&["-o", format], arguments].concat());
            assert_eq!((code, &*stdout), (Some(1), ""), "{arguments:?}: {stderr}");
            assert!(
                stderr.starts_with("zkctl: ") && stderr.contains("/typo"),
                "{stderr}"
            );
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    }
    std::fs::remove_file(&file).unwrap();
    // They name no znode, wait for it, or have another code: see `a_mistake_has_the_usage_code`.
    let others = [
        "bench",
        "completions",
        "config",
        "context",
        "demo",
        "diff",
        "digest",
        "elect",
        "exists",
        "four-letter",
        "health",
        "help",
        "lock",
        "man",
        "reconfig",
        "serve",
        "sessions",
        "shell",
        "sync",
        "top",
        "ui",
        "version",
        "watch",
        "watchers",
        "whoami",
    ];
    every_command_has_a_row(rows.iter().map(|name| [name.as_str()]), &others);
}

/// What is wrong with the command line, as opposed to what has failed.
#[test]
fn a_mistake_has_the_usage_code() {
    let zk = Served::start();
    let mut rows = Vec::new();
    for (arguments, code) in [
        (&["import"][..], 2),
        (&["import", "--skip", "--overwrite", "f"], 2),
        (&["import", "f", "no-path"], 2),
        (&["copy", "/a"], 2),
        (&["copy", "/a", "/a/b"], 2),
        (&["copy", "f", "/a"], 2),
        (&["copy", "/a", "f"], 2),
        (&["acl"], 2),
        (&["acl", "set", "/a", "nonsense"], 2),
        (
            &["acl", "set", "-R", "--version", "1", "/a", "world:anyone:r"],
            2,
        ),
        (&["quota"], 2),
        (&["quota", "set", "/a"], 2),
        (&["quota", "set", "-n", "1", "/"], 2),
        (&["top", "-d", "x"], 2),
        (&["top", "--no-such-option"], 2),
        (&["txn", "--no-such-option"], 2),
        (&["diff", "/a"], 2),
        (&["exists"], 2),
        (&["ls", "x"], 2),
        (&["tree", "x"], 2),
        (&["get"], 2),
        (&["set"], 2),
        (&["create"], 2),
        (&["delete"], 2),
        (&["stat"], 2),
        (&["count", "x"], 2),
        (&["ephemerals", "x"], 2),
        (&["digest"], 2),
        (&["sync", "x"], 2),
        (&["whoami", "x"], 2),
        (&["watch"], 2),
        (&["locks"], 2),
        (&["elections"], 2),
        (&["semaphores"], 2),
        (&["watchers", "x"], 2),
        (&["sessions", "x"], 2),
        (&["export", "x"], 2),
        (&["du", "x"], 2),
        (&["find", "x"], 2),
        (&["config", "x"], 2),
        (&["reconfig"], 2),
        (&["version", "x"], 2),
        (&["four-letter"], 2),
        (&["ui", "x"], 2),
        (&["shell", "x"], 2),
        (&["context"], 2),
        (&["bench"], 2),
        (&["serve", "x"], 2),
        (&["demo", "x"], 2),
        (&["completions"], 2),
        (&["man", "--no-such-option"], 2),
        (&["health", "--no-such-option"], 3),
        (&["lock"], 125),
        (&["elect"], 125),
    ] {
        rows.push(arguments[0].to_owned());
        let (actual, stdout, stderr) = zk.run(arguments);
        assert_eq!(
            (actual, &*stdout),
            (Some(code), ""),
            "{arguments:?}: {stderr}"
        );
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
    every_command_has_a_row(rows.iter().map(|name| [name.as_str()]), &["help"]);
}

#[test]
fn a_signal_ends_a_command_with_its_code() {
    let zk = Served::start();
    for arguments in [
        &["watch", "/"][..],
        &["elect", "--observe", "/e"],
        &["lock", "/l"],
        &["top", "--batch"],
        &["watch", "--initially", "/", "--", "echo", "run"],
    ] {
        for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
            let mut running = Running::start(zk.zkctl(arguments));
            running.line("the first line");
            running.signal(signal);
            let _wait = Wait::begin("the end of zkctl");
            assert_eq!(
                running.child.wait().unwrap().code(),
                Some(code),
                "{arguments:?}"
            );
        }
    }
}
