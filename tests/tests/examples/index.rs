//! The index of the examples.

use std::fs;
use std::path::PathBuf;

/// The files in a directory of the repository.
fn files(directory: &str) -> Vec<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(directory);
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_index_has_each_example() {
    let index = include_str!("../../../examples/README.md");
    let mut links: Vec<_> = index.split("](").skip(1).collect();
    links
        .iter_mut()
        .for_each(|link| *link = link.split(')').next().unwrap());
    links.sort_unstable();
    let mut programs = Vec::new();
    for krate in files("crates") {
        let name = krate.file_name().unwrap().to_str().unwrap();
        for file in files(&format!("crates/{name}/examples")) {
            let file = file.file_name().unwrap().to_str().unwrap();
            programs.push(format!("../crates/{name}/examples/{file}"));
        }
    }
    for file in files("examples/src/bin") {
        let file = file.file_name().unwrap().to_str().unwrap();
        programs.push(format!("src/bin/{file}"));
    }
    programs.retain(|program| program.ends_with(".rs"));
    programs.sort_unstable();
    assert_eq!(links, programs);
}

/// Each can be run with the list of servers in `ZK_SERVER`, and has a first comment with a command.
#[test]
fn each_example_shows_how_to_run_it() {
    for krate in files("crates") {
        for file in files(krate.join("examples").to_str().unwrap()) {
            let name = file.display();
            let Ok(source) = fs::read_to_string(&file) else {
                continue;
            };
            if !source.contains("fn main()") || file.ends_with("readme.rs") {
                continue;
            }
            let comment = source.split("\n\n").next().unwrap();
            assert!(comment.contains("//! ```console\n//! $ "), "{name}");
            assert!(comment.contains("--example "), "{name}");
            let connects = !file.ends_with("decode_capture.rs") && !file.ends_with("secure.rs");
            let from_variable = source.contains("ZK_SERVER") || source.contains("from_env");
            assert!(from_variable || !connects, "{name}");
        }
    }
}
