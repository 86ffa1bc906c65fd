//! Whether what some tests need can be had: kazoo and Curator, beside which they run, and network
//! namespaces.

use std::env;
use std::path::{Path, PathBuf};

use zk_tests::network::{self, Unavailable};
use zk_tests::{Curator, Installation, Kazoo};

use crate::suites::Form;

/// What the names of tests have in them that cut real networks: with servers, and without.
const PARTITIONS: &str = "partitions::locks";
const NAMESPACES: &str = "network::namespace_tests::";

/// Something that is not here.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) what: &'static str,
    /// What the names of the tests have in them that need it.
    pub(crate) mark: &'static str,
    /// Whether these tests start servers.
    pub(crate) on_servers: bool,
    /// What was tried, and what to install.
    pub(crate) why: String,
    /// Not every machine can have it.
    pub(crate) is_excused: bool,
}

impl Missing {
    /// A client that is not ours.
    fn foreign(what: &'static str, mark: &'static str, error: &zk_tests::Error) -> Self {
        Missing {
            what,
            mark,
            on_servers: true,
            why: format!("{error:?}"),
            is_excused: false,
        }
    }

    /// They take Linux and root, which not every machine has; what is to be installed can be had.
    fn namespaces(unavailable: Unavailable) -> [Self; 2] {
        let is_excused = unavailable.is_refused();
        let why = format!("{:?}", zk_tests::Error::from(unavailable));
        [(PARTITIONS, true), (NAMESPACES, false)].map(|(mark, on_servers)| Missing {
            what: "network namespaces",
            mark,
            on_servers,
            why: why.clone(),
            is_excused,
        })
    }

    /// The arguments with which a test binary leaves them out.
    pub(crate) fn skipped(&self) -> [String; 2] {
        ["--skip".to_owned(), self.mark.to_owned()]
    }
}

/// Looks for all that this form of a run uses, and installs what it may.
pub(crate) fn missing(form: Form) -> Vec<Missing> {
    let mut found = Vec::new();
    // Without it, the tests look for themselves.
    if let Some(directory) = directory() {
        let kazoo = Kazoo::find_or_install(&directory.join("kazoo")).err();
        found.extend(kazoo.map(|error| Missing::foreign("kazoo", "kazoo", &error)));
        // Curator runs beside tests of the full form only.
        let curator = match form {
            Form::Short => None,
            Form::Full => missing_curator(&directory.join("curator")),
        };
        found.extend(curator.map(|error| Missing::foreign("Curator", "curator", &error)));
    }
    if let Err(error) = network::find_or_install() {
        found.extend(Missing::namespaces(error));
    }
    found
}

/// Why there is none for one of the releases of ZooKeeper that are here.
fn missing_curator(directory: &Path) -> Option<zk_tests::Error> {
    let (found, missing): (Vec<_>, Vec<_>) =
        Installation::each().into_iter().partition(Result::is_ok);
    if found.is_empty() {
        return missing.into_iter().find_map(Result::err).map(Into::into);
    }
    (found.into_iter().flatten())
        .find_map(|installation| Curator::find_or_download(&installation, directory).err())
}

/// Where the tests have them: what cargo calls `CARGO_TARGET_TMPDIR`, of the build that this is of.
fn directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let target = program.ancestors().find(|directory| is_target(directory))?;
    Some(target.join("tmp"))
}

/// As cargo marks it.
fn is_target(directory: &Path) -> bool {
    directory.join("CACHEDIR.TAG").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_left_out_by_name() {
        let missing = Missing {
            what: "Curator",
            mark: "curator",
            on_servers: true,
            why: String::new(),
            is_excused: false,
        };
        assert_eq!(missing.skipped(), ["--skip", "curator"]);
    }

    /// A name that no test has leaves out none.
    #[test]
    fn namespace_marks_are_names_of_tests() {
        let chaos = include_str!("../../tests/tests/slow/apache/chaos/partitions/mod.rs");
        let function = PARTITIONS.strip_prefix("partitions::").unwrap();
        assert!(chaos.contains(&format!("fn {function}")));
        let network = include_str!("../../tests/src/network.rs");
        let module = NAMESPACES.strip_prefix("network::").unwrap();
        let module = module.strip_suffix("::").unwrap();
        assert!(network.contains(&format!("mod {module};")));
    }

    #[test]
    fn only_a_refusing_machine_is_excused() {
        let error = || zk_tests::Error::Command {
            command: "apt-get install".to_owned(),
            outcome: "no network".to_owned(),
        };
        for (unavailable, is_excused) in [
            (Unavailable::Refused(error()), true),
            (Unavailable::NotInstalled(error()), false),
        ] {
            let missing = Missing::namespaces(unavailable);
            let on_servers = missing.each_ref().map(|missing| missing.on_servers);
            assert_eq!(on_servers, [true, false]);
            for missing in missing {
                assert_eq!(missing.is_excused, is_excused);
                assert!(missing.why.contains("no network"), "{}", missing.why);
            }
        }
    }

    #[test]
    fn it_is_looked_for_where_the_tests_have_it() {
        let target = directory().unwrap();
        assert!(
            env::current_exe()
                .unwrap()
                .starts_with(target.parent().unwrap())
        );
    }
}
