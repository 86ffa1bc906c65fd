//! Seeds of one family: each in a world and on a clock of its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::time::timeout;

use super::super::simulation::number;
use super::stage::Stage;

/// The virtual time after which a run is stuck.
const FOREVER: Duration = Duration::from_secs(3600);
/// The number of failing seeds that are printed.
const SHOWN: usize = 20;

/// What a run of one or of many seeds has counted, and what it has found.
#[derive(Debug, Default)]
struct Report {
    counts: BTreeMap<&'static str, u64>,
    violations: BTreeMap<u64, Vec<String>>,
}

/// Runs `seeds` seeds of a family. A violation in one of them fails the test, and so does a word of
/// `counted` that none of them has counted: such a run proves nothing.
///
/// `ZK_SIM_SEED=n` is the first seed, `ZK_SIM_SEEDS=k` their number, `ZK_SIM_TRACE=1` prints what
/// happened in each.
pub(crate) fn hold<F, Fut>(seeds: u64, counted: &[&str], play: F)
where
    F: Fn(Arc<Stage>) -> Fut + Sync,
    Fut: Future<Output = ()>,
{
    let first = number("ZK_SIM_SEED").unwrap_or(1);
    let seeds = number("ZK_SIM_SEEDS").unwrap_or(seeds);
    let trace = number("ZK_SIM_TRACE").is_some();
    let next = AtomicU64::new(first);
    let total = Mutex::new(Report::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    let run = catch_unwind(AssertUnwindSafe(|| run(seed, trace, &play)));
                    let report = run.unwrap_or_else(|panic| Report {
                        violations: [(seed, vec![panicked(&*panic)])].into(),
                        ..Report::default()
                    });
                    let mut total = total.lock().unwrap();
                    for (what, count) in report.counts {
                        *total.counts.entry(what).or_default() += count;
                    }
                    total.violations.extend(report.violations);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{seeds} seeds from {first}: {:#?}", total.counts);
    for (seed, violations) in total.violations.iter().take(SHOWN) {
        println!("\nZK_SIM_SEED={seed} ZK_SIM_SEEDS=1 ZK_SIM_TRACE=1: {violations:#?}");
    }
    let failing: Vec<_> = total.violations.keys().collect();
    assert!(failing.is_empty(), "seeds with violations: {failing:?}");
    let missing: Vec<_> = (counted.iter())
        .filter(|what| !total.counts.contains_key(**what))
        .collect();
    let proves = missing.is_empty() || seeds == 1;
    assert!(proves, "the run proves nothing, it lacks {missing:?}");
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    format!("panic: {}", text.unwrap_or_default())
}

fn run<F, Fut>(seed: u64, trace: bool, play: &F) -> Report
where
    F: Fn(Arc<Stage>) -> Fut,
    Fut: Future<Output = ()>,
{
    // The recipes draw their pauses from it.
    fastrand::seed(seed);
    zk_client::testkit::seed_ids(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let stage = runtime.block_on(async {
        let stage = Stage::new(seed, trace).await;
        let played = async {
            play(stage.clone()).await;
            stage.clean_up().await;
        };
        if timeout(FOREVER, played).await.is_err() {
            stage.violation("the run does not end".to_owned());
        }
        stage
    });
    let (violations, faults, trace) = stage.finish();
    drop(runtime);
    if let Some(trace) = trace {
        println!("{trace}");
    }
    let mut counts = stage.counts();
    for (fault, count) in faults {
        *counts.entry(fault).or_default() += count;
    }
    let violations = (!violations.is_empty()).then_some((seed, violations));
    Report {
        counts,
        violations: violations.into_iter().collect(),
    }
}
