//! A shell in a terminal: prompts, keys, completion, history, watches, the end of the session.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use zk_client::SessionId;
use zk_embedded::fault::{Action, on_connect};

use crate::common::terminal::{SMALL, Terminal};
use crate::common::{SECRET, Served};

pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";

/// A shell, and the directory with its history.
pub(crate) struct Shell {
    pub(crate) zk: Served,
    pub(crate) terminal: Terminal,
    state: PathBuf,
}

impl Shell {
    fn start(test: &str) -> Self {
        Self::with(Served::start(), test, &[])
    }

    pub(crate) fn with(zk: Served, test: &str, options: &[&str]) -> Self {
        let state = std::env::temp_dir().join(format!("zkctl-{test}-{}", std::process::id()));
        let terminal = Self::terminal(&zk, &state, options);
        Shell {
            zk,
            terminal,
            state,
        }
    }

    fn terminal(zk: &Served, state: &PathBuf, options: &[&str]) -> Terminal {
        let mut command = zk.zkctl(&[&["shell"], options].concat());
        command.env("XDG_STATE_HOME", state).env("NO_COLOR", "1");
        let terminal = Terminal::start(&command, SMALL);
        terminal.shows("connected] />");
        terminal
    }

    /// Runs a line, or the rest of one, and waits for the prompt after it, which shows `path`.
    pub(crate) fn line(&mut self, line: &str, path: &str) -> String {
        let prompts = |screen: &str| screen.lines().filter(|row| row.starts_with('[')).count();
        let before = prompts(&self.terminal.screen());
        self.terminal.send(format!("{line}\r"));
        let prompt = format!("connected] {path}>");
        self.terminal
            .until(&format!("a prompt after {line:?}"), |screen| {
                prompts(screen) > before && screen.trim_end().ends_with(&prompt)
            })
    }

    /// The screen, with `ZK` in place of the server's address.
    fn screen(&self) -> String {
        self.renamed(&self.terminal.screen())
    }

    fn renamed(&self, screen: &str) -> String {
        screen.replace(self.zk.hosts(), "ZK").trim_end().to_owned()
    }

    /// Waits until the screen, with `ZK` in place of the server's address, ends with this.
    pub(crate) fn until_ends(&self, text: &str) {
        self.terminal
            .until(&format!("the screen to end with {text:?}"), |screen| {
                self.renamed(screen).ends_with(text)
            });
    }

