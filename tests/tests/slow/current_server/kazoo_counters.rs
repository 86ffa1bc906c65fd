//! kazoo's `Counter` beside ours, on the same znodes.

use zk_recipes::Counter;

use crate::mixed_fleets::counting::{Counted, ROUNDS, VICTIM, count};
use crate::mixed_fleets::foreigner::kazoo_script;

const FLOATS: [f64; 9] = [
    0.5,
    0.1,
    -2.0,
    1e15,
    1e16,
    1.25e100,
    0.0001,
    0.000_012_5,
    123_456_789.125,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_and_ours_count_together() {
    let floats = FLOATS.map(|float| float.to_string());
    let start = |hosts: &str, name: &str, rounds: usize| {
        let mut arguments = vec![hosts.to_owned(), name.to_owned(), rounds.to_string()];
        if name != VICTIM {
            arguments.extend(floats.clone());
        }
        kazoo_script("counters.py", &arguments)
    };
    let (zk, ours, theirs) = count(ROUNDS, start, |zk, mut rounds| async move {
        let mut counted = [Counted::default(); 3];
        let text = Counter::new(&zk, "/text");
        let half = Counter::float(&zk, "/half");
        let bytes4 = Counter::new(&zk, "/bytes4").support_curator();
        while rounds.next() {
            counted[0].note(text.increment().await);
            counted[1].note(half.add(0.5).await);
            counted[2].note(bytes4.increment().await);
        }
        counted
    })
    .await;
    for (n, path) in ["/text", "/half", "/bytes4"].into_iter().enumerate() {
        let (data, _) = zk.get(path).await.unwrap();
        let stored = match path {
            "/text" => String::from_utf8(data.to_vec()).unwrap().parse().unwrap(),
            "/half" => {
                let halves: f64 = String::from_utf8(data.to_vec()).unwrap().parse().unwrap();
                (0..10_000_i32)
                    .find(|n| f64::from(*n) * 0.5 == halves)
                    .unwrap()
                    .into()
            }
            _ => i32::from_be_bytes((*data).try_into().unwrap()).into(),
        };
        let ours = ours.iter().map(|counted| counted[n]);
        Counted::compare(path, stored, ours.chain([theirs]));
    }
    for (n, float) in FLOATS.into_iter().enumerate() {
        let (theirs, _) = zk.get(&format!("/golden/{n}")).await.unwrap();
        let path = format!("/ours/{n}");
        Counter::float(&zk, &path).add(float).await.unwrap();
        assert_eq!(zk.get(&path).await.unwrap().0, theirs, "{float}");
    }
}
