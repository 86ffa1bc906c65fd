//! What commands write to a terminal, and what they do when it is gone.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod common;

use std::process::Command;

use common::terminal::{SMALL, Terminal};
use common::{Served, ensemble};

/// A name that looks like `/txet/ab` where characters that are not seen have their effect.
const HIDDEN: &str = "/\u{202e}text\u{2066}\u{200b}";
const SEEN: &str = "\\u{202e}text\\u{2066}\\u{200b}";

/// The screen after a command that writes this.
fn at_terminal(zk: &Served, arguments: &[&str], shown: &str) -> String {
    let mut terminal = Terminal::start(&zk.zkctl(arguments), SMALL);
    terminal.shows(shown);
    terminal.ends();
    terminal.screen()
}

#[test]
fn hidden_characters_are_seen() {
    let zk = Served::start();
    zk.done(&["create", HIDDEN, "a\u{200b}b\u{202e}\n"]);
    for (arguments, shown) in [
        (&["ls", "/"][..], format!("zookeeper\n{SEEN}")),
        (&["find", "/", "--name", "*text*"], format!("/{SEEN}")),
        (&["get", HIDDEN], "a\\u{200b}b\\u{202e}".to_owned()),
    ] {
        at_terminal(&zk, arguments, &shown);
    }
    let none = format!("{HIDDEN}/none");
    let message = format!("zkctl: getData /{SEEN}/none: ");
    at_terminal(&zk, &["get", &none], &message);
    let entry = format!("── {SEEN}\n");
    at_terminal(&zk, &["tree", "/", "--depth", "1"], &entry);
    zk.done(&["create", "/other", "other\n"]);
    let line = "- a\\u{200b}b\\u{202e}";
    at_terminal(&zk, &["diff", "--data", HIDDEN, "/other"], line);
}

#[test]
fn pipes_and_json_keep_hidden_characters() {
    let zk = Served::start();
    zk.done(&["create", HIDDEN, "a\u{200b}b"]);
    let name = HIDDEN.trim_start_matches('/');
    assert_eq!(zk.done(&["ls", "/"]), format!("zookeeper\n{name}\n"));
    assert_eq!(zk.done(&["get", HIDDEN]), "a\u{200b}b");
    assert_eq!(zk.json(&["ls", "/"])[1]["path"], HIDDEN);
    let shown = at_terminal(&zk, &["-o", "json", "exists", HIDDEN], "\"exists\":true");
    assert!(!shown.contains("\\u{"), "{shown}");
}

#[test]
fn a_shell_shows_hidden_characters() {
    let zk = Served::start();
    zk.done(&["create", HIDDEN]);
    zk.done(&["create", &format!("{HIDDEN}/\u{200b}a")]);
    zk.done(&["create", &format!("{HIDDEN}/\u{200b}b")]);
    let mut command = zk.zkctl(&["shell"]);
    let state = std::env::temp_dir().join(format!("zkctl-hidden-{}", std::process::id()));
    command.env("XDG_STATE_HOME", &state).env("NO_COLOR", "1");
    let mut shell = Terminal::start(&command, SMALL);
    shell.shows("connected] />");
    shell.send(format!("cd {HIDDEN}\r"));
    shell.shows(&format!("connected] /{SEEN}>"));
    shell.send("pwd\r");
    shell.shows(&format!("\n/{SEEN}\n"));
    shell.send("get \t");
    // Without colours, the first one is in capitals.
    shell.shows("\\u{200b}b");
    shell.send("\x03");
    shell.send("watch . &\r");
    shell.shows(&format!("watching /{SEEN}"));
    zk.done(&["set", HIDDEN, "x"]);
    shell.until("the event", |screen| {
        screen
            .lines()
            .any(|line| line.contains("data changed") && line.contains(SEEN))
    });
    shell.send("\x04");
    assert_eq!(shell.ends().code(), Some(0));
    std::fs::remove_dir_all(&state).unwrap();
}

/// Also where SIGHUP is ignored, as below `nohup`.
#[test]
fn a_closed_terminal_ends_the_command() {
    let (zk, _faults) = ensemble();
    let state = std::env::temp_dir().join(format!("zkctl-closed-{}", std::process::id()));
    for (name, shows) in [("ui", "● "), ("top", "healthy"), ("shell", "connected] />")] {
        for script in ["exec \"$@\"", "trap '' HUP; exec \"$@\""] {
            let mut command = Command::new("sh");
            command
                .args(["-c", script, "sh", env!("CARGO_BIN_EXE_zkctl"), name])
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("ZK_SERVER", zk.hosts())
                .env("XDG_CONFIG_HOME", "/no")
                .env("XDG_STATE_HOME", &state);
            let mut terminal = Terminal::start(&command, SMALL);
            terminal.shows(shows);
            assert_eq!(terminal.hang_up().code(), Some(129), "{name}: {script}");
        }
    }
    std::fs::remove_dir_all(&state).unwrap();
}
