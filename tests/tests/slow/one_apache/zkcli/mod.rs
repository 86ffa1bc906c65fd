//! The table of `zkctl`'s README against ZooKeeper's own zkCli: each command of it and its counterpart, on the
//! same servers, with the same effect and the same content.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod dialogue;
mod ensemble;
mod quotas;
mod shown;
mod watches;
mod znodes;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use tokio::runtime::Runtime;
use zk_client::{Acl, Client, Stat};

use crate::common::zkctl::done;
use crate::common::{NO_LIMIT, builder};
use dialogue::ZkCli;
use ensemble::{add_auth, close, config, connect, reconfig, sync, version, whoami};
use quotas::{del_quota, list_quota, set_quota};
use watches::{add_watch, remove_watches};
use zk_tests::SUPER_CREDENTIALS;
use znodes::{
    create, delete, delete_all, get, get_acl, get_all_children_number, get_ephemerals, ls, set,
    set_acl, stat,
};

const README: &str = include_str!("../../../../../crates/zkctl/README.md");

/// A name, and what runs under it.
type Case = (&'static str, fn(&mut Pair));

/// A test for each command of the table.
const CASES: [Case; 24] = [
    ("addWatch", add_watch),
    ("addauth", add_auth),
    ("config", config),
    ("create", create),
    ("delete", delete),
    ("deleteall", delete_all),
    ("delquota", del_quota),
    ("get", get),
    ("getAcl", get_acl),
    ("getAllChildrenNumber", get_all_children_number),
    ("getEphemerals", get_ephemerals),
    ("listquota", list_quota),
    ("ls", ls),
    ("removewatches", remove_watches),
    ("set", set),
    ("setAcl", set_acl),
    ("setquota", set_quota),
    ("stat", stat),
    ("sync", sync),
    ("version", version),
    ("whoami", whoami),
    ("reconfig", reconfig),
    ("connect", connect),
    ("close", close),
];

/// The commands of a dialogue, which a program that runs one command does not have.
const OF_THE_DIALOGUE: [&str; 4] = ["history", "printwatches", "quit", "redo"];

/// Both programs, and a client that sees what they do.
struct Pair {
    cli: ZkCli,
    /// What zkCli's help says of each command.
    usages: BTreeMap<String, String>,
    hosts: String,
    client: Client,
    runtime: Runtime,
}

/// What a command leaves behind at a path.
#[derive(Debug, PartialEq)]
struct Node {
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    ephemeral: bool,
    container: bool,
    ttl: Option<u128>,
    version: i32,
    acl_version: i32,
    children: Vec<String>,
}

impl Pair {
    fn zkctl(&self, arguments: &[&str]) -> String {
        done(&self.hosts, arguments)
    }

    /// The objects that a command prints.
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.zkctl(&[&["-o", "json"], arguments].concat());
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn one(&self, arguments: &[&str]) -> Value {
        let mut lines = self.json(arguments);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    fn node(&self, path: &str) -> Option<Node> {
        self.runtime.block_on(async {
            self.client.sync(path).await.unwrap();
            let stat: Stat = self.client.exists(path).await.unwrap()?;
            let (data, _) = self.client.get(path).nullable().await.unwrap();
            let (acl, _) = self.client.acl(path).await.unwrap();
            let children = self.client.children(path).await.unwrap();
            let mut children: Vec<_> = children.iter().map(str::to_owned).collect();
            children.sort_unstable();
            Some(Node {
                data: data.map(|data| data.to_vec()),
                acl,
                ephemeral: stat.is_ephemeral(),
                container: stat.is_container(),
                ttl: stat.ttl().map(|ttl| ttl.as_millis()),
                version: stat.version,
                acl_version: stat.aversion,
                children,
            })
        })
    }

    /// Whether this release of zkCli has an option. Releases before 3.9 lack some.
    fn offers(&self, command: &str, option: &str) -> bool {
        options(&self.usages[command]).any(|word| word == option)
    }

    /// Both paths have the same, and exist.
    fn assert_same(&self, cli: &str, ctl: &str) {
        let node = self.node(cli);
        assert!(node.is_some(), "{cli} does not exist");
        assert_eq!(node, self.node(ctl), "{cli} and {ctl}");
    }
}

#[test]
fn each_zkcli_command_has_its_counterpart() {
    let servers = crate::common::ensemble();
    let hosts = servers.connect_string();
    let runtime = Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let client = builder(&*hosts).auth("digest", SUPER_CREDENTIALS);
        client.connect_timeout(NO_LIMIT).connect().await.unwrap()
    });
    let mut pair = Pair {
        cli: ZkCli::start(&hosts),
        usages: BTreeMap::new(),
        hosts,
        client,
        runtime,
    };
    let names: BTreeSet<&str> = CASES
        .iter()
        .map(|(name, _)| *name)
        .chain(OF_THE_DIALOGUE)
        .collect();
    let commands: BTreeSet<&str> = pair.cli.commands.iter().map(String::as_str).collect();
    assert_eq!(commands, names);
    let help = pair.cli.run("help");
    let helps = help.iter().filter_map(|line| line.strip_prefix('\t'));
    let usage = |usage: &str| {
        let (name, _) = usage.split_once(' ').unwrap();
        (name.to_owned(), usage.to_owned())
    };
    pair.usages = helps.map(usage).collect();
    assert_rows(&pair.usages, &names);
    let is_old = pair.cli.run("version").concat().contains(": 3.8");
    for (command, option) in [("get", "-b"), ("get", "-x"), ("set", "-b")] {
        assert_ne!(pair.offers(command, option), is_old, "{command} {option}");
    }
    let failed: Vec<_> = CASES
        .iter()
        .filter(|(name, case)| {
            eprintln!("{name}");
            // The other cases do not depend on what this one leaves behind.
            catch_unwind(AssertUnwindSafe(|| case(&mut pair))).is_err()
        })
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// The README has a row for each command that zkCli's help lists, with its options.
fn assert_rows(usages: &BTreeMap<String, String>, names: &BTreeSet<&str>) {
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: BTreeMap<&str, &str> = rows
        .filter_map(|row| {
            let (usage, _) = row.split_once("` |")?;
            Some((usage.split(' ').next()?, usage))
        })
        .filter(|(name, _)| names.contains(name))
        .collect();
    assert!(rows.keys().eq(names), "{rows:?}");
    assert!(usages.keys().eq(names), "{usages:?}");
    for (name, usage) in usages {
        for option in options(usage) {
            let row = rows[&**name];
            let found = options(row).filter(|word| *word == option).count();
            assert_eq!(found, 1, "{option} of {usage} in {row}");
        }
    }
}

/// The options in a line such as `ls [-s] [-w] [-R] path`.
fn options(usage: &str) -> impl Iterator<Item = &str> {
    let (usage, _remark) = usage.split_once('#').unwrap_or((usage, ""));
    let words = usage.split([' ', '[', ']', '|', '\\']);
    words.filter(|word| word.starts_with('-'))
}
