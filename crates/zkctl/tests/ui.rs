//! `ui` in a terminal, against an embedded server.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use common::terminal::{LARGE, SMALL, Size, Terminal};
use common::{Served, finish, send, text, zkctl};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;

const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";
const END: &str = "\x1b[F";

fn browser(zk: &Served, arguments: &[&str], size: Size) -> Terminal {
    let arguments = [&["ui"], arguments].concat();
    let terminal = Terminal::start(&zk.zkctl(&arguments), size);
    terminal.shows("● ");
    terminal
}

/// A program that edits a file as `sed` does.
fn editor(name: &str, script: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    path
}

#[test]
fn the_tree_is_browsed_and_left() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/config", r#"{"timeout":30}"#]);
    let mut ui = browser(&zk, &[], SMALL);
    ui.shows("▸ app");
    ui.send(DOWN);
    ui.send(RIGHT);
    ui.shows("▸ config");
    ui.send(DOWN);
    ui.shows("\"timeout\": 30");
    ui.send("2");
    ui.shows("version 0");
    ui.send("3");
    ui.shows("world:anyone");
    ui.send("?");
    ui.shows("copy the path");
    // Any key closes the help.
    ui.send("qq");
    let ended = ui.ends();
    assert_eq!(ended.code(), Some(0));
    assert!(!ui.screen().contains("config"), "{}", ui.screen());
}

#[test]
fn changes_of_others_appear() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/config", "one"]);
    let mut ui = browser(&zk, &["/app/config"], LARGE);
    ui.shows("│one");
    zk.done(&["set", "/app/config", "two"]);
    let screen = ui.shows("│two");
    assert!(
        screen.contains("~ config") && screen.contains("· changed"),
        "{screen}"
    );
    zk.done(&["create", "/app/other"]);
    ui.shows("+ other");
    zk.done(&["delete", "/app/config"]);
    ui.shows("/app/config was deleted");
    ui.until("the selection of the neighbour", |screen| {
        screen.contains(" /app/other ┐")
    });
    ui.send("q");
    assert_eq!(ui.ends().code(), Some(0));
}

#[test]
fn a_hundred_thousand_children_are_fluent() {
    let zk = Served::start();
    zk.fill("/big", (0..100_000).map(|i| format!("n{i:06}")));
    let mut ui = browser(&zk, &[], SMALL);
    ui.shows("▸ big");
    ui.send(DOWN);
    ui.send(RIGHT);
    ui.shows("▾ big (100000)");
    ui.send(END);
    ui.shows("▸ zookeeper");
    ui.send("/n099998\r");
    ui.shows(" /big/n099998 ┐");
    // As a held key sends it.
    ui.send("\x1b[A".repeat(500));
    ui.shows(" /big/n099498 ┐");
    zk.done(&["create", "/big/n099498a"]);
    ui.shows("+ n099498a");
    ui.send("fn05000\r");
    ui.shows(" 2/12 ");
    ui.send("q");
    assert_eq!(ui.ends().code(), Some(0));
}

#[test]
fn a_find_reads_what_is_below() {
    let zk = Served::start();
    zk.fill("/a/b/c", (0..1_000).map(|i| format!("n{i:03}")));
    let mut ui = browser(&zk, &[], SMALL);
    ui.send("Fn99\r");
    let screen = ui.shows("done");
    assert!(screen.contains("10 found in 1006 znodes"), "{screen}");
    ui.send(format!("{DOWN}\r"));
    ui.shows(" /a/b/c/n991 ┐");
    ui.send("q");
    ui.ends();
}

#[test]
fn nothing_is_changed_without_write() {
    let zk = Served::start();
    zk.done(&["create", "/a", "old"]);
    let mut ui = browser(&zk, &["/a"], SMALL);
    ui.shows("│old");
    for key in ["e", "c", "d"] {
        ui.send(key);
        ui.shows("start zkctl ui with --write");
        ui.send("v");
        ui.until("no message", |screen| !screen.contains("--write"));
    }
    ui.send("q");
    ui.ends();
    assert_eq!(zk.done(&["get", "/a"]), "old");
}

#[test]
fn an_edit_of_changed_data_asks() {
    let zk = Served::start();
    zk.done(&["create", "/a", "old"]);
    let seen = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ui-editor-mode");
    // Another client writes while the editor is open.
    let script = format!(
        "stat -c %a \"$1\" > {}; {} --server {} set /a theirs > /dev/null; printf mine > \"$1\"",
        seen.display(),
        env!("CARGO_BIN_EXE_zkctl"),
        zk.hosts()
    );
    let path = editor("ui-conflict.sh", &script);
    let mut command = zk.zkctl(&["ui", "--write", "/a"]);
    command.env("EDITOR", format!("sh {}", path.display()));
    let mut ui = Terminal::start(&command, SMALL);
    ui.shows("│old");
    ui.send("e");
    let screen = ui.until("both", |screen| {
        screen.contains("mine") && screen.contains("theirs")
    });
    assert!(screen.contains("changed meanwhile"), "{screen}");
    assert_eq!(fs::read_to_string(&seen).unwrap(), "600\n");
    assert_eq!(zk.done(&["get", "/a"]), "theirs");
    ui.send("o");
    ui.shows("/a is written");
    assert_eq!(zk.done(&["get", "/a"]), "mine");
    ui.send("q");
    assert_eq!(ui.ends().code(), Some(0));
}

