//! Many seeds, on both cores, and what they amount to.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::faults::NAMES;
use super::history::Kind;
use super::run::{Report, run};
use super::scene::Scene;

/// What a run of a seed has to have done to count.
const ENOUGH_OK: u64 = 100;
/// Below so many seeds shares mean nothing, so that many are run whatever the budget.
pub(crate) const ENOUGH_SEEDS: u64 = 300;
/// How many failing seeds are printed.
const SHOWN: usize = 20;

/// What many seeds amount to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) seeds: u64,
    /// How many seeds of each scene.
    pub(crate) scenes: BTreeMap<Scene, u64>,
    /// Seeds of all faults with enough operations that succeeded.
    pub(crate) busy: u64,
    pub(crate) ok: BTreeMap<Kind, u64>,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    /// How often each fault struck, and in how many seeds.
    pub(crate) faults: BTreeMap<&'static str, (u64, u64)>,
    pub(crate) checked: BTreeMap<&'static str, u64>,
    pub(crate) failing: BTreeMap<u64, Vec<String>>,
    pub(crate) took: Duration,
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        *self.scenes.entry(report.scene).or_default() += 1;
        let busy = report.ok.values().sum::<u64>() >= ENOUGH_OK;
        self.busy += u64::from(busy && report.scene == Scene::Chaos);
        self.failed += report.failed;
        self.unknown += report.unknown;
        for (kind, count) in report.ok {
            *self.ok.entry(kind).or_default() += count;
        }
        for (fault, count) in report.faults {
            let (times, seeds) = self.faults.entry(fault).or_default();
            *times += count;
            *seeds += 1;
        }
        for (invariant, count) in report.checked {
            *self.checked.entry(invariant).or_default() += count;
        }
        if !report.violations.is_empty() {
            let mut violations = report.violations;
            violations.push(format!("hash {:016x}", report.hash));
            self.failing.insert(report.seed, violations);
        }
    }

    /// Why the run proves nothing: too little was done, or too little went wrong.
    pub(crate) fn void(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.seeds < ENOUGH_SEEDS {
            reasons.push(format!("only {} seeds were run", self.seeds));
        }
        let of = |scene| self.scenes.get(&scene).copied().unwrap_or_default();
        let chaos = of(Scene::Chaos);
        if self.busy * 10 < chaos * 9 {
            reasons.push(format!(
                "only {} of {chaos} seeds had {ENOUGH_OK} operations that succeeded",
                self.busy
            ));
        }
        for scene in Scene::ALL {
            if of(scene) * 20 < self.seeds {
                reasons.push(format!("{scene:?} had {} seeds", of(scene)));
            }
        }
        for name in NAMES {
            let seeds = self.faults.get(name).map_or(0, |(_, seeds)| *seeds);
            if seeds * 100 < self.seeds {
                reasons.push(format!("{name:?} struck in {seeds} seeds"));
            }
        }
        for kind in Kind::ALL {
            if self.ok.get(&kind).is_none_or(|count| *count == 0) {
                reasons.push(format!("{kind:?} never succeeded"));
            }
        }
        reasons
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ok: u64 = self.ok.values().sum();
        let took = self.took.as_secs_f64();
        writeln!(
            f,
            "{} seeds in {took:.1} s; operations: {ok} ok, {} failed, {} unknown or cancelled",
            self.seeds, self.failed, self.unknown
        )?;
        writeln!(f, "seeds of each scene: {:?}", self.scenes)?;
        writeln!(f, "\noperation             succeeded")?;
        for (kind, count) in &self.ok {
            writeln!(f, "{:<20} {count:>10}", format!("{kind:?}"))?;
        }
        writeln!(
            f,
            "\nfault                                         struck   in seeds"
        )?;
        for (fault, (times, seeds)) in &self.faults {
            writeln!(f, "{fault:<40} {times:>11} {seeds:>10}")?;
        }
        writeln!(f, "\ninvariant      checks")?;
        for (invariant, count) in &self.checked {
            writeln!(f, "{invariant:<8} {count:>12}")?;
        }
        let violations: usize = self.failing.values().map(|lines| lines.len() - 1).sum();
        writeln!(
            f,
            "\n{violations} violations in {} seeds",
            self.failing.len()
        )?;
        for (seed, lines) in self.failing.iter().take(SHOWN) {
            writeln!(
                f,
                "\nseed {seed}: ZK_SIM_SEED={seed} ZK_SIM_SEEDS=1 ZK_SIM_TRACE=1"
            )?;
            for line in lines {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// Runs seeds from `first` on, if there is `only` one scene those of it: `count` of them, or as many
/// as fit into `budget`, and enough.
pub(crate) fn run_many(
    first: u64,
    count: u64,
    only: Option<Scene>,
    budget: Duration,
    trace: bool,
) -> Summary {
    let wanted = |seed: &u64| only.is_none_or(|scene| scene == Scene::of(*seed));
    let seeds = Mutex::new((first..).filter(wanted));
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let done = next.fetch_add(1, Ordering::Relaxed);
                    let enough = done >= ENOUGH_SEEDS && started.elapsed() >= budget;
                    if enough || done >= count {
                        break;
                    }
                    let Some(seed) = seeds.lock().unwrap().next() else {
                        break;
                    };
                    let report = run_caught(seed, trace);
                    if let Some(trace) = &report.trace {
                        println!("{trace}");
                    }
                    summary.lock().unwrap().add(report);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.took = started.elapsed();
    summary
}

/// A panic is a violation, too.
fn run_caught(seed: u64, trace: bool) -> Report {
    catch_unwind(AssertUnwindSafe(|| run(seed, trace))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Report {
            seed,
            scene: Scene::of(seed),
            hash: 0,
            violations: vec![format!("panic: {}", text.unwrap_or_default())],
            trace: None,
            ok: BTreeMap::new(),
            failed: 0,
            unknown: 0,
            faults: BTreeMap::new(),
            checked: BTreeMap::new(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Summary {
        Summary {
            seeds: ENOUGH_SEEDS,
            scenes: Scene::ALL.map(|scene| (scene, ENOUGH_SEEDS / 6)).into(),
            busy: ENOUGH_SEEDS / 6 * 9 / 10,
            ok: Kind::ALL.map(|kind| (kind, 1)).into(),
            faults: NAMES.map(|name| (name, (3, ENOUGH_SEEDS / 100))).into(),
            ..Summary::default()
        }
    }

    #[test]
    fn a_run_that_proves_nothing_is_void() {
        assert!(sound().void().is_empty());
        let mut idle = sound();
        idle.busy -= 1;
        assert_eq!(idle.void().len(), 1);
        let mut narrow = sound();
        narrow.scenes.remove(&Scene::Split);
        assert_eq!(narrow.void().len(), 1);
        let mut calm = sound();
        calm.faults.remove(NAMES[0]);
        assert_eq!(calm.void().len(), 1);
        let mut one_sided = sound();
        one_sided.ok.remove(&Kind::Multi);
        assert_eq!(one_sided.void().len(), 1);
        let nothing = Summary {
            seeds: ENOUGH_SEEDS,
            ..Summary::default()
        };
        let all = Scene::ALL.len() + NAMES.len() + Kind::ALL.len();
        assert_eq!(nothing.void().len(), all);
    }
}
