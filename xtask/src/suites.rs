//! Which test binaries of `zk-tests` need a real server.
//!
//! Those in `tests/tests/` do, unless their name begins with `offline_`: simulations, budgets and
//! replays live in the same package and run everywhere. Most of those that do run on the embedded
//! server, too, which needs nothing.

use std::fs;
use std::io;
use std::path::Path;

const DIRECTORY: &str = "tests/tests";
const OFFLINE_PREFIX: &str = "offline_";

/// What these test is the same on every server: they take theirs from `tests/tests/common`, which
/// starts what the variable `ZK_TESTS_SERVER` asks for.
const ON_EMBEDDED: [&str; 26] = [
    "bad_input",
    "blocking",
    "cancellation",
    "chroots",
    "election",
    "ensemble_config",
    "errors_read_aloud",
    "fresh_reads",
    "frozen_server",
    "handover",
    "kazoo_barrier",
    "lock_under_chaos",
    "mixed_fleets",
    "onlookers",
    "operations",
    "read_only",
    "rearming",
    "retry",
    "session",
    "split_brain",
    "state_watches",
    "tree_cache",
    "watch_modes",
    "zkctl",
    "zkctl_bench",
    "zkctl_lock",
];

/// Those of [`ON_EMBEDDED`] that run on the embedded server in every pose: what they do uses operations
/// that some servers do not have, or ends with the session on others. The longer ones would find
/// nothing more there. The subject of `election` is processes that are killed; the recipes have an
/// `election` of their own.
const ON_POSES: [&str; 10] = [
    "bad_input",
    "blocking",
    "chroots",
    "fresh_reads",
    "handover",
    "operations",
    "retry",
    "session",
    "tree_cache",
    "watch_modes",
];

/// Of [`ON_POSES`], suites for which these poses are as the embedded server is by default.
const NOT_IN_POSES: [(&str, &[&str]); 1] = [("session", &["3.6", "3.8"])];

/// The test targets of `zk-recipes` that run in every pose. Its target `default_server` chooses the
/// servers itself or measures the default one, and `slow` takes minutes.
pub(crate) const RECIPES_ON_POSES: [&str; 1] = ["on_every_server"];

/// Suites that run on one release of Apache ZooKeeper only, and why another would prove nothing new
/// or not enough for its time.
const ONCE: [(&str, &str); 3] = [
    (
        "errors_read_aloud",
        "the client makes these texts, from codes that other suites provoke on each release",
    ),
    (
        "zkctl_bench",
        "its requests are those of other suites, which run on each release",
    ),
    (
        "zkctl_lock",
        "its subject is processes, signals and exit codes; lock_under_chaos has the locks",
    ),
];

/// A test of a suite that otherwise runs on each release.
#[derive(Debug)]
pub(crate) struct Once {
    pub(crate) target: &'static str,
    pub(crate) test: &'static str,
    pub(crate) why: &'static str,
}

/// As [`ONCE`], tests of other suites.
pub(crate) const ONCE_TESTS: [Once; 1] = [Once {
    target: "differential",
    test: "the_embedded_server_answers_pipelined_reads_three_times_as_fast",
    why: "it compares two speeds, and the embedded server's pose is that of the first release",
}];

/// Whether a suite of [`ON_POSES`] runs in this pose.
pub(crate) fn runs_in_pose(target: &str, pose: &str) -> bool {
    !NOT_IN_POSES
        .iter()
        .any(|(name, poses)| *name == target && poses.contains(&pose))
}

/// The names of the test targets, as `cargo test --test` takes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) offline: Vec<String>,
    pub(crate) with_server: Vec<String>,
    /// Those of `with_server` that run on each release of Apache ZooKeeper.
    pub(crate) on_each_release: Vec<String>,
    /// Those of `with_server` that run on one release only, and why.
    pub(crate) once: Vec<(String, &'static str)>,
    /// Those of `with_server` that run on the embedded server as well.
    pub(crate) on_embedded: Vec<String>,
    /// Those of `on_embedded` that run in every pose of the embedded server.
    pub(crate) on_poses: Vec<String>,
}

