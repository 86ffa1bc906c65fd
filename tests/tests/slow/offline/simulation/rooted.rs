//! The same locks under different names: handles with different chroots, one by one and together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zk_recipes::{Error, Lock, MultiGuard, MultiLock};

use super::history::{Kept, Kind, Outcome};
use super::workload::failed;
use super::world::World;

/// The locks, as clients with the chroot `/app` name them.
const LOCKS: [&str; 3] = ["/locks/m/a", "/locks/n/a", "/locks/m/b"];

/// For each of [`LOCKS`], the operation that acquired it and has not released it.
pub(crate) type Taken = Arc<Mutex<[Option<u64>; LOCKS.len()]>>;

/// Takes some of the locks, in any order and by any of their names, until `end`.
pub(crate) async fn contend(
    world: Arc<World>,
    seat: usize,
    mut rng: fastrand::Rng,
    taken: Taken,
    end: Instant,
) {
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(0..2_000))).await;
        let incarnation = world.client(seat);
        let mut wanted: Vec<usize> = (0..LOCKS.len()).collect();
        rng.shuffle(&mut wanted);
        wanted.truncate(rng.usize(1..=LOCKS.len()));
        let locks = wanted.iter().map(|&index| {
            let path = LOCKS[index];
            // At any of the slashes.
            let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
            let at = slashes[rng.usize(0..slashes.len())];
            let (root, rest) = path.split_at(at);
            let handle = match root {
                "" => incarnation.client.clone(),
                root => incarnation.client.chroot(root).unwrap(),
            };
            Lock::new(&handle, rest)
        });
        let lock = MultiLock::new(locks.collect::<Vec<_>>());
        world.recorder.fault("X32 lock by another chroot");
        let id = world.begin(&incarnation, Kind::Lock, "several");
        let (outcome, error, guard) = match lock.acquire().await {
            Ok(guard) => (Outcome::Done, String::new(), Some(guard)),
            Err(Error::Client(error)) => {
                let (outcome, error) = failed(&error);
                (outcome, error, None)
            }
            Err(error) => (Outcome::Unknown, error.to_string(), None),
        };
        world.end(&incarnation, id, outcome, error);
        let Some(guard) = guard else {
            continue;
        };
        granted(&world, incarnation.id, id, &wanted, &guard, &taken);
        sleep(Duration::from_millis(rng.u64(0..1_500))).await;
        for &index in &wanted {
            let mut taken = taken.lock().unwrap();
            if taken[index] == Some(id) {
                taken[index] = None;
            }
        }
        drop(guard.release().await);
    }
}

/// Every lock asked for has a guard of its own, and no other holder.
fn granted(
    world: &World,
    client: usize,
    id: u64,
    wanted: &[usize],
    guard: &MultiGuard,
    taken: &Taken,
) {
    let mut taken = taken.lock().unwrap();
    let mut wrong = Vec::new();
    if guard.guards().len() != wanted.len() {
        wrong.push(format!("{} guards for {wanted:?}", guard.guards().len()));
    }
    for &index in wanted {
        if let Some(other) = taken[index].replace(id) {
            wrong.push(format!("{} is held by operation {other}", LOCKS[index]));
        }
    }
    let kept = Kept {
        invariant: "I26",
        client,
        at: world.recorder.now(),
        lost: (!wrong.is_empty()).then(|| wrong.join(", ")),
    };
    world.recorder.with(|history| history.kept.push(kept));
}
