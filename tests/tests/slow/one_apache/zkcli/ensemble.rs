//! Sessions, credentials, and the ensemble.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Pair;
use super::shown::{comparable, list_of, stat_of};
use crate::common::zkctl::{done, output, zkctl};
use zk_tests::SUPER_CREDENTIALS;
use zk_tests::watchdog::poll;

pub(super) fn sync(pair: &mut Pair) {
    assert_eq!(pair.cli.run("sync /"), ["Sync is OK"]);
    let zxid = pair.one(&["sync"])["zxid"].as_str().unwrap().to_owned();
    assert!(zxid.starts_with("0x"), "{zxid}");
}

pub(super) fn version(pair: &mut Pair) {
    let shown = pair.cli.run("version").concat();
    let text = shown.split_once("version: ").unwrap().1;
    // Of zkCli itself; these servers are of the same release.
    let version = pair.one(&["version"]);
    assert!(
        text.starts_with(version["version"].as_str().unwrap()),
        "{text}, {version}"
    );
}

pub(super) fn whoami(pair: &mut Pair) {
    let users = ["digest:ann:secret", "digest:eve:pw"];
    for user in users {
        pair.cli
            .run(&format!("addauth {}", user.replacen(':', " ", 1)));
    }
    let shown = pair.cli.run("whoami");
    let lines = pair.json(&["--auth", users[0], "--auth", users[1], "whoami"]);
    let lines = lines.iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        format!("{}: {}", text("scheme"), text("user"))
    });
    let (mut shown, mut lines) = (shown[1..].to_vec(), lines.collect::<Vec<_>>());
    shown.sort_unstable();
    lines.sort_unstable();
    assert_eq!(lines, shown);
}

pub(super) fn add_auth(pair: &mut Pair) {
    pair.zkctl(&[
        "--auth",
        "digest:eve:pw",
        "create",
        "/auth",
        "x",
        "--acl",
        "auth::cdrwa",
    ]);
    let said = pair.cli.run("get /auth").concat();
    assert!(said.contains("permission"), "{said}");
    assert_eq!(
        output(&pair.hosts, &["get", "/auth"]).status.code(),
        Some(1)
    );
    pair.cli.run("addauth digest eve:pw");
    assert_eq!(pair.cli.run("get /auth"), ["x"]);
    assert_eq!(
        pair.zkctl(&["--auth", "digest:eve:pw", "get", "/auth"]),
        "x"
    );
}

/// The lines of servers that zkCli shows.
fn servers_of(shown: &[String]) -> Vec<&str> {
    let lines = shown.iter().map(String::as_str);
    lines.filter(|line| line.starts_with("server.")).collect()
}

/// The same of an object that zkctl prints.
fn servers_in(config: &Value) -> Vec<&str> {
    let servers = config["servers"].as_array().unwrap().iter();
    let servers = servers.map(|server| server["server"].as_str().unwrap());
    servers.collect()
}

pub(super) fn config(pair: &mut Pair) {
    let shown = pair.cli.run("config");
    let config = pair.one(&["config"]);
    assert_eq!(servers_in(&config), servers_of(&shown));
    let version = shown.iter().find_map(|line| line.strip_prefix("version="));
    assert_eq!(config["version"].as_str(), version);
    let shown = pair.cli.run("config -c -s");
    let sorted = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    let (version_shown, connect) = shown[0].split_once(' ').unwrap();
    assert_eq!(config["version"], version_shown);
    assert_eq!(
        sorted(pair.zkctl(&["config", "-c"]).trim()),
        sorted(connect)
    );
    assert_eq!(sorted(config["connect"].as_str().unwrap()), sorted(connect));
    // Each server has its own time of this znode, and the programs may be connected to different ones.
    let (mut by_zkctl, mut by_zkcli) = (comparable(&config["stat"]), stat_of(&shown));
    for stat in [&mut by_zkctl, &mut by_zkcli] {
        stat["mtime"].take();
    }
    assert_eq!(by_zkctl, by_zkcli);
}

/// The ensemble loses a member by one program, and has it again by the other.
pub(super) fn reconfig(pair: &mut Pair) {
    pair.cli.run(&format!("addauth digest {SUPER_CREDENTIALS}"));
    let whole = pair.one(&["config"]);
    let leader = pair.json(&["health"]);
    let leader = leader.iter().find(|line| line["role"] == "leader").unwrap();
    let servers = whole["servers"].as_array().unwrap();
    let is_other = |server: &&Value| server["client"] != leader["server"];
    // The last follower: zkCli and zkctl may be connected to it, and reconnect.
    let removed = servers.iter().rfind(is_other).unwrap();
    let id = removed["id"].to_string();
    let auth = format!("digest:{SUPER_CREDENTIALS}");
    let zkctl = |pair: &Pair, arguments: &[&str]| -> Value {
        poll("the configuration to change", || {
            let all = [&["-o", "json", "--auth", &auth, "reconfig"], arguments].concat();
            let output = output(&pair.hosts, &all);
            output
                .status
                .success()
                .then(|| serde_json::from_slice(&output.stdout).unwrap())
        })
    };
    let count = |config: &Value| config["servers"].as_array().unwrap().len();
    assert_eq!(count(&zkctl(pair, &["--leave", &id])), 2);
    let server = removed["server"].as_str().unwrap().to_owned();
    for (change, members) in [
        (format!("reconfig -add {server}"), 3),
        (format!("reconfig -remove {id}"), 2),
    ] {
        let shown = poll("zkCli's configuration to change", || {
            let shown = pair.cli.run(&change);
            let is_done = shown.iter().any(|line| line.contains("Committed"));
            is_done.then_some(shown)
        });
        let config = pair.one(&["config"]);
        assert_eq!(count(&config), members);
        assert_eq!(servers_of(&shown), servers_in(&config));
        let version = shown.iter().find_map(|line| line.strip_prefix("version="));
        assert_eq!(config["version"].as_str(), version);
    }
    let file = std::env::temp_dir().join(format!("zkctl-members-{}", std::process::id()));
    let lines: Vec<_> = servers
        .iter()
        .map(|server| server["server"].as_str().unwrap())
        .collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let again = zkctl(pair, &["--file", file.to_str().unwrap()]);
    assert_eq!(again["servers"], whole["servers"]);
    std::fs::remove_file(file).unwrap();
}

pub(super) fn connect(pair: &mut Pair) {
    let hosts = pair.hosts.clone();
    let one = hosts.split(',').next().unwrap();
    pair.cli.run(&format!("connect {one}"));
    let shown = pair.cli.run("ls /zookeeper").pop().unwrap();
    let names = done(one, &["ls", "/zookeeper"]);
    assert_eq!(names.lines().collect::<Vec<_>>(), list_of(&shown));
}

/// The last case, because zkCli has no connection after it.
pub(super) fn close(pair: &mut Pair) {
    pair.cli.run("create -e /closed");
    assert!(pair.node("/closed").is_some());
    pair.cli.run("close");
    assert_eq!(pair.node("/closed"), None);
    let mut child = zkctl(&pair.hosts, &["create", "-e", "/closed"])
        .spawn()
        .unwrap();
    poll("the znode", || pair.node("/closed").map(drop));
    let interrupt = format!("kill -INT {}", child.id());
    let sent = std::process::Command::new("sh")
        .args(["-c", &interrupt])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(pair.node("/closed"), None);
}
