//! What a terminal receives.

use std::process::{Command, Stdio};

use crate::common::{Served, finish, text};
use crate::every_command_has_a_row;

/// Neither colours nor what the znodes contain.
/// Guards: P63.
#[test]
fn a_terminal_receives_no_escape_sequences() {
    let zk = Served::start();
    let hostile = "a\u{1b}[31m\u{9b}2J\u{7}";
    zk.done(&["create", "-p", "/l/x-lock-0000000001", hostile]);
    zk.done(&["create", "-p", "/c/x-lock-0000000001", "\u{1b}[1m\n"]);
    let zkctl = env!("CARGO_BIN_EXE_zkctl");
    let mut rows = Vec::new();
    for arguments in [
        "--help",
        "ls --no-such-option",
        "ls -l /l",
        "tree",
        "get /l/x-lock-0000000001",
        "locks /l",
        "elections -r /",
        "semaphores /l",
        "sessions -e",
        "acl get -R /",
        "du",
        "find /l",
        "export /l",
        "get -w /typo",
        "health",
        "four-letter mntr",
        "find --long /l",
        "delete -n -r /l",
        "copy -n /l /new",
        "copy --overwrite -v /l /k",
        "acl get --stat /l",
        "acl set /l world:anyone:cdrwa",
        "acl set -R /l world:anyone:rx",
        "quota set -n 9 /l",
        "quota get /l",
        "quota tree",
        "quota delete /typo",
        "top --batch -d 100ms -n 2",
        "txn /typo",
        "import /typo",
        "count /l",
        "whoami",
        "version",
        "config",
        "-o json diff --data /l /c",
        "stat /typo",
        "-o json ls /l",
        "-o json locks /l",
        "create -s /l/n- v",
        "set /l v",
        "delete /typo",
        "exists /l",
        "ephemerals /typo",
        "sync",
        "watchers x",
        "context list",
        "shell -c pwd",
        "completions bash",
        "man",
        "help",
    ] {
        rows.push(arguments);
        for no_color in ["", "1"] {
            // `script` runs its command on a terminal.
            let mut script = Command::new("script");
            script
                .args(["-qec", &format!("{zkctl} {arguments}"), "/dev/null"])
                .env("ZK_SERVER", zk.hosts())
                .env("NO_COLOR", no_color)
                .env("TERM", "xterm-256color")
                .stdin(Stdio::null())
                .stdout(Stdio::piped());
            let shown = text(&finish(script).stdout);
            assert!(!shown.is_empty(), "{arguments}");
            let escapes = |c: char| c.is_control() && !['\r', '\n', '\t'].contains(&c);
            assert!(!shown.contains(escapes), "{arguments}: {shown:?}");
        }
    }
    // They run until a signal, read a password, draw their progress, or fill the screen; reconfig prints what config
    // does.
    let others = [
        "bench", "demo", "digest", "elect", "lock", "reconfig", "serve", "ui", "watch",
    ];
    every_command_has_a_row(rows.iter().map(|row| row.split(' ')), &others);
    // The progress is cleared before the result.
    zk.done(&["create", "-p", "/p/a"]);
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{zkctl} copy /p /q"), "/dev/null"])
        .env("ZK_SERVER", zk.hosts())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let shown = text(&finish(script).stdout);
    let result = shown.rsplit("\u{1b}[2K").next();
    assert_eq!(result, Some("2 created\r\n"), "{shown:?}");
    // The colours of `diff`, which is the only command that has some.
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut script = Command::new("script");
        script
            .args(["-qec", &format!("{zkctl} diff --data /l /c"), "/dev/null"])
            .env("ZK_SERVER", zk.hosts())
            .env("NO_COLOR", no_color)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let shown = text(&finish(script).stdout);
        let yellow = "\u{1b}[33m~ /x-lock-0000000001";
        assert_eq!(shown.contains(yellow), coloured, "{shown:?}");
        assert_eq!(shown.contains("\u{1b}[0m"), coloured, "{shown:?}");
        assert!(
            !shown.contains("\u{1b}[1m") && !shown.contains('\u{9b}'),
            "{shown:?}"
        );
    }
}
