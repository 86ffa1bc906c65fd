//! The command line, as a person or a script runs it: to look, to change, to watch.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::Write;
use std::process::{Output, Stdio};

use crate::common::zkctl::{Running, done, fails, output, root, zkctl};
use crate::common::{own_server, shared_server};
use zk_tests::watchdog::poll;

/// Creates `/a` with the data on standard input.
fn create(server: &str, data: &[u8]) -> Output {
    let mut create = zkctl(server, &["create", "/a", "-"]);
    let mut child = create.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(data).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn create_get_set_and_delete() {
    let zk = root();
    assert_eq!(done(&zk, &["create", "/a", "one"]), "/a\n");
    assert_eq!(done(&zk, &["create", "-p", "/a/b/c"]), "/a/b/c\n");
    assert_eq!(done(&zk, &["create", "-s", "/a/", "x"]), "/a/0000000001\n");
    assert_eq!(done(&zk, &["get", "/a"]), "one");
    assert_eq!(
        done(&zk, &["set", "/a", "two", "--version", "0"]),
        "version 1\n"
    );
    let stale = fails(&zk, &["set", "/a", "x", "--version", "0"], 1);
    assert_eq!(
        stale,
        "zkctl: setData /a: the znode has another version; it had no effect (read it again, and \
         decide again)\n"
    );
    assert_eq!(done(&zk, &["ls", "/a"]), "0000000001\nb\n");
    assert_eq!(
        done(&zk, &["ls", "-R", "/a"]),
        "/a\n/a/0000000001\n/a/b\n/a/b/c\n"
    );
    let long = done(&zk, &["ls", "-l", "/"]);
    assert!(
        long.starts_with("-  v1") && long.ends_with("Z  a\n"),
        "{long}"
    );
    let tree = "/a\n├── 0000000001\n└── b\n    └── c\n\n4 znodes, 0 of them ephemeral\n";
    assert_eq!(done(&zk, &["tree", "/a"]), tree);
    let tree = "/a\n├── 0000000001\n└── b\n\n3 znodes, 0 of them ephemeral\n";
    assert_eq!(done(&zk, &["tree", "/a", "--depth", "1"]), tree);
    let stat = done(&zk, &["stat", "/a"]);
    assert!(
        stat.contains("zxid 0x") && stat.contains("data         3 bytes"),
        "{stat}"
    );
    assert_eq!(done(&zk, &["exists", "/a"]), "true\n");
    assert_eq!(
        fails(&zk, &["delete", "/a"], 1),
        "zkctl: delete /a: the znode has children; it had no effect (delete its children first, or \
         use -r)\n"
    );
    assert_eq!(done(&zk, &["delete", "-r", "/a"]), "");
    let absent = output(&zk, &["exists", "/a"]);
    assert_eq!(
        (absent.status.code(), &absent.stdout[..]),
        (Some(1), &b"false\n"[..])
    );
    for command in ["get", "stat", "ls", "tree", "delete"] {
        let stderr = fails(&zk, &[command, "/a"], 1);
        assert!(
            stderr.starts_with("zkctl: ") && stderr.contains("does not exist"),
            "{stderr}"
        );
    }
}

#[test]
fn json_is_one_object_a_line() {
    let zk = root();
    let json = |arguments: &[&str]| done(&zk, &[&["-o", "json"], arguments].concat());
    let made = json(&["create", "/a", "é"]);
    assert!(made.starts_with(r#"{"path":"/a","stat":{"#), "{made}");
    let got = json(&["get", "/a"]);
    assert!(
        got.starts_with(r#"{"data":"é","path":"/a","stat":{"#),
        "{got}"
    );
    assert!(json(&["set", "/a", "x"]).contains(r#""version":1"#));
    assert!(json(&["stat", "/a"]).contains(r#""ephemeral_owner":null"#));
    assert!(json(&["exists", "/a"]).contains(r#""exists":true"#));
    assert_eq!(json(&["ls", "/"]), "{\"name\":\"a\",\"path\":\"/a\"}\n");
    let tree = json(&["tree", "/"]);
    assert_eq!(tree.lines().count(), 2, "{tree}");
    assert!(
        tree.lines()
            .all(|line| line.starts_with('{') && line.ends_with('}')),
        "{tree}"
    );
    assert_eq!(json(&["delete", "/a"]), "{\"deleted\":\"/a\"}\n");
}

#[test]
fn binary_data_passes_unchanged() {
    let zk = root();
    assert!(create(&zk, b"\xff\x00\n").status.success());
    assert_eq!(output(&zk, &["get", "/a"]).stdout, b"\xff\x00\n");
    assert!(done(&zk, &["get", "/a", "-o", "json"]).contains(r#""data_base64":"/wAK""#));
}

#[test]
fn refusals_are_explained_without_secrets() {
    let zk = root();
    let secret = "hunter2";
    let mut create = zkctl(&zk, &["create", "/a", "x", "--acl", "auth::cdrwa"]);
    create.env("ZK_AUTH", format!("digest:u:{secret}"));
    assert!(create.status().unwrap().success());
    assert_eq!(
        done(&zk, &["--auth", &format!("digest:u:{secret}"), "get", "/a"]),
        "x"
    );
    let stderr = fails(&zk, &["--auth", "digest:u:wrong-secret", "get", "/a"], 1);
    assert!(stderr.contains("ACL does not allow it"), "{stderr}");
    assert!(!stderr.contains("wrong-secret"), "{stderr}");
    let stderr = fails(&zk, &["--auth", "no-such-scheme:hunter2", "get", "/a"], 1);
    assert!(stderr.contains("refused the credentials"), "{stderr}");
    assert!(!stderr.contains(secret), "{stderr}");
}

#[test]
fn too_large_znode_is_not_retried() {
    let zk = root();
    let output = create(&zk, &vec![b'x'; 0xf_ffff]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("jute.maxbuffer") && stderr.contains("had no effect"),
        "{stderr}"
    );
}

#[test]
fn closed_output_is_no_failure() {
    let zk = root();
    assert!(create(&zk, &vec![b'x'; 500_000]).status.success());
    let mut child = zkctl(&zk, &["get", "/a"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), &output.stderr[..]),
        (Some(0), &b""[..])
    );
}

#[test]
fn ephemeral_ends_with_its_command() {
    let zk = root();
    let mut holder = Running::start(&zk, &["create", "-e", "/e"]);
    holder.says("/e");
    holder.notes("until this is interrupted");
    assert!(done(&zk, &["tree", "/"]).contains("e (ephemeral)\n"));
    holder.signal("INT");
    assert_eq!(holder.code(), Some(130));
    assert_eq!(output(&zk, &["exists", "/e"]).stdout, b"false\n");
}

#[test]
fn watch_shows_the_gap_of_a_restart() {
    let server = own_server();
    let zk = server.connect_string();
    let mut plain = Running::start(&zk, &["watch", "-r", "/"]);
    let mut json = Running::start(&zk, &["-o", "json", "watch", "-r", "/"]);
    plain.says("watching / and everything below it");
    json.says(r#""type":"watching""#);
    done(&zk, &["create", "/a"]);
    assert!(plain.says("created").contains("/a  zxid 0x") || shared_version() < (3, 9));
    assert!(json.says(r#""kind":"created""#).contains(r#""path":"/a""#));
    server.restart().unwrap();
    plain.says("connection lost");
    plain.says("connection restored");
    plain.says("events may have been missed since zxid 0x");
    json.says(r#""type":"connection_lost""#);
    json.says(r#""type":"connection_restored""#);
    assert!(json.says(r#""type":"gap""#).contains(r#""since":"0x"#));
    done(&zk, &["delete", "/a"]);
    plain.says("deleted           /a");
    assert!(json.says(r#""kind":"deleted""#).contains(r#""path":"/a""#));
    plain.signal("TERM");
    json.signal("INT");
    assert_eq!((plain.code(), json.code()), (Some(143), Some(130)));
}

/// Servers before 3.9 do not say which transaction fired a watch (ZOOKEEPER-4655).
fn shared_version() -> (u32, u32) {
    let srvr = shared_server().four_letter("srvr").unwrap();
    let version = srvr.split("version: ").nth(1).unwrap();
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn a_watch_begins_again_in_the_next_session() {
    let server = own_server();
    let zk = server.connect_string();
    let watch = Running::start(&zk, &["--session-timeout", "1s", "watch", "/a", "/b"]);
    watch.says("watching /");
    watch.says("watching /");
    server.pause().unwrap();
    watch.says("connection lost");
    watch.says("session expired");
    server.resume().unwrap();
    watch.says("new session 0x");
    watch.says("again; events may have been missed");
    watch.says("again; events may have been missed");
    done(&zk, &["create", "/b"]);
    watch.says("created           /b");
}

/// Guards: P24.
#[test]
fn a_server_alone_has_no_configuration() {
    let server = shared_server().connect_string();
    let shown = output(&server, &["config"]);
    assert_eq!((shown.status.code(), &*shown.stdout), (Some(0), &b""[..]));
    let said = String::from_utf8_lossy(&shown.stderr);
    assert!(said.contains("no configuration"), "{said}");
}

#[test]
fn the_configuration_is_shown_and_changed() {
    let ensemble = crate::common::ensemble();
    let server = ensemble.connect_string();
    let text = done(&server, &["config"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].starts_with("server.3="), "{text}");
    let version = lines[3].strip_prefix("version=").unwrap();
    let json = done(&server, &["config", "-o", "json"]);
    assert!(
        json.contains(&format!("\"connect\":\"{server}\"")),
        "{json}"
    );
    for usage in [&["reconfig"][..], &["reconfig", "--join", "zk4:2181"]] {
        fails(&server, usage, 2);
    }
    let secret = format!("digest:{}", zk_tests::SUPER_CREDENTIALS);
    let change = ["reconfig", "--leave", "3", "--from-version", version];
    let changed = output(&server, &[&change[..], &["--auth", &secret]].concat());
    let said = String::from_utf8_lossy(&changed.stderr);
    assert!(!said.contains(zk_tests::SUPER_CREDENTIALS), "{said}");
    let mut text = String::from_utf8_lossy(&changed.stdout).into_owned();
    if said.contains("whether it took effect is unknown") {
        // The server asked was the one to go, or the leader was, and took the answer with it.
        text = poll("the configuration to have lost a server", || {
            let shown = output(&server, &["config"]).stdout;
            let text = String::from_utf8_lossy(&shown).into_owned();
            (text.lines().count() == 3).then_some(text)
        });
    }
    assert_eq!(text.lines().count(), 3, "{text}{said}");
    assert!(!text.contains("server.3="), "{text}");
    fails(&server, &change, 1);
}
