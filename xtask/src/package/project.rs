//! A project as users make one: the lines of the READMEs in its manifest, the programs of the READMEs in its sources.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use super::contents::Contents;

/// The name of its package.
pub(super) const NAME: &str = "service";

/// Its test programs.
pub(super) const TESTS: [&str; 2] = ["service", "zk_embedded"];

/// How the READMEs name a server.
const SERVER: &str = "\"127.0.0.1:2181";

/// Its test, which starts the programs.
const TEST: &str = include_str!("../../../tests/packaged/service.rs");

/// Writes the project, and a workspace of it and the packages.
pub(super) fn write(directory: &Path, packages: &[Contents]) -> Result<(), Box<dyn Error>> {
    let project = directory.join(NAME);
    fs::create_dir_all(project.join("src/bin"))?;
    fs::create_dir_all(project.join("tests"))?;
    let mut lines = Dependencies::default();
    for package in packages {
        let readme = package.readme()?;
        for block in blocks(&readme, "toml") {
            lines.add(block).map_err(|line| disagree(package, line))?;
        }
        // Of the command line there is none.
        let Some(program) = blocks(&readme, "rust").next() else {
            continue;
        };
        let file = package.name.replace('-', "_");
        if package.name == "zk-embedded" {
            // It is a development dependency, and its example is a test.
            fs::write(project.join(format!("tests/{file}.rs")), program)?;
        } else {
            fs::write(
                project.join(format!("src/bin/{file}.rs")),
                on_server_of_test(program),
            )?;
        }
    }
    let readme = fs::read_to_string("README.md")?;
    let Some(quick_start) = blocks(&readme, "rust").next() else {
        return Err("README.md has no program".into());
    };
    fs::write(project.join("src/main.rs"), on_server_of_test(quick_start))?;
    fs::write(project.join("tests/service.rs"), TEST)?;
    fs::write(project.join("Cargo.toml"), lines.manifest())?;
    fs::write(directory.join("Cargo.toml"), workspace(packages))?;
    Ok(())
}

/// The program with another server in its literals: the one that `ZK_SERVER` names, which the test sets.
fn on_server_of_test(program: &str) -> String {
    let mut parts = program.split(SERVER);
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (chroot, rest) = part.split_once('"').unwrap_or_default();
        changed.push_str(&format!(
            "format!(\"{{}}{chroot}\", std::env::var(\"ZK_SERVER\")?){rest}"
        ));
    }
    changed
}

fn disagree(package: &Contents, line: &str) -> String {
    format!(
        "{}: its README has {line:?}, another has another",
        package.name
    )
}

/// The manifest above: the packages take the place of those of the registry.
fn workspace(packages: &[Contents]) -> String {
    let places = packages.iter().map(|package| {
        let directory = package.directory.file_name().unwrap_or_default();
        (&*package.name, directory.to_string_lossy())
    });
    let (members, patches): (Vec<_>, Vec<_>) = places
        .map(|(name, place)| {
            let patch = format!("{name} = {{ path = \"{place}\" }}\n");
            (format!("\"{place}\""), patch)
        })
        .unzip();
    // The profile is the workspace's, so that its build of the dependencies is used.
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"{NAME}\", {}]\n\n[patch.crates-io]\n{}\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n\
         [profile.dev.package.\"*\"]\ndebug = false\nopt-level = 1\n",
        members.join(", "),
        patches.concat(),
    )
}

/// The lines of manifests that READMEs show, by table.
#[derive(Debug, Default)]
struct Dependencies(BTreeMap<String, BTreeMap<String, String>>);

impl Dependencies {
    /// Adds the dependencies of a block: not every block is a part of a manifest. The error is a line
    /// that differs from an earlier one about the same package.
    fn add<'a>(&mut self, block: &'a str) -> Result<(), &'a str> {
        let mut table = String::new();
        for line in block.lines() {
            if line.starts_with('[') {
                table = line.to_owned();
            } else if !table.ends_with("dependencies]") {
                // Of a configuration file, for instance.
            } else if let Some((key, value)) = line.split_once(" = ") {
                let lines = self.0.entry(table.clone()).or_default();
                let known = lines.entry(key.to_owned()).or_insert(value.to_owned());
                if known != value {
                    return Err(line);
                }
            }
        }
        Ok(())
    }

    fn manifest(&self) -> String {
        let mut manifest =
            format!("[package]\nname = \"{NAME}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        for (table, lines) in &self.0 {
            manifest.push_str(&format!("\n{table}\n"));
            for (key, value) in lines {
                manifest.push_str(&format!("{key} = {value}\n"));
            }
        }
        manifest
    }
}

/// The code blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("```{language}");
    let after = text.split("\n```").skip(1).step_by(2);
    after.filter_map(move |block| {
        let (info, code) = block.split_once('\n')?;
        let info = format!("```{info}");
        (info.split(',').next() == Some(&fence)).then_some(code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# x\n\n```toml\n[dependencies]\na = \"1\"\n```\n\n```console\n$ a\n```\n\n\
                          ```rust,no_run\nfn main() {}\n```\n\n```toml\n[dependencies]\na = \"1\"\nb = \"2\"\n```\n\n\
                          ```toml\ncurrent = \"x\"\n[contexts.x]\nserver = \"y\"\n```\n";

    #[test]
    fn blocks_are_found_by_language() {
        let found = |language| blocks(README, language).collect::<Vec<_>>();
        assert_eq!(found("rust"), ["fn main() {}"]);
        assert_eq!(found("toml").len(), 3);
        assert_eq!(found("console"), ["$ a"]);
    }

    #[test]
    fn servers_of_readmes_are_replaced() {
        let changed = on_server_of_test("a(\"127.0.0.1:2181/app\"); b");
        let expected = "a(format!(\"{}/app\", std::env::var(\"ZK_SERVER\")?)); b";
        assert_eq!(changed, expected);
        assert_eq!(on_server_of_test("a(\"zk1:2181\")"), "a(\"zk1:2181\")");
    }

    #[test]
    fn lines_of_readmes_become_a_manifest() {
        let mut lines = Dependencies::default();
        for block in blocks(README, "toml") {
            lines.add(block).unwrap();
        }
        let manifest = lines.manifest();
        assert!(
            manifest.ends_with("edition = \"2024\"\n\n[dependencies]\na = \"1\"\nb = \"2\"\n"),
            "{manifest}"
        );
        assert_eq!(lines.add("[dependencies]\na = \"2\""), Err("a = \"2\""));
    }
}