/// An editor that fails, and then a signal: the text is offered again, and then kept in a file.
#[test]
fn a_failed_edit_keeps_the_text() {
    let zk = Served::start();
    zk.done(&["create", "/a", "old"]);
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ui-kept");
    fs::create_dir_all(&kept).unwrap();
    let path = editor("ui-fails.sh", "printf mine >> \"$1\"; exit 3");
    let mut command = zk.zkctl(&["ui", "--write", "/a"]);
    command
        .env("EDITOR", format!("sh {}", path.display()))
        .env("TMPDIR", &kept);
    let mut ui = Terminal::start(&command, LARGE);
    ui.shows("│old");
    ui.send("e");
    ui.shows("exit status: 3; nothing is written (e edits your data of /a again)");
    ui.send("v");
    ui.until("no message", |screen| {
        !screen.contains("nothing is written")
    });
    // The second edit begins with the text of the first.
    ui.send("e");
    ui.shows("exit status: 3; nothing is written");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 0);
    send("TERM", &ui.child);
    assert_eq!(ui.ends().code(), Some(143));
    ui.shows("your data of /a are not written; they are in ");
    let file = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(&file).unwrap(), "oldminemine");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(zk.done(&["get", "/a"]), "old");
    fs::remove_dir_all(kept).unwrap();
}

/// A signal before the server replies to a write.
#[test]
fn a_text_being_written_is_kept() {
    let zk = Served::start();
    zk.done(&["create", "/a", "old"]);
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ui-unanswered");
    fs::create_dir_all(&kept).unwrap();
    let mut command = zk.zkctl(&["ui", "--write", "/a"]);
    command.env("TMPDIR", &kept);
    let mut ui = Terminal::start(&command, LARGE);
    ui.shows("│old");
    zk.faults.rule(on(OpCode::SetData).then(Action::HalfOpen));
    ui.send("e!\rq");
    ui.shows("a change is under way");
    send("TERM", &ui.child);
    assert_eq!(ui.ends().code(), Some(143));
    ui.shows("your data of /a may or may not be written; they are in ");
    let file = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(&file).unwrap(), "old!");
    fs::remove_dir_all(kept).unwrap();
}

#[test]
fn znodes_are_created_edited_and_deleted() {
    let zk = Served::start();
    let mut ui = browser(&zk, &["--write"], SMALL);
    ui.send("cnew\rsome data\r");
    ui.shows("/new is created");
    ui.shows("│some data");
    ui.send("e!\r");
    ui.shows("/new is written");
    ui.shows("│some data!");
    assert_eq!(zk.done(&["get", "/new"]), "some data!");
    zk.done(&["create", "-p", "/new/x/y"]);
    ui.send("d");
    ui.shows("AND THE 2 ZNODES BELOW IT");
    ui.send("y");
    ui.until("the deletion", |screen| {
        !screen.contains("new (") && screen.contains(" 2/2 ")
    });
    assert_eq!(zk.run(&["exists", "/new"]).0, Some(1));
    ui.send("q");
    ui.ends();
}

#[test]
fn the_mouse_and_a_resize_work() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/a/b", "data of b"]);
    let mut ui = browser(&zk, &[], SMALL);
    ui.click("▸ a");
    ui.shows(" /a ┐");
    ui.click("▸ a");
    ui.click("▸ b");
    ui.shows("│data of b");
    ui.resize(LARGE);
    ui.until("the size", |screen| {
        screen
            .lines()
            .nth(1)
            .is_some_and(|line| line.chars().count() == 200)
    });
    ui.click(" stat ");
    ui.shows("persistent");
    ui.resize((5, 30));
    ui.shows("at least 40×8");
    ui.resize(SMALL);
    ui.shows("persistent");
    ui.send("q");
    assert_eq!(ui.ends().code(), Some(0));
}

/// Guards: P63.
#[test]
fn hostile_data_leave_the_screen_alone() {
    let zk = Served::start();
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}世\u{200d}\u{9b}3J";
    zk.done(&["create", "/a", hostile]);
    zk.fill("/x", std::iter::once("\u{feff}".to_owned()));
    let mut ui = browser(&zk, &["/a"], SMALL);
    let screen = ui.shows("owned");
    assert!(
        screen.contains("┌ znodes ") && screen.contains("\\u{202e}"),
        "{screen}"
    );
    ui.send(DOWN);
    ui.send(RIGHT);
    ui.shows("▸ \\u{feff}");
    ui.send("q");
    ui.ends();
}

