//! The metrics and alerts on the page about production.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;

use super::page::blocks;

const PAGE: &str = include_str!("../../../../crates/zk-recipes/src/guide/production.md");
const CRATE: &str = include_str!("../../../../crates/zk-client/src/lib.rs");
const METRICS: &str = include_str!("../../../../crates/zk-client/src/telemetry/metrics.rs");

/// The names of the client's metrics between these quotes.
fn names(text: &str, quote: char) -> BTreeSet<&str> {
    let quoted = text.split(quote);
    quoted
        .filter(|name| name.starts_with("zk_"))
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect()
}

/// The section under this heading.
fn section(heading: &str) -> &'static str {
    let rest = PAGE.split_once(heading).unwrap().1;
    rest.split("\n# ").next().unwrap()
}

#[test]
fn the_table_has_all_metrics() {
    let rows = section("\n# Metrics\n").lines();
    let rows = rows.filter(|line| line.starts_with("| `zk_"));
    let table: BTreeSet<_> = rows
        .flat_map(|row| names(row.split('|').nth(1).unwrap(), '`'))
        .collect();
    assert_eq!(table, names(METRICS, '"'));
}

/// That the queries use at least so many metrics, all of which exist.
fn assert_known(queries: &str, at_least: usize) {
    let known = names(METRICS, '"');
    let words = queries.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let used: BTreeSet<_> = words.filter(|word| word.starts_with("zk_")).collect();
    assert!(used.len() >= at_least, "{used:?}");
    for name in used {
        let of_histogram = name.strip_suffix("_bucket").unwrap_or(name);
        assert!(known.contains(of_histogram), "{name}");
    }
}

#[test]
fn alerts_use_metrics_that_exist() {
    let rules = blocks(PAGE, "yaml");
    let rules = rules.iter().find(|it| it.contains("alert:")).unwrap();
    assert_known(rules, 6);
}

#[test]
fn dashboards_use_metrics_that_exist() {
    let rows = CRATE.lines().filter(|line| line.starts_with("//! |"));
    let queries = rows.filter(|row| row.contains(" by ("));
    assert_known(&queries.collect::<Vec<_>>().join("\n"), 8);
}
