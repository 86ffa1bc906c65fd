//! The public API of each library, item by item, is that in `tests/api`.
//!
//! Rustdoc of the minimum Rust describes the crates, since its format changes with every Rust.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use super::features::everywhere;
use super::libraries::{Checks, LIBRARIES, TARGET};
use super::minimum_rust::{cargo, install, version};
use crate::check::Check;
use crate::workspace;

/// The program that lists what rustdoc has written, and its lists.
const LISTS: &str = "tests/api";

pub(super) fn check(record: bool) -> Checks {
    const NAME: &str = "public API";
    const REMEDY: &str = "`cargo xtask contract --record` writes the new API into tests/api";

    let rust = version()?;
    if let Err(why) = install(&rust) {
        return Ok(vec![Check::skipped(NAME, why)]);
    }
    let mut rustdoc = cargo(&rust);
    rustdoc.args(["doc", "--lib", "--no-deps", "--target-dir", TARGET]);
    for library in LIBRARIES {
        rustdoc.args(["-p", library]);
    }
    rustdoc.args(["--features", &everywhere(&LIBRARIES, &[])?]);
    rustdoc.env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json");
    let described = Check::run(NAME, &mut rustdoc)?;
    if described.has_failed() {
        return Ok(vec![described]);
    }
    let mut differences = String::new();
    for library in LIBRARIES {
        let file = format!("{LISTS}/{library}.txt");
        let new = list(library)?;
        let old = fs::read_to_string(&file).unwrap_or_default();
        if record {
            fs::write(&file, &new)?;
        } else {
            differences += &difference(&old, &new);
        }
    }
    print!("{differences}");
    Ok(vec![
        Check::judged(NAME, differences.is_empty()).or_else(REMEDY),
    ])
}

/// The items of a library, one a line.
fn list(library: &str) -> Result<String, String> {
    let described = format!("{TARGET}/doc/{}.json", library.replace('-', "_"));
    let output = workspace::cargo()
        .args(["run", "--quiet", "--locked", "--target-dir", TARGET])
        .args(["--manifest-path", &format!("{LISTS}/Cargo.toml")])
        .args(["--", &described])
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The lines that only one of the two has.
fn difference(old: &str, new: &str) -> String {
    let (olds, news): (BTreeSet<_>, BTreeSet<_>) = (old.lines().collect(), new.lines().collect());
    let mut text = String::new();
    for line in olds.difference(&news) {
        let _ = writeln!(text, "- {line}");
    }
    for line in news.difference(&olds) {
        let _ = writeln!(text, "+ {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_and_added_items_are_listed() {
        let text = difference("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n");
        assert_eq!(text, "- pub fn a()\n+ pub fn c()\n");
        assert!(difference("x\n", "x\n").is_empty());
    }

    #[test]
    fn every_library_has_a_list() {
        workspace::enter_workspace().unwrap();
        for library in LIBRARIES {
            let list = fs::read_to_string(format!("{LISTS}/{library}.txt")).unwrap();
            assert!(list.lines().count() > 50, "{library}");
        }
    }

    /// Crates other than ours and std whose types a list has, by their names in manifests.
    fn foreign(list: &str) -> BTreeSet<String> {
        // Rust's own crates, and the primitive type with an associated constant in a signature.
        const RUST: [&str; 4] = ["std", "core", "alloc", "i64"];
        let is_of_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let paths = list.split(|c: char| !is_of_path(c));
        let roots = paths.filter_map(|path| Some(path.split_once("::")?.0));
        roots
            // Not `Self::Item`, and not the `::` behind a `>`.
            .filter(|root| root.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter(|root| !RUST.contains(root) && !root.starts_with("zk_"))
            .map(|root| root.trim_end_matches("_core").replace('_', "-"))
            .map(|name| match &*name {
                "futures" => "futures-core".to_owned(),
                _ => name,
            })
            .collect()
    }

    #[test]
    fn foreign_crates_are_found() {
        let list = "pub fn zk_a::f<T: a_b::C<core::u8>>(T::D) -> bytes::bytes::Bytes\nimpl serde_core::Ser for zk_a::E\n";
        let found: Vec<_> = foreign(list).into_iter().collect();
        assert_eq!(found, ["a-b", "bytes", "serde"]);
    }

    /// A type of another crate in the public API is a decision, which STABILITY.md explains.
    #[test]
    fn foreign_types_are_those_of_the_policy() {
        workspace::enter_workspace().unwrap();
        let mut found = BTreeSet::new();
        for library in LIBRARIES {
            let list = fs::read_to_string(format!("{LISTS}/{library}.txt")).unwrap();
            found.extend(foreign(&list));
        }
        let policy = fs::read_to_string("STABILITY.md").unwrap();
        let (_, table) = policy
            .split_once("\n## Dependencies in the public API\n")
            .unwrap();
        let table = table.split("\n## ").next().unwrap();
        let rows = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let listed: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
        assert_eq!(found, listed);
    }
}
