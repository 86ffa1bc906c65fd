//! The files of one package.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::run;
use crate::workspace::target;

/// In KiB, compressed: what a build downloads.
const LARGEST_PACKAGE: u64 = 512;
/// In KiB.
const LARGEST_FILE: u64 = 96;

const REQUIRED: [&str; 6] = [
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src/lib.rs",
];
/// What else may be at the top. `OUTPUT.md` is a part of zkctl's documentation.
const ALLOWED: [&str; 6] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "OUTPUT.md",
    "examples",
    "src",
    "tests",
];
/// Of the manifest as it is published.
const KEYS: [&str; 9] = [
    "description",
    "license",
    "repository",
    "documentation",
    "readme",
    "rust-version",
    "keywords",
    "categories",
    "rustdoc-args",
];
/// A package, unpacked.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    /// Relative to the directory, with their sizes in bytes.
    files: Vec<(String, u64)>,
    compressed: u64,
}

impl Contents {
    /// Unpacks it into a directory of its own.
    pub(super) fn unpack(name: &str, parent: &Path) -> Result<Self, Box<dyn Error>> {
        let stem = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let package = target().join(format!("package/{stem}.crate"));
        let compressed = fs::metadata(&package)?.len();
        run(Command::new("tar")
            // With the present time (`m`): all packages have the same, by which cargo takes them for built.
            .arg("-xzmf")
            .arg(&package)
            .arg("-C")
            .arg(parent))?;
        let directory = parent.join(stem);
        let mut files = Vec::new();
        list(&directory, "", &mut files)?;
        files.sort_unstable();
        Ok(Self {
            name: name.to_owned(),
            directory,
            files,
            compressed,
        })
    }

    /// The manifest as cargo has rewritten it.
    pub(super) fn manifest(&self) -> io::Result<String> {
        fs::read_to_string(self.directory.join("Cargo.toml"))
    }

    pub(super) fn readme(&self) -> io::Result<String> {
        fs::read_to_string(self.directory.join("README.md"))
    }

    /// What a registry or a user would miss.
    pub(super) fn problems(&self) -> io::Result<Vec<String>> {
        let problems = problems(&self.manifest()?, &self.files, self.compressed);
        let named = |problem| format!("{}: {problem}", self.name);
        Ok(problems.into_iter().map(named).collect())
    }
}

fn problems(manifest: &str, files: &[(String, u64)], compressed: u64) -> Vec<String> {
    let mut problems = Vec::new();
    for key in KEYS {
        let begins = |line: &str| line.starts_with(&format!("{key} ="));
        if !manifest.lines().any(begins) {
            problems.push(format!("the manifest has no `{key}`"));
        }
    }
    for required in REQUIRED {
        if !files.iter().any(|(file, _)| file == required) {
            problems.push(format!("there is no {required}"));
        }
    }
    for (file, size) in files {
        let top = file.split('/').next().unwrap_or_default();
        if !ALLOWED.contains(&top) && !REQUIRED.contains(&top) {
            problems.push(format!("{file} does not belong into it"));
        }
        if *size > LARGEST_FILE * 1024 {
            problems.push(format!("{file} has {size} bytes"));
        }
    }
    if compressed > LARGEST_PACKAGE * 1024 {
        problems.push(format!("it has {compressed} bytes, compressed"));
    }
    problems
}

fn list(directory: &Path, prefix: &str, files: &mut Vec<(String, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push((name, metadata.len()));
        }
    }
    Ok(())
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |top: &str| {
            let below = self.files.iter().filter(|(file, _)| file.starts_with(top));
            below.count()
        };
        let size: u64 = self.files.iter().map(|(_, size)| size).sum();
        write!(
            f,
            "{:<14} {:>4} KiB, unpacked {:>5} KiB: {:>3} files in src, {:>2} examples, {:>2} in tests",
            self.name,
            self.compressed.div_ceil(1024),
            size.div_ceil(1024),
            of("src/"),
            of("examples/"),
            of("tests/"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<(String, u64)> {
        let all = REQUIRED.iter().chain(names);
        all.map(|name| ((*name).to_owned(), 1024)).collect()
    }

    #[test]
    fn a_whole_package_has_no_problem() {
        let manifest: String = KEYS.iter().map(|key| format!("{key} = \"x\"\n")).collect();
        let whole = files(&["src/a/b.rs", "tests/a.rs", "Cargo.lock"]);
        assert_eq!(problems(&manifest, &whole, 1024), [""; 0]);
    }

    #[test]
    fn each_lack_of_a_package_is_named() {
        let manifest: String = (KEYS.iter().skip(1))
            .map(|key| format!("{key} = \"x\"\n"))
            .collect();
        let mut lacking = files(&["fuzz/seed", "tests/large"]);
        lacking.retain(|(file, _)| file != "LICENSE-MIT");
        lacking.last_mut().unwrap().1 = LARGEST_FILE * 1024 + 1;
        let expected = [
            "the manifest has no `description`",
            "there is no LICENSE-MIT",
            "fuzz/seed does not belong into it",
            "tests/large has 98305 bytes",
            "it has 524289 bytes, compressed",
        ];
        let found = problems(&manifest, &lacking, LARGEST_PACKAGE * 1024 + 1);
        assert_eq!(found, expected);
    }
}
