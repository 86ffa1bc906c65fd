//! A copy of the sources in which every bug is patched in, each behind the environment variable
//! `ZK_SEEDED_BUG`, so that one build has them all.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{copy, sources};

/// One patch for each number of the list.
pub(super) const PATCHES: &str = "tests/bugs";
/// What the sources look like with all patches; cargo builds here.
const TREE: &str = "target/bugs/tree";
/// Where the patches are applied. Apart from the tree, in which only files that differ are written:
/// cargo builds again what has a new date.
const STAGING: &str = "target/bugs/staging";

/// Brings the copy up to date, and returns its path.
pub(super) fn prepare() -> Result<PathBuf, Box<dyn Error>> {
    let sources = sources()?;
    let staging = Path::new(STAGING);
    if staging.exists() {
        fs::remove_dir_all(staging)?;
    }
    for source in &sources {
        copy(source, &staging.join(source))?;
    }
    for number in numbers()? {
        apply(&number, staging)?;
    }
    let tree = Path::new(TREE);
    for source in &sources {
        let (wanted, place) = (fs::read(staging.join(source))?, tree.join(source));
        if fs::read(&place).ok().as_ref() != Some(&wanted) {
            copy(&staging.join(source), &place)?;
        }
    }
    let mut known = Vec::new();
    files(tree, &mut known)?;
    for file in known {
        let name = file.strip_prefix(tree)?;
        if !sources.contains(name) && !name.starts_with("target") {
            fs::remove_file(&file)?;
        }
    }
    Ok(fs::canonicalize(tree)?)
}

/// The numbers that have a patch.
pub(super) fn numbers() -> io::Result<BTreeSet<String>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(PATCHES)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("patch"))
            && let Some(number) = path.file_stem()
        {
            numbers.insert(number.to_string_lossy().into_owned());
        }
    }
    Ok(numbers)
}

fn apply(number: &str, staging: &Path) -> Result<(), Box<dyn Error>> {
    let patch = fs::canonicalize(Path::new(PATCHES).join(format!("{number}.patch")))?;
    let ceiling = fs::canonicalize(staging)?;
    let applied = Command::new("git")
        .args(["apply", "--whitespace=nowarn", "-C1"])
        .arg(&patch)
        .current_dir(staging)
        // The copy lies in a checkout, and is none.
        .env(
            "GIT_CEILING_DIRECTORIES",
            ceiling.parent().unwrap_or(&ceiling),
        )
        .output()?;
    if applied.status.success() {
        return Ok(());
    }
    let problem = String::from_utf8_lossy(&applied.stderr);
    Err(
        format!("{PATCHES}/{number}.patch does not apply any longer; make it again from {STAGING}:\n{problem}")
            .into(),
    )
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
