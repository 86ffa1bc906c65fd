//! The screens that the README shows, on an embedded server. `cargo xtask pictures` writes their pictures; a run
//! without it checks that they are not stale.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(clippy::cast_precision_loss, reason = "coordinates of a picture")]

mod common;

use common::picture::picture;
use common::terminal::Terminal;
use common::{Served, ensemble};

/// What the README calls a server; as long as its address in a test.
fn server(address: &str) -> String {
    let name = "zookeeper-01.shop:2181";
    name[name.len() - address.len()..].to_owned()
}

#[test]
fn ui() {
    let zk = Served::start();
    zk.done(&[
        "create",
        "-p",
        "/shop/payment/config",
        r#"{"timeout_ms":3000,"hosts":["pay-1","pay-2"],"retry":true}"#,
    ]);
    for path in [
        "/shop/payment/workers/w-1",
        "/shop/payment/workers/w-2",
        "/shop/basket",
        "/shop/search",
    ] {
        zk.done(&["create", "-p", path, "up"]);
    }
    let mut ui = Terminal::start(&zk.zkctl(&["ui", "/shop/payment"]), (22, 96));
    ui.shows("● ");
    ui.shows("payment");
    ui.send("\x1b[C");
    ui.shows("▸ workers");
    ui.send("\x1b[C\x1b[B\x1b[C");
    ui.shows("▸ w-2");
    zk.done(&["create", "/shop/payment/workers/w-3", "up"]);
    ui.shows("+ w-3");
    ui.send("\x1b[A");
    ui.shows("\"timeout_ms\": 3000");
    let screen = ui.screen();
    let (_, session) = screen
        .lines()
        .next()
        .unwrap()
        .split_once("session ")
        .unwrap();
    let session = session.trim();
    let address = zk.hosts();
    let renamed = "0x1000a4f3b2c0017".get(..session.len()).unwrap_or(session);
    picture(
        "ui",
        &ui,
        &[(address, &server(address)), (session, renamed)],
        true,
    );
}

#[test]
fn shell() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/shop/payment/config", "timeout=3s\n"]);
    for name in ["contacts", "workers"] {
        zk.done(&["create", &format!("/shop/payment/{name}"), "up"]);
    }
    let state = std::env::temp_dir().join(format!("zkctl-picture-{}", std::process::id()));
    let mut command = zk.zkctl(&["shell"]);
    command.env("XDG_STATE_HOME", &state);
    let mut shell = Terminal::start(&command, (14, 96));
    shell.shows("connected] />");
    run(&mut shell, "cd shop/payment");
    run(&mut shell, "ls");
    shell.send("watch . &\r");
    shell.shows("watching /shop/payment");
    zk.done(&["set", "/shop/payment", "open"]);
    shell.shows("data changed");
    run(&mut shell, "get config");
    run(&mut shell, "get worker");
    shell.send("get con\t");
    let screen = shell.until("the znodes", |screen| {
        let last = screen.trim_end().lines().next_back().unwrap_or_default();
        last.starts_with("config ") && last.ends_with(" contacts")
    });
    let address = zk.hosts();
    let name = "zookeeper-zk-01.shop:2181";
    let mut names = vec![(address, &name[name.len() - address.len()..])];
    // The times of the events.
    let times = ["2026-03-14T09:26:53.589Z", "2026-03-14T09:27:08.214Z"];
    let events = screen.lines().filter(|line| line.contains("Z  "));
    names.extend(events.filter_map(|line| line.get(..24)).zip(times));
    picture("shell", &shell, &names, true);
    std::fs::remove_dir_all(&state).unwrap();
}

/// Runs a line of a shell in `/shop/payment`, or one that goes there.
fn run(shell: &mut Terminal, line: &str) {
    shell.send(format!("{line}\r"));
    shell.until(&format!("a prompt after {line:?}"), |screen| {
        let (before, last) = screen.trim_end().rsplit_once('\n').unwrap_or_default();
        before.contains(&format!("> {line}")) && last.ends_with("connected] /shop/payment>")
    });
}

#[test]
fn top() {
    let (zk, faults) = ensemble();
    let mut top = Terminal::start(&zk.zkctl(&["top", "-d", "100ms"]), (24, 110));
    top.shows("healthy");
    zk.done(&["bench", "set", "--ops", "2000", "--concurrency", "8"]);
    faults[1].stop();
    top.until("one server to be down", |screen| {
        screen.contains("1 leader, 1 follower, 1 down")
    });
    top.send("p");
    top.shows("PAUSED");
    let addresses: Vec<_> = zk.hosts().split(',').collect();
    let names: Vec<_> = (1..)
        .zip(&addresses)
        .map(|(number, address)| {
            let name = format!("zookeeper-zk-0{number}.shop:2181");
            name[name.len() - address.len()..].to_owned()
        })
        .collect();
    let pairs = addresses.into_iter().zip(names.iter().map(String::as_str));
    picture("top", &top, &pairs.collect::<Vec<_>>(), false);
}