impl Targets {
    /// Those of the workspace in the current directory.
    pub(crate) fn find() -> io::Result<Self> {
        let mut targets = Self::default();
        for entry in fs::read_dir(DIRECTORY)? {
            if let Some(name) = target_name(&entry?.path()) {
                targets.add(name);
            }
        }
        targets.offline.sort_unstable();
        targets.with_server.sort_unstable();
        targets.on_each_release.sort_unstable();
        targets.once.sort_unstable();
        targets.on_embedded.sort_unstable();
        targets.on_poses.sort_unstable();
        let once = ONCE.iter().map(|(name, _)| name);
        let once = once.chain(ONCE_TESTS.iter().map(|once| &once.target));
        let mut listed = ON_EMBEDDED.iter().chain(&ON_POSES).chain(once);
        let missing = listed.find(|name| !targets.with_server.iter().any(|found| found == *name));
        match missing {
            None => Ok(targets),
            // A list that has fallen behind would leave out tests and say nothing.
            Some(name) => Err(io::Error::other(format!(
                "there is no {DIRECTORY}/{name}.rs, which is in a list of xtask/src/suites.rs"
            ))),
        }
    }

    fn add(&mut self, name: String) {
        if name.starts_with(OFFLINE_PREFIX) {
            self.offline.push(name);
        } else {
            if ON_EMBEDDED.contains(&&*name) {
                self.on_embedded.push(name.clone());
            }
            if ON_POSES.contains(&&*name) {
                self.on_poses.push(name.clone());
            }
            match ONCE.iter().find(|(once, _)| *once == name) {
                Some((_, why)) => self.once.push((name.clone(), why)),
                None => self.on_each_release.push(name.clone()),
            }
            self.with_server.push(name);
        }
    }
}

/// As cargo discovers them: `name.rs`, or a directory `name` with a `main.rs`.
fn target_name(path: &Path) -> Option<String> {
    let is_target = match path.extension() {
        Some(extension) => extension == "rs",
        None => path.join("main.rs").is_file(),
    };
    is_target
        .then(|| path.file_stem()?.to_str().map(str::to_owned))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_a_suite_needs() {
        let mut targets = Targets::default();
        for file in [
            "harness.rs",
            "operations.rs",
            "offline_budget.rs",
            "notes.md",
            "no-such-directory",
        ] {
            target_name(Path::new(file))
                .into_iter()
                .for_each(|name| targets.add(name));
        }
        assert_eq!(targets.offline, ["offline_budget"]);
        assert_eq!(targets.with_server, ["harness", "operations"]);
        assert_eq!(targets.on_embedded, ["operations"]);
        assert_eq!(targets.on_poses, ["operations"]);
        assert_eq!(targets.on_each_release, ["harness", "operations"]);
    }

    /// A name that no test has leaves out none.
    #[test]
    fn tests_that_run_once_exist() {
        let differential = include_str!("../../tests/tests/differential.rs");
        for Once { target, test, why } in ONCE_TESTS {
            assert_eq!(target, "differential");
            assert!(differential.contains(&format!("fn {test}()")));
            assert!(!why.is_empty());
        }
    }

    #[test]
    fn a_suite_runs_in_the_poses_that_change_it() {
        assert!(!runs_in_pose("session", "3.8"));
        assert!(runs_in_pose("session", "3.4"));
        assert!(runs_in_pose("operations", "3.8"));
        let names: Vec<_> = NOT_IN_POSES.iter().map(|(name, _)| *name).collect();
        assert!(names.iter().all(|name| ON_POSES.contains(name)));
    }

    #[test]
    fn what_runs_once_has_a_reason() {
        let mut targets = Targets::default();
        for (name, _) in ONCE {
            targets.add(name.to_owned());
        }
        assert!(targets.on_each_release.is_empty());
        assert_eq!(targets.with_server.len(), ONCE.len());
        assert!(targets.once.iter().all(|(_, why)| !why.is_empty()));
    }
}
