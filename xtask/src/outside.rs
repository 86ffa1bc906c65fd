//! Packages outside the workspace, because of what a build of them needs.

use std::process::Command;

use crate::workspace::{cargo, target};

/// A package with a lock file of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside {
    /// Its name in summaries.
    pub(crate) name: &'static str,
    pub(crate) manifest: &'static str,
}

/// Needs the C headers of Kerberos. Its tests start a KDC.
pub(crate) const GSSAPI: Outside = Outside {
    name: "zk-sasl-gssapi",
    manifest: "crates/zk-sasl-gssapi/Cargo.toml",
};
/// Depends on a web server, gRPC and a database.
pub(crate) const EXAMPLES: Outside = Outside {
    name: "zk-examples",
    manifest: "examples/Cargo.toml",
};
/// Depends on the clients that programs migrate from.
pub(crate) const MIGRATION: Outside = Outside {
    name: "zk-migration",
    manifest: "tests/migration/Cargo.toml",
};
/// The benchmarks; depends on the clients that ours is measured beside.
pub(crate) const PEERS: Outside = Outside {
    name: "zk-peers",
    manifest: "tests/peers/Cargo.toml",
};

impl Outside {
    /// A cargo command about the package.
    pub(crate) fn command(self, name: &str) -> Command {
        let mut command = cargo();
        command.args([name, "--manifest-path", self.manifest]);
        command
    }

    /// The same with all features; it compiles. The dependencies that it shares with the workspace are built once: lock
    /// files and profiles agree. Without `--locked`, a lock file that lacks packages would be
    /// completed with whatever is newest.
    pub(crate) fn building(self, name: &str) -> Command {
        let mut command = self.command(name);
        command.args(["--all-features", "--locked", "--target-dir"]);
        command.arg(target());
        command
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    const ALL: [Outside; 4] = [GSSAPI, EXAMPLES, MIGRATION, PEERS];

    /// The packages in a lock file, and their versions.
    fn locked(lock: &str) -> BTreeSet<(&str, &str)> {
        let packages = lock.split("[[package]]\n").skip(1);
        packages
            .map(|package| {
                let value = |key: &str| {
                    let line = package.lines().find_map(|line| line.strip_prefix(key));
                    line.unwrap().trim_matches('"')
                };
                (value("name = "), value("version = "))
            })
            .collect()
    }

    /// The part of a version that is the same in all versions that can replace each other.
    fn series(version: &str) -> Vec<&str> {
        let mut numbers = version.split(['.', '+']);
        let mut series = Vec::new();
        for number in numbers.by_ref() {
            series.push(number);
            if number != "0" {
                break;
            }
        }
        series
    }

    #[test]
    fn shared_dependencies_are_built_once() {
        crate::workspace::enter_workspace().unwrap();
        let workspace = fs::read_to_string("Cargo.lock").unwrap();
        let workspace = locked(&workspace);
        let mut different = Vec::new();
        for outside in ALL {
            let path = outside.manifest.replace("Cargo.toml", "Cargo.lock");
            let lock = fs::read_to_string(path).unwrap();
            for (name, version) in locked(&lock).difference(&workspace) {
                let of_name = workspace.iter().filter(|(other, _)| other == name);
                let mut others = of_name.map(|(_, version)| *version);
                if let Some(other) = others.find(|other| series(other) == series(version)) {
                    different.push(format!(
                        "cargo update --manifest-path {} {name}@{version} --precise {other}",
                        outside.manifest
                    ));
                }
            }
        }
        assert!(different.is_empty(), "run\n{}", different.join("\n"));
    }

    #[test]
    fn profiles_are_those_of_the_workspace() {
        crate::workspace::enter_workspace().unwrap();
        let profile = |manifest: &str| {
            let manifest = fs::read_to_string(manifest).unwrap();
            let (_, profile) = manifest.split_once("\n[profile.dev]\n").unwrap();
            let paragraphs = profile.split("\n\n").take(2);
            paragraphs
                .collect::<Vec<_>>()
                .join("\n\n")
                .trim()
                .to_owned()
        };
        let of_workspace = profile("Cargo.toml");
        for outside in ALL {
            assert_eq!(profile(outside.manifest), of_workspace, "{outside:?}");
        }
    }

    #[test]
    fn series_are_those_of_cargo() {
        for (version, wanted) in [
            ("1.12.2", "1"),
            ("0.7.3", "0.7"),
            ("0.0.3", "0.0.3"),
            ("2.0.0+a.1", "2"),
        ] {
            assert_eq!(series(version).join("."), wanted);
        }
    }
}
