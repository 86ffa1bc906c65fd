//! Which tests run on which servers. For those of `zk-tests`, the program and the module of a test
//! decide; `tests/tests/server/main.rs` describes these modules, which are called *rooms* here.

use std::fs;
use std::io;
use std::path::Path;

/// All features of all packages, always: then every step of a run uses the same build.
pub(crate) const BUILD: [&str; 2] = ["--workspace", "--all-features"];

const CRATES: &str = "crates";

/// The programs of `zk-tests` that need no server.
const OFFLINE: [&str; 2] = ["offline", "memory"];
/// The program of the tests on servers.
const SERVER: &str = "server";
/// The program of the tests that take long, with servers and without.
const SLOW: &str = "slow";

/// The room of the tests that need no server, in [`SLOW`].
const NO_SERVER: &str = "offline::";
/// The rooms of the tests that also run on an embedded server that behaves as it does by default.
const CURRENT_SERVER: &str = "current_server::";
/// The rooms of the tests that run on the embedded server and on one release of Apache ZooKeeper.
const ONE_SERVER: &str = "one_server::";
/// The rooms of the tests that run on Apache ZooKeeper only. The name of `one_apache` ends with it:
/// where this one is left out, that one is, too.
const APACHE: &str = "apache::";
/// The room of the tests that run on one release of Apache ZooKeeper only.
const ONE_APACHE: &str = "one_apache::";

/// The test target of `zk-recipes` that runs on the embedded server as each older server. Its target
/// `default_server` chooses the servers itself, or measures what the default server costs.
const RECIPES: [&str; 1] = ["on_every_server"];

/// Test targets of the crates that the short form leaves out.
const LONG: [&str; 1] = ["long_runs"];

/// Test targets, and the rooms of theirs that are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    targets: Vec<String>,
    left_out: Vec<&'static str>,
}

impl Selection {
    fn new(programs: &[&str], left_out: &[&'static str]) -> Self {
        Selection {
            targets: programs.iter().map(ToString::to_string).collect(),
            left_out: left_out.to_vec(),
        }
    }

    /// Everything in the crates, and the unit tests of `zk-tests` and of this program.
    pub(crate) fn crates(form: Form) -> io::Result<Self> {
        let mut targets = crate_targets(Path::new(CRATES))?;
        if form == Form::Short {
            targets.retain(|name| !LONG.contains(&&**name));
        }
        Ok(Selection {
            targets,
            left_out: Vec::new(),
        })
    }

    /// What needs no server.
    pub(crate) fn offline(form: Form) -> Self {
        match form {
            Form::Short => Self::new(&OFFLINE, &[]),
            Form::Full => Self::new(
                &[OFFLINE.as_slice(), &[SLOW]].concat(),
                &[CURRENT_SERVER, APACHE],
            ),
        }
    }

    /// What runs on the embedded server as it is by default.
    pub(crate) fn embedded(form: Form) -> Self {
        match form {
            Form::Short => Self::new(&[SERVER], &[APACHE]),
            Form::Full => Self::new(&[SERVER, SLOW], &[APACHE, NO_SERVER]),
        }
    }

    /// What runs on the embedded server as an older server.
    pub(crate) fn pose() -> Self {
        Self::new(&[SERVER], &[APACHE, CURRENT_SERVER, ONE_SERVER])
    }

    /// The recipes' tests that run on the embedded server as an older server.
    pub(crate) fn recipes() -> Self {
        Self::new(&RECIPES, &[])
    }

    /// What runs on the first release of Apache ZooKeeper.
    pub(crate) fn first_release() -> Self {
        Self::new(&[SERVER, SLOW], &[NO_SERVER])
    }

    /// What runs on each further release.
    pub(crate) fn further_release() -> Self {
        Self::new(&[SERVER, SLOW], &[NO_SERVER, ONE_SERVER, ONE_APACHE])
    }

    /// The arguments with which cargo builds these targets.
    pub(crate) fn to_cargo(&self) -> Vec<String> {
        let build = BUILD.iter().map(ToString::to_string);
        let tests = self.targets.iter();
        build
            .chain(tests.flat_map(|name| ["--test".to_owned(), name.clone()]))
            .collect()
    }

    /// The arguments with which the programs leave out these rooms.
    pub(crate) fn to_tests(&self) -> Vec<String> {
        let rooms = self.left_out.iter();
        rooms
            .flat_map(|room| ["--skip".to_owned(), (*room).to_owned()])
            .collect()
    }
}

/// How much of the tests runs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What fits into ten minutes on two cores, the build included.
    #[default]
    Short,
    /// Everything.
    Full,
}

