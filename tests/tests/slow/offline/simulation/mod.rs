//! Clients, recipes and an embedded ensemble in one thread, on a clock of their own and a network
//! of their own: whatever goes wrong, what is promised is kept, and a seed replays it.

// What the lints let tests do they do not let their helpers do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics has failed, which is what it is for"
)]

mod checker;
pub(super) mod faults;
mod followers;
mod guards;
pub(super) mod history;
mod link;
mod load;
mod many;
mod network;
mod pipe;
mod restored;
mod rooted;
pub(super) mod run;
pub(super) mod scene;
mod settings;
mod sick;
mod split;
mod suspended;
mod wire;
mod workload;
pub(super) mod world;

use std::time::Duration;

use many::{ENOUGH_SEEDS, run_many};
use run::run;
use scene::Scene;

/// How long the seeds of an ordinary run may take.
const BUDGET: Duration = Duration::from_secs(40);
/// Seeds that broke a promise once.
const REGRESSIONS: [u64; 8] = [4, 12, 29, 37, 394, 1_254, 1_761, 2_876];

pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// `ZK_SIM_SEED=n` is where to begin, and `ZK_SIM_SEEDS=k` how many to run, for as long as that
/// takes; `ZK_SIM_SCENE=Split` runs only seeds of this scene; `ZK_SIM_TRACE=1` prints everything. A run is void, and fails, if too little happened in it.
#[test]
fn no_promise_is_broken() {
    let first = number("ZK_SIM_SEED").unwrap_or(1);
    let trace = number("ZK_SIM_TRACE").is_some();
    let (count, budget) = match number("ZK_SIM_SEEDS") {
        Some(count) => (count, Duration::MAX),
        None => (u64::MAX, BUDGET),
    };
    let only = std::env::var("ZK_SIM_SCENE").ok();
    let only = only.map(|name| Scene::named(&name).unwrap_or_else(|| panic!("no scene {name}")));
    let summary = run_many(first, count, only, budget, trace);
    println!("{summary}");
    assert!(summary.failing.is_empty(), "{summary}");
    if count >= ENOUGH_SEEDS && only.is_none() {
        let void = summary.void();
        assert!(void.is_empty(), "the run proves nothing: {void:#?}");
    }
}

/// Runs the first seeds of a scene.
fn holds(scene: Scene, seeds: u64) {
    let summary = run_many(1, seeds, Some(scene), Duration::ZERO, false);
    assert!(summary.failing.is_empty(), "{summary}");
}

/// Guards: H1.
#[test]
fn deposed_leader_gives_no_second_holder() {
    holds(Scene::Split, 40);
}

/// Guards: H4, H6.
#[test]
fn idle_holders_lose_nothing() {
    holds(Scene::Healthy, 8);
}

/// Guards: H4.
#[test]
fn one_sick_server_costs_no_guard() {
    holds(Scene::Sick, 8);
}

/// Guards: M1.
#[test]
fn caches_follow_a_restored_ensemble() {
    holds(Scene::Restored, 8);
}

/// Guards: H3.
#[test]
fn one_lock_by_many_names_has_one_holder() {
    holds(Scene::Rooted, 8);
}

#[test]
fn suspended_holders_know_it() {
    holds(Scene::Suspended, 8);
}

/// `ZK_SIM_REPLAYS=n` replays more than the few that are replayed each time.
#[test]
fn a_seed_replays_its_run() {
    for seed in 0..number("ZK_SIM_REPLAYS").unwrap_or(10) {
        let (one, other) = (run(seed, false), run(seed, false));
        if one.hash != other.hash {
            let (one, other) = (run(seed, true).trace, run(seed, true).trace);
            let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
            let mut lines = one.lines().zip(other.lines()).enumerate();
            let differs = lines.find(|(_, (one, other))| one != other);
            panic!("seed {seed} is not the same twice: {differs:?}");
        }
    }
}

#[test]
fn what_was_broken_once_is_not_broken_again() {
    for seed in REGRESSIONS {
        let report = run(seed, false);
        assert!(report.violations.is_empty(), "seed {seed}: {report:?}");
    }
}
