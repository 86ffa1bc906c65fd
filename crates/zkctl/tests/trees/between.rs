//! The commands on two trees: `diff` and `copy`.

use std::time::Duration;

use serde_json::{Value, json};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};
use zk_tests::watchdog::Wait;

use crate::common::{Served, finish, send, text, zkctl};
use crate::support::{Scratch, fired, operand};

/// ACLs may differ in what the servers hide.
#[test]
fn diff_counts_masked_acls() {
    let (zk, other) = (Served::start(), Served::start());
    let acl = |hash| format!("digest:user:{hash}=:cdrwa,world:anyone:r");
    for (zk, hash) in [
        (&zk, "6DY5WhzOfGsWQ1XFuIyzxkpwdPo"),
        (&other, "AAAAWhzOfGsWQ1XFuIyzxkpwdPo"),
    ] {
        zk.done(&["create", "/app", "v"]);
        zk.done(&["create", "/app/a", "v", "--acl", &acl(hash)]);
        zk.done(&["create", "/app/b", zk.hosts(), "--acl", &acl(hash)]);
    }
    let right = format!("{}/app", other.hosts());
    let (code, stdout, stderr) = zk.run(&["diff", "/app", &right]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("~ /b  data") && !stdout.contains("/a"),
        "{stdout}"
    );
    assert!(
        stderr.contains("without the hashes of their passwords: 2;"),
        "{stderr}"
    );
    // The hidden hashes do not change the exit code.
    let (code, _, stderr) = zk.run(&["diff", "-q", "/app/a", &format!("{right}/a")]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("passwords: 1;"), "{stderr}");
    let ignoring = ["diff", "--ignore", "acl", "/app", &right];
    let (_, _, stderr) = zk.run(&ignoring);
    assert_eq!(stderr, "");
}

/// Guards: P58.
#[test]
fn diff_has_a_code_for_failures() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/a/x", "1"]);
    zk.done(&["create", "-p", "/b/x", "1"]);
    assert_eq!(zk.run(&["diff", "/a", "/b"]).0, Some(0));
    zk.done(&["set", "/b/x", "22"]);
    zk.done(&["create", "/b/y"]);
    let (code, stdout, stderr) = zk.run(&["diff", "/a", "/b"]);
    let expected = "~ /x  data: 1 bytes and 2 bytes\n+ /y\n\
                    1 the same, 1 changed, 0 only in the first, 1 only in the second\n";
    assert_eq!((code, &*stdout, &*stderr), (Some(1), expected, ""));
    let (_, stdout, _) = zk.run(&["diff", "--data", "/a", "/b"]);
    assert!(
        stdout.contains("2 bytes\n    - 1\n    + 22\n+ /y\n"),
        "{stdout}"
    );
    assert_eq!(
        zk.run(&["diff", "-q", "/a", "/b"]),
        (Some(1), String::new(), String::new())
    );
    let (_, stdout, _) = zk.run(&["diff", "-o", "json", "/a", "/b"]);
    let lines: Vec<Value> = stdout
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["path"], "/x");
    assert_eq!(lines[0]["change"], "changed");
    assert_eq!(lines[0]["differs"], json!(["data"]));
    assert_eq!(lines[0]["right"]["data_length"], 2);
    assert_eq!(lines[1]["change"], "only_right");
    assert_eq!(lines[2]["only_right"], 1);
    for wrong in [
        &["diff", "/a", "/no"][..],
        &["diff", "/a"],
        &["diff", "/a", "no-file"],
    ] {
        assert_eq!(zk.run(wrong).0, Some(2), "{wrong:?}");
    }
    zk.faults
        .rule(on(OpCode::GetData).then(Action::Refuse(ErrorCode::NoAuth)));
    assert_eq!(zk.run(&["diff", "/a", "/b"]).0, Some(2));
}

#[test]
fn two_files_need_no_server() {
    let zk = Served::start();
    zk.done(&["create", "/a", "1"]);
    let scratch = Scratch::new("files");
    let one = scratch.file("one", &zk.done(&["export", "/a"]));
    let two = operand(&one);
    let mut diff = zkctl(&["diff", &two, &two]);
    diff.env("ZK_SERVER", "127.0.0.1:1");
    let output = finish(diff);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_tree_is_not_copied_into_itself() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/a/b"]);
    for (from, to) in [
        ("/a", "/a/c"),
        ("/a", "/a"),
        ("/a/b", "/a"),
        ("/", "/x"),
        ("x", "/x"),
    ] {
        assert_eq!(zk.run(&["copy", from, to]).0, Some(2), "{from} {to}");
    }
    assert_eq!(zk.done(&["copy", "/a", "/ab"]), "2 created\n");
    let (code, _, stderr) = zk.run(&["copy", "/a", "/x/y"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("/x: ") && stderr.contains("-p"), "{stderr}");
}

/// The servers have several names, and sessions may begin below the tree.
#[test]
fn other_names_of_servers_are_recognized() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/a/b/c", "v"]);
    let hosts = zk.hosts();
    let port = hosts.rsplit_once(':').unwrap().1;
    let other = format!("localhost:{port}");
    let before = zk.done(&["ls", "-R", "/"]);
    for (server, from, to) in [
        ("", "/a", format!("{hosts}/a/new")),
        ("", "/a", format!("zk://{other}/a/new")),
        ("", "/a", format!("{other}/a")),
        ("", "/a/b", format!("{other}/a")),
        ("", "/", format!("{other}/new")),
        // An escape stays in the root of the session.
        ("", "/a", format!("zk://{other}/a/%62")),
        ("/a", "/b", format!("{other}/a/b/c/new")),
        ("/a/b", "/c", format!("{other}/a")),
        ("/a/b", "/", format!("zk://{other}/a/%62/c")),
    ] {
        for dry_run in [&[][..], &["-n"]] {
            let server = format!("{hosts}{server}");
            let copy = ["--server", &server, "copy", "-p", from, &to];
            let stderr = zk.fails(&[&copy[..], dry_run].concat(), 2);
            assert!(stderr.contains("are one ensemble"), "{stderr}");
            assert!(
                stderr.contains(&*other) || stderr.contains(hosts),
                "{stderr}"
            );
        }
    }
    assert_eq!(zk.done(&["ls", "-R", "/"]), before);
    let elsewhere = format!("{other}/ab");
    assert_eq!(zk.done(&["copy", "/a", &elsewhere]), "3 created\n");
}

/// The same paths of other servers are another tree.
#[test]
fn a_tree_is_copied_below_its_namesake() {
    let (zk, other) = (Served::start(), Served::start());
    for zk in [&zk, &other] {
        zk.done(&["create", "-p", "/a/b", "v"]);
    }
    for (from, to, count) in [("/a", "/a/new", 2), ("/a/b", "/a", 0), ("/", "/x", 3)] {
        let to = format!("{}{to}", other.hosts());
        let copy = ["copy", "--overwrite", from, &to];
        let stdout = zk.done(&copy);
        let created = format!("{count} created");
        assert!(stdout.starts_with(&created), "{from} {to}: {stdout}");
    }
}

#[test]
fn a_signal_ends_a_comparison() {
    let hour = Duration::from_secs(3600);
    let zk = Served::with(move || Server::builder().session_timeouts(hour, hour).start());
    zk.done(&["create", "/a"]);
    zk.faults.rule(on(OpCode::GetAcl).then(Action::Swallow));
    let mut child = zk
        .zkctl(&["--timeout", "1h", "diff", "/a", "/a"])
        .spawn()
        .unwrap();
    fired(&zk, "the request for an ACL");
    send("INT", &child);
    let _wait = Wait::begin("the end of diff");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
