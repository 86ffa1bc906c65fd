//! `CATALOGUE.md` says of every number what fails, and names the tests that guard against it: those
//! whose documentation has a line `/// Guards: A1, B2.`
//!
//! With `ZK_CATALOGUE=write` each row gets the names of all tests with its number, and keeps its
//! sentences.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The sections, and their last numbers that concern a client.
const SECTIONS: [(&str, u32); 4] = [("A", 84), ("B", 80), ("C", 24), ("D", 18)];

/// Letters that a test's name may have.
const LONGEST_NAME: usize = 40;

/// Directories of tests that may have longer names for the time being.
const LONG_NAMES: [&str; 0] = [];

const DIRECTORIES: [&str; 6] = [
    "crates",
    "tests/src",
    "tests/tests",
    "tests/measured/src",
    "tests/peers/src",
    "xtask/src",
];

/// A function that is marked as a test, or stands in `proptest!`.
#[derive(Debug)]
struct Test {
    name: String,
    file: PathBuf,
    /// The numbers that it guards.
    numbers: HashSet<String>,
}

impl Test {
    fn is_too_long(&self) -> bool {
        let may_be_long = LONG_NAMES.iter().any(|place| self.file.starts_with(place));
        self.name.len() > LONGEST_NAME && !may_be_long
    }

    fn begins_with_number(&self) -> bool {
        self.name.split('_').next().is_some_and(is_number)
    }
}

/// Letters, one or two, and digits.
fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    matches!(word.len() - digits.len(), 1 | 2) && digits.parse::<u32>().is_ok()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All tests of the workspace.
fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for directory in DIRECTORIES {
        find(Path::new(directory), &mut tests);
    }
    assert!(tests.len() > 900, "only {} tests are found", tests.len());
    tests
}

fn find(directory: &Path, tests: &mut Vec<Test>) {
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let name = entry.unwrap().file_name();
        let path = directory.join(name);
        if root().join(&path).is_dir() {
            find(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(root().join(&path)).unwrap();
            read(&source, &path, tests);
        }
    }
}

fn read(source: &str, file: &Path, tests: &mut Vec<Test>) {
    let mut marked = false;
    let mut numbers = HashSet::new();
    for line in source.lines().map(str::trim_start) {
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some((_, listed)) = line.split_once("/// Guards: ") {
            let words = listed.split(|c: char| !c.is_ascii_alphanumeric());
            numbers.extend(words.filter(|word| is_number(word)).map(str::to_owned));
        } else if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(function) = line.strip_prefix("fn ").filter(|_| marked) {
            let end = function.find('(').unwrap_or(function.len());
            tests.push(Test {
                name: function.get(..end).unwrap_or_default().to_owned(),
                file: file.to_owned(),
                numbers: std::mem::take(&mut numbers),
            });
            marked = false;
        } else if line.is_empty() {
            numbers.clear();
        }
    }
}

/// The names of the tests of each number.
fn guards(tests: &[Test]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut guards: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for test in tests {
        for number in &test.numbers {
            guards.entry(number).or_default().insert(&test.name);
        }
    }
    guards
}

/// A row of the catalogue.
#[derive(Debug)]
struct Row<'a> {
    number: &'a str,
    failure: &'a str,
    /// Names of tests.
    tests: BTreeSet<&'a str>,
    /// Why there is none, or what else there is.
    sentence: String,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let mut cells = cells.split(" | ");
        let number = cells.next().filter(|number| is_number(number))?;
        let [failure, answer] = [cells.next(), cells.next()]
            .map(|cell| cell.unwrap_or_else(|| panic!("{number} has too few cells")));
        assert!(cells.next().is_none(), "{number} has too many cells");
        let (tests, sentences): (Vec<_>, Vec<_>) =
            (answer.split(", ")).partition(|part| part.starts_with('`') && part.ends_with('`'));
        Some(Row {
            number,
            failure,
            tests: tests.iter().map(|name| name.trim_matches('`')).collect(),
            sentence: sentences.join(", "),
        })
    }

    fn print(&self, tests: Option<&BTreeSet<&str>>) -> String {
        let tests = tests.into_iter().flatten();
        let mut parts: Vec<_> = tests.map(|name| format!("`{name}`")).collect();
        if !self.sentence.is_empty() {
            parts.push(self.sentence.clone());
        }
        let Row {
            number, failure, ..
        } = self;
        format!("| {number} | {failure} | {} |", parts.join(", "))
    }
}

#[test]
fn every_number_has_tests_or_a_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CATALOGUE.md");
    let tests = tests();
    let guards = guards(&tests);
    let mut catalogue = fs::read_to_string(&path).unwrap();
    if std::env::var("ZK_CATALOGUE").is_ok_and(|mode| mode == "write") {
        let lines = catalogue.lines().map(|line| match Row::parse(line) {
            Some(row) => row.print(guards.get(row.number)),
            None => line.to_owned(),
        });
        catalogue = lines.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(&path, &catalogue).unwrap();
    }
    let mut rows = HashSet::new();
    for row in catalogue.lines().filter_map(Row::parse) {
        let number = row.number;
        assert!(rows.insert(number), "{number} is there twice");
        assert!(row.failure.len() > 8, "{number} does not say what fails");
        let is_answered = !row.tests.is_empty() || row.sentence.len() > 8;
        assert!(is_answered, "{number} has neither tests nor a reason");
        for name in row.tests {
            let guarded = guards.get(number);
            assert!(
                guarded.is_some_and(|names| names.contains(name)),
                "{number}: no test {name} guards it; ZK_CATALOGUE=write brings the row up to date"
            );
        }
    }
    for (section, last) in SECTIONS {
        for number in 1..=last {
            let number = format!("{section}{number}");
            assert!(rows.contains(&*number), "{number} has no row");
        }
    }
    let unknown: Vec<_> = guards
        .iter()
        .filter(|(number, _)| !rows.contains(*number))
        .collect();
    assert!(unknown.is_empty(), "numbers without a row: {unknown:#?}");
}

#[test]
fn names_of_tests_are_short() {
    let tests = tests();
    let faulty: Vec<_> = tests
        .iter()
        .filter(|test| test.is_too_long() || test.begins_with_number())
        .map(|test| format!("{}: {}", test.file.display(), test.name))
        .collect();
    assert!(
        faulty.is_empty(),
        "a name says the behaviour in at most {LONGEST_NAME} letters, and numbers stand in a line \
         `/// Guards: A1.` above the test: {faulty:#?}"
    );
}
