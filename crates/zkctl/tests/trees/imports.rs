//! What `import` writes, leaves alone, and refuses.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};
use zk_embedded::fault::{Action, on};
use zk_embedded::{Pose, Server};
use zk_proto::{ErrorCode, OpCode};

use crate::common::{Served, finish_with, text};
use crate::support::{Scratch, block_on, odd_tree, operand};

/// Guards: P62.
#[test]
fn an_export_becomes_the_same_tree() {
    let (zk, other) = (Served::start(), Served::start());
    let scratch = Scratch::new("same-tree");
    let client = block_on(odd_tree(&zk));
    let export = zk.done(&["export", "/app"]);
    let file = scratch.file("tree", &export);
    let diff = |right: &str| other.run(&["diff", &operand(&file), right]);
    assert_eq!(diff("/app").0, Some(2), "there is nothing to compare with");
    let (code, _, stderr) = other.run(&["diff", &file, "/app"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains(&operand(&file)), "{stderr}");
    let dry = other.done(&["import", "-n", &file]);
    assert!(dry.contains("created /app/grüße ✓/below\n"), "{dry}");
    assert_eq!(other.done(&["ls", "/"]), "zookeeper\n");
    let (code, stdout, stderr) = other.run(&["import", &file]);
    assert_eq!(
        (code, &*stdout),
        (Some(0), "23 created, 1 left out\n"),
        "{stderr}"
    );
    assert!(stderr.contains("ephemeral znodes left out: 1 "), "{stderr}");
    let (code, stdout, _) = diff("/app");
    let only = "- /session\n23 the same, 0 changed, 1 only in the first, 0 only in the second\n";
    assert_eq!((code, &*stdout), (Some(1), only));
    let hosts = format!("{}/app", other.hosts());
    let stdout = zk.done(&["diff", "--ignore", "ephemerals", "/app", &hosts]);
    assert!(
        stdout.starts_with("23 the same, 0 changed, 0 only"),
        "{stdout}"
    );
    // To another place, with the ephemeral znode, from standard input.
    let mut import = other.zkctl(&["import", "-p", "--ephemerals", "persistent", "-", "/x/y"]);
    import.stdin(Stdio::piped());
    let output = finish_with(import, export.as_bytes());
    assert_eq!(
        text(&output.stdout),
        "24 created\n",
        "{}",
        text(&output.stderr)
    );
    let stdout = other.done(&["diff", "--ignore", "kind", &operand(&file), "/x/y"]);
    assert!(
        stdout.starts_with("24 the same, 0 changed, 0 only"),
        "{stdout}"
    );
    // What is there is left alone.
    let stdout = other.done(&["import", "-o", "json", &file]);
    let counts: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&counts["created"], &counts["same"]),
        (&json!(0), &json!(23))
    );
    let stdout = other.done(&["import", &file, "/z", "--sequences", "skip"]);
    assert_eq!(stdout, "22 created, 2 left out\n");
    drop(client);
}

#[test]
fn every_server_takes_and_gives_a_tree() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/a/b", "v"]);
    zk.done(&["create", "/app/null"]);
    let scratch = Scratch::new("every-server");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    for &pose in Pose::ALL {
        let other = Served::with(move || Server::builder().pose(pose).start());
        assert_eq!(other.done(&["import", &file]), "4 created\n", "{pose:?}");
        let stdout = other.done(&["diff", &operand(&file), "/app"]);
        assert!(stdout.starts_with("4 the same"), "{pose:?}: {stdout}");
        let copy = format!("{}/copy", other.hosts());
        assert_eq!(other.done(&["copy", "/app", &copy]), "4 created\n");
        let sizes = other.done(&["du", "-o", "json", "-d", "0", "/copy"]);
        assert!(sizes.contains("\"znodes\":4"), "{sizes}");
    }
}

