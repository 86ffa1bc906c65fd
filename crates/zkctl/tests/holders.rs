//! Which client holds what: `locks`, `elections`, `semaphores`, `watchers`, `sessions`, and the commands that
//! hold something without running a program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::time::Duration;

use common::{Running, Served};
use serde_json::Value;
use tokio::runtime::Runtime;
use zk_client::Client;
use zk_embedded::Server;
use zk_recipes::{Layout, LeaderLatch, Lock, ReadLock, Semaphore, WriteLock};
use zk_tests::watchdog::Wait;

/// A server whose sessions outlive the test, although this process does not send pings while it waits for
/// others.
fn served() -> Served {
    let hour = Duration::from_secs(3600);
    Served::with(move || Server::builder().session_timeouts(hour, hour).start())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn client(zk: &Served) -> Client {
    Client::connect(zk.hosts()).await.unwrap()
}

/// Waits until `path` has `count` children, while tasks wait for what its children hold.
async fn until_children(client: &Client, path: &str, count: usize) {
    let queued = async {
        while client.children(path).await.map_or(0, |names| names.len()) < count {
            tokio::task::yield_now().await;
        }
    };
    Wait::begin("the places in the queue").on(queued).await;
}

/// The objects that a command prints, and its standard error.
fn objects(zk: &Served, arguments: &[&str]) -> (Vec<Value>, String) {
    let (code, stdout, stderr) = zk.run(&[&["-o", "json"], arguments].concat());
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    (stdout.lines().map(parse).collect(), stderr)
}

fn strings<'a>(objects: &'a [Value], key: &str) -> Vec<&'a str> {
    objects
        .iter()
        .map(|object| object[key].as_str().unwrap_or("-"))
        .collect()
}

