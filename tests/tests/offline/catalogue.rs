//! `CATALOGUE.md` has a row for every number, and names tests that exist and carry it: in their names,
//! or in a line `/// Guards: A1, B2.` of their documentation.
//!
//! With `ZK_CATALOGUE=write` each row gets the names of all tests that carry its number, and keeps
//! its sentences.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// The sections, and their last numbers that concern a client.
const SECTIONS: [(&str, u32); 4] = [("A", 84), ("B", 80), ("C", 24), ("D", 18)];

/// Tests by their names, with the numbers that their documentation says they guard.
type Tests = HashMap<String, HashSet<String>>;

/// All functions that are marked as tests, or stand in `proptest!`.
fn tests(directory: &Path, names: &mut Tests) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let mut marked = false;
            let mut guarded = HashSet::new();
            for line in source.lines().map(str::trim_start) {
                let line = line.strip_prefix("async ").unwrap_or(line);
                if let Some((_, numbers)) = line.split_once("/// Guards: ") {
                    let numbers = numbers.split(|c: char| !c.is_ascii_alphanumeric());
                    guarded.extend(numbers.map(str::to_owned));
                } else if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
                    marked = true;
                } else if let Some(function) = line.strip_prefix("fn ").filter(|_| marked) {
                    let end = function.find('(').unwrap_or(function.len());
                    let name = function.get(..end).unwrap_or_default().to_owned();
                    names.entry(name).or_default().extend(guarded.drain());
                    marked = false;
                } else if line.is_empty() {
                    guarded.clear();
                }
            }
        }
    }
}

/// Whether a test guards this number, by its documentation or by the numbers that its name begins with.
fn carries(names: &Tests, name: &str, number: &str) -> bool {
    if names
        .get(name)
        .is_some_and(|guarded| guarded.contains(number))
    {
        return true;
    }
    let number = number.to_lowercase();
    let mut words = name.split('_');
    words.any(|word| word == number) && name.contains(&format!("{number}_"))
}

/// The row with all names there are.
fn complete(line: &str, names: &Tests) -> Option<String> {
    let (number, answer) = line
        .strip_prefix("| ")?
        .strip_suffix(" |")?
        .split_once(" | ")?;
    number.get(1..)?.parse::<u32>().ok()?;
    let is_test = |part: &&str| carries(names, part.trim_matches('`'), number);
    let mut parts: Vec<_> = names
        .keys()
        .filter(|name| carries(names, name, number))
        .map(|name| format!("`{name}`"))
        .collect();
    parts.sort_unstable();
    let sentences = answer.split(", ").filter(|part| !is_test(part));
    parts.extend(sentences.map(str::to_owned));
    Some(format!("| {number} | {} |", parts.join(", ")))
}

#[test]
fn every_number_is_answered_by_tests_that_exist_or_by_a_sentence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Tests::new();
    for directory in ["../crates", "src", "tests", "../xtask/src"] {
        tests(&root.join(directory), &mut names);
    }
    let path = root.join("CATALOGUE.md");
    let mut catalogue = fs::read_to_string(&path).unwrap();
    if std::env::var("ZK_CATALOGUE").is_ok_and(|mode| mode == "write") {
        let lines = catalogue.lines();
        let rows = lines.map(|line| complete(line, &names).unwrap_or_else(|| line.to_owned()));
        catalogue = rows.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(&path, &catalogue).unwrap();
    }
    let mut rows = HashSet::new();
    for line in catalogue.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(number), Some(answer)) = (cells.next(), cells.next()) else {
            continue;
        };
        let known = SECTIONS.iter().any(|(section, _)| {
            let digits = number.strip_prefix(section).unwrap_or_default();
            digits.parse::<u32>().is_ok()
        });
        if !known {
            continue;
        }
        assert!(rows.insert(number.to_owned()), "{number} is there twice");
        assert!(answer.len() > 8, "{number} is not answered");
        for name in answer.split('`').skip(1).step_by(2) {
            if carries(&names, name, number) {
                assert!(
                    names.contains_key(name),
                    "{number}: there is no test {name}"
                );
            } else {
                // In a sentence something else can be named, but no test of another number.
                assert!(!names.contains_key(name), "{name} does not carry {number}");
            }
        }
    }
    for (section, last) in SECTIONS {
        for number in 1..=last {
            let number = format!("{section}{number}");
            assert!(rows.contains(&number), "{number} has no row");
        }
    }
}
