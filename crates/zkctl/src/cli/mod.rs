//! The command line: options, arguments, environment variables, credentials.
//!
//! - [`global`], [`znode`], [`guarded`], [`ensemble`], [`mod@bench`], [`serve`]: the arguments of commands.
//! - [`security`]: the options for TLS and SASL, and how they configure the client.
//! - [`credentials`], [`environment`], [`input`]: what is read from files, variables, standard input.
//! - [`duration`], [`size`], [`secrets`], [`help`]: parsers, usage errors, texts.

pub(crate) mod bench;
pub(crate) mod credentials;
pub(crate) mod duration;
pub(crate) mod ensemble;
pub(crate) mod environment;
pub(crate) mod global;
pub(crate) mod guarded;
mod help;
pub(crate) mod input;
pub(crate) mod secrets;
pub(crate) mod security;
pub(crate) mod serve;
pub(crate) mod size;
pub(crate) mod znode;

use clap::{Parser, Subcommand};

use bench::Bench;
use ensemble::Reconfig;
use global::Global;
use guarded::{Elect, Lock};
use serve::Serve;
use znode::{Create, Delete, Get, Ls, Node, Set, Tree, Watch};

/// Read and change a ZooKeeper ensemble, watch it, run programs under its locks.
#[derive(Parser)]
#[command(name = "zkctl", version, after_help = help::MAIN, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List a znode's children
    Ls(Ls),
    /// Draw a znode and everything below it
    Tree(Tree),
    /// Print a znode's data
    Get(Get),
    /// Replace a znode's data
    Set(Set),
    /// Create a znode and print its path
    Create(Create),
    /// Delete znodes
    Delete(Delete),
    /// Show a znode's metadata
    Stat(Node),
    /// Print whether a znode exists: true with exit code 0, or false with 1; 2 on failure
    #[command(after_help = help::EXISTS)]
    Exists(Node),
    /// Print the changes of znodes until interrupted, through lost connections and sessions
    Watch(Watch),
    /// Run a command while holding a lock
    #[command(after_help = help::GUARDED)]
    Lock(Lock),
    /// Run a command while being the elected leader
    #[command(after_help = help::GUARDED)]
    Elect(Elect),
    /// Show the ensemble's configuration: its servers and its version
    Config,
    /// Change the ensemble and show its new configuration. Needs the superuser's credentials, and
    /// servers with reconfigEnabled=true
    Reconfig(Reconfig),
    /// Measure how long requests take, on znodes that are deleted afterwards
    Bench(Bench),
    /// Run an in-memory server for development and tests, until interrupted
    Serve(Box<Serve>),
    /// Show locks, an election, watches and an expiry at work, on an embedded server, or on the
    /// ensemble that --server names
    Demo,
    /// Ends the command of a zkctl that was killed or stopped; started by zkctl itself
    #[command(name = "__watchdog", hide = true)]
    Watchdog,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::output::Format;

    #[test]
    fn the_definition_is_consistent() {
        environment::ignore_empty_variables(Cli::command()).debug_assert();
    }

    /// Guards: P27.
    #[test]
    fn help_shows_no_value_of_a_variable() {
        let mut checked = 0;
        for argument in environment::ignore_empty_variables(Cli::command()).get_arguments() {
            if argument.get_env().is_some() {
                assert!(argument.is_hide_env_values_set(), "{argument}");
                checked += 1;
            }
        }
        assert!(checked > 1);
    }

    /// Guards: P27.
    #[test]
    fn usage_errors_do_not_repeat_passwords() {
        let arguments = ["zkctl", "reconfig", "--join", "hunter2"];
        let error = Cli::try_parse_from(arguments).err().unwrap();
        let text = secrets::without_secrets(error).to_string();
        assert!(
            text.contains("server.ID=") && !text.contains("hunter2"),
            "{text}"
        );
    }

    /// Guards: P18.
    #[test]
    fn a_server_with_a_secure_port_may_join() {
        let server = "server.4=zk4:2888:3888:participant;2181;2281";
        let arguments = ["zkctl", "reconfig", "--join", server];
        let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
        let Command::Reconfig(reconfig) = cli.command else {
            panic!("not reconfig")
        };
        assert_eq!(reconfig.join, [server]);
    }

    #[test]
    fn options_may_follow_the_command() {
        let cli = Cli::try_parse_from([
            "zkctl",
            "set",
            "/a",
            "-5",
            "--version",
            "3",
            "--server",
            "h:1/c",
            "-o",
            "json",
        ])
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (cli.global.server.as_str(), cli.global.output),
            ("h:1/c", Format::Json)
        );
        let Command::Set(set) = cli.command else {
            panic!("not set")
        };
        assert_eq!(set.version, Some(3));
        assert_eq!(set.data.as_deref(), Some("-5".as_ref()));
    }
}
