//! zkctl's shell in a terminal, with small screens and large ones.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of zkctl's tests, of which these need a part"
)]
#[path = "../../../../crates/zkctl/tests/common/terminal.rs"]
mod terminal;

use std::path::PathBuf;
use std::process::id;
use std::{env, fs};

use self::terminal::{LARGE, SMALL, Size, Terminal};
use crate::common::program;
use crate::common::zkctl::{done, root};

/// A shell on a part of the shared server, which are called `ZK` and `/ROOT`.
struct Shell {
    terminal: Terminal,
    server: String,
    root: String,
    state: PathBuf,
}

impl Shell {
    fn start(zk: &str, size: Size, test: &str) -> Self {
        let state = env::temp_dir().join(format!("zk-tests-{test}-{}", id()));
        let mut command = program::zkctl_command();
        command
            .args(["shell", "--session-timeout", "60s", "--timeout", "24h"])
            .env("ZK_SERVER", zk)
            .env("XDG_CONFIG_HOME", "/no")
            .env("XDG_STATE_HOME", &state)
            .env("NO_COLOR", "1")
            .env("PATH", env::var_os("PATH").unwrap());
        let shell = Shell {
            terminal: Terminal::start(&command, size),
            server: zk.split('/').next().unwrap().to_owned(),
            root: zk.split('/').next_back().unwrap().to_owned(),
            state,
        };
        shell.ends_with("[ZK connected] />");
        shell
    }

    fn renamed(&self, screen: &str) -> String {
        let screen = screen.replace(&self.server, "ZK");
        screen.replace(&self.root, "ROOT").trim_end().to_owned()
    }

    /// Waits until the screen ends with this.
    fn ends_with(&self, text: &str) {
        self.terminal
            .until(&format!("the screen to end with {text:?}"), |screen| {
                self.renamed(screen).ends_with(text)
            });
    }

    /// Runs a line, and waits for the prompt after it.
    fn line(&mut self, line: &str, prompt: &str) {
        self.terminal.send(format!("{line}\r"));
        self.terminal
            .until(&format!("a prompt after {line:?}"), |screen| {
                let screen = self.renamed(screen);
                let (before, last) = screen.rsplit_once('\n').unwrap_or_default();
                before.contains(line) && last == format!("[ZK connected] {prompt}>")
            });
    }

    fn screen(&self) -> String {
        self.renamed(&self.terminal.screen())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // An error means that the shell has not begun.
        let _ = fs::remove_dir_all(&self.state);
    }
}

#[test]
fn a_small_and_a_large_screen_show_a_shell() {
    for (size, test) in [(SMALL, "small"), (LARGE, "large")] {
        let zk = root();
        for name in ["config", "contacts", "workers"] {
            done(&zk, &["create", "-p", &format!("/app/{name}"), name]);
        }
        let mut shell = Shell::start(&zk, size, test);
        shell.line("cd app", "/app");
        shell.line("ls", "/app");
        shell.line("create -e mine x", "/app");
        shell.line("get nothing", "/app");
        shell.line("setAcl . world:anyone:r; get config", "/app");
        shell.terminal.send("delete w\t");
        shell.ends_with("> delete workers");
        shell.line("", "/app");
        shell.terminal.send("get con\t");
        // Without colours, the first one is in capitals.
        shell.terminal.until("the znodes", |screen| {
            let last = screen.trim_end().lines().next_back();
            last.is_some_and(|row| row.split_whitespace().eq([">CONFIG", "contacts"]))
        });
        let error = "zkctl: getData /app/nothing: the znode does not exist in the chroot /ROOT";
        let delete = wrapped(
            "zkctl: delete /app/workers: the znode's ACL does not allow it; it had no effect (give \
             credentials that have the permission, with ZK_AUTH or --auth; zkctl whoami shows which the server has)",
            size,
        );
        let screen = shell.screen();
        let (before, _) = screen.rsplit_once('\n').unwrap();
        assert_eq!(
            before,
            format!(
                "[ZK connected] /> cd app\n\
                 [ZK connected] /app> ls\n\
                 config\ncontacts\nworkers\n\
                 [ZK connected] /app> create -e mine x\n\
                 /app/mine\n\
                 [ZK connected] /app> get nothing\n\
                 {error}\n\
                 [ZK connected] /app> setAcl . world:anyone:r; get config\n\
                 acl version 1\n\
                 config\n\
                 [ZK connected] /app> delete workers\n\
                 {delete}\n\
                 [ZK connected] /app| get con"
            )
        );
        shell.terminal.send("\x03");
        shell.ends_with("[ZK connected] /app>");
        shell.terminal.send("\x04");
        assert_eq!(shell.terminal.ends().code(), Some(0));
        assert_eq!(done(&zk, &["ephemerals", "/"]), "");
    }
}

/// The rows of a line on a screen of this size.
fn wrapped(line: &str, (_, columns): Size) -> String {
    let characters: Vec<char> = line.chars().collect();
    let rows = characters.chunks(columns.into());
    let rows: Vec<_> = rows
        .map(|row| row.iter().collect::<String>().trim_end().to_owned())
        .collect();
    rows.join("\n")
}

/// What is drawn at one size is drawn again at another.
#[test]
fn a_shell_follows_the_size_of_the_terminal() {
    let zk = root();
    let mut shell = Shell::start(&zk, LARGE, "size");
    let long = "x".repeat(100);
    shell.terminal.send(format!("create /{long}"));
    shell.ends_with(&long);
    shell.terminal.resize(SMALL);
    shell.terminal.send("y\r");
    shell.ends_with("[ZK connected] />");
    shell.line("ls", "/");
    shell.terminal.send("\x04");
    assert_eq!(shell.terminal.ends().code(), Some(0));
    assert_eq!(done(&zk, &["ls", "/"]), format!("{long}y\n"));
}

/// An event, and the end of a watch by Ctrl-C, on a server that other processes change.
#[test]
fn a_shell_shows_events_and_goes_on() {
    let zk = root();
    done(&zk, &["create", "/w", "1"]);
    let mut shell = Shell::start(&zk, SMALL, "events");
    shell.terminal.send("addWatch /w\r");
    shell.terminal.shows("watching /w and everything below it");
    shell.terminal.send("set /w by");
    shell.ends_with("> set /w by");
    done(&zk, &["set", "/w", "2"]);
    shell.terminal.shows("data changed");
    shell.ends_with("> set /w by");
    shell.line("hand", "/");
    assert_eq!(done(&zk, &["get", "/w"]), "byhand");
    shell.terminal.send("watch /w\r");
    shell.terminal.until_lines();
    done(&zk, &["create", "/w/child"]);
    shell.terminal.shows("/w/child");
    shell.terminal.send("\x03pwd\r");
    shell.ends_with("> pwd\n/\n[ZK connected] />");
    shell.terminal.send("\x04");
    assert_eq!(shell.terminal.ends().code(), Some(0));
}