#[test]
fn a_lock_has_a_holder_and_waiters() {
    let zk = served();
    let runtime = runtime();
    let (client, guard) = runtime.block_on(async {
        let client = client(&zk).await;
        let first = Lock::new(&client, "/locks/a").identifier("first");
        let guard = first.acquire().await.unwrap();
        let second = Lock::new(&client, "/locks/a").identifier("second\n\x1b[2J");
        tokio::spawn(async move { second.acquire().await });
        until_children(&client, "/locks/a", 2).await;
        (client, guard)
    });
    let (found, stderr) = objects(&zk, &["locks", "/locks/a"]);
    assert_eq!(stderr, "");
    assert_eq!(strings(&found, "state"), ["holding", "waiting"]);
    assert_eq!(strings(&found, "mode"), ["exclusive"; 2]);
    assert_eq!(strings(&found, "layout"), ["curator"; 2]);
    assert_eq!(strings(&found, "identifier"), ["first", "second\n\x1b[2J"]);
    assert_eq!(found[0]["znode"], guard.path());
    assert_eq!(found[0]["token"], guard.token().to_string());
    let session = client.session().id.to_string();
    assert_eq!(strings(&found, "session"), [&*session; 2]);
    let address = found[0]["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert!(zk.hosts().contains(found[0]["server"].as_str().unwrap()));
    let shown = zk.done(&["locks", "--no-addresses", "/locks/a"]);
    assert!(
        shown.starts_with("/locks/a\n  holding exclusive"),
        "{shown}"
    );
    assert!(shown.contains("second\\n\\u{1b}[2J\n"), "{shown}");
    assert!(!shown.contains(address), "{shown}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
    runtime.block_on(client.close()).unwrap();
    assert_eq!(zk.done(&["locks", "/locks/a"]), "/locks/a is free\n");
    assert_eq!(objects(&zk, &["locks", "/locks/a"]).0.len(), 0);
    assert_eq!(zk.run(&["locks", "/typo"]).0, Some(1));
    // Of another client.
    zk.done(&["create", "/locks/b"]);
    zk.done(&["create", "-s", "/locks/b/mutex-"]);
    let (code, shown, message) = zk.run(&["locks", "/locks/b"]);
    assert_eq!((code, &*shown), (Some(0), ""), "{message}");
    assert!(
        message.contains("no contender of a client that"),
        "{message}"
    );
}

#[test]
fn locks_of_all_layouts_are_found_below() {
    let zk = served();
    let runtime = runtime();
    let _held = runtime.block_on(async {
        let client = client(&zk).await;
        let kazoo = Lock::new(&client, "/l/kazoo").layout(Layout::Kazoo);
        let kazoo = kazoo.acquire().await.unwrap();
        let readers = ReadLock::new(&client, "/l/rw");
        let held = (
            readers.acquire().await.unwrap(),
            readers.acquire().await.unwrap(),
        );
        let writer = WriteLock::new(&client, "/l/rw");
        tokio::spawn(async move { writer.acquire().await });
        until_children(&client, "/l/rw", 3).await;
        // ZooKeeper's WriteLock, and a lock without a session.
        let id = client.session().id.0;
        client.ensure_path("/l/deep/zookeeper").await.unwrap();
        let name = format!("/l/deep/zookeeper/x-{id}-");
        client
            .create(&name, "")
            .ephemeral()
            .sequential()
            .await
            .unwrap();
        client.ensure_path("/l/stale").await.unwrap();
        let name = "/l/stale/6f9619ff8b864d01b42d00cf4fc964ff__lock__";
        let left = client.create(name, b"\xff".as_slice()).sequential();
        left.await.unwrap();
        (client, kazoo, held)
    });
    let (found, stderr) = objects(&zk, &["locks", "-r", "/l"]);
    assert_eq!(stderr, "");
    let paths = [
        "/l/kazoo",
        "/l/rw",
        "/l/rw",
        "/l/rw",
        "/l/stale",
        "/l/deep/zookeeper",
    ];
    assert_eq!(strings(&found, "path"), paths);
    let states = [
        "holding", "holding", "holding", "waiting", "holding", "holding",
    ];
    assert_eq!(strings(&found, "state"), states);
    let modes = [
        "exclusive",
        "shared",
        "shared",
        "exclusive",
        "exclusive",
        "exclusive",
    ];
    assert_eq!(strings(&found, "mode"), modes);
    let layouts = [
        "kazoo",
        "curator",
        "curator",
        "curator",
        "kazoo",
        "zookeeper",
    ];
    assert_eq!(strings(&found, "layout"), layouts);
    assert_eq!(found[4]["session"], Value::Null);
    assert_eq!(found[4]["identifier_base64"], "/w==");
    let plain = zk.done(&["locks", "-r", "/l"]);
    assert!(
        plain.contains("no session") && plain.contains("\\xff"),
        "{plain}"
    );
}

/// As after a crash, or behind a cut cable: the lock is held until the session expires.
#[test]
fn a_holder_without_connection_is_named() {
    let zk = served();
    let mut hold = Running::start(zk.zkctl(&["lock", "/l"]));
    hold.says("holding /l");
    let is_connected = || objects(&zk, &["locks", "/l"]).0[0]["connected"].clone();
    assert_eq!(is_connected(), true);
    hold.signal("KILL");
    let _wait = Wait::begin("the server to notice");
    hold.child.wait().unwrap();
    while is_connected() == true {
        std::thread::yield_now();
    }
    assert_eq!(is_connected(), false);
    assert!(zk.done(&["locks", "/l"]).contains("not connected"));
    let (found, _) = objects(&zk, &["locks", "--no-addresses", "/l"]);
    assert_eq!(found[0]["connected"], Value::Null);
}

/// Neither program knows the other's names, unless it is configured to.
#[test]
fn mixed_names_in_a_lock_are_a_warning() {
    let zk = served();
    let runtime = runtime();
    let _held = runtime.block_on(async {
        let client = client(&zk).await;
        let kazoo = Lock::new(&client, "/l").layout(Layout::Kazoo);
        let curator = Lock::new(&client, "/l").layout(Layout::Curator);
        let guards = (
            kazoo.acquire().await.unwrap(),
            curator.acquire().await.unwrap(),
        );
        (client, guards)
    });
    let (found, stderr) = objects(&zk, &["locks", "/l"]);
    assert_eq!(found.len(), 2);
    assert!(
        stderr.contains("Curator's mutex and kazoo's locks are mixed")
            && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn elections_of_both_recipes_are_shown() {
    let zk = served();
    let runtime = runtime();
    let _held = runtime.block_on(async {
        let client = client(&zk).await;
        let latch = LeaderLatch::new(&client, "/latch").id("one");
        let term = latch.leadership().await.unwrap();
        let other = LeaderLatch::new(&client, "/latch").id("two");
        tokio::spawn(async move { other.leadership().await });
        until_children(&client, "/latch", 2).await;
        let election = zk_recipes::Election::new(&client, "/e").identifier("three");
        (term, election.campaign().await.unwrap(), client)
    });
    let (found, _) = objects(&zk, &["elections", "/latch"]);
    assert_eq!(strings(&found, "state"), ["leading", "candidate"]);
    assert_eq!(strings(&found, "identifier"), ["one", "two"]);
    let (found, _) = objects(&zk, &["elections", "/e"]);
    assert_eq!(strings(&found, "identifier"), ["three"]);
    let (code, _, stderr) = zk.run(&["locks", "/latch"]);
    assert_eq!(code, Some(0));
    assert!(stderr.contains("zkctl elections"), "{stderr}");
    zk.done(&["create", "/none"]);
    assert_eq!(
        zk.done(&["elections", "/none"]),
        "/none has no candidates\n"
    );
}

#[test]
fn semaphores_of_both_layouts_are_shown() {
    let zk = served();
    let runtime = runtime();
    let _held = runtime.block_on(async {
        let client = client(&zk).await;
        let mut held = vec![];
        for (path, layout) in [("/curator", Layout::Default), ("/kazoo", Layout::Kazoo)] {
            let semaphore = Semaphore::new(&client, path, 2).layout(layout);
            let two = semaphore.clone().identifier("two");
            held.push(two.acquire_many(2).await.unwrap());
            let one = semaphore.identifier("waits");
            tokio::spawn(async move { one.acquire().await });
        }
        until_children(&client, "/curator/locks", 1).await;
        until_children(&client, "/curator/leases", 3).await;
        until_children(&client, "/kazoo-__lock__", 1).await;
        (client, held)
    });
    let (found, _) = objects(&zk, &["semaphores", "/curator"]);
    let states = ["holding", "holding", "acquiring", "waiting"];
    assert_eq!(strings(&found, "state"), states);
    assert_eq!(
        strings(&found, "identifier"),
        ["two", "two", "waits", "waits"]
    );
    assert_eq!(found[0]["max"], Value::Null);
    let (found, _) = objects(&zk, &["semaphores", "/kazoo"]);
    assert_eq!(strings(&found, "state"), ["holding", "holding", "waiting"]);
    assert_eq!(found[0]["max"], 2);
    assert!(
        zk.done(&["semaphores", "/kazoo"])
            .starts_with("/kazoo: 2 of 2 leases\n")
    );
    let (_, _, stderr) = zk.run(&["locks", "/curator"]);
    assert!(stderr.contains("zkctl semaphores"), "{stderr}");
    // Other children hold nothing, also below a number.
    zk.done(&["create", "/kazoo/config", "v"]);
    let (found, _) = objects(&zk, &["semaphores", "/kazoo"]);
    assert_eq!(strings(&found, "state"), ["holding", "holding", "waiting"]);
    zk.done(&["create", "/port", "8080"]);
    zk.done(&["create", "/port/config", "v"]);
    for path in ["/", "/port"] {
        let (code, _, stderr) = zk.run(&["semaphores", path]);
        assert_eq!(code, Some(1));
        assert!(stderr.contains("not a semaphore"), "{stderr}");
    }
}

/// Guards: P17.
#[test]
fn watchers_are_found_below_a_chroot() {
    let zk = served();
    let runtime = runtime();
    zk.done(&["create", "-p", "/app/a/b"]);
    let (client, _watches) = runtime.block_on(async {
        let client = client(&zk).await;
        let (_, first) = client.exists("/app/a").watch().await.unwrap();
        let (_, second) = client.exists("/app/a/b").watch().await.unwrap();
        (client, (first, second))
    });
    let chroot = format!("{}/app", zk.hosts());
    let watchers = |arguments: &[&str]| {
        let (found, _) = objects(
            &zk,
            &[&["--server", &chroot, "watchers"], arguments].concat(),
        );
        let session = client.session().id.to_string();
        for watcher in &found {
            assert_eq!(watcher["session"], session);
            assert!(
                watcher["address"]
                    .as_str()
                    .unwrap()
                    .starts_with("127.0.0.1:")
            );
        }
        strings(&found, "path").join(" ")
    };
    assert_eq!(watchers(&["/a"]), "/a");
    assert_eq!(watchers(&["-r", "/"]), "/a /a/b");
    assert_eq!(watchers(&["/b"]), "");
    assert_eq!(
        zk.done(&["watchers", "/x"]),
        "/x has no watches that servers list\n"
    );
}

/// Guards: P17.
#[test]
fn sessions_have_addresses_and_znodes() {
    let zk = served();
    let runtime = runtime();
    let client = runtime.block_on(async {
        let client = client(&zk).await;
        for path in ["/a", "/b"] {
            client.create(path, "").ephemeral().await.unwrap();
        }
        client
    });
    let (found, stderr) = objects(&zk, &["sessions", "-e"]);
    assert_eq!(stderr, "");
    let of = |session: &str| found.iter().find(|one| one["session"] == session).unwrap();
    let session = client.session().id.to_string();
    let (other, own) = (of(&session), found.iter().find(|one| one["own"] == true));
    assert_eq!(other["ephemerals"], serde_json::json!(["/a", "/b"]));
    assert_eq!(
        (&other["own"], &other["ephemeral_count"]),
        (&false.into(), &2.into())
    );
    assert_eq!(other["timeout_ms"], 3_600_000);
    assert!(other["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_ne!(own.unwrap()["address"], other["address"]);
    let one = objects(&zk, &["sessions", &session]).0;
    assert_eq!((one.len(), &one[0]["session"]), (1, &session.into()));
    let (code, _, stderr) = zk.run(&["sessions", "0xffffffffffffff00"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("0xffffffffffffff00: it has ended"),
        "{stderr}"
    );
    let plain = zk.done(&["sessions", "-e"]);
    assert!(plain.contains("2 ephemerals\n  /a\n  /b\n"), "{plain}");
}

/// By default Apache's servers allow `srvr` only.
#[test]
fn words_that_are_not_allowed_are_named() {
    let zk = Served::with(|| {
        let mut options = zk_embedded::Options::default();
        options.four_letter_words = Some(vec!["srvr".to_owned()]);
        Server::builder().options(options).start()
    });
    zk.done(&["create", "-p", "/l/x-lock-0000000001"]);
    let (found, stderr) = objects(&zk, &["locks", "/l"]);
    assert_eq!(found[0]["address"], Value::Null);
    assert!(
        stderr.contains("addresses are missing: cons") && stderr.contains("4lw.commands.whitelist"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for (arguments, word) in [
        (&["sessions"][..], "no server answers dump or cons"),
        (&["watchers", "/l"], "no server answers wchp"),
    ] {
        let (code, stdout, stderr) = zk.run(arguments);
        assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
        assert!(
            stderr.contains(word) && stderr.contains("whitelist"),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_lock_without_command_ends_by_signal() {
    let zk = served();
    for (arguments, path) in [
        (&["lock"][..], "/l"),
        (&["elect"], "/e"),
        (&["lock", "-n", "1"], "/s"),
    ] {
        let mut hold = Running::start(zk.zkctl(&[arguments, &[path]].concat()));
        hold.says(&format!("holding {path}  token "));
        let other = [arguments, &["--no-wait", path, "--", "true"]].concat();
        assert_eq!(zk.run(&other).0, Some(75));
        hold.signal("INT");
        assert_eq!(hold.child.wait().unwrap().code(), Some(130));
        assert_eq!(zk.run(&other).0, Some(0));
    }
}

#[test]
fn a_lock_without_command_reports_its_loss() {
    let zk = served();
    let mut hold = Running::start(zk.zkctl(&["-o", "json", "lock", "/l"]));
    let line = hold.line("what is held");
    let held: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(held["type"], "holding");
    let session = held["session"].as_str().unwrap();
    let id = u64::from_str_radix(session.trim_start_matches("0x"), 16).unwrap();
    assert!(
        zk.faults
            .expire_session(zk_client::SessionId(id.cast_signed()))
    );
    let lost: Value = serde_json::from_str(&hold.line("the loss")).unwrap();
    assert_eq!(
        (&lost["type"], &lost["path"]),
        (&"lost".into(), &"/l".into())
    );
    let _wait = Wait::begin("the end of zkctl");
    assert_eq!(hold.child.wait().unwrap().code(), Some(75));
}

/// Other programs wait for the lock, whether or not the output is read.
#[test]
fn a_lock_without_command_needs_no_reader() {
    let zk = served();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut hold = zk.zkctl(&["lock", "/l"]);
    let mut hold = hold.stdout(writer).spawn().unwrap();
    let other = ["lock", "--no-wait", "/l", "--", "true"];
    let wait = Wait::begin("the lock to be held");
    while zk.run(&other).0 != Some(75) {
        assert!(wait.verdict().is_none(), "it is not held");
    }
    // Still held, after the attempt to write.
    assert_eq!(zk.run(&["locks", "/l"]).0, Some(0));
    assert_eq!(zk.run(&other).0, Some(75));
    common::send("TERM", &hold);
    assert_eq!(hold.wait().unwrap().code(), Some(143));
}

/// With --session-file, by a new process with the same arguments.
#[test]
fn what_is_held_without_command_survives() {
    let zk = served();
    let name = format!("zkctl-holders-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for (options, path) in [
        (&["lock"][..], "/l"),
        (&["elect"], "/e"),
        (&["lock", "-n", "2"], "/s"),
    ] {
        let file = directory.join(&path[1..]);
        let file = file.to_str().unwrap();
        let arguments = [options, &["--session-file", file, path]].concat();
        let hold = || {
            let hold = Running::start(zk.zkctl(&arguments));
            let line = hold.line("what is held");
            (hold, line)
        };
        let (mut first, held) = hold();
        first.signal("KILL");
        let _wait = Wait::begin("the end of zkctl");
        first.child.wait().unwrap();
        let (mut second, again) = hold();
        assert_eq!(again, held);
        second.signal("TERM");
        assert_eq!(second.child.wait().unwrap().code(), Some(143));
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_semaphore_has_as_many_holders_as_given() {
    let zk = served();
    let hold = || {
        let hold = Running::start(zk.zkctl(&["lock", "-n", "2", "/s"]));
        hold.says("holding /s");
        hold
    };
    let (mut first, _second) = (hold(), hold());
    let third = ["lock", "-n", "2", "--no-wait", "/s", "--", "true"];
    let (code, _, stderr) = zk.run(&third);
    assert_eq!(code, Some(75), "{stderr}");
    first.signal("TERM");
    assert_eq!(first.child.wait().unwrap().code(), Some(143));
    assert_eq!(zk.run(&third).0, Some(0));
}

#[test]
fn leaders_are_observed_from_outside() {
    let zk = served();
    let observe = Running::start(zk.zkctl(&["elect", "--observe", "/e"]));
    observe.says("/e  no leader");
    let leads = |name: &str| {
        let arguments = ["elect", "--identifier", name, "/e"];
        let lead = Running::start(zk.zkctl(&arguments));
        lead.says("holding /e");
        observe.says(name);
        lead
    };
    let mut first = leads("first");
    first.signal("INT");
    let _wait = Wait::begin("the first leader to end");
    first.child.wait().unwrap();
    observe.says("no leader");
    let _second = leads("second");
    // The observer is no candidate.
    let found = objects(&zk, &["elections", "/e"]).0;
    assert_eq!(strings(&found, "identifier"), ["second"]);
}
