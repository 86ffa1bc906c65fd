//! Trees that zkctl moves between two servers: of two releases, where two are installed.
//!
//! `ZK_TESTS_ZNODES` is how many znodes a tree has, about; 10,000 unless it is set.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use zk_client::{Acl, Client, Permissions};
use zk_tests::{Installation, ServerOptions, Standalone};

use crate::common::zkctl::zkctl;
use crate::common::{blocking, connect};

/// Children of each parent.
const CHILDREN: usize = 200;
/// What a command may allocate, in KiB.
const MEMORY: &str = "65536";

/// Names that servers accept and that need care in a shell, in JSON, in a sorted list, on a terminal.
const NAMES: [&str; 21] = [
    "a",
    "a!",
    "a-b",
    " ",
    "a b ",
    "%2F%00",
    "\"quoted\"",
    "it's",
    "back\\slash",
    "$HOME `x` *?[]{}",
    "...",
    ".hidden",
    "-r",
    "--help",
    "grüße ✓",
    "日本",
    "e\u{301}",
    "é",
    "\u{a0}\u{200b}\u{2028}\u{202e}\u{feff}",
    "{\"path\":1}",
    "~",
];

fn znodes() -> usize {
    std::env::var("ZK_TESTS_ZNODES").map_or(10_000, |count| count.parse().unwrap())
}

fn server(installation: &Installation) -> Standalone {
    Standalone::start_from(installation, ServerOptions::default()).unwrap()
}

/// Creates a tree with all kinds of znodes, of data, and of ACLs, and returns how many znodes it has that stay.
async fn create_tree(zk: &Client) -> usize {
    let parents = znodes().div_ceil(CHILDREN + 1);
    zk.create("/tree", "").await.unwrap();
    for parent in 0..parents {
        // Some of them are below others.
        let parent = match parent % 10 {
            0..3 => format!("/tree/p-{parent}"),
            _ => format!("/tree/p-{}/p-{parent}", parent / 10 * 10),
        };
        let mut replies = vec![zk.create(&parent, "").submit()];
        for child in 0..CHILDREN {
            let data = format!("{parent} {child}\n").repeat(child % 7);
            let name = NAMES.get(child).copied();
            let name = name.map_or_else(|| format!("n{child}"), str::to_owned);
            let path = format!("{parent}/{name}");
            let create = zk.create(&path, data);
            replies.push(match child % 9 {
                0 => zk.create(&path, "").null().submit(),
                1 => create.acl(odd_acl()).submit(),
                2 => zk.create(&path, [0xff, 0x1b, 0]).submit(),
                3 => create.container().submit(),
                4 => create.ttl(Duration::from_secs(86_400)).submit(),
                _ => create.submit(),
            });
        }
        for reply in replies {
            reply.await.unwrap();
        }
    }
    for name in ["x".repeat(20_000), "ü".repeat(100)] {
        zk.create(&format!("/tree/{name}"), "long").await.unwrap();
    }
    let deep = "/tree".to_owned() + &"/deep".repeat(100);
    zk.ensure_path(&deep).await.unwrap();
    for _ in 0..3 {
        zk.create("/tree/n-", "n").sequential().await.unwrap();
    }
    for large in ["/tree/large", "/tree/large2"] {
        zk.create(large, "x".repeat(1_000_000)).await.unwrap();
    }
    zk.create("/tree/session", "").ephemeral().await.unwrap();
    zk.create("/tree/session-", "")
        .ephemeral()
        .sequential()
        .await
        .unwrap();
    1 + parents * (CHILDREN + 1) + 2 + 100 + 3 + 2
}

fn odd_acl() -> Vec<Acl> {
    vec![
        Acl::new(Permissions::ALL, "world", "anyone"),
        Acl::digest("user", "password", Permissions::READ | Permissions::ADMIN),
        Acl::new(Permissions::READ, "ip", "10.0.0.0/8"),
    ]
}

