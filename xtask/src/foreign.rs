//! Whether kazoo and Curator can be had, beside which some tests run.

use std::env;
use std::path::{Path, PathBuf};

use zk_tests::{Curator, Installation, Kazoo};

/// A client that is not here.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) what: &'static str,
    /// What the names of the tests have in them that need it.
    pub(crate) mark: &'static str,
    /// What was tried, and what to install.
    pub(crate) why: String,
}

impl Missing {
    /// What a test binary is told, to leave them out.
    pub(crate) fn skipped(&self) -> [String; 2] {
        ["--skip".to_owned(), self.mark.to_owned()]
    }
}

/// Looks for both, and installs what it may.
pub(crate) fn missing() -> Vec<Missing> {
    let Some(directory) = directory() else {
        // Then the tests look for themselves.
        return Vec::new();
    };
    let kazoo = Kazoo::find_or_install(&directory.join("kazoo")).err();
    let curator = missing_curator(&directory.join("curator"));
    let found = [("kazoo", "kazoo", kazoo), ("Curator", "curator", curator)];
    let missing = found.into_iter().filter_map(|(what, mark, error)| {
        let why = format!("{:?}", error?);
        Some(Missing { what, mark, why })
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
