//! The keys of `OUTPUT.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::common::{Running, Served, finish, finish_with, text};

/// A row of `OUTPUT.md`: the keys that are always there, and those that may be.
#[derive(Clone, Debug, Default)]
struct Keys {
    always: BTreeSet<String>,
    sometimes: BTreeSet<String>,
}

/// The rows of `OUTPUT.md` by their first column.
fn documented() -> BTreeMap<String, Keys> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/OUTPUT.md");
    let document = std::fs::read_to_string(document).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let mut keys = Keys::default();
        // The text between backticks is a key, the one behind it says whether it may be absent.
        let parts: Vec<_> = cells[1].split('`').collect();
        for pair in parts[1..].chunks(2) {
            let set = match pair[1].starts_with('?') {
                true => &mut keys.sometimes,
                false => &mut keys.always,
            };
            // `-e` in a remark is an option.
            if !pair[0].starts_with('-') {
                set.insert(pair[0].to_owned());
            }
        }
        (cells[0].replace('`', "").trim().to_owned(), keys)
    };
    rows.map(row).collect()
}

fn check(name: &str, object: &Value, keys: &Keys) {
    let found: BTreeSet<_> = object.as_object().expect(name).keys().cloned().collect();
    let missing: Vec<_> = keys.always.difference(&found).collect();
    let new: Vec<_> = found
        .iter()
        .filter(|key| !keys.always.contains(*key) && !keys.sometimes.contains(*key))
        .collect();
    assert!(
        missing.is_empty() && new.is_empty(),
        "{name}: {missing:?} {new:?}: {object}"
    );
}

