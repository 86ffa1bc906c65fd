//! kazoo's leases beside these: a thousand attempts, and what is stored after each, are as a model says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use zk_client::{Client, ErrorKind};
use zk_recipes::{MultiNonBlockingLease, NonBlockingLease};

use crate::common::{client_of, shared_server};
use crate::mixed_fleets::foreigner::kazoo_script;
use crate::mixed_fleets::mortal::Mortal;

const ATTEMPTS: usize = 1_000;
const HOLDERS: [&str; 4] = ["us-1", "us-ä\"2", "them-1", "them-2"];
/// 2026-11-30T00:00:00, a time in quarters of a second.
const MIDNIGHT: u64 = 1_795_996_800 * 4;

/// One attempt; times are in quarters of a second.
struct Attempt {
    path: &'static str,
    /// 0 for one lease.
    count: usize,
    holder: &'static str,
    now: u64,
    duration: u64,
}

/// The holder and the end, in seconds, of each lease.
#[derive(Default)]
struct Model(BTreeMap<String, (&'static str, u64)>);

impl Model {
    /// The path of the lease that is obtained.
    fn obtain(&mut self, attempt: &Attempt, is_ours: bool) -> Option<String> {
        let path = |number| match attempt.count {
            0 => attempt.path.to_owned(),
            _ => format!("{}/{number}", attempt.path),
        };
        let mut paths: Vec<_> = (0..attempt.count.max(1)).map(path).collect();
        if is_ours {
            // The one that the holder has comes first.
            paths.sort_by_key(|path| self.0.get(path).is_none_or(|held| held.0 != attempt.holder));
        }
        let free = |path: &&String| match self.0.get(*path) {
            Some((holder, end)) => *holder == attempt.holder || attempt.now >= end * 4,
            None => true,
        };
        let obtained = paths.iter().find(free)?.clone();
        let end = (attempt.now + attempt.duration) / 4;
        self.0.insert(obtained.clone(), (attempt.holder, end));
        Some(obtained)
    }

    /// What is stored, byte for byte.
    fn stored(&self, path: &str) -> Option<String> {
        let (holder, end) = self.0.get(path)?;
        let holder = holder.replace('ä', "\\u00e4").replace('"', "\\\"");
        let second = end - MIDNIGHT / 4;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let end = format!("2026-11-30T{hour:02}:{minute:02}:{second:02}");
        Some(format!(
            "{{\"version\": 1, \"holder\": \"{holder}\", \"end\": \"{end}\"}}"
        ))
    }
}

async fn obtain(zk: &Client, attempt: &Attempt) -> bool {
    let quarters = |quarters| Duration::from_millis(quarters * 250);
    let now = UNIX_EPOCH + quarters(attempt.now);
    let (path, holder) = (attempt.path, attempt.holder);
    let duration = quarters(attempt.duration);
    let obtained = match attempt.count {
        0 => {
            let lease = NonBlockingLease::new(zk, path, duration, holder);
            lease.clock(move || now).try_obtain().await
        }
        count => {
            let leases = MultiNonBlockingLease::new(zk, count, path, duration, holder);
            leases.clock(move || now).try_obtain().await
        }
    };
    obtained.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_leases_are_shared_with_ours() {
    let hosts = shared_server().connect_string();
    let zk = client_of(&hosts).await;
    let mortal = Mortal::beside(&zk).await;
    let root = format!("{hosts}{}", zk.root());
    let mut kazoo = kazoo_script("kazoo_leases.py", &[&root]);
    kazoo.receive("ready").await;
    let mut rng = fastrand::Rng::with_seed(14);
    let mut model = Model::default();
    let mut now = MIDNIGHT;
    let mut obtained = [0, 0];
    for number in 0..ATTEMPTS {
        if number == ATTEMPTS / 4 {
            // A lease outlives the session in which it was obtained.
            mortal.expire().await;
        }
        if number == ATTEMPTS / 2 {
            kazoo.kill().await;
            kazoo = kazoo_script("kazoo_leases.py", &[&root]);
            kazoo.receive("ready").await;
        }
        now += rng.u64(0..8);
        let (path, count) = [("/one", 0), ("/two", 0), ("/several", 2)][rng.usize(0..3)];
        let holder = rng.usize(0..HOLDERS.len());
        let attempt = Attempt {
            path,
            count,
            holder: HOLDERS[holder],
            now,
            duration: rng.u64(1..40),
        };
        let is_ours = holder < 2;
        let expected = model.obtain(&attempt, is_ours);
        let found = if is_ours {
            obtain([&zk, &mortal.zk][holder], &attempt).await
        } else {
            let seconds = |quarters: u64| format!("{}.{:02}", quarters / 4, quarters % 4 * 25);
            let (now, duration) = (seconds(attempt.now), seconds(attempt.duration));
            let line = format!("{path} {count} {} {now} {duration}", attempt.holder);
            kazoo.send(&line).await;
            kazoo.line().await == "obtained"
        };
        assert_eq!(found, expected.is_some(), "attempt {number}");
        obtained[usize::from(is_ours)] += usize::from(found);
        for path in ["/one", "/two", "/several/0", "/several/1"] {
            let stored = match zk.get(&format!("{path}/lease_holder")).synced().await {
                Ok((data, stat)) => {
                    assert_eq!(stat.owner(), None);
                    Some(String::from_utf8(data.to_vec()).unwrap())
                }
                Err(error) if error.kind() == ErrorKind::NoNode => None,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(stored, model.stored(path), "attempt {number}");
        }
    }
    assert!(
        obtained.iter().all(|count| *count > ATTEMPTS / 10),
        "{obtained:?}"
    );
}
