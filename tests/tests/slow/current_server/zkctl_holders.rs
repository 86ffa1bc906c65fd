//! `zkctl locks`, `elections`, `semaphores`, `watchers` and `sessions`, with what kazoo and Curator hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;
use zk_client::Client;
use zk_client::admin::{self, SessionDump};

use crate::common::zkctl::{Running, done};
use crate::common::{blocking, client_of, ensemble, own_server, until};
use crate::mixed_fleets::foreigner::{Foreigner, curator_program, kazoo_script};

/// The objects that zkctl prints.
fn objects(hosts: &str, arguments: &[&str]) -> Vec<Value> {
    let lines = blocking(|| done(hosts, &[&["-o", "json"], arguments].concat()));
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    lines.lines().map(parse).collect()
}

/// The states and the identifiers that a command shows, all of them of this layout and with an address.
fn shown(hosts: &str, arguments: &[&str], layout: &str) -> String {
    let found = objects(hosts, arguments);
    let one = |object: &Value| {
        assert_eq!(object["layout"], layout, "{object}");
        let address = object["address"].as_str().expect("an address");
        assert!(
            address.contains("127.0.0.1:") || address.contains("[0:0:0:0:0:0:0:1]:"),
            "{address}"
        );
        let text = |key: &str| object[key].as_str().unwrap_or("-").to_owned();
        format!("{} {}", text("state"), text("identifier"))
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

async fn until_children(zk: &Client, path: &str, count: usize) {
    until("the contender waits", || async {
        zk.children(path)
            .await
            .is_ok_and(|names| names.len() == count)
    })
    .await;
}

/// What both clients hold, besides their elections.
async fn holders_are_shown(zk: &Client, hosts: &str, layout: &str, waits: [&str; 3]) {
    until_children(zk, "/lock", 2).await;
    until_children(zk, "/rw", 3).await;
    let locks = shown(hosts, &["locks", "/lock"], layout);
    assert_eq!(locks, format!("holding first, waiting {}", waits[0]));
    let readers = shown(hosts, &["locks", "/rw"], layout);
    let expected = format!("holding first, holding second, waiting {}", waits[1]);
    assert_eq!(readers, expected);
    let semaphore = shown(hosts, &["semaphores", "/semaphore"], layout);
    assert_eq!(
        semaphore,
        format!("holding first, holding second, {}", waits[2])
    );
    assert_eq!(
        shown(hosts, &["elections", "/election"], layout),
        "leading first"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_of_kazoo_are_shown() {
    let server = blocking(own_server);
    let zk = client_of(&server.connect_string()).await;
    let hosts = format!("{}{}", server.connect_string(), zk.root());
    let mut python: Foreigner = kazoo_script("kazoo_holders.py", &[&hosts]);
    python.receive("ready").await;
    until_children(&zk, "/semaphore-__lock__", 1).await;
    // kazoo writes the identifier of the semaphore's inner lock as Python shows bytes.
    let waits = ["waits", "waits", "waiting b'waits'"];
    holders_are_shown(&zk, &hosts, "kazoo", waits).await;
    let found = objects(&hosts, &["semaphores", "/semaphore"]);
    assert_eq!(found[0]["max"], 2);
    the_servers_answers_are_shown(&zk, &hosts).await;
    python.end_input();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_of_curator_are_shown() {
    let server = blocking(own_server);
    let zk = client_of(&server.connect_string()).await;
    let hosts = format!("{}{}", server.connect_string(), zk.root());
    let mut java: Foreigner = curator_program("CuratorHolders.java", &[&hosts]);
    java.receive("ready").await;
    until_children(&zk, "/semaphore/leases", 3).await;
    until_children(&zk, "/latch", 2).await;
    let waits = ["second", "second", "acquiring waits, waiting second"];
    holders_are_shown(&zk, &hosts, "curator", waits).await;
    let latch = shown(&hosts, &["elections", "/latch"], "curator");
    assert_eq!(latch, "leading first, candidate second");
    the_servers_answers_are_shown(&zk, &hosts).await;
    java.end_input();
}

/// `watchers` and `sessions` show what the server answers to `wchp` and `dump`.
async fn the_servers_answers_are_shown(zk: &Client, hosts: &str) {
    let root = zk.root().to_string();
    let answer = zk.command("wchp").await.unwrap();
    let mut watches: Vec<_> = admin::wchp(&answer).unwrap().into_vec();
    watches.retain(|watch| watch.path.starts_with(&root));
    let mut expected = Vec::new();
    for watch in &watches {
        let path = zk.root().strip(&watch.path).unwrap();
        expected.extend(
            watch
                .sessions
                .iter()
                .map(|session| format!("{path} {session}")),
        );
    }
    expected.sort_unstable();
    let text = |object: &Value, key: &str| object[key].as_str().unwrap().to_owned();
    let mut found: Vec<_> = objects(hosts, &["watchers", "-r", "/"])
        .iter()
        .map(|one| format!("{} {}", text(one, "path"), text(one, "session")))
        .collect();
    found.sort_unstable();
    assert!(!expected.is_empty(), "nothing is watched");
    assert_eq!(found, expected);
    let dump: SessionDump = zk.command("dump").await.unwrap().parse().unwrap();
    let sessions = objects(hosts, &["sessions", "-e"]);
    let lock = objects(hosts, &["locks", "/lock"]);
    for contender in &lock {
        let is_its = |session: &&Value| session["session"] == contender["session"];
        let session = sessions.iter().find(is_its).unwrap();
        assert_eq!(session["address"], contender["address"]);
        let id = text(contender, "session");
        let dumped = dump
            .ephemerals
            .iter()
            .find(|one| one.session.to_string() == id);
        let count = dumped.unwrap().paths.len();
        assert_eq!(session["ephemerals"].as_array().unwrap().len(), count);
        assert!(session["timeout_ms"].as_u64().unwrap() > 0, "{session}");
    }
}

/// Each server lists its own connections only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_of_an_ensemble_are_joined() {
    let servers = blocking(ensemble);
    let hosts = blocking(|| servers.connect_string());
    let mut holders = Vec::new();
    for (number, server) in servers.servers().iter().enumerate() {
        let path = format!("/l{number}");
        let address = blocking(|| server.connect_string());
        let holder = blocking(|| Running::start(&address, &["lock", &path]));
        blocking(|| holder.says("holding"));
        let lock = objects(&hosts, &["locks", &path]).remove(0);
        assert_eq!(lock["server"], address, "{lock}");
        assert_eq!(lock["connected"], true);
        // A server alone does not know whether the others have the session.
        let others = &servers.servers()[(number + 1) % 3];
        let other = blocking(|| others.connect_string());
        let lock = objects(&other, &["locks", &path]).remove(0);
        assert_eq!(lock["connected"], Value::Null, "{lock}");
        let sessions = objects(&hosts, &["sessions", "-e"]);
        let session = sessions
            .iter()
            .find(|one| one["session"] == lock["session"]);
        let session = session.expect("the holder's session");
        assert_eq!(session["server"], address, "{session}");
        assert_eq!(session["ephemerals"].as_array().unwrap().len(), 1);
        holders.push((path, holder));
    }
    for (path, mut holder) in holders {
        holder.signal("KILL");
        blocking(|| holder.code());
        until("the servers have noticed", || async {
            let lock = objects(&hosts, &["locks", &path]).remove(0);
            lock["connected"] == false
        })
        .await;
    }
}
