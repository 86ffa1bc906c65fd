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
        .split("    // README: end")
        .next()
        .unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The formatter breaks lines where a reader would not.
    let tight = |text: &str| words(text).replace(" .", ".");
    assert_eq!(tight(shown), tight(compiled));
}
