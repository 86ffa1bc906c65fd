//! Completion of commands, options, znodes and contexts.

use clap::{Arg, Command};

use crate::cli::words::{Word, quoted, split};
use crate::shell::builtin::Builtin;
use crate::shell::definition::{commands, find, is_znode};
use crate::shell::zkcli::NAMES;

/// What may stand in place of the word at the end of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// As it is written in a line.
    pub(super) text: String,
    /// Whether the word is complete.
    pub(super) complete: bool,
}

/// Where names come from.
pub(super) trait Names {
    /// The paths of znodes that begin with a text.
    fn znodes(&self, beginning: &str) -> Vec<String>;
    /// All contexts.
    fn contexts(&self) -> Vec<String>;
}

/// The candidates for the last word of `line`, and where that begins.
pub(super) fn candidates(
    line: &str,
    definition: &Command,
    names: &impl Names,
) -> (usize, Vec<Candidate>) {
    let (mut words, open) = split(line);
    // Those of the last command of the line.
    let ends = |word: &Word| word.bare_end && word.text.ends_with(';');
    if let Some(last) = words.iter().rposition(ends) {
        words.drain(..=last);
    }
    let is_between = open.is_none() && line.ends_with(char::is_whitespace) || words.is_empty();
    let (start, text) = match words.pop_if(|_| !is_between) {
        Some(word) => (word.start, word.text),
        None => (line.len(), String::new()),
    };
    let words: Vec<String> = words.into_iter().map(|word| word.text).collect();
    let found = match possible(&words, &text, definition) {
        Possible::Znodes => {
            let paths = names.znodes(&text).into_iter();
            paths.map(|path| candidate(&path, false)).collect()
        }
        Possible::Contexts => words_of(names.contexts(), &text),
        Possible::Words(words) => words_of(words, &text),
    };
    (start, found)
}

/// The words that begin with a text.
fn words_of(mut words: Vec<String>, beginning: &str) -> Vec<Candidate> {
    words.retain(|word| word.starts_with(beginning));
    words.sort_unstable();
    words.dedup();
    words.iter().map(|word| candidate(word, true)).collect()
}

fn candidate(word: &str, complete: bool) -> Candidate {
    Candidate {
        text: quoted(word),
        complete,
    }
}

/// What a word may be.
enum Possible {
    Znodes,
    Contexts,
    Words(Vec<String>),
}

/// Names, and those of the shell's own commands.
fn with_own<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    for name in Builtin::names() {
        names.push(name);
    }
    names
}

fn owned(words: Vec<&str>) -> Possible {
    Possible::Words(words.into_iter().map(str::to_owned).collect())
}

/// What a word that begins with `text` may be after these.
fn possible(words: &[String], text: &str, definition: &Command) -> Possible {
    let Some(name) = words.first() else {
        let mut names = with_own(commands(definition).filter(|&name| name != "shell"));
        names.extend(NAMES);
        return owned(names);
    };
    let Some(found) = find(definition, words) else {
        let takes_znode = NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
        return match name.as_str() {
            "cd" | "removewatches" => Possible::Znodes,
            "help" => owned(with_own(commands(definition))),
            "printwatches" => owned(vec!["on", "off"]),
            _ if takes_znode && !text.starts_with('-') => Possible::Znodes,
            _ => owned(Vec::new()),
        };
    };
    if let Some(option) = words.last().and_then(|word| found.takes_value(word)) {
        return of_argument(option, words);
    }
    if text.starts_with('-') {
        let options = found.options().filter_map(Arg::get_long);
        return Possible::Words(options.map(|name| format!("--{name}")).collect());
    }
    if found.command.has_subcommands() {
        return owned(commands(found.command).collect());
    }
    match found.next_argument() {
        Some(argument) if argument.get_id() == "command" && !argument.is_last_set() => {
            owned(commands(definition).collect())
        }
        Some(argument) => of_argument(argument, words),
        None => owned(Vec::new()),
    }
}

/// What the value of an argument may be after these words.
fn of_argument(argument: &Arg, words: &[String]) -> Possible {
    if is_znode(argument) {
        return Possible::Znodes;
    }
    let is_of_context = words.first().is_some_and(|word| word == "context");
    match argument.get_id().as_str() {
        "context" => return Possible::Contexts,
        "name" if is_of_context => return Possible::Contexts,
        _ => {}
    }
    let values = argument.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    Possible::Words(shown.map(|value| value.get_name().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    struct Known;

    impl Names for Known {
        fn znodes(&self, beginning: &str) -> Vec<String> {
            vec![format!("{beginning}ONE"), format!("{beginning} TWO")]
        }

        fn contexts(&self) -> Vec<String> {
            ["test", "production", "prod 2"].map(str::to_owned).into()
        }
    }

    fn completed(line: &str) -> (usize, Vec<String>) {
        let mut definition = Cli::command();
        definition.build();
        let (start, found) = candidates(line, &definition, &Known);
        (
            start,
            found.into_iter().map(|candidate| candidate.text).collect(),
        )
    }

    #[test]
    fn the_first_word_is_a_command() {
        assert_eq!(completed("cr"), (0, vec!["create".to_owned()]));
        assert_eq!(completed("ls; cr"), (4, vec!["create".to_owned()]));
        assert_eq!(completed("getA").1, ["getAcl", "getAllChildrenNumber"]);
        let all = completed("").1;
        for name in ["ls", "cd", "quit", "rmr", "watch"] {
            assert!(all.iter().any(|found| found == name), "{name}");
        }
        assert!(!all.iter().any(|found| found.starts_with("__")));
    }

    #[test]
    fn options_and_their_values_complete() {
        assert_eq!(completed("ls --lo").1, ["--long"]);
        assert!(completed("get /a --o").1.contains(&"--output".to_owned()));
        assert_eq!(completed("ls -o ").1, ["json", "plain"]);
        assert_eq!(completed("ls --output j"), (12, vec!["json".to_owned()]));
        assert!(completed("completions ").1.contains(&"zsh".to_owned()));
    }

    #[test]
    fn contexts_complete_where_they_belong() {
        assert_eq!(completed("ls --context t").1, ["test"]);
        assert_eq!(completed("ls --context p").1, ["'prod 2'", "production"]);
        for line in [
            "context use ",
            "context show ",
            "context set ",
            "context delete ",
        ] {
            assert_eq!(completed(line).1.len(), 3, "{line}");
        }
        for line in ["context list ", "context set test ", "find --name "] {
            assert_eq!(completed(line).1.len(), 0, "{line}");
        }
    }

    #[test]
    fn znodes_complete_where_they_belong() {
        assert_eq!(
            completed("get /a"),
            (4, vec!["/aONE".to_owned(), "'/a TWO'".to_owned()])
        );
        assert_eq!(completed("get '/a b").0, 4);
        assert_eq!(completed("get '/a b").1[0], "'/a bONE'");
        assert_eq!(completed("cd ").1.len(), 2);
        assert_eq!(completed("rmr x").1.len(), 2);
        assert_eq!(completed("delete /a /b").1.len(), 2);
        assert_eq!(completed("ls -l /").1.len(), 2);
        // These are data, a number, and too many.
        for line in ["set /a ", "set --version ", "get /a /b", "frobnicate /"] {
            assert_eq!(completed(line).1.len(), 0, "{line}");
        }
    }
}
