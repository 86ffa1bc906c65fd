//! What the parts have in common: the packages, and the type of their results.

use std::error::Error;

use crate::check::Check;

/// The libraries of the workspace, each after those that it depends on.
pub(super) const LIBRARIES: [&str; 5] = [
    "zk-proto",
    "zk-transport",
    "zk-client",
    "zk-embedded",
    "zk-recipes",
];
pub(super) const TOOL: &str = "zkctl";

/// Apart from the builds of the tests, which have other flags. Below `target`, so that git ignores it.
pub(super) const TARGET: &str = "target/contract";

pub(super) type Checks = Result<Vec<Check>, Box<dyn Error>>;
