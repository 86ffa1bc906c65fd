//! The commands that read one tree: `du`, `find`, `delete -n`; the order of an export.

use serde_json::{Value, json};
use zk_client::Client;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

use crate::common::{Served, finish, text};
use crate::support::{Scratch, block_on, odd_tree, operand, paths};

#[test]
fn sizes_of_subtrees_add_up() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/a/b", "12345"]);
    zk.done(&["create", "/app/a!", "123"]);
    let all = zk.done(&["du", "/app"]);
    let lines: Vec<Vec<&str>> = all
        .lines()
        .map(|it| it.split_whitespace().collect())
        .collect();
    let sizes: Vec<_> = lines.iter().map(|it| (it[0], it[2], it[4])).collect();
    let expected = [
        ("5", "1", "/app/a/b"),
        ("5", "2", "/app/a"),
        ("3", "1", "/app/a!"),
        ("8", "4", "/app"),
    ];
    assert_eq!(sizes, expected);
    let top = zk.done(&["du", "/app", "--top", "2", "-o", "json"]);
    let paths: Vec<Value> = top
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(
        (&paths[0]["path"], &paths[1]["path"]),
        (&json!("/app"), &json!("/app/a"))
    );
    assert_eq!(zk.done(&["du", "-d", "0", "/app"]).lines().count(), 1);
}

#[test]
fn znodes_are_found_by_their_properties() {
    let zk = Served::start();
    let client = block_on(odd_tree(&zk));
    let session = client.session().id.to_string();
    let find = |options: &[&str]| zk.done(&[&["find", "/app"], options].concat());
    assert_eq!(find(&["--name", "n-*"]), "/app/n-0000000011\n");
    assert_eq!(find(&["--value", "日"]), "/app/日本\n");
    assert_eq!(find(&["--owner", &session]), "/app/session\n");
    assert_eq!(find(&["--ephemeral", "--larger", "2"]), "");
    assert_eq!(find(&["--older", "1h"]), "");
    assert_eq!(
        find(&["--newer", "1h", "--depth", "1", "--name", "a?"]),
        "/app/a!\n"
    );
    assert_eq!(find(&[]).lines().count(), 24);
    let json = find(&["--name", "binary", "-o", "json"]);
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["stat"]["data_length"], 3);
    assert_eq!(zk.run(&["find", "/no"]).0, Some(1));
}

#[test]
fn a_dry_run_deletes_nothing() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/a/b"]);
    let dry = zk.done(&["delete", "-n", "-r", "/app"]);
    assert_eq!(
        dry,
        "/app\n/app/a\n/app/a/b\n3 would be deleted, 0 of them ephemeral\n"
    );
    assert_eq!(zk.run(&["delete", "-n", "/app/a"]).0, Some(1));
    assert_eq!(zk.run(&["delete", "-n", "/no"]).0, Some(1));
    assert_eq!(zk.run(&["exists", "/app/a/b"]).0, Some(0));
    zk.done(&["delete", "-r", "/app"]);
    assert_eq!(zk.run(&["exists", "/app"]).0, Some(1));
}

/// The names of the siblings come in another order from the server, and more of them than are read at once.
#[test]
fn a_wide_and_deep_tree_is_in_order() {
    let zk = Served::start();
    zk.fill("/w", (0..3000).map(|n| n.to_string()));
    for parent in ["/w/7", "/w/8", "/w/2999"] {
        zk.fill(parent, (0..300).map(|n| format!("x{n}")));
    }
    let deep: String = (0..60).map(|n| format!("/d{n}")).collect();
    zk.fill(&format!("/w{deep}"), (0..3).map(|n| n.to_string()));
    let scratch = Scratch::new("wide");
    let export = zk.done(&["export", "/w"]);
    let paths = paths(&export);
    let paths: Vec<Vec<&str>> = paths.iter().map(|it| it.split('/').collect()).collect();
    assert_eq!(paths.len(), 1 + 3000 + 900 + 60 + 3);
    assert!(paths.is_sorted());
    let file = scratch.file("tree", &export);
    zk.done(&["diff", &operand(&file), "/w"]);
}

/// A znode that is deleted after its parent was listed is left out, with everything below it.
#[test]
fn a_znode_that_is_gone_is_left_out() {
    let zk = Served::start();
    for path in ["/app/a/1", "/app/b/1", "/app/c/1", "/app/d/1", "/app/e"] {
        zk.done(&["create", "-p", path, "v"]);
    }
    for (op, path) in [
        (OpCode::Exists, "/app/a"),
        (OpCode::GetChildren2, "/app/b"),
        (OpCode::GetData, "/app/c/1"),
        (OpCode::GetAcl, "/app/d/1"),
    ] {
        let gone = Action::Refuse(ErrorCode::NoNode);
        zk.faults.rule(on(op).path(path).then(gone));
    }
    let paths = paths(&zk.done(&["export", "/app"]));
    assert_eq!(paths, ["/app", "/app/c", "/app/d", "/app/e"]);
    assert_eq!(zk.faults.pending(), 0);
}

/// Other clients create and delete znodes while it is exported, listed and compared.
#[test]
fn a_tree_may_change_meanwhile() {
    let zk = Served::start();
    let stable = || (0..600).map(|n| format!("s{n:03}"));
    zk.fill("/app", stable());
    zk.fill("/app/s300", stable());
    let hosts = zk.hosts().to_owned();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let changes = std::thread::spawn(move || {
        block_on(async {
            let client = Client::connect(&hosts).await.unwrap();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                for parent in ["/app", "/app/s300"] {
                    let path = format!("{parent}/s300-new");
                    client.create(&path, "").await.unwrap();
                    client.create(&format!("{path}/below"), "").await.unwrap();
                    client.delete(&path).recursive().await.unwrap();
                }
            }
        });
    });
    for _ in 0..10 {
        let export = zk.done(&["export", "/app"]);
        let mut paths = paths(&export);
        assert!(
            paths.is_sorted_by_key(|path| path.split('/').map(str::to_owned).collect::<Vec<_>>())
        );
        paths.dedup();
        paths.retain(|path| !path.contains("new"));
        assert_eq!(paths.len(), 1 + 600 + 600);
        let listed = zk.done(&["ls", "-R", "/app"]);
        assert_eq!(
            listed.lines().filter(|line| !line.contains("new")).count(),
            paths.len()
        );
        let compared = zk.run(&["diff", "/app", "/app"]);
        assert_ne!(compared.0, Some(2), "{}", compared.2);
    }
    drop(stop);
    changes.join().unwrap();
}

/// The reader of a long output may go away, as `head` does.
#[test]
fn an_export_ends_with_its_reader() {
    let zk = Served::start();
    zk.fill("/app", (0..2000).map(|n| n.to_string()));
    for command in [
        &["export", "/app"][..],
        &["find", "/app"],
        &["du", "/app"],
        &["diff", "/app", "/"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut unread = zk.zkctl(command);
        unread.stdout(writer);
        let output = finish(unread);
        assert_eq!(
            (output.status.code(), &*text(&output.stderr)),
            (Some(0), ""),
            "{command:?}"
        );
    }
}