#[test]
fn a_difference_is_handled_as_asked() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/a", "old"]);
    zk.done(&["create", "/app/b", "b"]);
    let scratch = Scratch::new("conflict");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    zk.done(&["set", "/app/a", "new"]);
    zk.done(&["delete", "/app/b"]);
    let (code, stdout, stderr) = zk.run(&["import", &file]);
    let done = "0 created, 1 the same, 1 failed\n";
    assert_eq!((code, &*stdout), (Some(1), done), "{stderr}");
    assert_eq!(
        stderr,
        "zkctl: /app/a exists and differs: data (give --overwrite or --skip)\n"
    );
    let (code, stdout, stderr) = zk.run(&["import", "-n", &file]);
    let expected =
        "conflict /app/a (data)\ncreated /app/b\nwould be done: 1 created, 1 the same, 1 failed\n";
    assert_eq!((code, &*stdout), (Some(1), expected), "{stderr}");
    let stdout = zk.done(&["import", "--skip", "-v", &file]);
    assert_eq!(
        stdout,
        "kept /app/a (data)\ncreated /app/b\n1 created, 1 the same, 1 kept\n"
    );
    assert_eq!(zk.done(&["get", "/app/a"]), "new");
    let dry = zk.done(&["import", "--overwrite", "-n", &file]);
    assert!(
        dry.starts_with("replaced /app/a (data)\nwould be done: "),
        "{dry}"
    );
    assert_eq!(zk.done(&["get", "/app/a"]), "new");
    zk.done(&["import", "--overwrite", &file]);
    assert_eq!(zk.done(&["get", "/app/a"]), "old");
    let (code, _, stderr) = zk.run(&["import", "--skip", "--overwrite", &file]);
    assert_eq!(code, Some(2), "{stderr}");
}

/// What replaces data or an ACL applies to the version that was compared.
#[test]
fn a_change_meanwhile_is_compared_again() {
    let zk = Served::start();
    zk.done(&[
        "create",
        "/a",
        "old",
        "--acl",
        "world:anyone:cdrwa,ip:10.0.0.1:r",
    ]);
    let scratch = Scratch::new("meanwhile");
    let file = scratch.file("tree", &zk.done(&["export", "/a"]));
    zk.done(&["delete", "/a"]);
    zk.done(&["create", "/a", "new"]);
    for op in [OpCode::SetData, OpCode::SetAcl] {
        let refuse = Action::Refuse(ErrorCode::BadVersion);
        zk.faults.rule(on(op).then(refuse).times(2));
    }
    let stdout = zk.done(&["import", "--overwrite", "-v", &file]);
    assert!(stdout.ends_with("0 created, 1 replaced\n"), "{stdout}");
    assert_eq!(zk.faults.pending(), 0);
    zk.done(&["diff", &operand(&file), "/a"]);
}