    fn history(&self) -> PathBuf {
        self.state.join("zkctl/history")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // An error means that the shell has not begun.
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

#[test]
fn a_prompt_shows_server_state_and_path() {
    let mut shell = Shell::start("prompt");
    shell.zk.done(&["create", "-p", "/app/db", "v1"]);
    shell.line("cd app", "/app");
    shell.line("ls", "/app");
    shell.line("get db", "/app");
    shell.line("get 'db", "/app");
    shell.line("cd nope", "/app");
    assert_eq!(
        shell.screen(),
        "[ZK connected] /> cd app\n\
         [ZK connected] /app> ls\n\
         db\n\
         [ZK connected] /app> get db\n\
         v1\n\
         [ZK connected] /app> get 'db\n\
         zkctl: a single quote has no other; outside of quotes, \\ before a character keep\n\
         s it\n\
         [ZK connected] /app> cd nope\n\
         zkctl: /app/nope: the znode does not exist\n\
         [ZK connected] /app>"
    );
    shell.terminal.send(CTRL_D);
    assert_eq!(shell.terminal.ends().code(), Some(0));
}

#[test]
fn ctrl_c_ends_a_command_and_not_the_shell() {
    let mut shell = Shell::start("ctrl-c");
    shell.terminal.send("watch -r /\r");
    shell.terminal.shows("watching / and everything below it");
    shell.zk.done(&["create", "/a", "x"]);
    shell.terminal.shows("created           /a");
    shell.terminal.send(CTRL_C);
    shell.terminal.until("a prompt after the watch", |screen| {
        screen.trim_end().ends_with("connected] />")
    });
    // At a prompt, it leaves the line.
    shell.terminal.send("get /never");
    shell.terminal.shows("/> get /never");
    shell.terminal.send(CTRL_C);
    shell.terminal.until("an empty prompt", |screen| {
        screen.trim_end().ends_with("connected] />")
    });
    shell.line("ls /", "/");
    let screen = shell.screen();
    assert!(
        screen.ends_with("[ZK connected] /> ls /\na\nzookeeper\n[ZK connected] />"),
        "{screen}"
    );
    shell.terminal.send("quit\r");
    assert_eq!(shell.terminal.ends().code(), Some(0));
}

#[test]
fn tab_completes_commands_and_znodes() {
    let mut shell = Shell::start("tab");
    for path in ["/app/config", "/app/my lock", "/apple"] {
        shell.zk.done(&["create", "-p", path, path]);
    }
    shell.terminal.send("getAllC\t");
    shell.terminal.shows("/> getAllChildrenNumber");
    shell.terminal.send("/app/c\t");
    shell.terminal.shows("getAllChildrenNumber /app/config");
    shell.line("", "/");
    shell.terminal.send("cd /app\t");
    // There are two, which Tab shows.
    shell.terminal.shows("/apple");
    shell.terminal.send(CTRL_C);
    shell.terminal.until("an empty prompt", |screen| {
        screen.trim_end().ends_with("connected] />")
    });
    shell.line("cd /app", "/app");
    shell.terminal.send("get m\t");
    shell.terminal.shows("/app> get 'my lock'");
    shell.line("", "/app");
    let screen = shell.screen();
    assert!(
        screen.ends_with("get 'my lock'\n/app/my lock\n[ZK connected] /app>"),
        "{screen}"
    );
    shell.terminal.send("ls --recu\t");
    shell.terminal.shows("/app> ls --recursive");
}

#[test]
fn an_event_leaves_the_line_as_it_is() {
    let mut shell = Shell::start("event");
    shell.zk.done(&["create", "/w", "1"]);
    shell.line("addWatch /w", "/");
    shell.terminal.shows("watching /w");
    shell.line("get -w /w", "/");
    shell.terminal.send("set /w by");
    shell.terminal.shows("/> set /w by");
    shell.zk.done(&["set", "/w", "2"]);
    shell
        .terminal
        .until("both events above the line", |screen| {
            let rows: Vec<_> = screen.trim_end().lines().collect();
            rows.iter()
                .filter(|row| row.contains("data changed"))
                .count()
                == 2
                && rows.last().is_some_and(|row| row.ends_with("/> set /w by"))
        });
    shell.line("hand", "/");
    assert_eq!(shell.zk.done(&["get", "/w"]), "byhand");
}

#[test]
fn a_lost_session_does_not_end_the_shell() {
    let mut shell = Shell::start("lost");
    shell.line("create -e /mine", "/");
    let owner = shell.zk.done(&["ephemerals", "/"]);
    let digits = owner.trim_start_matches("0x").split(' ').next().unwrap();
    let session = SessionId(i64::from_str_radix(digits, 16).unwrap());
    assert!(shell.zk.faults.expire_session(session));
    shell
        .terminal
        .shows("zkctl: session expired; its locks and ephemeral znodes are gone");
    shell.terminal.shows("zkctl: new session 0x");
    shell.line("ls /", "/");
    let screen = shell.screen();
    assert!(
        screen.ends_with("ls /\nzookeeper\n[ZK connected] />"),
        "{screen}"
    );
    // Without a server.
    shell
        .zk
        .faults
        .rule(on_connect().then(Action::Close).always());
    shell.zk.faults.disconnect_all();
    shell.terminal.shows("zkctl: connection lost");
    shell.terminal.send("\r");
    shell.terminal.shows("suspended] />");
    shell.zk.faults.clear();
    shell.terminal.shows("zkctl: connection restored");
    shell.line("", "/");
}

#[test]
fn a_history_is_kept_without_secrets() {
    let mut shell = Shell::start("history");
    shell.line("ls /", "/");
    shell.line("addauth digest bob:hunter2", "/");
    shell.line("exists / --auth digest:bob:hunter2", "/");
    shell.line(" pwd", "/");
    shell.line("exists /zookeeper", "/");
    shell.terminal.send(CTRL_D);
    assert_eq!(shell.terminal.ends().code(), Some(0));
    let file = shell.history();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "ls /\nexists /zookeeper\n"
    );
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(file.clone()), mode(shell.state.join("zkctl"))),
        (0o600, 0o700)
    );
    // The next shell has it.
    shell.terminal = Shell::terminal(&shell.zk, &shell.state, &[]);
    shell.terminal.send(UP);
    shell.terminal.shows("/> exists /zookeeper");
    shell.terminal.send(UP);
    let screen = shell.terminal.shows("/> ls /");
    assert!(!screen.contains(SECRET), "{screen}");
}

#[test]
fn a_program_has_the_terminal() {
    let mut shell = Shell::start("program");
    shell.line(
        "lock /l --foreground -- sh -c 'stty -echo; test -t 0 && echo on a terminal'",
        "/",
    );
    shell.terminal.shows("on a terminal");
    // The terminal is as before, although the program has changed it.
    shell.terminal.send("lock /l\r");
    shell.terminal.shows("holding /l");
    shell.terminal.send(CTRL_C);
    shell.line("pwd", "/");
    shell.terminal.send(CTRL_D);
    assert_eq!(shell.terminal.ends().code(), Some(0));
}

/// The terminal is restored although a line was being edited.
#[test]
fn a_signal_ends_a_shell() {
    let mut shell = Shell::start("signal");
    shell.terminal.send("get /un");
    shell.terminal.shows("/> get /un");
    crate::common::send("TERM", &shell.terminal.child);
    assert_eq!(shell.terminal.ends().code(), Some(128 + 15));
}

#[test]
fn a_shell_begins_without_a_server() {
    let state = std::env::temp_dir().join(format!("zkctl-nothing-{}", std::process::id()));
    let mut command = crate::common::zkctl(&[
        "--server",
        "127.0.0.1:1",
        "--connect-timeout",
        "50ms",
        "shell",
    ]);
    command.env("XDG_STATE_HOME", &state).env("NO_COLOR", "1");
    let mut terminal = Terminal::start(&command, SMALL);
    terminal.shows("zkctl: cannot connect to 127.0.0.1:1");
    terminal.shows("[127.0.0.1:1 closed] />");
    let zk = Served::start();
    terminal.send(format!("connect {}\r", zk.hosts()));
    terminal.shows(&format!("[{} connected] />", zk.hosts()));
    terminal.send(CTRL_D);
    assert_eq!(terminal.ends().code(), Some(0));
    std::fs::remove_dir_all(&state).unwrap();
}
