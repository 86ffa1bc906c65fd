//! zkctl on servers with fewer operations than Apache ZooKeeper 3.9, which the embedded server imitates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::time::Duration;

use common::{Running, Served, assert_fails, finish_with, text, zkctl};
use zk_embedded::{Pose, Server};
use zk_tests::four_letter;

fn served(pose: Pose) -> Served {
    Served::with(move || Server::builder().pose(pose).start())
}

/// Guards: P3, P6.
#[test]
fn a_tree_is_watched_on_every_server() {
    for &pose in Pose::ALL {
        let zk = served(pose);
        zk.done(&["create", "/a"]);
        let watch = Running::start(zk.zkctl(&["watch", "-r", "/"]));
        watch.says("watching / and everything below it");
        zk.done(&["create", "-p", "/a/b/c"]);
        for line in ["created           /a/b", "created           /a/b/c"] {
            watch.says(line);
        }
        zk.done(&["set", "/a/b", "x"]);
        watch.says("data changed      /a/b");
        zk.done(&["delete", "/a/b/c"]);
        watch.says("deleted           /a/b/c");
        zk.done(&["create", "/a/b/d"]);
        watch.says("created           /a/b/d");
    }
}

/// Guards: P3, P6.
#[test]
fn a_znode_is_watched_on_every_server() {
    for &pose in Pose::ALL {
        let zk = served(pose);
        let watch = Running::start(zk.zkctl(&["watch", "/a"]));
        watch.says("watching /a");
        zk.done(&["create", "/a"]);
        watch.says("created           /a");
        zk.done(&["create", "/a/b"]);
        watch.says("children changed  /a");
        zk.done(&["set", "/a", "x"]);
        watch.says("data changed      /a");
        zk.done(&["delete", "/a/b"]);
        watch.says("children changed  /a");
        zk.done(&["delete", "/a"]);
        watch.says("deleted           /a");
    }
}

/// Guards: P4, P1.
#[test]
fn a_command_is_run_on_every_server() {
    for &pose in Pose::ALL {
        let zk = served(pose);
        for command in ["lock", "elect"] {
            let path = format!("/new/{command}");
            let arguments = [command, "--wait", "1h", &path, "--", "echo", "held"];
            assert_eq!(zk.done(&arguments), "held\n", "{}", pose.name());
        }
        let kazoo = ["lock", "--layout", "kazoo", "/k/l", "--", "echo", "held"];
        assert_eq!(zk.done(&kazoo), "held\n", "{}", pose.name());
    }
}

/// Guards: P1, P6, P7.
#[test]
fn znodes_are_changed_on_every_server() {
    for &pose in Pose::ALL {
        let zk = served(pose);
        assert_eq!(zk.done(&["create", "-p", "/a/b", "1"]), "/a/b\n");
        assert_eq!(zk.done(&["create", "-s", "/a/n-"]), "/a/n-0000000001\n");
        assert_eq!(zk.done(&["set", "/a/b", "2"]), "version 1\n");
        assert_eq!(zk.done(&["get", "/a/b"]), "2");
        assert!(zk.done(&["ls", "-R", "/a"]).contains("/a/n-0000000001"));
        assert!(zk.done(&["ls", "-l", "/a"]).contains("b"));
        assert!(zk.done(&["tree", "/a"]).contains("3 znodes"));
        assert!(zk.done(&["stat", "/a/b"]).contains("version"));
        zk.done(&["delete", "-r", "/a"]);
        assert_eq!(zk.run(&["exists", "/a"]).0, Some(1));
    }
}