/// A server closes the connection on a request that is longer than its `jute.maxbuffer`.
#[test]
fn an_oversized_znode_is_named_and_left_out() {
    let (zk, other) = (Served::start(), Served::start());
    zk.fill("/app/a", (0..30).map(|n| n.to_string()));
    let scratch = Scratch::new("oversized");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    let too_long = on(OpCode::Create2).path("/app/a/17");
    other.faults.rule(too_long.then(Action::Close).always());
    let (code, stdout, stderr) = other.run(&["import", &file]);
    assert_eq!(
        (code, &*stdout),
        (Some(1), "31 created, 1 failed\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("/app/a/17") && stderr.contains("jute.maxbuffer"),
        "{stderr}"
    );
    // Also if the end of the export is missing.
    other.done(&["delete", "-r", "/app"]);
    let whole = fs::read_to_string(&file).unwrap();
    let (cut, _) = whole.split_once("\"end\"").unwrap();
    let cut = scratch.file("cut", cut);
    let (code, _, stderr) = other.run(&["import", &cut]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("/app/a/17") && stderr.contains("cut off"),
        "{stderr}"
    );
    // Another limit is this program's.
    zk.done(&["create", "/big", &"x".repeat(5000)]);
    let (code, stdout, stderr) = zk.run(&["--max-reply-bytes", "4K", "export", "/big"]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains(r#""unread":"#), "{stdout}");
    assert!(
        stderr.contains("/big: ") && stderr.contains("--max-reply-bytes"),
        "{stderr}"
    );
    let file = scratch.file("big", &zk.done(&["export", "/big"]));
    let (code, _, stderr) = other.run(&["--max-request-bytes", "4K", "import", &file]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("/big") && stderr.contains("--max-request-bytes"),
        "{stderr}"
    );
}

#[test]
fn an_unreadable_znode_is_named() {
    let (zk, other) = (Served::start(), Served::start());
    zk.done(&["create", "-p", "/app/a/b", "v"]);
    zk.done(&["create", "/app/c", "v"]);
    zk.done(&["create", "/app/secret", "--acl", "ip:10.9.9.9:r"]);
    let scratch = Scratch::new("unreadable");
    let (code, export, stderr) = zk.run(&["export", "/app"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("/app/secret: ") && stderr.contains("ZK_AUTH"),
        "{stderr}"
    );
    assert!(
        export.ends_with("{\"end\":true,\"unread\":1,\"znodes\":4}\n"),
        "{export}"
    );
    let file = scratch.file("tree", &export);
    let (code, stdout, stderr) = other.run(&["import", &file]);
    assert_eq!((code, &*stdout), (Some(1), "4 created\n"), "{stderr}");
    assert!(stderr.contains("/app/secret: not written"), "{stderr}");
    // Whether that one differs is not known.
    let (code, stdout, _) = other.run(&["diff", &operand(&file), "/app"]);
    assert_eq!(code, Some(2));
    assert!(stdout.starts_with("? /secret\n4 the same, "), "{stdout}");
}

#[test]
fn a_cut_export_is_not_taken_for_whole() {
    let (zk, other) = (Served::start(), Served::start());
    zk.fill("/app", (0..9).map(|n| n.to_string()));
    let export = zk.done(&["export", "/app"]);
    let cut: Vec<_> = export.lines().take(5).collect();
    let scratch = Scratch::new("cut");
    let file = scratch.file("tree", &format!("{}\n", cut.join("\n")));
    let (code, stdout, stderr) = other.run(&["import", &file]);
    assert_eq!((code, &*stdout), (Some(1), "4 created\n"), "{stderr}");
    assert!(
        stderr.contains("after line 5") && stderr.contains("cut"),
        "{stderr}"
    );
    assert_eq!(other.run(&["diff", &operand(&file), "/app"]).0, Some(2));
    for (content, word) in [("", "no tree"), ("x\n", "line 1"), ("{}\n", "line 1")] {
        let file = scratch.file("other", content);
        let (code, _, stderr) = other.run(&["import", &file]);
        assert_eq!(code, Some(1));
        assert!(
            stderr.contains(word) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
    let (code, _, stderr) = other.run(&["import", "/no/such/file"]);
    assert_eq!(code, Some(1), "{stderr}");
}

#[test]
fn a_masked_acl_is_not_written() {
    let (zk, other) = (Served::start(), Served::start());
    let acl = "digest:user:6DY5WhzOfGsWQ1XFuIyzxkpwdPo=:cdrwa,world:anyone:r";
    zk.done(&["create", "/app", "v", "--acl", acl]);
    let scratch = Scratch::new("masked");
    let (code, export, stderr) = zk.run(&["export", "/app"]);
    assert_eq!(code, Some(0));
    assert!(
        stderr.contains("without the hashes of their passwords: 1;"),
        "{stderr}"
    );
    let file = scratch.file("tree", &export);
    let (code, stdout, stderr) = other.run(&["import", &file]);
    assert_eq!((code, &*stdout), (Some(1), "0 created, 1 failed\n"));
    assert!(
        stderr.contains("/app: ") && stderr.contains("--no-acl"),
        "{stderr}"
    );
    assert_eq!(other.done(&["import", "--no-acl", &file]), "1 created\n");
}
