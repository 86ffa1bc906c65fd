//! Compressed data that Curator and this client read and write.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use zk_client::Client;
use zk_recipes::{Codec, Gzip, Raw, Text, TypedNode};

use crate::mixed_fleets::counting::{Counted, ROUNDS, VICTIM, count};
use crate::mixed_fleets::foreigner::curator_program;

/// The byte in the header whose value depends on the release of Java.
const SYSTEM: usize = 9;

fn compressed(text: &'static str) -> Bytes {
    let plain = Bytes::from_static(text.as_bytes());
    Gzip::new(Raw).encode(&plain).unwrap()
}

/// What Curator reads first.
async fn prepare(root: &str) {
    let zk = Client::connect(root).await.unwrap();
    zk.create("/ours", compressed("ours")).await.unwrap();
    zk.create("/ours-empty", compressed("")).await.unwrap();
    zk.create("/number", compressed("0")).await.unwrap();
    zk.close().await.unwrap();
}

/// A number in compressed text is that of the changes of both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_and_ours_compress_alike() {
    let start = |root: &str, name: &str, rounds: usize| {
        if name == VICTIM {
            // It is the first that starts.
            block_in_place(|| Handle::current().block_on(prepare(root)));
        }
        curator_program("CuratorTyped.java", &[root, name, &rounds.to_string()])
    };
    let (zk, ours, theirs) = count(2 * ROUNDS, start, |zk, mut rounds| async move {
        let number = TypedNode::<u64>::new(&zk, "/number", Gzip::new(Text));
        let mut counted = Counted::default();
        while rounds.next() {
            for _ in 0..2 {
                counted.note(number.update(|number| Some(number? + 1)).await);
            }
        }
        counted
    })
    .await;
    for (path, text) in [("/golden", "golden"), ("/golden-empty", "")] {
        let (data, _) = zk.get(path).await.unwrap();
        let mut golden = data.to_vec();
        golden[SYSTEM] = 0;
        assert_eq!(golden, compressed(text), "{path}");
        let plain: Bytes = Gzip::new(Raw).decode(&data).unwrap();
        assert_eq!(plain, text);
    }
    let number = TypedNode::<i64>::new(&zk, "/number", Gzip::new(Text));
    let stored = number.get().await.unwrap().unwrap().value;
    Counted::compare("/number", stored, ours.into_iter().chain([theirs]));
}
