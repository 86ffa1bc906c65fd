//! Whether what some tests need can be had: kazoo and Curator, beside which they run, and network
//! namespaces.

use std::env;
use std::path::{Path, PathBuf};

use zk_tests::{Curator, Installation, Kazoo, network};

/// What the names of tests begin with that cut real networks.
const PARTITIONS: &str = "partitions::";

/// Something that is not here.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) what: &'static str,
    /// What the names of the tests have in them that need it.
    pub(crate) mark: &'static str,
    /// What was tried, and what to install.
    pub(crate) why: String,
    /// Not every machine can have it.
    pub(crate) is_excused: bool,
}

impl Missing {
    /// What a test binary is told, to leave them out.
    pub(crate) fn skipped(&self) -> [String; 2] {
        ["--skip".to_owned(), self.mark.to_owned()]
    }
}

/// Looks for all, and installs what it may.
pub(crate) fn missing() -> Vec<Missing> {
    let mut found = Vec::new();
    // Without it, the tests look for themselves.
    if let Some(directory) = directory() {
        let kazoo = Kazoo::find_or_install(&directory.join("kazoo")).err();
        let curator = missing_curator(&directory.join("curator"));
        found.push(("kazoo", "kazoo", kazoo, false));
        found.push(("Curator", "curator", curator, false));
    }
    // They take Linux and root.
    let namespaces = network::find_or_install().err();
    found.push(("network namespaces", PARTITIONS, namespaces, true));
    let missing = found.into_iter();
    let missing = missing.filter_map(|(what, mark, error, is_excused)| {
        let why = format!("{:?}", error?);
        Some(Missing {
            what,
            mark,
            why,
            is_excused,
        })
    });
    missing.collect()
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
            why: String::new(),
            is_excused: false,
        };
        assert_eq!(missing.skipped(), ["--skip", "curator"]);
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