#[test]
fn json_is_as_documented() {
    let zk = Served::start();
    let mut documented = documented();
    let mut row = |name: &str| {
        documented
            .remove(name)
            .unwrap_or_else(|| panic!("no row {name}"))
    };
    let stat = row("\"stat\"");
    let sides = row("\"left\", \"right\"");
    let inner = [
        ("stat", stat),
        ("servers", row("\"servers\", each")),
        ("acl", row("\"acl\", each")),
        ("limits", row("\"limits\"")),
        ("used", row("\"used\"")),
        ("latency_ms", row("\"latency_ms\"")),
        ("reports", row("\"reports\", each")),
        ("quorum", row("\"quorum\"")),
        ("p99_ms", row("\"p99_ms\"")),
        ("left", sides.clone()),
        ("right", sides),
    ];
    let see = |name: &str, keys: &Keys, line: &str| {
        let object: Value = serde_json::from_str(line).expect(line);
        check(name, &object, keys);
        for (name, keys) in &inner {
            match object.get(*name) {
                Some(Value::Array(list)) => list.iter().for_each(|one| check(name, one, keys)),
                Some(Value::Object(_)) => check(name, &object[*name], keys),
                _ => {}
            }
        }
        object
    };
    for (name, commands) in [
        (
            "create",
            &[&["create", "-p", "/l/x-lock-0000000001", "v"][..]][..],
        ),
        ("set", &[&["set", "/l", "v"]]),
        ("ls", &[&["ls"], &["ls", "-l", "/l"], &["ls", "-R", "/l"]]),
        ("tree", &[&["tree"]]),
        (
            "get",
            &[&["get", "/l"], &["get", "-x", "/l"], &["get", "-b", "/l"]],
        ),
        ("stat", &[&["stat", "/l"]]),
        ("exists", &[&["exists", "/l"]]),
        ("count", &[&["count", "/l"]]),
        (
            "acl get",
            &[&["acl", "get", "/l"], &["acl", "get", "-R", "/l"]],
        ),
        (
            "acl set",
            &[
                &["acl", "set", "/l", "world:anyone:cdrwa"],
                &["acl", "set", "-R", "/l", "world:anyone:cdrwa"],
            ],
        ),
        (
            "quota get, quota set, quota tree",
            &[
                &["quota", "set", "-n", "9", "/l"],
                &["quota", "get", "/l"],
                &["quota", "tree"],
            ],
        ),
        (
            "quota delete",
            &[&["quota", "delete", "-n", "/l"], &["quota", "delete", "/l"]],
        ),
        ("sync", &[&["sync"]]),
        ("whoami", &[&["whoami"]]),
        ("version", &[&["version"]]),
        (
            "four-letter",
            &[&["four-letter", "srvr"], &["four-letter", "ruok"]],
        ),
        ("locks", &[&["locks", "/l"]]),
        ("elections", &[&["elections", "/l"]]),
        ("sessions", &[&["sessions"], &["sessions", "-e"]]),
        ("config", &[&["config"]]),
        ("bench", &[&["bench", "get", "--ops", "3"]]),
        ("top", &[&["top", "-d", "100ms", "-n", "2"]]),
        ("du", &[&["du", "/l"], &["du", "--top", "1", "/l"]]),
        ("find", &[&["find", "/l"], &["find", "--value", "v", "/l"]]),
        ("delete -n", &[&["delete", "-n", "-r", "/l"]]),
        ("delete", &[&["delete", "/l/x-lock-0000000001"]]),
    ] {
        let keys = row(name);
        for command in commands {
            let lines = zk.done(&[&["-o", "json"], *command].concat());
            assert!(!lines.is_empty(), "{command:?}");
            for line in lines.lines() {
                see(name, &keys, line);
            }
        }
    }
    for (name, command, input) in [
        ("digest", "digest", "hunter2\n"),
        ("txn", "txn", "check /l\nset /l w\ncreate /t v\n"),
    ] {
        let command = match name {
            "digest" => vec!["-o", "json", command, "user"],
            _ => vec!["-o", "json", command],
        };
        let keys = row(name);
        let output = finish_with(zk.zkctl(&command), input.as_bytes());
        assert!(output.status.success(), "{}", text(&output.stderr));
        for line in text(&output.stdout).lines() {
            see(name, &keys, line);
        }
    }
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manners.toml");
    std::fs::write(&config, "").unwrap();
    for (name, command) in [
        ("context set", &["context", "set", "c", "server=zk1"][..]),
        ("context list", &["context", "list"]),
        ("context use", &["context", "use", "c"]),
        ("context show", &["context", "show"]),
        ("context delete", &["context", "delete", "c"]),
    ] {
        let keys = row(name);
        let mut zkctl = zk.zkctl(&[&["-o", "json"], command].concat());
        zkctl.env("ZKCTL_CONFIG", &config);
        let output = finish(zkctl);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        assert!(!lines.is_empty(), "{name}");
        for line in lines.lines() {
            see(name, &keys, line);
        }
    }
    zk.done(&["create", "/l/below"]);
    let export = zk.done(&["-o", "json", "export", "/l"]);
    let [first, node, .., last] = export.lines().collect::<Vec<_>>()[..] else {
        panic!("{export}");
    };
    for (kind, line) in [("the first", first), ("a znode", node), ("the last", last)] {
        let keys = row(&format!("export, {kind}"));
        see("export", &keys, line);
    }
    let file = std::env::temp_dir().join(format!("zkctl-manners-{}", std::process::id()));
    std::fs::write(&file, &export).unwrap();
    let keys = (
        row("import, copy, each with -v or -n: znode"),
        row("import, copy: summary"),
    );
    let lines = zk.done(&["-o", "json", "import", "-v", file.to_str().unwrap(), "/i"]);
    std::fs::remove_file(&file).unwrap();
    for (line, keys) in lines.lines().zip([&keys.0, &keys.0, &keys.1]) {
        see("import", keys, line);
    }
    let lines = zk.done(&["-o", "json", "copy", "-n", "/i", "/new"]);
    assert_eq!(lines.lines().count(), 3, "{lines}");
    for (line, keys) in lines.lines().zip([&keys.0, &keys.0, &keys.1]) {
        see("copy", keys, line);
    }
    zk.done(&["set", "/i", "different"]);
    let (code, lines, _) = zk.run(&["-o", "json", "diff", "/l", "/i"]);
    assert_eq!((code, lines.lines().count()), (Some(1), 2), "{lines}");
    let keys = [row("diff: difference"), row("diff: summary")];
    for (line, keys) in lines.lines().zip(&keys) {
        see("diff", keys, line);
    }
    zk.done(&["delete", "-r", "/i"]);
    let health = zk.done(&["-o", "json", "health"]);
    let kinds = ["server", "ensemble"];
    assert_eq!(health.lines().count(), kinds.len(), "{health}");
    for (kind, line) in kinds.iter().zip(health.lines()) {
        let keys = row(&format!("health: {kind}"));
        assert_eq!(see("health", &keys, line)["type"], *kind);
    }
    zk.done(&["create", "-p", "/s/locks/x-lock-0000000001"]);
    zk.done(&["create", "-p", "/s/leases/x-lease-0000000001"]);
    let keys = row("semaphores");
    let lines = zk.done(&["-o", "json", "semaphores", "/s"]);
    let states = lines
        .lines()
        .map(|line| see("semaphores", &keys, line)["state"].clone());
    assert_eq!(states.collect::<Vec<_>>(), ["holding", "waiting"]);
    let start =
        |arguments: &[&str]| Running::start(zk.zkctl(&[&["-o", "json"], arguments].concat()));
    let hold = start(&["lock", "/held"]);
    let keys = row("lock, elect without COMMAND: holding");
    let held = see("lock", &keys, &hold.line("what is held"));
    let keys = row("ephemerals");
    let lines = zk.done(&["-o", "json", "ephemerals"]);
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert_eq!(see("ephemerals", &keys, &lines)["session"], held["session"]);
    let observe = start(&["elect", "--observe", "/held"]);
    let keys = row("elect --observe");
    assert_eq!(
        see("observe", &keys, &observe.line("the leader"))["leader"],
        true
    );
    let observe = start(&["elect", "--observe", "/none"]);
    assert_eq!(
        see("observe", &keys, &observe.line("no leader"))["leader"],
        false
    );
    let watch = start(&["watch", "/l"]);
    let (watching, event) = (row("watch: watching"), row("watch: event"));
    see("watching", &watching, &watch.line("the watch"));
    let keys = row("watchers");
    let lines = zk.done(&["-o", "json", "watchers", "/l"]);
    assert_eq!(lines.lines().count(), 1, "{lines}");
    see("watchers", &keys, &lines);
    let get = start(&["get", "-w", "/l"]);
    get.line("the data");
    zk.done(&["set", "/l", "w"]);
    let keys = row("get, ls, stat, exists with -w, after their own: event");
    see("get -w", &keys, &get.line("the change"));
    see("event", &event, &watch.line("the event"));
    let session = held["session"].as_str().unwrap().trim_start_matches("0x");
    let session = u64::from_str_radix(session, 16).unwrap().cast_signed();
    assert!(zk.faults.expire_session(zk_client::SessionId(session)));
    let keys = row("lock, elect without COMMAND: lost");
    see("lost", &keys, &hold.line("the loss"));
    let serve = start(&["serve", "--port", "0"]);
    let keys = row("serve: serving");
    see("serve", &keys, &serve.line("the address"));
    // `reconfig` prints what `config` does, and the rest is tested where it is made.
    let left: Vec<_> = documented.keys().map(String::as_str).collect();
    let expected = [
        "export, one that could not be read",
        "reconfig",
        "watch: connection_lost, connection_restored",
        "watch: gap",
        "watch: lagged",
        "watch: session_expired",
        "watch: session_renewed",
    ];
    assert_eq!(left, expected);
}
