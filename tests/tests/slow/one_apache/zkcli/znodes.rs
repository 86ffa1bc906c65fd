//! The commands on znodes.

use serde_json::{Value, json};
use zk_client::digest_id;

use super::Pair;
use super::shown::{comparable, counts, list_of, stat_of};
use super::watches::watched;
use crate::common::zkctl::{Running, output};

pub(super) fn create(pair: &mut Pair) {
    pair.cli.run("create /create");
    for (options, zkctl_options) in [
        ("", &["--null"][..]),
        ("-c", &["-c", "--null"]),
        ("-t 100000", &["--ttl", "100s", "--null"]),
    ] {
        pair.cli.run(&format!("create {options} /create/cli"));
        pair.zkctl(&[&["create", "/create/ctl"], zkctl_options].concat());
        pair.assert_same("/create/cli", "/create/ctl");
        pair.zkctl(&["delete", "/create/cli", "/create/ctl"]);
    }
    let acl = "ip:127.0.0.1:cdrwa,world:anyone:r";
    let said = pair
        .cli
        .run(&format!("create /create/cli 'some data' {acl}"));
    assert_eq!(said, ["Created /create/cli"]);
    let made = pair.one(&["create", "/create/ctl", "some data", "--acl", acl]);
    assert_eq!(made["path"], "/create/ctl");
    pair.assert_same("/create/cli", "/create/ctl");
    pair.cli.run("create /create/seq");
    let said = pair.cli.run("create -s /create/seq/n- x");
    let first = "/create/seq/n-0000000000";
    assert_eq!(said, [format!("Created {first}")]);
    let second = pair.one(&["create", "-s", "/create/seq/n-", "x"]);
    assert_eq!(second["path"], "/create/seq/n-0000000001");
    pair.assert_same(first, "/create/seq/n-0000000001");
    pair.cli.run("create -e -s /create/seq/e- x");
    let running = Running::start(&pair.hosts, &["create", "-e", "-s", "/create/seq/e-", "x"]);
    running.says("/create/seq/e-0000000003");
    pair.assert_same("/create/seq/e-0000000002", "/create/seq/e-0000000003");
}

