//! `zkctl bench`: what it prints, and that it leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::process::Output;

use crate::common::zkctl::{done, output, root, zkctl};
use serde_json::Value;
use zk_tests::signal::{self, Signal};
use zk_tests::watchdog::poll;

/// What a benchmark has made there and not deleted.
fn left(root: &str) -> String {
    let names = done(root, &["ls", "-R", "/"]);
    names.lines().filter(|name| *name != "/").collect()
}

fn reported(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn each_workload_is_one_json_object() {
    let root = root();
    for workload in ["get", "set", "create", "watch", "lock", "connect"] {
        let sizes = ["--ops", "40", "--concurrency", "4", "--size", "10"];
        let arguments = [&["bench", workload, "-o", "json"], &sizes[..]].concat();
        let output = output(&root, &arguments);
        let (stdout, stderr) = reported(&output);
        assert!(output.status.success(), "{workload}: {stderr}");
        assert_eq!(stderr, "");
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        let reported: Value = serde_json::from_str(&stdout).unwrap();
        let mut keys: Vec<_> = reported
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        let expected = [
            "errors",
            "max_us",
            "ops",
            "ops_per_sec",
            "p50_us",
            "p90_us",
            "p99_us",
            "seconds",
            "workload",
        ];
        assert_eq!(keys, expected);
        assert_eq!(reported["workload"], workload);
        assert_eq!(
            (&reported["ops"], &reported["errors"]),
            (&40.into(), &0.into())
        );
        let figure = |key: &str| reported[key].as_f64().unwrap();
        assert!(figure("p50_us") > 0.0);
        assert!(figure("p50_us") <= figure("p90_us") && figure("p90_us") <= figure("p99_us"));
        assert!(figure("p99_us") <= figure("max_us"));
        let rate = figure("ops_per_sec") * figure("seconds");
        assert!((rate - 40.0).abs() < 1e-6, "{rate}");
        assert_eq!(left(&root), "", "{workload}");
    }
}

#[test]
fn histogram_without_bar_off_a_terminal() {
    let output = output(&root(), &["bench", "get", "--ops", "100"]);
    let (stdout, stderr) = reported(&output);
    assert_eq!(stderr, "");
    assert!(
        stdout.starts_with("get: 100 operations, 64 at a time, in "),
        "{stdout}"
    );
    assert!(
        stdout.contains("half within ") && stdout.contains("≤ "),
        "{stdout}"
    );
    assert!(stdout.contains(&"█".repeat(40)), "{stdout}");
}

#[test]
fn failures_are_counted_and_reported_once() {
    let root = root();
    let large = ["--ops", "5", "--size", "2000000", "-o", "json"];
    let output = output(&root, &[&["bench", "create"], &large[..]].concat());
    let (stdout, stderr) = reported(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with("zkctl: 5 failed; the first: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let reported: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&reported["errors"], &reported["p50_us"]),
        (&5.into(), &Value::Null)
    );
    assert_eq!(left(&root), "");
}

#[test]
fn an_interrupted_one_leaves_nothing() {
    let root = root();
    let mut bench = zkctl(&root, &["bench", "create", "--ops", "100000000"]);
    let child = bench.spawn().unwrap();
    poll("it to create something", || {
        left(&root).contains("/create-").then_some(())
    });
    signal::send(child.id(), Signal::Term).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{:?}", reported(&output));
    assert_eq!(left(&root), "");
}
