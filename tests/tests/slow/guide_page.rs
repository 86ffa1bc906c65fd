//! The pages of the guide for users of other clients: the programs in them, and the names they explain.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};

const PAGES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/zk-recipes/src/guide/migration"
);

/// A page in Markdown.
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn read(name: &str) -> Self {
        Page(std::fs::read_to_string(format!("{PAGES}/{name}.md")).unwrap())
    }

    /// The blocks of code in a language, in the order of the page.
    pub(crate) fn programs(&self, language: &str) -> Vec<&str> {
        let fence = format!("\n```{language}\n");
        let blocks = self.0.split(fence.as_str()).skip(1);
        let blocks: Vec<_> = blocks
            .map(|rest| rest.split_once("\n```").unwrap().0)
            .collect();
        assert!(!blocks.is_empty(), "no program in {language}");
        blocks
    }

    /// The spans of code in a column of the tables, of which the first has the number 0.
    pub(crate) fn cells(&self, column: usize) -> Vec<&str> {
        let rows = self.0.lines().filter(|line| line.starts_with("| "));
        let cells = rows.filter_map(|row| row.split('|').nth(column + 1));
        cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect()
    }

    /// The words in spans of code, of each section with a heading of its own.
    fn sections(&self) -> Vec<HashSet<&str>> {
        let mut sections = vec![HashSet::new()];
        let mut in_block = false;
        for line in self.0.lines() {
            if line.starts_with("```") {
                in_block = !in_block;
            } else if !in_block {
                if line.starts_with('#') {
                    sections.push(HashSet::new());
                }
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let spans = line.split('`').skip(1).step_by(2);
                let words = spans.flat_map(|span| span.split(move |c| !is_word(c)));
                sections.last_mut().unwrap().extend(words);
            }
        }
        sections
    }

    /// Asserts that the page names the public API of a client. Each line of `names` is a type, or `-`,
    /// and one of its members, or `-`; both must be in one section.
    pub(crate) fn assert_names(&self, names: &str, at_least: usize) {
        let sections = self.sections();
        let count = names.lines().count();
        assert!(count >= at_least, "only {count} names:\n{names}");
        let is_missing = |line: &&str| {
            let wanted = line.split([' ', '.']).filter(|word| *word != "-");
            let wanted: Vec<_> = wanted.collect();
            !(sections.iter()).any(|words| wanted.iter().all(|word| words.contains(word)))
        };
        let missing: Vec<_> = names.lines().filter(is_missing).collect();
        assert!(missing.is_empty(), "not on the page: {missing:#?}");
    }
}

/// Runs a program to its end, with `input` as its standard input, and returns what it prints.
pub(crate) fn output_of(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
