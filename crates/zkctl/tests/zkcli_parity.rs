//! The counterparts of zkCli's commands: ACLs, quotas, transactions, status, and the options of reads and
//! writes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::{fs, process};

use common::{
    Running, SECRET, Served, finish, finish_with, json_lines, temporary_file, text, zkctl,
};
use serde_json::{Value, json};
use zk_client::digest_id;
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

const USER: &str = "digest:bob:hunter2";

/// Guards: P37.
#[test]
fn an_acl_is_shown_as_it_is_set() {
    let zk = Served::start();
    zk.done(&["create", "/a"]);
    assert_eq!(zk.done(&["acl", "get", "/a"]), "world:anyone:cdrwa\n");
    let bob = format!("digest:{}:cdrwa", digest_id("bob", SECRET));
    let acl = format!("{bob},ip:10.0.0.0/8:r");
    assert_eq!(zk.done(&["acl", "set", "/a", &acl]), "acl version 1\n");
    let stderr = zk.fails(&["get", "/a"], 1);
    assert!(stderr.contains("ACL does not allow"), "{stderr}");
    let as_bob = |arguments: &[&str]| zk.done(&[&["--auth", USER], arguments].concat());
    assert_eq!(as_bob(&["acl", "get", "/a"]), format!("{acl}\n"));
    let shown = zk.json_line(&["--auth", USER, "acl", "get", "/a"]);
    assert_eq!(shown["text"], acl);
    assert_eq!(
        shown["acl"],
        json!([
            { "scheme": "digest", "id": digest_id("bob", SECRET), "permissions": "cdrwa" },
            { "scheme": "ip", "id": "10.0.0.0/8", "permissions": "r" },
        ])
    );
    let stale = ["--auth", USER, "acl", "set", "--version", "0", "/a", &bob];
    let stderr = zk.fails(&stale, 1);
    assert!(stderr.contains("another version"), "{stderr}");
    let set = as_bob(&["acl", "set", "--version", "1", "/a", "auth::rwa"]);
    assert_eq!(set, "acl version 2\n");
    let rwa = as_bob(&["acl", "get", "/a"]);
    assert!(
        rwa.ends_with(":rwa\n") && rwa.starts_with("digest:bob:"),
        "{rwa}"
    );
    let stderr = zk.fails(&["acl", "set", "/a", "digest:bob:hunter2:r"], 2);
    assert!(
        stderr.contains("zkctl digest") && !stderr.contains(SECRET),
        "{stderr}"
    );
}

