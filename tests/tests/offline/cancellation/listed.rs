//! What the sources say there is to be dropped: none may be missing in the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::futures;

/// What needs a file: `crates/zk-client/tests/session_store.rs` drops it.
const TESTED_THERE: [&str; 1] = ["client/builder/restore.rs "];

fn is_tested_there(future: &str) -> bool {
    TESTED_THERE.iter().any(|room| future.starts_with(room))
}

/// The public futures in a line of source.
fn futures_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let name = |rest: &'_ str| {
        rest.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len())
    };
    for start in ["pub async fn ", "operation!("] {
        if let Some(rest) = line.strip_prefix(start) {
            return rest.get(..name(rest));
        }
    }
    for future in ["IntoFuture for ", "Future for "] {
        if let Some((before, rest)) = line.split_once(future)
            && before.starts_with("impl")
        {
            return rest.get(..name(rest));
        }
    }
    None
}

fn look(crate_name: &str, directory: &Path, at: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            look(crate_name, &path, &format!("{at}{name}/"), found);
        } else if name.ends_with(".rs") {
            let source = fs::read_to_string(&path).unwrap();
            // What stands in a test module is not public.
            let source = source
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default();
            for line in source.lines() {
                let future = futures_of(line);
                // A line of a macro itself names a parameter, which is no word.
                if let Some(future) = future.filter(|future| !future.is_empty()) {
                    found.insert(format!("{crate_name}/{at}{name} {future}"));
                }
            }
        }
    }
}

#[test]
fn every_public_future_is_in_the_table() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut found = BTreeSet::new();
    for name in ["client", "recipes"] {
        look(name, &crates.join(format!("zk-{name}/src")), "", &mut found);
    }
    assert!(found.len() > 30, "{found:?}");
    let covered: BTreeSet<String> = futures::entries()
        .iter()
        .flat_map(|entry| entry.covers.iter().map(|name| (*name).to_owned()))
        .collect();
    let missing = found.difference(&covered);
    let missing: Vec<_> = missing.filter(|future| !is_tested_there(future)).collect();
    assert!(
        missing.is_empty(),
        "in no entry of futures.rs: {missing:#?}"
    );
    let gone: Vec<_> = covered.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "there is no such thing any more: {gone:#?}"
    );
}
