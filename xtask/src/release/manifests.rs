//! Versions in manifests, lock files and instructions.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use super::changelog::{CHANGELOG, NOTES};
use crate::outside::GSSAPI;
use crate::package::PACKAGES;
use crate::workspace::git;

/// No site has a name below it.
pub(super) const PLACEHOLDER: &str = ".invalid/";

/// Writes the version wherever the present one is, and returns the files that are different.
pub(super) fn set(root: &Path, version: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let old = versions(&manifest)
        .find(|(name, _)| name.is_empty())
        .ok_or("Cargo.toml has no version")?
        .1
        .to_owned();
    let mut changed = Vec::new();
    for file in files(root)? {
        let text = fs::read_to_string(root.join(&file))?;
        let new = match file.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => in_manifest(&text, &old, version),
            Some("lock") => in_lock_file(&text, &old, version),
            _ => in_instructions(&text, &old, version),
        };
        if new != text {
            fs::write(root.join(&file), new)?;
            changed.push(file.display().to_string());
        }
    }
    Ok(changed)
}

/// The places in manifests where another version is, or no true address.
pub(super) fn others(root: &Path, version: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut others = Vec::new();
    for file in files(root)? {
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(root.join(&file))?;
            for (name, found) in versions(&text) {
                if found != version {
                    let name = match name {
                        "" => package(&text),
                        name => name,
                    };
                    others.push(format!(
                        "{}: {name} is {found}, not {version}",
                        file.display()
                    ));
                }
            }
            let repository = text.lines().find(|line| line.starts_with("repository = "));
            if repository.is_some_and(|line| line.contains(PLACEHOLDER)) {
                others.push(format!(
                    "{}: the repository is a placeholder",
                    file.display()
                ));
            }
        }
    }
    Ok(others)
}

/// Manifests of published packages, all lock files, all Markdown.
fn files(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from(GSSAPI.manifest)];
    files.extend(PACKAGES.map(|package| PathBuf::from(format!("crates/{package}/Cargo.toml"))));
    let listed = git(root, &["ls-files", "*Cargo.lock", "*.md"])?;
    let is_history = |file: &&str| *file == CHANGELOG || file.starts_with(NOTES);
    files.extend(
        listed
            .lines()
            .filter(|file| !is_history(file))
            .map(PathBuf::from),
    );
    Ok(files)
}

/// The versions of our packages in a manifest: its own without a name, and those of dependencies.
fn versions(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    manifest.lines().filter_map(|line| {
        let quoted = |text: &'static str| {
            Some(
                line.split_once(text)?
                    .1
                    .split('"')
                    .next()
                    .unwrap_or_default(),
            )
        };
        if line.starts_with("version = \"") {
            return Some(("", quoted("version = \"")?));
        }
        let (name, _) = line.split_once(" = {")?;
        let is_ours = PACKAGES.contains(&name) || name == GSSAPI.name;
        (is_ours && line.contains("path = ")).then_some((name, quoted(", version = \"")?))
    })
}

/// The name of the package that a manifest is of.
fn package(manifest: &str) -> &str {
    let name = manifest
        .lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    name.unwrap_or("the workspace")
}

fn in_manifest(text: &str, old: &str, new: &str) -> String {
    let (old, new) = (
        format!("version = \"{old}\""),
        format!("version = \"{new}\""),
    );
    by_line(text, |line| {
        let is_own = line.starts_with(&old);
        let is_dependency = versions(line).any(|(name, _)| !name.is_empty());
        (is_own || is_dependency).then(|| line.replacen(&old, &new, 1))
    })
}

/// Packages of ours come from no registry.
fn in_lock_file(text: &str, old: &str, new: &str) -> String {
    let (old, new) = (
        format!("\nversion = \"{old}\"\n"),
        format!("\nversion = \"{new}\"\n"),
    );
    let packages: Vec<_> = text
        .split("\n\n")
        .map(|package| {
            let is_ours = package.starts_with("[[package]]") && !package.contains("\nsource = ");
            // The last lines of a block end without a line break.
            let block = format!("{package}\n");
            match is_ours {
                true => block
                    .replacen(&old, &new, 1)
                    .trim_end_matches('\n')
                    .to_owned(),
                false => package.to_owned(),
            }
        })
        .collect();
    let end = if text.ends_with('\n') { "\n" } else { "" };
    format!("{}{end}", packages.join("\n\n").trim_end_matches('\n'))
}

/// `zk-client = "0.1"` in Markdown.
fn in_instructions(text: &str, old: &str, new: &str) -> String {
    let short = |version: &str| {
        version
            .rsplit_once('.')
            .map_or("", |(short, _)| short)
            .to_owned()
    };
    let (old, new) = (format!("\"{}\"", short(old)), format!("\"{}\"", short(new)));
    by_line(text, |line| {
        let (name, rest) = line.split_once(" = ")?;
        let is_ours = PACKAGES.contains(&name) || name == GSSAPI.name;
        let is_version =
            rest.starts_with('"') || rest.contains("version = ") || rest.contains(" # ");
        (is_ours && is_version).then(|| line.replacen(&old, &new, 1))
    })
}

/// Replaces each line for which there is another.
fn by_line(text: &str, replace: impl Fn(&str) -> Option<String>) -> String {
    text.split_inclusive('\n')
        .map(|line| match replace(line.trim_end_matches('\n')) {
            Some(new) if line.ends_with('\n') => new + "\n",
            Some(new) => new,
            None => line.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_our_packages_change() {
        let manifest = "[package]\nname = \"zkctl\"\nversion = \"0.1.0\"\n[dependencies]\n\
                        zk-proto = { path = \"../zk-proto\", version = \"0.1.0\" }\ntracing = { version = \"0.1.0\" }\n";
        let expected = "[package]\nname = \"zkctl\"\nversion = \"0.2.0\"\n[dependencies]\n\
                        zk-proto = { path = \"../zk-proto\", version = \"0.2.0\" }\ntracing = { version = \"0.1.0\" }\n";
        assert_eq!(in_manifest(manifest, "0.1.0", "0.2.0"), expected);
        assert_eq!(
            versions(expected).map(|(name, _)| name).collect::<Vec<_>>(),
            ["", "zk-proto"]
        );
    }

    #[test]
    fn locked_packages_of_ours_change() {
        let lock = "version = 4\n\n[[package]]\nname = \"zk-proto\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"a\"\n\
                    version = \"0.1.0\"\nsource = \"registry\"\n\n[[package]]\nname = \"zk-tests\"\nversion = \"0.1.0\"\n";
        let new = in_lock_file(lock, "0.1.0", "0.2.0");
        assert_eq!(new.matches("0.2.0").count(), 2, "{new}");
        assert_eq!(new.replace("0.2.0", "0.1.0"), lock);
    }

    #[test]
    fn instructions_name_the_minor_version() {
        let text = "zk-client = \"0.1\"\nzk-proto = { version = \"0.1\", features = [] }\ntokio = \"0.1\"\n";
        let new = "zk-client = \"0.2\"\nzk-proto = { version = \"0.2\", features = [] }\ntokio = \"0.1\"\n";
        assert_eq!(in_instructions(text, "0.1.4", "0.2.0"), new);
    }
}