/// What the short form leaves out, in words for its summary.
pub(crate) fn left_out() -> Vec<String> {
    vec![
        format!("the test targets {} of the crates", LONG.join(", ")),
        format!("the program `{SLOW}`: simulation, histories, chaos, partitions, other clients"),
        "Apache ZooKeeper, and the embedded server as an older server".to_owned(),
        "the seeded bugs".to_owned(),
    ]
}

/// The test targets of the packages in a directory: `tests/name.rs`, or `tests/name/main.rs`.
fn crate_targets(crates: &Path) -> io::Result<Vec<String>> {
    let mut targets = Vec::new();
    for package in fs::read_dir(crates)? {
        let tests = package?.path().join("tests");
        if !tests.is_dir() {
            continue;
        }
        for entry in fs::read_dir(tests)? {
            targets.extend(target_name(&entry?.path()));
        }
    }
    targets.sort_unstable();
    targets.dedup();
    let mut listed = RECIPES.iter().chain(&LONG);
    match listed.find(|name| !targets.iter().any(|target| target == *name)) {
        None => Ok(targets),
        // A list that has fallen behind would leave out tests and say nothing.
        Some(name) => Err(io::Error::other(format!(
            "there is no test target {name}, which is in a list of xtask/src/suites.rs"
        ))),
    }
}

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

    const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests");

    #[test]
    fn targets_are_found_as_cargo_finds_them() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
        let targets = crate_targets(Path::new(crates)).unwrap();
        assert!(targets.iter().any(|name| name == RECIPES[0]), "{targets:?}");
        assert!(!targets.iter().any(|name| name == "common"), "{targets:?}");
        let program = Path::new(TESTS).join(SERVER);
        assert_eq!(target_name(&program).as_deref(), Some(SERVER));
    }

    /// A name that no module has leaves out nothing.
    #[test]
    fn every_room_is_a_module() {
        for (program, rooms) in [
            (SERVER, &[CURRENT_SERVER, ONE_SERVER, APACHE][..]),
            (SLOW, &[NO_SERVER, CURRENT_SERVER, APACHE, ONE_APACHE]),
        ] {
            let main = fs::read_to_string(format!("{TESTS}/{program}/main.rs")).unwrap();
            for room in rooms {
                let name = room.strip_suffix("::").unwrap();
                assert!(main.contains(&format!("mod {name};")), "{program} {room}");
            }
        }
    }

    /// A module in a room must not look like a room of another kind.
    #[test]
    fn no_other_module_is_named_as_a_room() {
        let rooms = [NO_SERVER, CURRENT_SERVER, ONE_SERVER, APACHE];
        for program in [SERVER, SLOW] {
            for room in fs::read_dir(format!("{TESTS}/{program}")).unwrap() {
                let room = room.unwrap().path();
                let modules = fs::read_dir(&room).into_iter().flatten().flatten();
                for module in modules {
                    let name = format!("{}::", target_or_directory(&module.path()));
                    let is_room = rooms.iter().any(|room| name.ends_with(room));
                    assert!(!is_room, "{} in {}", name, room.display());
                }
            }
        }
    }

    fn target_or_directory(path: &Path) -> String {
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn further_releases_leave_out_two_rooms() {
        assert_eq!(Selection::first_release().to_tests(), ["--skip", NO_SERVER]);
        let further = Selection::further_release().to_tests();
        assert_eq!(
            further,
            [
                "--skip", NO_SERVER, "--skip", ONE_SERVER, "--skip", ONE_APACHE
            ]
        );
        let cargo = Selection::pose().to_cargo();
        assert_eq!(cargo, [BUILD[0], BUILD[1], "--test", SERVER]);
    }
}