#[test]
fn the_mouse_may_stay_with_the_terminal() {
    let zk = Served::start();
    let protocol = |arguments: &[&str]| {
        let ui = browser(&zk, arguments, SMALL);
        let screen = ui.cells();
        (
            screen.mouse_protocol_mode(),
            screen.mouse_protocol_encoding(),
        )
    };
    let (mode, encoding) = protocol(&[]);
    assert_ne!(mode, vt100::MouseProtocolMode::None);
    assert_eq!(encoding, vt100::MouseProtocolEncoding::Sgr);
    let (mode, _) = protocol(&["--no-mouse"]);
    assert_eq!(mode, vt100::MouseProtocolMode::None);
}

#[test]
fn the_clipboard_gets_what_is_copied() {
    let zk = Served::start();
    zk.done(&["create", "/a", "data\u{1b}]52;c;b3duZWQ=\u{7}"]);
    let mut ui = browser(&zk, &["/a"], SMALL);
    ui.shows("│data");
    assert_eq!(ui.clipboard(), Vec::<String>::new());
    ui.send("y");
    ui.shows("copied");
    // `/a`.
    assert_eq!(ui.clipboard(), ["L2E="]);
    ui.send("q");
    ui.ends();
    assert_eq!(ui.clipboard().len(), 1);
}

#[test]
fn every_end_restores_the_terminal() {
    let zk = Served::start();
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130), ("QUIT", 131)] {
        let mut ui = browser(&zk, &[], SMALL);
        send(signal, &ui.child);
        assert_eq!(ui.ends().code(), Some(code), "{signal}");
    }
    let mut ui = browser(&zk, &[], SMALL);
    ui.send("\x03");
    assert_eq!(ui.ends().code(), Some(130));
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell() {
    let zk = Served::start();
    let mut shell = Command::new("bash");
    shell
        .args(["--norc", "--noediting", "-i"])
        .env("ZK_SERVER", zk.hosts())
        .env("PS1", "ready> ")
        .env("PATH", std::env::var_os("PATH").unwrap());
    let mut ui = Terminal::start(&shell, SMALL);
    ui.send(format!("{} ui\n", env!("CARGO_BIN_EXE_zkctl")));
    ui.shows("▸ zookeeper");
    ui.send("\x1a");
    ui.shows("Stopped");
    assert!(!ui.cells().alternate_screen());
    zk.done(&["create", "/later"]);
    ui.send("fg\n");
    ui.shows("later");
    ui.send("q");
    ui.until("the third prompt", |screen| {
        screen.matches("ready>").count() == 3
    });
    ui.send("exit\n");
    assert_eq!(ui.ends().code(), Some(0));
}

#[test]
fn a_lost_session_is_said() {
    let zk = Served::start();
    let mut ui = browser(&zk, &["--session-timeout", "1s"], LARGE);
    let before = ui.shows("session 0x");
    let (_, id) = before
        .lines()
        .next()
        .unwrap()
        .split_once("session 0x")
        .unwrap();
    let id = i64::from_str_radix(id.trim(), 16).unwrap();
    assert!(zk.faults.expire_session(zk_client::SessionId(id)));
    ui.shows("new session: the one before expired");
    let after = ui.screen();
    assert_ne!(before.lines().next(), after.lines().next());
    // The watches are in the new session.
    zk.done(&["create", "/later"]);
    ui.shows("+ later");
    ui.send("q");
    ui.ends();
}

#[test]
fn colours_follow_the_option_and_no_color() {
    let zk = Served::start();
    let coloured = |arguments: &[&str], no_color: &str| {
        let mut command = zk.zkctl(&[&["ui"], arguments].concat());
        command.env("NO_COLOR", no_color);
        let ui = Terminal::start(&command, SMALL);
        ui.shows("● ");
        let screen = ui.cells();
        (0..80).any(|column| screen.cell(1, column).unwrap().fgcolor() != vt100::Color::Default)
    };
    assert!(coloured(&[], ""));
    assert!(!coloured(&[], "1"));
    assert!(coloured(&["--color", "always"], "1"));
    assert!(!coloured(&["--color", "never"], ""));
}

#[test]
fn without_a_terminal_the_error_is_clear() {
    let output = finish(zkctl(&["ui"]));
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert_eq!(
        error,
        "zkctl: this command needs a terminal as standard input and output\n"
    );
    let mut command = zkctl(&["ui"]);
    command.env("TERM", "dumb");
    let mut terminal = Terminal::start(&command, SMALL);
    terminal.shows("TERM names none");
    assert_eq!(terminal.ends().code(), Some(1));
}
