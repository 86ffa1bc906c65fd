//! `completions` and `man`: texts made from the definition of the command line.

mod manual;
mod text;

use clap::ValueHint;
use clap_complete::Shell;

use crate::cli::{Command, generated};
use crate::output::failure::Failure;
use text::{NAME, print};

/// Writes what the command prints, if it is one of these. They need neither a server nor the settings for one.
pub(crate) fn write(command: &Command, definition: &clap::Command) -> Option<Result<(), Failure>> {
    match command {
        Command::Completions(args) => Some(completions(args.shell, definition.clone())),
        Command::Man(args) => Some(manual::write(args, definition.clone())),
        _ => None,
    }
}

fn completions(shell: generated::Shell, definition: clap::Command) -> Result<(), Failure> {
    let shell = match shell {
        generated::Shell::Bash => Shell::Bash,
        generated::Shell::Zsh => Shell::Zsh,
        generated::Shell::Fish => Shell::Fish,
        generated::Shell::Pwsh => Shell::PowerShell,
    };
    let mut definition = without_files(visible(definition));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition, NAME, &mut script);
    print(&script)
}

/// The definition without hidden commands, which some of the scripts would offer.
fn visible(definition: clap::Command) -> clap::Command {
    let commands = definition.get_subcommands();
    let commands = commands.filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(definition.get_arguments().cloned())
        .subcommands(commands)
}

/// The definition in which a shell does not offer files where a znode or a word is to be written.
fn without_files(definition: clap::Command) -> clap::Command {
    let definition = definition.mut_args(|arg| {
        let is_text = arg.get_value_hint() == ValueHint::Unknown;
        match arg.get_id().as_str() {
            "command" if arg.is_last_set() => arg.value_hint(ValueHint::CommandName),
            _ if is_text && arg.get_action().takes_values() => arg.value_hint(ValueHint::Other),
            _ => arg,
        }
    });
    let names: Vec<_> = definition
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    names.into_iter().fold(definition, |definition, name| {
        definition.mut_subcommand(name, without_files)
    })
}
