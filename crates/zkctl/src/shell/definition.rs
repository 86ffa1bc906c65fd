//! What the definition of the command line says about the words of a line.

use clap::{Arg, Command};

/// The ids of arguments that name znodes.
const ZNODES: [&str; 6] = ["path", "paths", "from", "to", "left", "right"];

/// A command that words name, with the words after its name.
pub(super) struct Found<'a> {
    pub(super) command: &'a Command,
    global: &'a Command,
    words: &'a [String],
    /// How many words are the name.
    named_by: usize,
}

/// The command that words begin with; commands such as `acl get` have two names.
pub(super) fn find<'a>(definition: &'a Command, words: &'a [String]) -> Option<Found<'a>> {
    let mut command = definition;
    let mut named_by = 0;
    while let Some(next) = words.get(named_by).and_then(|word| visible(command, word)) {
        command = next;
        named_by += 1;
    }
    (named_by > 0).then_some(Found {
        command,
        global: definition,
        words,
        named_by,
    })
}

fn visible<'a>(command: &'a Command, name: &str) -> Option<&'a Command> {
    command
        .find_subcommand(name)
        .filter(|command| !command.is_hide_set())
}

/// The commands below one.
pub(super) fn commands(command: &Command) -> impl Iterator<Item = &str> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(Command::get_name)
}

impl<'a> Found<'a> {
    /// The options of the command, and those that every command has.
    pub(super) fn options(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        let global = self
            .global
            .get_arguments()
            .filter(|arg| arg.is_global_set());
        self.command
            .get_arguments()
            .filter(|arg| !arg.is_positional() && !arg.is_global_set())
            .chain(global)
            .filter(|arg| !arg.is_hide_set())
    }

    /// The option that takes the word after `word` as its value.
    pub(super) fn takes_value(&self, word: &str) -> Option<&'a Arg> {
        let long = word.strip_prefix("--");
        let short = word.strip_prefix('-').and_then(|rest| {
            let mut letters = rest.chars();
            letters.next().filter(|_| letters.next().is_none())
        });
        self.options().find(|arg| {
            arg.get_action().takes_values()
                && ((long.is_some() && arg.get_long() == long)
                    || (long.is_none() && short.is_some() && arg.get_short() == short))
        })
    }

    /// The argument that a further word would be.
    pub(super) fn next_argument(&self) -> Option<&'a Arg> {
        let given = positionals(self).count();
        let mut arguments = self
            .command
            .get_positionals()
            .filter(|arg| !arg.is_hide_set());
        let mut last = None;
        for index in 0..=given {
            match arguments.next() {
                Some(argument) => last = Some(argument),
                // The last one takes all further words if it takes several.
                None => {
                    return last.filter(|arg: &&Arg| {
                        index > 0
                            && arg
                                .get_num_args()
                                .is_some_and(|range| range.max_values() > 1)
                    });
                }
            }
        }
        last
    }
}

/// Whether an argument names a znode.
pub(super) fn is_znode(argument: &Arg) -> bool {
    ZNODES.contains(&argument.get_id().as_str())
}

/// The words that are neither options nor their values, with their places among the words.
pub(super) fn positionals<'a>(
    found: &Found<'a>,
) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
    let mut indices = Vec::new();
    let mut index = found.named_by;
    let mut options = true;
    while let Some(word) = found.words.get(index) {
        if options && word == "--" {
            options = false;
        } else if options && is_option(word) {
            index += usize::from(found.takes_value(word).is_some());
        } else {
            indices.push((index, word.as_str()));
        }
        index += 1;
    }
    indices.into_iter()
}

/// Whether a word is an option. A negative number is not.
fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err()
}
