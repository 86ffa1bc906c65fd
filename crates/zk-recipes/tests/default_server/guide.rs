//! The pages of the guide say what the code does. Their programs run as tests of the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::documentation::RECIPES;

/// The files below a directory of the repository with this extension.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut unread = vec![root.join(directory)];
    let mut files = Vec::new();
    while let Some(path) = unread.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).unwrap();
            unread.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|is| is == extension) {
            files.push(path);
        }
    }
    files
}

/// The pages, with their names.
fn pages() -> Vec<(String, String)> {
    let pages = files("crates/zk-recipes/src/guide", "md").into_iter();
    let pages = pages.map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let pages: Vec<_> = pages.collect();
    assert!(pages.len() >= 18, "{} pages", pages.len());
    pages
}

fn page(name: &str) -> String {
    let page = pages().into_iter().find(|(is, _)| is == name);
    page.unwrap().1
}

/// The lines from this heading to the next.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    let section: Vec<_> = lines.take_while(|line| !line.starts_with("# ")).collect();
    assert!(!section.is_empty(), "{heading}");
    section
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(row.split(" | ").map(str::trim).collect())
}

#[test]
fn every_error_kind_is_in_the_guide() {
    let kinds = include_str!("../../../zk-client/src/error/kind.rs");
    let (_, kinds) = kinds.split_once("pub enum ErrorKind {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let kinds = kinds.lines().filter_map(|line| line.strip_prefix("    "));
    let kinds = kinds.filter_map(|line| line.strip_suffix(','));
    let is_variant = |line: &&str| line.starts_with(char::is_alphabetic);
    let kinds: Vec<_> = kinds.filter(is_variant).collect();
    assert!(kinds.len() > 25, "{kinds:?}");

    let errors = page("errors");
    let rows = section(&errors, "# Every kind")
        .into_iter()
        .filter_map(cells);
    let rows: Vec<_> = rows.skip(1).collect();
    let listed: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(kinds, listed);
    for row in rows {
        assert!(
            row.len() == 4 && ["no", "as `outcome`"].contains(&row[2]),
            "{row:?}"
        );
    }
}

#[test]
fn every_recipe_is_in_choosing() {
    let choosing = page("choosing");
    let table = section(&choosing, "# Which recipe").join("\n");
    for (recipe, _) in RECIPES {
        assert!(table.contains(&format!("(crate::{recipe})")), "{recipe}");
    }
}

/// Each name behind `test` or `tests`, and in the last column of a table whose header is `test`.
fn cited(page: &str) -> BTreeSet<String> {
    let mut cited = BTreeSet::new();
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for start in ["est `", "ests `"] {
        for rest in words.split(start).skip(1) {
            let mut rest = rest;
            while let Some((name, more)) = rest.split_once('`') {
                cited.insert(name.to_owned());
                let next = [", `", " and `", ", and `"];
                let next = next.iter().find_map(|next| more.strip_prefix(next));
                let Some(next) = next else { break };
                rest = next;
            }
        }
    }
    let mut in_table = false;
    for line in page.lines() {
        let row = cells(line).unwrap_or_default();
        in_table = (in_table && line.starts_with('|')) || row.last() == Some(&"test");
        let last = line.trim_end_matches(" |").rsplit(" |").next();
        if in_table && let Some(last) = last {
            cited.extend(last.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    cited.retain(|name| name.contains('_') && is_name(name));
    cited
}

#[test]
fn cited_tests_exist() {
    let sources = ["crates", "tests"].into_iter();
    let sources = sources.flat_map(|directory| files(directory, "rs"));
    let sources: String = sources
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut count = 0;
    for (name, page) in pages() {
        for test in cited(&page) {
            count += 1;
            let is_there = sources.contains(&format!("fn {test}("));
            assert!(is_there, "{name}: there is no test {test}");
        }
    }
    assert!(count > 20, "{count} tests are cited");
}

/// Figures come from where they are recorded.
#[test]
fn figures_are_those_of_the_budget() {
    let performance = page("performance");
    let budget = include_str!("../../../../tests/BUDGET.md");
    let rows = section(&performance, "# What a request costs").into_iter();
    let rows: Vec<_> = rows.filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 4, "{rows:?}");
    for row in rows {
        assert!(budget.lines().any(|line| line == row), "{row}");
    }
}

#[test]
fn programs_of_the_guide_are_compiled() {
    let mut programs = 0;
    for (name, page) in pages() {
        for fence in page.lines().filter(|line| line.starts_with("```")) {
            assert!(!fence.contains("ignore"), "{name}: {fence}");
            programs += usize::from(fence.starts_with("```rust"));
        }
        let fences = page.lines().filter(|line| line.starts_with("```"));
        assert!(fences.count() % 2 == 0, "{name}");
    }
    assert!(programs > 2, "{programs} programs");
}

/// Two programs that do not recognize each other's znodes both hold the lock.
#[test]
fn kazoos_locks_need_its_layout() {
    let kazoo = page("kazoo");
    for recipe in ["Lock", "Election", "ReadLock", "WriteLock", "Semaphore"] {
        let constructor = format!("`{recipe}(client, ");
        let is_about = |line: &&str| {
            line.contains(&constructor)
                || line.starts_with("| the znodes of") && line.contains(&format!("`{recipe}`"))
        };
        let rows: Vec<_> = kazoo.lines().filter(is_about).collect();
        assert_eq!(rows.len(), 2, "{recipe}: {rows:?}");
        for row in rows {
            assert!(row.contains("[`Layout::Kazoo`]"), "{row}");
        }
        let uses = format!("= {recipe}::new(");
        for line in kazoo.lines().filter(|line| line.contains(&uses)) {
            assert!(line.contains(".layout(Layout::Kazoo)"), "{line}");
        }
    }
}
