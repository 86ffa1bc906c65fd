//! Curator's counters beside ours, on the same znodes.

use std::num::NonZeroU32;

use zk_recipes::{AtomicInteger, AtomicLong, IdBlocks, Lock, SharedCount};

use crate::mixed_fleets::counting::{Counted, ROUNDS, count};
use crate::mixed_fleets::foreigner::curator_program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_and_ours_count_together() {
    let start = |hosts: &str, name: &str, rounds: usize| {
        curator_program("CuratorCounters.java", &[hosts, name, &rounds.to_string()])
    };
    let (zk, ours, theirs) = count(ROUNDS, start, |zk, mut rounds| async move {
        let mut counted = [Counted::default(); 3];
        let mut taken = Vec::new();
        let lock = Lock::new(&zk, "/long-lock");
        let long = AtomicLong::new(&zk, "/long").promote_to_lock(&lock, 3);
        let int = AtomicInteger::new(&zk, "/int");
        let count = SharedCount::new(&zk, "/count", 0);
        let ids = |path| IdBlocks::new(&zk, path, NonZeroU32::MIN.saturating_add(3));
        let (ids, small) = (ids("/ids"), ids("/small-ids").four_bytes());
        while rounds.next() {
            counted[0].note(long.increment().await);
            counted[1].note(int.increment().await);
            loop {
                let known = count.get().await.unwrap();
                match count.try_set(&known, known.value + 1).await {
                    Ok(None) => {}
                    result => break counted[2].note(result),
                }
            }
            taken.push([ids.next().await.unwrap(), small.next().await.unwrap()]);
        }
        (counted, taken)
    })
    .await;
    for (n, path) in ["/long", "/int", "/count"].into_iter().enumerate() {
        let (data, _) = zk.get(path).await.unwrap();
        let stored = match path {
            "/long" => i64::from_be_bytes((*data).try_into().unwrap()),
            _ => i32::from_be_bytes((*data).try_into().unwrap()).into(),
        };
        let ours = ours.iter().map(|(counted, _)| counted[n]);
        Counted::compare(path, stored, ours.chain([theirs]));
    }
    for (n, path) in ["/ids-of-curator", "/small-ids-of-curator"]
        .into_iter()
        .enumerate()
    {
        let (theirs, _) = zk.get(path).await.unwrap();
        let theirs = String::from_utf8(theirs.to_vec()).unwrap();
        let mut ids: Vec<i64> = theirs
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        assert_eq!(ids.len(), ROUNDS);
        ids.extend(
            ours.iter()
                .flat_map(|(_, taken)| taken)
                .map(|taken| taken[n]),
        );
        let count = ids.len();
        assert_eq!(count, 2 * ROUNDS);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "ids are taken twice: {path}");
    }
}
