//! Which tests run on which servers. For those of `zk-tests`, the program and the module of a test
//! decide; `tests/tests/server/main.rs` describes these modules, which are called *rooms* here.

use std::fs;
use std::io;
use std::path::Path;

use crate::outside::GSSAPI;
use crate::programs::{Program, Programs};

const CRATES: &str = "crates";
const TESTS: &str = "tests/tests";

/// The programs of `zk-tests` that need no server.
const OFFLINE: [&str; 3] = ["offline", "memory", "examples"];
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

/// The package of these programs.
const PACKAGE: &str = "zk-tests";

/// The test targets of [`RECIPES`] that run on the embedded server as each older server.
const ON_EVERY_SERVER: [&str; 1] = ["on_every_server"];
const RECIPES: &str = "zk-recipes";

/// Test targets that the short form leaves out, in whatever package.
const LONG: [&str; 1] = [SLOW];

/// Programs of tests, and the rooms of theirs that are left out.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) programs: Vec<&'a Program>,
    left_out: Vec<&'static str>,
}

impl<'a> Selection<'a> {
    /// The programs of [`PACKAGE`] with these names, but for these rooms.
    fn new(programs: &'a Programs, names: &[&str], left_out: &[&'static str]) -> Self {
        let of_package = programs
            .tests()
            .filter(|program| program.package == PACKAGE);
        Selection {
            programs: of_package
                .filter(|program| names.contains(&&*program.target))
                .collect(),
            left_out: left_out.to_vec(),
        }
    }

    /// Everything in the crates, and the unit tests of [`PACKAGE`] and of this program.
    pub(crate) fn crates(programs: &'a Programs) -> Self {
        let others = |program: &&Program| program.package != PACKAGE || program.target == "lib";
        Selection {
            programs: programs.tests().filter(others).collect(),
            left_out: Vec::new(),
        }
    }

    /// What needs no server.
    pub(crate) fn offline(programs: &'a Programs) -> Self {
        let names = [OFFLINE.as_slice(), &[SLOW]].concat();
        Self::new(programs, &names, &[CURRENT_SERVER, APACHE])
    }

    /// What runs on the embedded server as it is by default.
    pub(crate) fn embedded(programs: &'a Programs) -> Self {
        Self::new(programs, &[SERVER, SLOW], &[APACHE, NO_SERVER])
    }

    /// What runs on the embedded server as an older server.
    pub(crate) fn pose(programs: &'a Programs) -> Self {
        let left_out = [APACHE, CURRENT_SERVER, ONE_SERVER];
        let mut selection = Self::new(programs, &[SERVER], &left_out);
        let recipes = programs.tests().filter(|program| {
            program.package == RECIPES && ON_EVERY_SERVER.contains(&&*program.target)
        });
        selection.programs.extend(recipes);
        selection
    }

    /// What runs on the first release of Apache ZooKeeper.
    pub(crate) fn first_release(programs: &'a Programs) -> Self {
        Self::new(programs, &[SERVER, SLOW], &[NO_SERVER])
    }

    /// What runs on each further release.
    pub(crate) fn further_release(programs: &'a Programs) -> Self {
        let left_out = [NO_SERVER, ONE_SERVER, ONE_APACHE];
        Self::new(programs, &[SERVER, SLOW], &left_out)
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

impl Form {
    /// The arguments with which cargo builds what this form runs.
    pub(crate) fn targets(self) -> io::Result<Vec<String>> {
        if self == Form::Full {
            return Ok(vec!["--tests".to_owned()]);
        }
        let mut names = Vec::new();
        for package in fs::read_dir(CRATES)? {
            let package = package?;
            if package.file_name() != GSSAPI.name {
                names.extend(test_targets(&package.path().join("tests"))?);
            }
        }
        names.extend(test_targets(Path::new(TESTS))?);
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !LONG.contains(&&**name));
        let tests = names.into_iter();
        let tests = tests.flat_map(|name| ["--test".to_owned(), name]);
        Ok(["--lib".to_owned(), "--bins".to_owned()]
            .into_iter()
            .chain(tests)
            .collect())
    }
}

/// What the short form leaves out, in words for its summary.
pub(crate) fn left_out() -> Vec<String> {
    vec![
        format!("the test targets {}", LONG.join(", ")),
        "Apache ZooKeeper, and the embedded server as an older server".to_owned(),
        "the seeded bugs".to_owned(),
    ]
}

/// The test targets in a directory, as cargo finds them: `name.rs`, or `name/main.rs`.
fn test_targets(directory: &Path) -> io::Result<Vec<String>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let targets = entries
        .iter()
        .filter_map(|entry| target_name(&entry.path()));
    Ok(targets.collect())
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

    #[test]
    fn the_short_form_builds_no_long_targets() {
        crate::workspace::enter_workspace().unwrap();
        let targets = Form::Short.targets().unwrap();
        for name in ["offline", SERVER, "shell"] {
            assert!(targets.iter().any(|target| target == name), "{targets:?}");
        }
        for name in [SLOW, "common", "kerberos"] {
            assert!(!targets.iter().any(|target| target == name), "{targets:?}");
        }
        assert_eq!(Form::Full.targets().unwrap(), ["--tests"]);
    }

    /// A name that no module has leaves out nothing.
    #[test]
    fn every_room_is_a_module() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TESTS);
        for (program, rooms) in [
            (SERVER, &[CURRENT_SERVER, ONE_SERVER, APACHE][..]),
            (SLOW, &[NO_SERVER, CURRENT_SERVER, APACHE, ONE_APACHE]),
        ] {
            let main = fs::read_to_string(directory.join(program).join("main.rs")).unwrap();
            for room in rooms {
                let name = room.strip_suffix("::").unwrap();
                assert!(main.contains(&format!("mod {name};")), "{program} {room}");
            }
        }
    }

    /// A module in a room must not look like a room of another kind.
    #[test]
    fn no_other_module_is_named_as_a_room() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TESTS);
        let rooms = [NO_SERVER, CURRENT_SERVER, ONE_SERVER, APACHE];
        for program in [SERVER, SLOW] {
            for room in fs::read_dir(directory.join(program)).unwrap() {
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
}
