//! A barrier shared with kazoo: each side waits for the other to open it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{blocking, soon};
use zk_recipes::Barrier;
use zk_tests::Kazoo;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/barrier.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_and_rust_each_wait_for_the_other() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kazoo");
    let kazoo = blocking(|| Kazoo::find_or_install(&directory).unwrap());
    let zk = crate::common::client().await;
    let barrier = Barrier::new(&zk, "/barrier");
    barrier.close().await.unwrap();
    let path = format!("{}/barrier", zk.root());
    let mut python = Command::new(kazoo.python())
        .args([
            SCRIPT,
            &crate::common::shared_server().connect_string(),
            &path,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(python.stdout.take().unwrap()).lines();
    let mut next = || blocking(|| said.next().expect("kazoo says more").unwrap());
    assert_eq!(next(), "waiting");
    barrier.open().await.unwrap();
    assert_eq!(next(), "passed");
    assert_eq!(next(), "closed");
    let mut waiting = tokio::spawn({
        let barrier = barrier.clone();
        async move { barrier.wait().await }
    });
    crate::common::until("it is watched", || async { zk.statistics().watches > 0 }).await;
    assert!(!waiting.is_finished());
    python.stdin.take().unwrap().write_all(b"open\n").unwrap();
    soon("the opening", &mut waiting).await.unwrap().unwrap();
    assert_eq!(next(), "opened");
    assert!(blocking(|| python.wait()).unwrap().success());
}
