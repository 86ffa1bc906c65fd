//! What the README says is so.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::HashSet;

/// What a program takes on with `zk-client` and no feature of it.
#[test]
fn client_package_count_is_stated() {
    const MOST: usize = 35;
    let tree = zk_tests::cargo()
        .args(["tree", "--package", "zk-client", "--edges", "normal,build"])
        .args([
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
            "--locked",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let foreign: HashSet<&str> = names.filter(|name| !name.starts_with("zk-")).collect();
    let (optional, many) = (["rustls", "metrics", "serde"], foreign.len());
    assert!(
        optional.iter().all(|name| !foreign.contains(name)),
        "{foreign:?}"
    );
    assert!(many <= MOST, "{foreign:?}");
    let stated = format!("{many} packages come with `zk-client`");
    assert!(
        include_str!("../../../README.md").contains(&stated),
        "{stated}"
    );
}

#[test]
fn readme_example_is_the_compiled_one() {
    let readme = include_str!("../../../README.md");
    let example = include_str!("../../../crates/zk-recipes/examples/readme.rs");
    let shown = readme
        .split("```rust\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let compiled = example
        .split("// README: begin\n")
        .nth(1)
        .unwrap()
        .split("// README: end")
        .next()
        .unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The formatter breaks lines where a reader would not.
    let tight = |text: &str| words(text).replace(" .", ".");
    assert_eq!(tight(shown), tight(compiled));
}

/// The directories of the published crates.
fn crates() -> Vec<std::path::PathBuf> {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
    let entries = std::fs::read_dir(crates).unwrap();
    let all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(all.len() >= 6, "{all:?}");
    all
}

#[test]
fn each_crate_has_a_readme_and_licences() {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for directory in crates() {
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let own = read(&directory.join(licence));
            assert_eq!(own, read(&root.join(licence)), "{directory:?}");
        }
        let name = directory.file_name().unwrap().to_str().unwrap();
        let readme = read(&directory.join("README.md"));
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
        let manifest = read(&directory.join("Cargo.toml"));
        for line in [
            "readme = \"README.md\"",
            &format!("documentation = \"https://docs.rs/{name}\""),
            "[package.metadata.docs.rs]\nall-features = true",
        ] {
            assert!(manifest.contains(line), "{name}: {line}");
        }
    }
}

/// Registries show the README of a crate without the files beside it, but for pictures, which they take from the
/// repository.
#[test]
fn links_of_readmes_lead_somewhere() {
    let links = |text: &str| -> Vec<String> {
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        targets.collect()
    };
    for directory in crates() {
        let readme = std::fs::read_to_string(directory.join("README.md")).unwrap();
        for link in links(&readme) {
            let is_picture = link.ends_with(".svg") && directory.join(&link).exists();
            assert!(
                link.starts_with("https://") || is_picture,
                "{directory:?}: {link}"
            );
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all = links(&std::fs::read_to_string(root.join("README.md")).unwrap());
    assert!(all.len() > 6, "{all:?}");
    for link in all.iter().filter(|link| !link.starts_with("https://")) {
        assert!(root.join(link).exists(), "{link}");
    }
}

/// Each row of the comparison has its proof.
#[test]
fn each_compared_row_has_its_check() {
    let rows = |text: &'static str, from: &str| -> Vec<&'static str> {
        let (_, table) = text.split_once(from).unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with("|---"));
        let rows = rows.skip(1).take_while(|line| line.starts_with("| "));
        rows.filter_map(|row| row.split(" | ").next()).collect()
    };
    let readme = rows(
        include_str!("../../../README.md"),
        "## Beside other clients",
    );
    assert!(readme.len() > 6, "{readme:?}");
    assert_eq!(
        readme,
        rows(include_str!("../../COMPARISON.md"), "\n| row |")
    );
}

/// The tests that the comparison names exist.
#[test]
fn the_compared_rows_name_real_tests() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let named = include_str!("../../COMPARISON.md").split('`').skip(1);
    let rooms = ["server::", "slow::", "offline::"];
    let named = named
        .step_by(2)
        .filter(|name| rooms.iter().any(|room| name.starts_with(room)));
    let mut found = 0;
    for name in named {
        let path = root.join(name.replace("::", "/"));
        let module = path.with_extension("rs").exists() || path.is_dir();
        let (file, test) = name.rsplit_once("::").unwrap();
        let file = root.join(file.replace("::", "/")).with_extension("rs");
        let is_test = std::fs::read_to_string(file)
            .is_ok_and(|source| source.contains(&format!("fn {test}(")));
        assert!(module || is_test, "{name}");
        found += 1;
    }
    assert!(found > 5, "{found}");
}
