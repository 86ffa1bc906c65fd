//! Watches.

use serde_json::Value;

use super::Pair;
use crate::common::zkctl::Running;
use zk_tests::watchdog::poll;

/// Both programs report the next change.
pub(super) fn watched(
    pair: &mut Pair,
    cli: &str,
    ctl: &[&str],
    change: &[&str],
    java: &str,
    kind: &str,
) {
    pair.cli.run(cli);
    let running = Running::start(&pair.hosts, &[&["-o", "json"], ctl].concat());
    running.says("{");
    pair.zkctl(change);
    let event = loop {
        let line = running.says("{");
        if line.contains("\"event\"") {
            break line;
        }
    };
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["kind"], kind);
    let reported = poll("zkCli's event", || {
        // A command lets zkCli print what has come.
        let shown = pair.cli.run("sync /");
        shown
            .into_iter()
            .find(|line| line.contains("WatchedEvent") && line.contains(java))
    });
    let path = event["path"].as_str().unwrap();
    assert!(reported.contains(&format!("path:{path}")), "{reported}");
}

pub(super) fn add_watch(pair: &mut Pair) {
    pair.zkctl(&["create", "/watch"]);
    pair.cli.run("addWatch -m PERSISTENT_RECURSIVE /watch");
    let running = Running::start(&pair.hosts, &["-o", "json", "watch", "-r", "/watch"]);
    running.says("watching");
    pair.zkctl(&["create", "/watch/a"]);
    pair.zkctl(&["set", "/watch/a", "x"]);
    pair.zkctl(&["delete", "/watch/a"]);
    let kinds: Vec<_> = (0..3)
        .map(|_| {
            let event: Value = serde_json::from_str(&running.says("\"event\"")).unwrap();
            assert_eq!(event["path"], "/watch/a");
            event["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["created", "data_changed", "deleted"]);
    let mut events = Vec::new();
    poll("zkCli's events", || {
        let shown = pair.cli.run("sync /");
        events.extend(
            shown
                .into_iter()
                .filter(|line| line.contains("path:/watch/a")),
        );
        (events.len() == 3).then_some(())
    });
    for (event, kind) in events
        .iter()
        .zip(["NodeCreated", "NodeDataChanged", "NodeDeleted"])
    {
        assert!(event.contains(kind), "{event}");
    }
}

/// A watch of zkctl ends with its command.
pub(super) fn remove_watches(pair: &mut Pair) {
    let watches = || -> usize {
        let answers = pair.json(&["four-letter", "--all", "mntr"]);
        let count = |answer: &Value| {
            answer["values"]["zk_watch_count"]
                .as_str()
                .unwrap()
                .parse::<usize>()
        };
        answers.iter().map(|answer| count(answer).unwrap()).sum()
    };
    let before = watches();
    pair.zkctl(&["create", "/remove"]);
    let running = Running::start(&pair.hosts, &["get", "-w", "/remove"]);
    poll("a watch", || (watches() > before).then_some(()));
    drop(running);
    // The session of a killed client lasts until its timeout, and its connection does not.
    poll("no watch", || (watches() == before).then_some(()));
    pair.cli.run("get -w /remove");
    let said = pair.cli.run("removewatches /remove -d -l");
    assert!(
        said.iter().all(|line| !line.contains("No watch")),
        "{said:?}"
    );
}
