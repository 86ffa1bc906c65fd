//! What traces have exercised: a run in which something never happened proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

use zk_proto::OpCode;

#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<String, u64>,
    /// Pings between the steps are not counted.
    pub(crate) steps: u64,
}

/// What every run of some length contains.
const EXPECTED: &[&str] = &[
    "create ok",
    "create -8",
    "create -101",
    "create -102",
    "create -108",
    "create -110",
    "create -114",
    "create -5",
    "create2 ok",
    "create2 -110",
    "createContainer ok",
    "createTTL ok",
    "createTTL -8",
    "delete ok",
    "delete -101",
    "delete -102",
    "delete -103",
    "delete -111",
    "deleteContainer -8",
    "setData ok",
    "setData -101",
    "setData -102",
    "setData -103",
    "setACL ok",
    "setACL -101",
    "setACL -102",
    "setACL -103",
    "setACL -114",
    "exists ok",
    "exists -101",
    "getData ok",
    "getData -101",
    "getData -102",
    "getACL ok",
    "getACL -101",
    "getChildren ok",
    "getChildren -101",
    "getChildren -102",
    "getChildren2 ok",
    "getChildren2 -101",
    "getEphemerals ok",
    "getAllChildrenNumber ok",
    "getAllChildrenNumber -101",
    "sync ok",
    "whoAmI ok",
    "auth ok",
    "auth -115",
    "sasl ok",
    "multi ok",
    "multi undone",
    "multiRead ok",
    "multiRead error",
    "addWatch ok",
    "addWatch -5",
    "checkWatches ok",
    "checkWatches -121",
    "removeWatches ok",
    "removeWatches -121",
    "setWatches ok",
    "setWatches2 ok",
    "closeSession ok",
    "closed",
    "event NodeCreated",
    "event NodeDeleted",
    "event NodeDataChanged",
    "event NodeChildrenChanged",
    "connect new",
    "connect resumed",
    "connect expired",
    "connect refused",
    "session expired",
];

impl Tally {
    fn add(&mut self, what: String) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn reply(&mut self, op: i32, err: i32, text: &str) {
        let name = OpCode::from_i32(op).map_or("unknown", OpCode::name);
        let outcome = match OpCode::from_i32(op) {
            Some(OpCode::Ping) => return,
            Some(OpCode::Multi) if text.contains("Error(") => "undone".to_owned(),
            Some(OpCode::MultiRead) if text.contains("Error(") => "error".to_owned(),
            _ if err == 0 => "ok".to_owned(),
            _ => err.to_string(),
        };
        self.add(format!("{name} {outcome}"));
    }

    pub(crate) fn event(&mut self, text: &str) {
        let kind = text.split(' ').next().unwrap_or_default();
        self.add(format!("event {kind}"));
    }

    pub(crate) fn closed(&mut self) {
        self.add("closed".to_owned());
    }

    pub(crate) fn connected(&mut self, how: &str) {
        self.add(how.to_owned());
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
        self.steps += other.steps;
    }

    /// What should have happened and did not.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let happened = |what: &&&str| !self.counts.contains_key(**what);
        EXPECTED.iter().filter(happened).copied().collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps:", self.steps)?;
        for (what, count) in &self.counts {
            write!(f, " {what} {count},")?;
        }
        Ok(())
    }
}