/// The new ACL does not let the client list children, and all of them have it nevertheless.
/// Guards: P34, P37.
#[test]
fn an_acl_of_a_tree_is_set_from_below() {
    let zk = Served::start();
    for path in ["/a", "/a/b", "/a/b/c", "/ab", "/a/d"] {
        zk.done(&["create", path]);
    }
    zk.fill("/a/many", (0..600).map(|n| n.to_string()));
    assert_eq!(zk.done(&["acl", "set", "-R", "/a", "world:anyone:a"]), "");
    let stderr = zk.fails(&["ls", "/a"], 1);
    assert!(stderr.contains("does not allow"), "{stderr}");
    let acl = |path: &str| zk.done(&["acl", "get", path]);
    for path in ["/a", "/a/b", "/a/b/c", "/a/d", "/a/many", "/a/many/599"] {
        assert_eq!(acl(path), "world:anyone:a\n", "{path}");
    }
    assert_eq!(acl("/ab"), "world:anyone:cdrwa\n");
    let (code, _, stderr) = zk.run(&["acl", "set", "-R", "/", "world:anyone:cdrwa"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("/zookeeper and everything"), "{stderr}");
    assert_eq!(acl("/zookeeper/config"), "world:anyone:r\n");
    // The children of /a cannot be listed before its own ACL is set again.
    assert_eq!(acl("/a"), "world:anyone:cdrwa\n");
    zk.done(&["acl", "set", "/a/many", "world:anyone:cdrwa"]);
    // The children of its children cannot be listed, and then they can.
    let again = ["acl", "set", "-R", "/a/many", "world:anyone:cdrwa"];
    let (code, _, stderr) = zk.run(&again);
    assert_eq!((code, stderr.lines().count()), (Some(1), 600));
    zk.done(&again);
    let lines = zk.json(&["acl", "get", "-R", "/a/many"]);
    assert_eq!(lines.len(), 601);
    assert!(lines.iter().all(|line| line["text"].is_string()));
    assert_eq!(
        zk.done(&["acl", "get", "-R", "/ab"]),
        "/ab  world:anyone:cdrwa\n"
    );
}

/// Guards: P37.
#[test]
fn a_digest_never_takes_its_password_as_one() {
    let digest = |arguments: &[&str], input: &[u8]| {
        let output = finish_with(zkctl(arguments), input);
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let id = digest_id("bob", SECRET);
    for input in [&b"hunter2"[..], b"hunter2\n", b"hunter2\r\nrest\n"] {
        let (code, stdout, stderr) = digest(&["digest", "bob"], input);
        assert_eq!(
            (code, stdout),
            (Some(0), format!("digest:{id}\n")),
            "{stderr}"
        );
    }
    let (_, stdout, _) = digest(&["-o", "json", "digest", "bob"], b"hunter2");
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(shown, json!({ "scheme": "digest", "id": id }));
    for (arguments, code) in [
        (&["digest", "bob"][..], 1),
        (&["digest", "bob", "pw"], 2),
        (&["digest", ""], 2),
    ] {
        let (actual, stdout, _) = digest(arguments, b"\n");
        assert_eq!((actual, &*stdout), (Some(code), ""), "{arguments:?}");
    }
    for arguments in [&["digest", "bob:hunter2"][..], &["digest", "bob", SECRET]] {
        let (code, _, stderr) = digest(arguments, b"x");
        assert_eq!(code, Some(2), "{stderr}");
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
}

#[test]
fn identities_counts_and_ephemerals() {
    let zk = Served::start();
    let who = zk.done(&["--auth", USER, "whoami"]);
    assert_eq!(who, "ip:127.0.0.1\ndigest:bob\n");
    zk.fill("/a", (0..3).map(|n| n.to_string()));
    assert_eq!(zk.done(&["count", "/a"]), "3\n");
    let all = zk.json_line(&["count", "/"]);
    // Those of the server are counted as well.
    let listed = zk.done(&["ls", "-R", "/"]).lines().count();
    assert_eq!(all, json!({ "path": "/", "count": listed - 1 }));
    let older = Action::Refuse(ErrorCode::Unimplemented);
    zk.faults
        .rule(on(OpCode::GetAllChildrenNumber).then(older).always());
    assert_eq!(zk.done(&["count", "/a"]), "3\n");
    let zxid = |text: &str| text.trim().strip_prefix("zxid 0x").map(str::to_owned);
    assert!(zxid(&zk.done(&["sync"])).is_some());
    let hold = |path: &str| {
        let mut create = zk.zkctl(&["create", "-e", path]);
        create.stderr(process::Stdio::null());
        let running = Running::start(create);
        running.says(path);
        running
    };
    let (_one, _two) = (hold("/a/e1"), hold("/e2"));
    let found = zk.json(&["ephemerals"]);
    let paths: Vec<_> = found
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/a/e1", "/e2"]);
    let owner = found[1]["session"].as_str().unwrap();
    let of_one = zk.done(&["ephemerals", "--owner", owner]);
    assert_eq!(of_one, format!("{owner}  /e2\n"));
    assert_eq!(zk.done(&["ephemerals", "/a"]).lines().count(), 1);
    assert_eq!(zk.done(&["ephemerals", "/a", "--owner", owner]), "");
    let stderr = zk.fails(&["ephemerals", "--owner", "xyz"], 2);
    assert!(stderr.contains("hexadecimal"), "{stderr}");
}

#[test]
fn data_have_the_form_that_is_asked_for() {
    let zk = Served::start();
    zk.done(&["create", "--base64", "/b", "/wAKQQ=="]);
    assert_eq!(zk.done(&["get", "--base64", "/b"]), "/wAKQQ==\n");
    let dump = zk.done(&["get", "--hex", "/b"]);
    assert!(
        dump.starts_with("00000000  ff 00 0a 41 ") && dump.ends_with("  |...A|\n"),
        "{dump}"
    );
    assert_eq!(
        zk.json_line(&["get", "--hex", "/b"])["data_hex"],
        "ff000a41"
    );
    let json = r#"{"b":1.50,"a":["x",{}]}"#;
    let from = temporary_file("data", json.as_bytes());
    zk.done(&["set", "--gzip", "--file", &from, "/b"]);
    let compressed = finish(zk.zkctl(&["get", "/b"])).stdout;
    assert_eq!(compressed[..2], [0x1f, 0x8b]);
    assert_eq!(zk.done(&["get", "--gzip", "/b"]), json);
    let pretty = "{\n  \"b\": 1.50,\n  \"a\": [\n    \"x\",\n    {}\n  ]\n}\n";
    assert_eq!(zk.done(&["get", "--gzip", "--json-pretty", "/b"]), pretty);
    let parsed = zk.json_line(&["get", "--gzip", "--json-pretty", "/b"]);
    assert_eq!(parsed["data_json"], json!({ "b": 1.5, "a": ["x", {}] }));
    let stderr = zk.fails(&["get", "--json-pretty", "/b"], 1);
    assert!(stderr.contains("not JSON"), "{stderr}");
    zk.done(&["create", "--file", &from, "/f"]);
    assert_eq!(zk.done(&["get", "--gzip", "/f"]), json);
    zk.done(&["set", "/f", "--base64", "-"]);
    assert_eq!(zk.done(&["get", "/f"]), "");
    for (arguments, code, word) in [
        (
            &["set", "--file", "/no/such/file", "/f"][..],
            1,
            "/no/such/file",
        ),
        (&["set", "--base64", "/f", "not base64"], 2, "not base64"),
        (&["set", "--file", &from, "/f", "x"], 2, "cannot be used"),
        (
            &["set", "--file", "/dev/zero", "/f"],
            1,
            "more than 1048575 bytes",
        ),
    ] {
        let stderr = zk.fails(arguments, code);
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    }
    fs::remove_file(from).unwrap();
}

#[test]
fn a_read_waits_for_the_next_change() {
    let zk = Served::start();
    zk.done(&["create", "/a", "one\n"]);
    for (read, first, change, kind) in [
        (
            &["get", "-w", "/a"][..],
            "/a",
            &["set", "/a", "x"][..],
            "data_changed",
        ),
        (
            &["stat", "-w", "/a"],
            "/a",
            &["set", "/a", "y"],
            "data_changed",
        ),
        (
            &["ls", "-w", "/"],
            "/zookeeper",
            &["create", "/b"],
            "children_changed",
        ),
        (&["exists", "-w", "/c"], "/c", &["create", "/c"], "created"),
        (&["exists", "-w", "/c"], "/c", &["delete", "/c"], "deleted"),
    ] {
        let arguments = [&["-o", "json"], read].concat();
        let mut running = Running::start(zk.zkctl(&arguments));
        running.says(&format!("{first:?}"));
        zk.done(change);
        let event: Value = serde_json::from_str(&running.line("the event")).unwrap();
        assert_eq!(
            (&event["type"], &event["kind"]),
            (&json!("event"), &json!(kind)),
            "{read:?}"
        );
        let _wait = zk_tests::watchdog::Wait::begin("the end");
        let code = running.child.wait().unwrap().code();
        let deleted = kind == "deleted";
        assert_eq!(code, Some(i32::from(deleted)), "{read:?}");
    }
    // The end of a reader ends what nothing but the reader waits for; the exit code of `exists` matters.
    for (arguments, code) in [(&["get", "-w", "/a"][..], 0), (&["exists", "-w", "/a"], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = zk.zkctl(arguments);
        command.stdout(writer);
        let mut child = command.spawn().unwrap();
        drop((reader, command));
        let _wait = zk_tests::watchdog::Wait::begin("the end");
        if code == 1 {
            let watches = || {
                zk.done(&["four-letter", "wchs"])
                    .contains("Total watches:1")
            };
            zk_tests::watchdog::poll("a watch", || watches().then_some(()));
            zk.done(&["delete", "/a"]);
        }
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
    let (code, _, stderr) = zk.run(&["ls", "-R", "-w", "/"]);
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn a_transaction_is_applied_as_a_whole() {
    let zk = Served::start();
    zk.done(&["create", "/config", "v1"]);
    let txn = |lines: &str, arguments: &[&str]| {
        let all = [arguments, &["txn"]].concat();
        let output = finish_with(zk.zkctl(&all), lines.as_bytes());
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let lines = "check /config 0\nset /config 'v 2'\n# a comment\ncreate -s /n- x\ndelete --version 1 /config\n";
    let (code, stdout, stderr) = txn(lines, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        stdout,
        "check  /config\nset  /config  version 1\ncreate  /n-0000000001\ndelete  /config\n"
    );
    let (code, stdout, stderr) = txn("create /x\ncheck /n-0000000001 7\ncreate /y\n", &[]);
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    assert!(
        stderr.starts_with(
            "zkctl: operation 2 of 3, check /n-0000000001: the znode has another version"
        ) && stderr.contains("no operation had an effect"),
        "{stderr}"
    );
    assert_eq!(zk.run(&["exists", "/x"]).0, Some(1));
    let array =
        r#"[{"op":"create","path":"/x","data_base64":"/w=="},{"op":"create","path":"/x/y"}]"#;
    let (code, stdout, stderr) = txn(array, &["-o", "json"]);
    assert_eq!(code, Some(0), "{stderr}");
    let lines = json_lines(&stdout);
    assert_eq!(
        (&lines[0]["op"], &lines[1]["path"]),
        (&json!("create"), &json!("/x/y"))
    );
    assert_eq!(zk.done(&["get", "--base64", "/x"]), "/w==\n");
    let from = temporary_file("txn", b"delete /x/y\ndelete /x\n");
    assert_eq!(zk.done(&["txn", &from]), "delete  /x/y\ndelete  /x\n");
    fs::remove_file(from).unwrap();
    for (lines, word) in [("\n", "no operation"), ("delete /a\nmove /a /b", "line 2")] {
        let (code, stdout, stderr) = txn(lines, &[]);
        assert_eq!((code, &*stdout), (Some(2), ""), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
}

/// Another client may have deleted one of the two znodes of a quota.
#[test]
fn half_a_quota_is_set_and_deleted() {
    let zk = Served::with(|| Server::builder().enforce_quota(true).start());
    let shown = "/app  2 znodes, 3 bytes  count 9\n";
    let usage = "/zookeeper/quota/app/zookeeper_stats";
    zk.done(&["create", "-p", "/app/a", "abc"]);
    assert_eq!(zk.done(&["quota", "set", "-n", "9", "/app"]), shown);
    zk.done(&["delete", "/zookeeper/quota/app/zookeeper_limits"]);
    zk.done(&["set", usage, "count=7,bytes=7"]);
    assert_eq!(zk.done(&["quota", "set", "-n", "9", "/app"]), shown);
    zk.done(&["delete", usage]);
    assert_eq!(zk.done(&["quota", "delete", "/app"]), "");
    assert_eq!(zk.done(&["ls", "/zookeeper/quota"]), "");
    // Other clients that change it each time.
    let refused = on(OpCode::Multi).then(Action::Refuse(ErrorCode::NodeExists));
    zk.faults.rule(refused.always());
    let stderr = zk.fails(&["quota", "set", "-n", "9", "/app"], 1);
    assert!(
        stderr.contains("/app: the quota was not changed in 10 attempts"),
        "{stderr}"
    );
}

#[test]
fn a_quota_counts_and_is_enforced() {
    let zk = Served::with(|| Server::builder().enforce_quota(true).start());
    zk.fill("/app", ["a".to_owned()].into_iter());
    assert_eq!(
        zk.fails(&["quota", "get", "/app"], 1),
        "zkctl: /app has no quota\n"
    );
    let set = zk.done(&["quota", "set", "-n", "3", "-B", "5", "/app"]);
    assert_eq!(set, "/app  2 znodes, 0 bytes  count 3  hard bytes 5\n");
    zk.done(&["set", "/app/a", "12345"]);
    let stderr = zk.fails(&["set", "/app/a", "123456"], 1);
    assert!(stderr.contains("quota"), "{stderr}");
    let (code, stdout, stderr) = zk.run(&["quota", "set", "--bytes", "4", "/app"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stdout,
        "/app  2 znodes, 5 bytes  count 3  bytes 4  hard bytes 5  bytes exceeded\n"
    );
    assert_eq!(stderr, "zkctl: /app: the limit bytes is exceeded already\n");
    let shown = json!({
        "path": "/app",
        "limits": { "count": 3, "bytes": 4, "hard_count": null, "hard_bytes": 5 },
        "used": { "count": 2, "bytes": 5 },
        "exceeded": ["bytes"],
    });
    assert_eq!(zk.json_line(&["quota", "get", "/app"]), shown);
    assert_eq!(zk.json(&["quota", "tree"]), [shown]);
    let raw = zk.done(&["get", "/zookeeper/quota/app/zookeeper_limits"]);
    assert_eq!(raw, "count=3,bytes=4=;byteHardLimit=5");
    // Of two quotas above each other, servers use one.
    let stderr = zk.fails(&["quota", "set", "-n", "9", "/app/a"], 1);
    assert!(stderr.contains("/app has a quota already"), "{stderr}");
    let fewer = zk.done(&["quota", "delete", "-n", "-B", "/app"]);
    assert_eq!(fewer, "/app  2 znodes, 5 bytes  bytes 4  bytes exceeded\n");
    assert_eq!(zk.done(&["quota", "delete", "/app"]), "");
    assert_eq!(zk.done(&["ls", "/zookeeper/quota"]), "");
    assert_eq!(zk.done(&["quota", "tree"]), "");
    zk.done(&["quota", "set", "-n", "9", "/app/a"]);
    let stderr = zk.fails(&["quota", "set", "-n", "9", "/app"], 1);
    assert!(stderr.contains("/app/a has a quota already"), "{stderr}");
    for (arguments, code, word) in [
        (&["quota", "set", "/app"][..], 2, "required"),
        (&["quota", "set", "-n", "0", "/app"], 2, "1.."),
        (&["quota", "set", "-n", "1", "/"], 2, "root"),
        (&["quota", "set", "-n", "1", "/none"], 1, "does not exist"),
        (&["quota", "delete", "/none"], 1, "no quota"),
    ] {
        let stderr = zk.fails(arguments, code);
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    }
    let below = format!("{}/app", zk.hosts());
    let stderr = zk.fails(&["--server", &below, "quota", "tree"], 2);
    assert!(stderr.contains("chroot /app"), "{stderr}");
}
