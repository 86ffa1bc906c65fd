//! What all commands have in common: the documented JSON, a reader that leaves, terminals, errors of one line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

#[path = "../common/mod.rs"]
mod common;
mod failures;
mod json;
mod readers;
#[cfg(target_os = "linux")]
mod terminals;

use std::collections::BTreeSet;

use common::{finish, text, zkctl};

/// Fails unless every command has a row, or is one of those that cannot have one. `rows` are the words of each.
fn every_command_has_a_row<'a>(
    rows: impl IntoIterator<Item = impl IntoIterator<Item = &'a str>>,
    others: &[&str],
) {
    let help = text(&finish(zkctl(&["--help"])).stdout);
    let list = help.lines().skip_while(|line| *line != "Commands:");
    let names = list.skip(1).take_while(|line| !line.is_empty());
    let names: BTreeSet<_> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains("ls") && names.len() > 40, "{names:?}");
    // The first word that is neither an option nor its value.
    let rows: BTreeSet<_> = rows
        .into_iter()
        .filter_map(|words| words.into_iter().find(|word| names.contains(word)))
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !rows.contains(*name) && !others.contains(name))
        .collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
    let both: Vec<_> = others.iter().filter(|name| rows.contains(*name)).collect();
    assert!(both.is_empty(), "have a row: {both:?}");
}