/// Guards: P6.
#[test]
fn an_ensemble_is_inspected_on_every_server() {
    for &pose in Pose::ALL {
        let zk = served(pose);
        zk.done(&["create", "-p", "/a/b/c", "1"]);
        let of = pose.name();
        assert_eq!(zk.done(&["count", "/a"]), "2\n", "{of}");
        let txn = finish_with(
            zk.zkctl(&["txn"]),
            b"check /a/b/c 0\nset /a/b 'x y'\ncreate /d\n",
        );
        assert_eq!(txn.status.code(), Some(0), "{of}: {}", text(&txn.stderr));
        assert_eq!(zk.done(&["get", "/a/b"]), "x y", "{of}");
        zk.done(&[
            "acl",
            "set",
            "-R",
            "/a",
            "world:anyone:cdrwa,ip:127.0.0.1:r",
        ]);
        // ClickHouse Keeper has no entries of the scheme ip, and an open ACL has none at all.
        let acl = zk.done(&["acl", "get", "/a/b/c"]);
        let is_keeper = of.starts_with("keeper");
        assert!(
            acl == "world:anyone:cdrwa,ip:127.0.0.1:r\n"
                || is_keeper && acl == "world:anyone:cdrwa\n",
            "{of}: {acl}"
        );
        assert!(zk.done(&["sync"]).starts_with("zxid 0x"), "{of}");
        assert_eq!(zk.done(&["ephemerals"]), "", "{of}");
        let version = zk.done(&["version"]);
        assert!(is_keeper || version.contains(of), "{of}: {version}");
        let health = zk.done(&["health"]);
        assert!(health.ends_with("\nhealthy\n"), "{of}: {health}");
        let (code, stdout, stderr) = zk.run(&["whoami"]);
        match code {
            Some(0) => assert!(stdout.contains("ip:127.0.0.1"), "{of}: {stdout}"),
            code => assert!(code == Some(1) && stderr.contains("3.7"), "{of}: {stderr}"),
        }
    }
}

/// Guards: P6.
#[test]
fn a_missing_operation_is_named() {
    for pose in [Pose::V3_4, Pose::KeeperOld, Pose::KeeperNew] {
        let zk = served(pose);
        zk.done(&["create", "/a"]);
        for (arguments, operation, since) in [
            (&["create", "--ttl", "1h", "/a/t"][..], "createTTL", "3.5"),
            (&["reconfig", "--leave", "3"], "reconfig", "3.5"),
        ] {
            let (code, _, stderr) = zk.run(arguments);
            let of = format!("{}, {arguments:?}: {stderr}", pose.name());
            assert_eq!(code, Some(1), "{of}");
            assert!(stderr.contains(operation) && stderr.contains(since), "{of}");
        }
        let (code, stdout, stderr) = zk.run(&["create", "-c", "/a/c"]);
        assert_eq!((code, &*stdout), (Some(0), "/a/c\n"), "{stderr}");
        assert!(stderr.contains("/a/c is persistent"), "{stderr}");
        let (code, _, stderr) = zk.run(&["config"]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("/zookeeper/config"), "{stderr}");
    }
}

#[test]
fn serve_imitates_the_server_named() {
    for &pose in Pose::ALL {
        let serve = Running::start(zkctl(&["serve", "--port", "0", "--pose", pose.name()]));
        let address = serve.line("an address").parse().unwrap();
        let srvr = four_letter::ask(address, "srvr", Duration::from_secs(3600)).unwrap();
        let (program, version) = srvr.lines().next().unwrap().split_once(": ").unwrap();
        let (expected, number) = match pose {
            Pose::KeeperOld => ("ClickHouse Keeper version", "v22.8"),
            Pose::KeeperNew => ("ClickHouse Keeper version", "v26.1"),
            _ => ("Zookeeper version", pose.name()),
        };
        assert_eq!(program, expected, "{pose}");
        assert!(version.starts_with(number), "{pose}: {version}");
    }
    assert_fails(&["serve", "--pose", "3.7"], 2, &["3.6", "keeper-new"]);
}

#[test]
fn holders_are_shown_on_every_server() {
    for &pose in Pose::ALL {
        let zk = served(pose);
        let hold = Running::start(zk.zkctl(&["lock", "--identifier", "x", "/l"]));
        hold.says("holding /l");
        let watch = Running::start(zk.zkctl(&["watch", "/w"]));
        watch.says("watching /w");
        let locks = zk.done(&["-o", "json", "locks", "/l"]);
        let lock: serde_json::Value = serde_json::from_str(&locks).unwrap();
        assert_eq!(
            (&lock["state"], &lock["identifier"]),
            (&"holding".into(), &"x".into())
        );
        assert_eq!(lock["connected"], true, "{pose:?}: {lock}");
        let sessions = zk.done(&["sessions", "-e"]);
        let session = lock["session"].as_str().unwrap();
        assert!(
            sessions.contains(session) && sessions.contains("\n  /l/"),
            "{pose:?}: {sessions}"
        );
        let watchers = zk.done(&["watchers", "/w"]);
        assert!(
            watchers.contains("127.0.0.1:") && watchers.ends_with("  /w\n"),
            "{pose:?}: {watchers}"
        );
    }
}