/// A command that cannot allocate more than [`MEMORY`].
fn limited(server: &str, arguments: &[&str]) -> Command {
    let plain = zkctl(server, arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -d "$0" && exec "$@""#, MEMORY])
        .arg(plain.get_program())
        .args(plain.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn run(server: &str, arguments: &[&str], code: i32) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = limited(server, arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

/// The beginning of the output of a command, which is killed then. It has not written more than a pipe holds.
fn killed(server: &str, arguments: &[&str], lines: usize) -> Vec<u8> {
    let mut child = limited(server, arguments).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut read = Vec::new();
    for _ in 0..lines {
        assert_ne!(
            stdout.read_until(b'\n', &mut read).unwrap(),
            0,
            "it has ended"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
    read
}

/// A file that is deleted with the value.
struct Export(PathBuf);

impl Export {
    fn new() -> Self {
        let name = format!("zkctl-exported-{}", std::process::id());
        Export(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // An error leaves the file behind.
        let _ = fs::remove_file(&self.0);
    }
}

/// Exports `/tree` of one server, imports it into the other, each with a cut in the middle, and compares them.
fn moves(from: &str, to: &str, staying: usize) {
    let export = Export::new();
    let file = export.path();
    let all = staying + 2;
    let mut half = killed(from, &["export", "/tree"], all / 2);
    half.extend_from_slice(b"{\"path\":\"/tree/p-");
    fs::File::create(&export.0)
        .unwrap()
        .write_all(&half)
        .unwrap();
    assert_eq!(run(from, &["export", "--resume", file], 0), "");
    assert_eq!(
        fs::read(&export.0)
            .unwrap()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        all + 2
    );
    let operand = format!("file:{file}");
    run(from, &["diff", "-q", &operand, "/tree"], 0);

    let begun = killed(to, &["import", "-v", file], staying / 3);
    let begun = String::from_utf8(begun).unwrap();
    assert!(begun.starts_with("created /tree"), "{begun}");
    run(to, &["diff", "-q", &operand, "/tree"], 1);
    let counts = run(to, &["import", "-o", "json", file], 0);
    let counts: Value = serde_json::from_str(&counts).unwrap();
    let count = |key: &str| counts.get(key).and_then(Value::as_u64).unwrap();
    assert_eq!(count("created") + count("same"), staying as u64, "{counts}");
    assert!(count("created") > 0 && count("same") > 0, "{counts}");
    assert_eq!(
        (count("left_out_ephemeral"), count("failed")),
        (2, 0),
        "{counts}"
    );

    let there = format!("{from}/tree");
    let same = run(to, &["diff", "--ignore", "ephemerals", &there, "/tree"], 0);
    let expected =
        format!("{staying} the same, 0 changed, 0 only in the first, 0 only in the second\n");
    assert_eq!(same, expected);
    let again = run(to, &["import", file], 0);
    assert_eq!(
        again,
        format!("0 created, {staying} the same, 2 left out\n")
    );
    let found = run(to, &["find", "/tree", "-o", "json"], 0);
    assert_eq!(found.lines().count(), staying);
    let sizes = run(to, &["du", "--depth", "0", "-o", "json", "/tree"], 0);
    assert!(sizes.contains(&format!("\"znodes\":{staying}")), "{sizes}");
    for listing in [&["ls", "-R", "/tree"][..], &["tree", "-o", "json", "/tree"]] {
        assert_eq!(run(to, listing, 0).lines().count(), staying, "{listing:?}");
    }
    run(to, &["copy", "/tree", "/copy"], 0);
    run(to, &["diff", "-q", "/tree", "/copy"], 0);
    for tree in ["/tree", "/copy"] {
        run(to, &["delete", "-r", tree], 0);
    }
}

/// Guards: P62.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_moves_between_releases() {
    let (one, other) = blocking(|| {
        let found: Vec<_> = Installation::each().into_iter().flatten().collect();
        (
            server(found.last().unwrap()),
            server(found.first().unwrap()),
        )
    });
    for (from, to) in [(&one, &other), (&other, &one)] {
        let (from, to) = (from.connect_string(), to.connect_string());
        let zk = connect(&from, |builder| builder).await;
        let staying = create_tree(&zk).await;
        let from = format!("{from}{}", zk.root());
        blocking(|| moves(&from, &to, staying));
        zk.delete("/tree").recursive().await.unwrap();
    }
}
