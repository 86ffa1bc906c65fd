//! The table of `tests/BUDGET.md`.

use std::fmt;
use std::fs;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/BUDGET.md");
/// Set to anything, figures are written down and not judged by those of before.
const RECORD: &str = "ZK_BUDGET_RECORD";
/// What a figure may grow by before the recorded one has to be changed.
const TOLERANCE: f64 = 1.05;
/// Begins the line that says what compiler the instructions were recorded with.
const COMPILER: &str = "Recorded with ";
/// Begins the names of the figures that another compiler changes.
const COMPILED: &str = "instructions ";

pub struct Budget {
    text: Mutex<String>,
    recording: bool,
    compiler: String,
}

/// A line of the table.
#[derive(Debug, PartialEq)]
struct Row {
    goal: f64,
    recorded: f64,
}

impl Row {
    /// A goal that was reached once binds.
    fn admits(&self, figure: f64) -> bool {
        let reached = self.recorded <= self.goal;
        figure <= self.recorded * TOLERANCE && (figure <= self.goal || !reached)
    }
}

impl Budget {
    pub fn read() -> Self {
        Budget {
            text: Mutex::new(fs::read_to_string(FILE).unwrap()),
            recording: std::env::var_os(RECORD).is_some(),
            compiler: compiler(),
        }
    }

    /// Fails if a figure has grown, or is over a goal that had been reached. Instructions are printed
    /// and not compared if another compiler made them.
    pub fn check(&self, figures: &[(&str, f64)]) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let mut complaints = Vec::new();
        if self.recording {
            *text = with_compiler(&text, &self.compiler);
        }
        let known_compiler = with_compiler(&text, &self.compiler) == *text;
        for &(name, figure) in figures {
            let row = row(&text, name).unwrap_or_else(|| panic!("{FILE} has no line for {name}"));
            println!("{name}: {figure:.2} ({row})");
            let comparable = known_compiler || !name.starts_with(COMPILED);
            if !comparable {
                println!("not judged: made by {}", self.compiler);
            }
            if !self.recording && comparable && !row.admits(figure) {
                complaints.push(format!("{name}: {figure:.2} ({row})"));
            }
            if self.recording {
                *text = with_recorded(&text, name, figure);
            }
        }
        if self.recording {
            fs::write(FILE, &*text).unwrap();
        }
        assert!(
            complaints.is_empty(),
            "{}. A figure that was worth it is recorded by `cargo xtask budget --record`",
            complaints.join("; ")
        );
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorded {}, goal {}", self.recorded, self.goal)
    }
}

fn row(text: &str, name: &str) -> Option<Row> {
    text.lines().find_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match *cells.as_slice() {
            ["", found, goal, recorded, ""] if found == name => Some(Row {
                goal: goal.replace(',', "").parse().ok()?,
                recorded: recorded.replace(',', "").parse().ok()?,
            }),
            _ => None,
        }
    })
}

/// What compiles the program that is counted.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The same text with another compiler.
fn with_compiler(text: &str, compiler: &str) -> String {
    let lines = text.lines().map(|line| match line.starts_with(COMPILER) {
        true => format!("{COMPILER}{compiler}.\n"),
        false => format!("{line}\n"),
    });
    lines.collect()
}

/// The same table with another figure in this line.
fn with_recorded(text: &str, name: &str, figure: f64) -> String {
    let figure = match figure {
        100.0.. => format!("{figure:.0}"),
        _ => format!("{figure:.2}"),
    };
    let begin = format!("| {name} |");
    let lines = text.lines().map(|line| {
        match line
            .strip_prefix(&begin)
            .and_then(|rest| rest.split_once('|'))
        {
            Some((goal, _)) => format!("{begin}{goal}| {figure} |\n"),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn a_figure_is_recorded_where_it_is_read() {
    let table = "# Title\n\n| what | goal | recorded |\n|---|---|---|\n| x, y | 1,500 | 7 |\n";
    let old = Row {
        goal: 1_500.0,
        recorded: 7.0,
    };
    assert_eq!(row(table, "x, y"), Some(old));
    let new = with_recorded(table, "x, y", 1_234.4);
    assert_eq!(new, table.replace("| 7 |", "| 1234 |"));
    assert_eq!(row(&new, "x"), None);
}

#[test]
fn figure_may_not_grow() {
    let row = |recorded| Row {
        goal: 100.0,
        recorded,
    };
    assert!(row(200.0).admits(209.0) && !row(200.0).admits(211.0));
    assert!(row(99.0).admits(100.0) && !row(99.0).admits(101.0));
}