pub(super) fn delete(pair: &mut Pair) {
    for path in ["/delete", "/delete/cli", "/delete/ctl"] {
        pair.zkctl(&["create", path]);
    }
    let said = pair.cli.run("delete -v 1 /delete/cli");
    assert!(said.concat().contains("version"), "{said:?}");
    let refused = output(&pair.hosts, &["delete", "--version", "1", "/delete/ctl"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = pair.cli.run("delete /delete");
    assert!(said.concat().contains("not empty"), "{said:?}");
    let refused = output(&pair.hosts, &["delete", "/delete"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(pair.cli.run("delete -v 0 /delete/cli"), [""; 0]);
    pair.zkctl(&["delete", "--version", "0", "/delete/ctl"]);
    assert_eq!(pair.node("/delete").unwrap().children, [""; 0]);
}

pub(super) fn delete_all(pair: &mut Pair) {
    for path in ["/all-cli/a/b", "/all-cli/c", "/all-ctl/a/b", "/all-ctl/c"] {
        pair.zkctl(&["create", "-p", path]);
    }
    pair.cli.run("deleteall /all-cli");
    pair.zkctl(&["delete", "-r", "/all-ctl"]);
    assert_eq!(pair.node("/all-cli"), None);
    assert_eq!(pair.node("/all-ctl"), None);
}

pub(super) fn get(pair: &mut Pair) {
    pair.zkctl(&["create", "/get", "some data"]);
    let shown = pair.cli.run("get -s /get");
    let got = pair.one(&["get", "/get"]);
    assert_eq!(got["data"], shown[0]);
    assert_eq!(comparable(&got["stat"]), stat_of(&shown));
    assert_eq!(
        pair.zkctl(&["get", "/get"]),
        pair.cli.run("get /get").concat()
    );
    if pair.offers("get", "-b") {
        let shown = pair.cli.run("get -b /get");
        assert_eq!(shown, [pair.zkctl(&["get", "-b", "/get"]).trim_end()]);
        assert_eq!(pair.one(&["get", "-b", "/get"])["data_base64"], shown[0]);
    }
    if pair.offers("get", "-x") {
        // Rows such as `|00000000| 73 6f … |some data       |` between others.
        let shown = pair.cli.run("get -x /get");
        let rows = shown.iter().filter(|line| line.starts_with("|0"));
        let bytes = rows.flat_map(|line| line.split('|').nth(2).unwrap().split_whitespace());
        let bytes: Vec<_> = bytes.collect();
        let hex = pair.zkctl(&["get", "-x", "/get"]);
        let (by_zkctl, _) = hex.split_once("  |").unwrap();
        assert!(
            by_zkctl
                .split_whitespace()
                .skip(1)
                .eq(bytes.iter().copied()),
            "{hex}"
        );
        assert_eq!(pair.one(&["get", "-x", "/get"])["data_hex"], bytes.concat());
    }
    pair.cli.run("create /get/null");
    assert_eq!(pair.cli.run("get /get/null"), ["null"]);
    assert_eq!(pair.one(&["get", "/get/null"])["data"], Value::Null);
    watched(
        pair,
        "get -w /get",
        &["get", "-w", "/get"],
        &["set", "/get", "x"],
        "NodeDataChanged",
        "data_changed",
    );
}

pub(super) fn get_acl(pair: &mut Pair) {
    let id = digest_id("bob", "hunter2");
    let acl = format!("world:anyone:cra,digest:{id}:cdrwa");
    pair.zkctl(&["create", "/get-acl", "--acl", &acl]);
    let shown = pair.cli.run("getAcl -s /get-acl");
    let got = pair.one(&["acl", "get", "/get-acl"]);
    let entry = |line: &str| {
        let (id, perms) = line.rsplit_once(": ").unwrap();
        let (scheme, id) = id.split_once(',').unwrap();
        let text = |part: &str| part.trim_start_matches('\'').trim_end().to_owned();
        json!({ "scheme": text(scheme), "id": text(id), "permissions": perms })
    };
    // `'world,'anyone` and `: cra` may be two lines.
    let lines = shown.join("\n").replace("\n: ", ": ");
    let entries: Vec<_> = lines.lines().take(2).map(entry).collect();
    assert_eq!(got["acl"], json!(entries));
    assert_eq!(comparable(&got["stat"]), stat_of(&shown));
}

pub(super) fn set_acl(pair: &mut Pair) {
    for path in ["/acl-cli/a/b", "/acl-ctl/a/b"] {
        pair.zkctl(&["create", "-p", path]);
    }
    let acl = "world:anyone:ra,ip:127.0.0.1:cdrwa";
    let shown = pair.cli.run(&format!("setAcl -s -v 0 /acl-cli {acl}"));
    let set = pair.one(&["acl", "set", "--version", "0", "/acl-ctl", acl]);
    assert_eq!(counts(&stat_of(&shown)), counts(&set["stat"]));
    pair.assert_same("/acl-cli", "/acl-ctl");
    let said = pair.cli.run(&format!("setAcl -v 0 /acl-cli {acl}"));
    assert!(said.concat().contains("version"), "{said:?}");
    let refused = output(
        &pair.hosts,
        &["acl", "set", "--version", "0", "/acl-ctl", acl],
    );
    assert_eq!(refused.status.code(), Some(1));
    pair.cli.run("setAcl -R /acl-cli world:anyone:cdrwa");
    pair.zkctl(&["acl", "set", "-R", "/acl-ctl", "world:anyone:cdrwa"]);
    for below in ["", "/a", "/a/b"] {
        pair.assert_same(&format!("/acl-cli{below}"), &format!("/acl-ctl{below}"));
    }
}

pub(super) fn get_all_children_number(pair: &mut Pair) {
    for path in ["/count/a/b", "/count/c"] {
        pair.zkctl(&["create", "-p", path]);
    }
    let shown = pair.cli.run("getAllChildrenNumber /count");
    assert_eq!(shown, ["3"]);
    assert_eq!(pair.one(&["count", "/count"])["count"], 3);
    let all = pair.cli.run("getAllChildrenNumber /").concat();
    assert_eq!(pair.one(&["count", "/"])["count"].to_string(), all);
}

pub(super) fn get_ephemerals(pair: &mut Pair) {
    pair.cli.run("create /eph");
    for name in ["a", "b"] {
        pair.cli.run(&format!("create -e /eph/{name}"));
    }
    let running = Running::start(&pair.hosts, &["create", "-e", "/eph/other"]);
    running.says("/eph/other");
    let shown = pair.cli.run("getEphemerals /eph").concat();
    let mut paths = list_of(&shown);
    paths.sort_unstable();
    let owner = pair.one(&["stat", "/eph/a"])["stat"]["ephemeral_owner"].clone();
    let owner = owner.as_str().unwrap();
    let found = pair.json(&["ephemerals", "/eph", "--owner", owner]);
    let found: Vec<_> = found
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(found, paths);
    assert_eq!(paths, ["/eph/a", "/eph/b"]);
    assert_eq!(pair.json(&["ephemerals", "/eph"]).len(), 3);
}

pub(super) fn ls(pair: &mut Pair) {
    for path in ["/ls/b", "/ls/a/c"] {
        pair.zkctl(&["create", "-p", path]);
    }
    let shown = pair.cli.run("ls -s /ls");
    let names = pair.json(&["ls", "/ls"]);
    let names: Vec<_> = names
        .iter()
        .map(|line| line["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, list_of(&shown[0]));
    assert_eq!(
        comparable(&pair.one(&["stat", "/ls"])["stat"]),
        stat_of(&shown)
    );
    let mut shown = pair.cli.run("ls -R /ls");
    shown.sort_unstable();
    assert_eq!(
        pair.zkctl(&["ls", "-R", "/ls"]).lines().collect::<Vec<_>>(),
        shown
    );
    let below = pair.json(&["ls", "-R", "/ls"]);
    let below: Vec<_> = below
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(below, shown);
    watched(
        pair,
        "ls -w /ls",
        &["ls", "-w", "/ls"],
        &["create", "/ls/d"],
        "NodeChildrenChanged",
        "children_changed",
    );
}

pub(super) fn set(pair: &mut Pair) {
    for path in ["/set-cli", "/set-ctl"] {
        pair.zkctl(&["create", path]);
    }
    let shown = pair.cli.run("set -s -v 0 /set-cli 'new data'");
    let set = pair.one(&["set", "--version", "0", "/set-ctl", "new data"]);
    assert_eq!(counts(&stat_of(&shown)), counts(&set["stat"]));
    pair.assert_same("/set-cli", "/set-ctl");
    let said = pair.cli.run("set -v 0 /set-cli x");
    assert!(said.concat().contains("version"), "{said:?}");
    let refused = output(&pair.hosts, &["set", "--version", "0", "/set-ctl", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    if pair.offers("set", "-b") {
        pair.cli.run("set -b /set-cli /wBB");
        pair.zkctl(&["set", "--base64", "/set-ctl", "/wBB"]);
        pair.assert_same("/set-cli", "/set-ctl");
        let data = pair.node("/set-ctl").unwrap().data;
        assert_eq!(data.unwrap(), [0xff, 0, 0x41]);
    }
}

pub(super) fn stat(pair: &mut Pair) {
    pair.zkctl(&["create", "/stat", "x"]);
    let shown = pair.cli.run("stat /stat");
    assert_eq!(
        comparable(&pair.one(&["stat", "/stat"])["stat"]),
        stat_of(&shown)
    );
    watched(
        pair,
        "stat -w /stat",
        &["stat", "-w", "/stat"],
        &["delete", "/stat"],
        "NodeDeleted",
        "deleted",
    );
}
