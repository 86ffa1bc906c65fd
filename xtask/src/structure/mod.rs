//! `cargo xtask structure`: how the files of each crate lie and depend on each other, and what their
//! prose is like.
//!
//! | figure | of each crate |
//! |---|---|
//! | files | in `src`, without tests |
//! | flat | files directly in `src` |
//! | circle | files of the largest circle of imports |
//! | upward | share of imports that lead from a lower floor to a higher one, where a crate has floors |
//! | longest | lines of the longest file |
//! | prose | lines with a word or phrase that the prose rule of `CONTRIBUTING.md` excludes |
//! | names | tests, letters of the median name and of the longest |
//!
//! A path counts as an import of the file that defines the name: re-exports are followed. A `pub use`
//! of a name that the file itself does not use, and `mod x;`, are no imports.

#![allow(
    clippy::indexing_slicing,
    reason = "places are those of the list that is read"
)]

mod graph;
mod modules;
mod prose;
mod tokens;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::workspace::{Outcome, enter_workspace};
use graph::Graph;
use modules::Modules;

/// The floors of a crate from the lowest to the highest, each with its rooms: what is directly in `src`,
/// by file name or directory. Of a room that is not listed, no import counts as upward.
const FLOORS: [(&str, &[&[&str]]); 1] = [(
    "zk-client",
    &[
        &["error"],
        &["session"],
        &["shared"],
        &["telemetry"],
        &["driver"],
        &["client", "builder", "lease", "state_stream", "watch"],
        &["ops"],
        &["blocking", "testkit", "cost"],
    ],
)];

/// Where the prose and the test names are counted, beside the crates.
const OTHERS: [&str; 2] = ["tests", "xtask"];

/// The packages, and how many files may lie flat at the top of each `src`.
#[cfg(test)]
const FLAT: [(&str, usize); 9] = [
    ("crates/zk-proto", 10),
    ("crates/zk-transport", 8),
    ("crates/zk-client", 12),
    ("crates/zk-recipes", 10),
    ("crates/zk-embedded", 8),
    ("crates/zk-sasl-gssapi", 8),
    ("crates/zkctl", 8),
    ("tests", 26),
    ("xtask", 24),
];

