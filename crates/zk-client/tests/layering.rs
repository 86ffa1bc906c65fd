//! The session is a pure state machine: it knows no runtime, no clock and nothing of the client above
//! it, and its files import each other in one direction.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What the session may import of this crate.
const BELOW: [&str; 2] = ["error", "session"];

/// The code of each file of the session, by its path below `src/session`: without comments and tests.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/session");
    let mut sources = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap();
            if name == "tests" {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let code = code.lines().map(|line| line.split("//").next().unwrap());
                let code: String = code.flat_map(|line| [line, "\n"]).collect();
                sources.insert(path.strip_prefix(&root).unwrap().to_owned(), code);
            }
        }
    }
    assert!(sources.len() > 30, "the sources are elsewhere: {root:?}");
    sources
}

/// The path of a file's module below `crate::session`.
fn module(path: &Path) -> String {
    let path = path.with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
    match parts.split_last() {
        Some((&"mod", above)) => above.join("::"),
        _ => parts.join("::"),
    }
}

/// Whether the code has methods of `Core`.
fn coordinates(code: &str) -> bool {
    code.contains("impl Core {")
}

#[test]
fn the_session_has_no_runtime_and_no_clock() {
    for (path, code) in sources() {
        for word in [
            "tokio",
            "Instant::now",
            "SystemTime",
            "std::net::Tcp",
            "std::thread",
        ] {
            assert!(!code.contains(word), "{path:?} uses {word}");
        }
    }
}

#[test]
fn the_session_imports_nothing_above_it() {
    for (path, code) in sources() {
        for import in code.split("crate::").skip(1) {
            let name = import.split(|c: char| !c.is_alphanumeric() && c != '_');
            let name = name.into_iter().next().unwrap();
            assert!(BELOW.contains(&name), "{path:?} imports crate::{name}");
        }
        // Imports by other paths would not be seen here.
        assert!(!code.contains("super::super"), "{path:?}");
    }
}

#[test]
fn parts_of_the_core_do_not_import_it() {
    let sources = sources();
    for (path, code) in &sources {
        let imports_core = code.contains("session::Core") || code.contains("session::{Core");
        let is_core = path == Path::new("mod.rs");
        assert!(!imports_core || coordinates(code), "{path:?} imports Core");
        if is_core || !coordinates(code) {
            continue;
        }
        let module = module(path);
        for (importer, code) in &sources {
            let import = format!("session::{module}::");
            assert!(!code.contains(&import), "{importer:?} imports {path:?}");
        }
    }
}

#[test]
fn the_way_of_a_get_is_at_most_12_files() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(crates.join("zk-client/src/cost.rs")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! | "));
    let mut files = 0;
    for row in rows.filter(|row| row.starts_with(|c: char| c.is_ascii_digit())) {
        let names: Vec<_> = row.split('`').collect();
        let owner = match row.contains("` of `") {
            true => names[3],
            false => "zk-client",
        };
        let file = crates.join(owner).join("src").join(names[1]);
        assert!(file.is_file(), "{file:?}");
        files += 1;
    }
    assert!((1..=12).contains(&files), "{files}");
}
