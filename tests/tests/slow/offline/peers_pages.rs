//! What the guide says to users of other Rust clients. These are in a package of their own
//! (`tests/migration`), whose build script takes the programs from the pages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guide_page::Page;

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migration");
const DEFINITIONS: [&str; 6] = ["fn ", "struct ", "enum ", "trait ", "type ", "const "];

/// Another client, and what of its source is not public.
struct Peer {
    package: &'static str,
    page: &'static str,
    /// Files and directories of private modules.
    private: &'static [&'static str],
    /// Definitions that say `pub` in private modules which export others.
    hidden: &'static [&'static str],
}

/// Definitions that both `zookeeper` and `zookeeper-async` have in private modules.
const HIDDEN: [&str; 12] = [
    "RawRequest",
    "RawResponse",
    "ListenerSet",
    "subscribe",
    "unsubscribe",
    "notify",
    "len",
    "WatchMessage",
    "ZkWatch",
    "run",
    "with_parent",
    "creation_path",
];

const PEERS: [Peer; 4] = [
    Peer {
        package: "zookeeper",
        page: "zookeeper",
        private: &["io.rs", "paths.rs", "proto.rs", "try_io.rs"],
        hidden: &HIDDEN,
    },
    Peer {
        package: "zookeeper-async",
        page: "zookeeper_async",
        private: &["io.rs", "paths.rs", "proto.rs"],
        hidden: &HIDDEN,
    },
    Peer {
        package: "tokio-zookeeper",
        page: "tokio_zookeeper",
        private: &["proto", "transform.rs"],
        hidden: &[],
    },
    Peer {
        package: "zookeeper-client",
        page: "zookeeper_client",
        private: &[
            "chroot.rs",
            "deadline.rs",
            "endpoint.rs",
            "proto",
            "record.rs",
            "session",
            "digest_md5.rs",
            "util.rs",
            "client.rs",
        ],
        hidden: &[
            "CustomError",
            "into_oneshot",
            "into_persistent",
            "set_data_internally",
            "SaslSession",
            "name",
            "initial",
            "step",
            "mechanism",
        ],
    },
];

fn cargo(command: &str) -> Command {
    let mut cargo = zk_tests::cargo();
    cargo
        .arg(command)
        .current_dir(PACKAGE)
        .stdout(Stdio::piped());
    cargo
}

fn text_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the package with this argument, and returns what it prints.
fn run(argument: &str) -> String {
    // Where the dependencies are that the workspace has, too.
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/..");
    let mut run = cargo("run");
    run.args(["--quiet", "--target-dir", target, "--", argument]);
    text_of(&mut run)
}

/// The programs of the pages, beside which are the same ones with this client.
#[test]
fn programs_with_other_rust_clients_run() {
    for peer in PEERS {
        let said = run(peer.page);
        let programs = Page::read(peer.page).programs("text").len();
        assert_eq!(said, format!("{programs}\n"), "{}", peer.page);
    }
}

/// Locks, elections and queues at the same time.
#[test]
fn other_rust_clients_share_znodes() {
    assert_eq!(run("shared").lines().count(), 4);
}

/// What the pages say of these clients, where they differ from this one.
#[test]
fn rust_clients_behave_as_the_guide_says() {
    assert_eq!(run("traps").lines().count(), 6);
}

/// The definitions in a file, but for tests.
fn definitions(source: &str) -> impl Iterator<Item = &str> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    source.lines().filter_map(|line| {
        let definition = line.trim_start().strip_prefix("pub ")?;
        let definition = definition.strip_prefix("const ").unwrap_or(definition);
        let definition = definition.strip_prefix("async ").unwrap_or(definition);
        let name = DEFINITIONS
            .iter()
            .find_map(|kind| definition.strip_prefix(kind));
        // Of an associated constant the word `const` is gone.
        let name = name.or_else(|| line.contains("pub const ").then_some(definition))?;
        name.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    })
}

fn sources(directory: &Path, private: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if private.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            sources(&path, private, found);
        } else {
            found.push(path);
        }
    }
}

/// The names that are public in the sources of the clients.
#[test]
fn names_of_rust_clients_are_in_the_guide() {
    let metadata = text_of(cargo("metadata").args(["--format-version", "1"]));
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    for peer in PEERS {
        let package = packages
            .iter()
            .find(|package| package["name"] == peer.package);
        let manifest = package.unwrap()["manifest_path"].as_str().unwrap();
        let mut files = Vec::new();
        let source = Path::new(manifest).with_file_name("src");
        sources(&source, peer.private, &mut files);
        let mut names = String::new();
        for file in files {
            let source = std::fs::read_to_string(file).unwrap();
            for name in definitions(&source).filter(|name| !peer.hidden.contains(name)) {
                names.push_str(&format!("- {name}\n"));
            }
        }
        Page::read(peer.page).assert_names(&names, 40);
    }
}

/// The page on mixed fleets names the tests that prove what it says.
#[test]
fn tests_named_in_the_guide_exist() {
    let page = Page::read("mixed_fleets");
    let proofs = page.cells(2);
    let mut files = Vec::new();
    sources(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")),
        &["foreign"],
        &mut files,
    );
    let tests = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap());
    let tests: String = tests.collect();
    let missing = |proof: &&&str| !tests.contains(&format!("fn {proof}()"));
    let missing: Vec<_> = proofs.iter().filter(missing).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
    assert!(proofs.len() > 30, "{proofs:?}");
}