/// The most imports, in percent, that may lead from a room to one above it.
#[cfg(test)]
const UPWARD: usize = 5;

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let (flags, directories): (Vec<_>, Vec<_>) =
        (arguments.iter()).partition(|argument| argument.starts_with('-'));
    if let Some(flag) = flags.iter().find(|flag| **flag != "--verbose") {
        return Err(format!("`structure` has no option {flag}; see cargo xtask help").into());
    }
    match directories[..] {
        [] => enter_workspace()?,
        [directory] => std::env::set_current_dir(directory)?,
        _ => return Err("`structure` measures one directory".into()),
    }
    println!(
        "{:<14} {:>5} {:>5} {:>7} {:>7} {:>8} {:>6}  names",
        "package", "files", "flat", "circle", "upward", "longest", "prose"
    );
    for package in packages()? {
        let figures = Figures::of(&package)?;
        println!("{figures}");
        if !flags.is_empty() {
            figures.explain();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The directories of the crates, and the others.
fn packages() -> io::Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir("crates")? {
        packages.push(entry?.path());
    }
    packages.sort_unstable();
    packages.extend(OTHERS.iter().map(PathBuf::from));
    Ok(packages)
}

/// What is measured of one package.
#[derive(Debug)]
struct Figures {
    name: String,
    files: usize,
    flat: usize,
    /// The files of the largest circle.
    circle: Vec<String>,
    /// Imports between files.
    imports: usize,
    /// Those that lead to a higher floor, if the crate has floors.
    upward: Option<Vec<String>>,
    longest: (usize, String),
    prose: prose::Count,
    /// The lengths of the names of the tests.
    names: Vec<usize>,
}

impl Figures {
    fn of(package: &Path) -> io::Result<Self> {
        let name = package.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let modules = Modules::read(&package.join("src"))?;
        let graph = Graph::of(&modules);
        let floors = FLOORS.iter().find(|(crate_name, _)| *crate_name == name);
        let upward = floors.map(|(_, floors)| graph.upward(&modules, floors));
        let (prose, names) = prose::read(package)?;
        Ok(Figures {
            name,
            files: modules.len(),
            flat: modules.flat(),
            circle: graph.largest_circle(&modules),
            imports: graph.imports(),
            upward,
            longest: modules.longest(),
            prose,
            names,
        })
    }

    /// In percent, rounded up.
    fn upward_share(&self) -> Option<usize> {
        let upward = self.upward.as_ref()?.len();
        Some((upward * 100).div_ceil(self.imports.max(1)))
    }

    fn explain(&self) {
        println!("  circle: {}", self.circle.join(", "));
        for import in self.upward.iter().flatten() {
            println!("  upward: {import}");
        }
        println!("  longest: {}, {} lines", self.longest.1, self.longest.0);
        for (file, lines) in &self.prose.files {
            println!("  prose: {lines:>3} {file}");
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upward = self.upward_share();
        let upward = upward.map_or_else(|| "-".to_owned(), |share| format!("{share} %"));
        let mut names = self.names.clone();
        names.sort_unstable();
        let median = names.get(names.len() / 2).copied().unwrap_or_default();
        let longest = names.last().copied().unwrap_or_default();
        write!(
            f,
            "{:<14} {:>5} {:>5} {:>7} {upward:>7} {:>8} {:>6}  {} tests, {median} letters, at most {longest}",
            self.name,
            self.files,
            self.flat,
            self.circle.len(),
            self.longest.0,
            self.prose.lines,
            names.len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_stays_as_it_is() {
        enter_workspace().unwrap();
        for (package, flat) in FLAT {
            let figures = Figures::of(Path::new(package)).unwrap();
            let upward = figures.upward_share().unwrap_or_default();
            let is_kept = figures.flat <= flat
                && figures.circle.is_empty()
                && upward <= UPWARD
                && figures.prose.lines == 0;
            assert!(
                is_kept,
                "{figures}\n{:#?}\n{:#?}",
                figures.circle, figures.prose.files
            );
        }
    }

    /// `CONTRIBUTING.md` is left out: it names words that it excludes.
    #[test]
    fn other_texts_keep_to_the_rule() {
        enter_workspace().unwrap();
        let texts = [
            "README.md",
            "RELEASING.md",
            "SECURITY.md",
            "STABILITY.md",
            "changes",
            "examples",
            "fuzz",
        ];
        for text in texts {
            let (count, _) = prose::read(Path::new(text)).unwrap();
            assert_eq!(count.files, [], "{text}");
        }
    }

    /// The names of a manifest's dependencies, except those for tests.
    fn dependencies(manifest: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for section in manifest.split("\n[").skip(1) {
            let (heading, lines) = section.split_once("]\n").unwrap();
            if heading.ends_with("dependencies") && !heading.ends_with("dev-dependencies") {
                let keys = lines
                    .lines()
                    .filter(|line| line.starts_with(char::is_alphabetic));
                names.extend(keys.map(|line| line.split([' ', '.', '=']).next().unwrap()));
            }
        }
        names
    }

    #[test]
    fn each_dependency_is_in_contributing() {
        enter_workspace().unwrap();
        let contributing = fs::read_to_string("CONTRIBUTING.md").unwrap();
        let (_, section) = contributing.split_once("\n## Dependencies\n").unwrap();
        let workspace = fs::read_to_string("Cargo.toml").unwrap();
        let mut count = 0;
        for package in packages().unwrap() {
            if !package.starts_with("crates") {
                continue;
            }
            let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
            for name in dependencies(&manifest) {
                let renamed = format!("\n{name} = {{ package = \"");
                let name = match workspace.split_once(&renamed) {
                    Some((_, rest)) => rest.split('"').next().unwrap(),
                    None => name,
                };
                let is_ours = Path::new("crates").join(name).is_dir();
                let is_named = section.contains(&format!("`{name}`"));
                assert!(is_ours || is_named, "{}: {name}", package.display());
                count += 1;
            }
        }
        assert!(count > 60, "{count} dependencies");
    }

    #[test]
    fn every_package_is_measured() {
        enter_workspace().unwrap();
        let packages = packages().unwrap();
        assert!(packages.len() >= 8, "{packages:?}");
        for package in packages {
            let figures = Figures::of(&package).unwrap();
            assert!(figures.files > 0 && figures.flat > 0, "{figures}");
        }
    }
}
