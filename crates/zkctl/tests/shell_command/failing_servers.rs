//! A shell in a terminal, while the server does not answer or is gone: keys, completion, Ctrl-C.

use std::time::Duration;

use zk_embedded::Server;

use crate::common::Served;
use crate::terminals::{CTRL_C, CTRL_D, Shell};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A shell with limits that a busy machine does not reach: only Ctrl-C ends a request.
fn start(test: &str) -> Shell {
    let zk = Served::with(|| Server::builder().session_timeouts(DAY, DAY).start());
    let options = ["--session-timeout", "24h", "--timeout", "24h"];
    Shell::with(zk, test, &options)
}

#[test]
fn a_shell_outlasts_a_frozen_server() {
    let mut shell = start("frozen");
    shell.zk.done(&["create", "-p", "/app/db", "v1"]);
    shell.line("cd app", "/app");
    shell.zk.faults.freeze();
    // Completion offers nothing, and the keys after it are handled.
    shell.terminal.send("get d\tb");
    shell.terminal.shows("/app> get db");
    // Ctrl-C comes with Enter and a second line, and other keys with Ctrl-C.
    shell.terminal.send(format!("\rhelp cd\r{CTRL_C}pwd\r"));
    shell.until_ends("/app> pwd\n/app\n[ZK connected] /app>");
    // While the request is under way. The terminal discards what was typed before Ctrl-C, and nothing after it.
    shell.terminal.send("get db\r");
    shell.terminal.until_lines();
    shell.terminal.send("help cd\rhelp pwd\r");
    shell.terminal.send(format!("{CTRL_C}pwd\r"));
    shell.until_ends(
        "[ZK connected] /app> pwd\n\
         /app\n\
         [ZK connected] /app>",
    );
    let screen = shell.terminal.screen();
    assert!(!screen.contains("print the current znode"), "{screen}");
    // At a prompt, too.
    shell.terminal.send("get never");
    shell.terminal.shows("/app> get never");
    shell.terminal.send(format!("{CTRL_C}pwd\r"));
    shell.until_ends("/app> get never\n[ZK connected] /app> pwd\n/app\n[ZK connected] /app>");
    shell.zk.faults.thaw();
    shell.terminal.send("get db\r");
    shell.until_ends("/app> get db\nv1\n[ZK connected] /app>");
    shell.terminal.send(CTRL_D);
    assert_eq!(shell.terminal.ends().code(), Some(0));
}

/// Ctrl-C right after Enter, again and again.
#[test]
fn ctrl_c_may_come_at_any_time() {
    let mut shell = start("any-time");
    shell.zk.done(&["create", "/a", "v1"]);
    shell.zk.faults.freeze();
    for round in 0..30 {
        shell.terminal.send("get /a\r");
        for _ in 0..round * 20 {
            std::thread::yield_now();
        }
        shell.terminal.send(format!("{CTRL_C}help pwd {round}\r"));
        shell.until_ends(&format!(
            "/> help pwd {round}\npwd\nprint the current znode\n[ZK connected] />"
        ));
    }
    shell.zk.faults.thaw();
    shell.terminal.send("get /a\r");
    shell.until_ends("/> get /a\nv1\n[ZK connected] />");
}

#[test]
fn a_shell_outlasts_a_dead_server() {
    let mut shell = start("dead");
    shell.zk.done(&["create", "-p", "/app/db", "v1"]);
    shell.line("cd app", "/app");
    shell.zk.faults.stop();
    shell.terminal.shows("zkctl: connection lost");
    shell.terminal.send("get d\tb");
    shell.terminal.shows("/app> get db");
    shell.terminal.send("\r");
    shell.terminal.until_lines();
    shell.terminal.send(format!("{CTRL_C}pwd\r"));
    shell.until_ends("suspended] /app> pwd\n/app\n[ZK suspended] /app>");
    shell.zk.faults.run();
    shell.terminal.shows("zkctl: connection restored");
    shell.terminal.send("get db\r");
    shell.until_ends("/app> get db\nv1\n[ZK connected] /app>");
    shell.terminal.send(CTRL_D);
    assert_eq!(shell.terminal.ends().code(), Some(0));
}

/// Lines that are typed ahead are lines of their own, as many as there are.
#[test]
fn lines_may_be_typed_ahead() {
    let mut shell = start("ahead");
    shell.zk.done(&["create", "/a", "v1"]);
    shell.zk.faults.freeze();
    shell.terminal.send("get /a\r");
    shell.terminal.until_lines();
    shell.terminal.send("help cd\rpwd\rhelp pwd\r");
    shell.terminal.shows("help pwd");
    shell.zk.faults.thaw();
    shell.until_ends(
        "v1\n\
         [ZK connected] /> help cd\n\
         cd [PATH]\n\
         make a znode the current one; - the last one\n\
         [ZK connected] /> pwd\n\
         /\n\
         [ZK connected] /> help pwd\n\
         pwd\n\
         print the current znode\n\
         [ZK connected] />",
    );
}
