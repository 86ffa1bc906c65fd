//! The arguments of `shell`, and what it passes on to the commands that it starts as programs.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};

#[derive(Args)]
pub(crate) struct Shell {
    /// Run these lines, in place of those of the terminal or standard input
    #[arg(short = 'c', long = "command", value_name = "LINES")]
    pub(crate) lines: Option<String>,
    /// Go on after a command that failed. The exit code is that of the first one
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// The options of all commands that the command line gives.
    #[arg(skip)]
    pub(crate) inherited: Vec<OsString>,
}

/// The options that a shell passes on in another way: its servers and credentials can change.
const OF_SHELL: [&str; 4] = ["server", "context", "auth", "auth_file"];

/// The options of all commands that a command line gives, as arguments.
pub(crate) fn inherited(definition: &Command, matches: &ArgMatches) -> Vec<OsString> {
    let mut arguments = Vec::new();
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    for arg in definition.get_arguments().filter(|arg| arg.is_global_set()) {
        let id = arg.get_id().as_str();
        let Some(long) = arg
            .get_long()
            .filter(|_| given(id) && !OF_SHELL.contains(&id))
        else {
            continue;
        };
        if !arg.get_action().takes_values() {
            arguments.push(format!("--{long}").into());
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let mut argument = OsString::from(format!("--{long}="));
            argument.push(value);
            arguments.push(argument);
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_shell_passes_its_options_on() {
        let definition = Cli::command();
        let matches = definition.clone().get_matches_from([
            "zkctl",
            "-o",
            "json",
            "--server",
            "zk1",
            "shell",
            "--timeout",
            "3s",
            "--read-only",
            "--auth",
            "digest:u:p",
            "--keep-going",
        ]);
        let (_, matches) = matches.subcommand().unwrap();
        assert_eq!(
            inherited(&definition, matches),
            ["--timeout=3s", "--read-only", "--output=json"]
        );
    }
}
