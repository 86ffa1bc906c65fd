//! The command line: options, arguments, environment variables, credentials.
//!
//! - [`global`], [`znode`], [`data`], [`acl`], [`session`], [`quota`], [`txn`], [`trees`], [`guarded`], [`holders`],
//!   [`ensemble`], [`status`], [`top`], [`mod@bench`], [`serve`]: the arguments of commands.
//! - [`class`]: what each command does to znodes, and the session that it runs in.
//! - [`servers`]: connect strings, and URLs with options. [`context`]: named ones in a file.
//! - [`security`], [`kerberos`]: the options for TLS and SASL, and how they configure the client.
//! - [`credentials`], [`environment`], [`input`], [`prompt`], [`ensemble_file`]: what is read from files,
//!   variables, standard input, the terminal.
//! - [`duration`], [`size`], [`words`], [`secrets`], [`mod@usage`], [`help`]: parsers, usage errors, texts.

pub(crate) mod acl;
pub(crate) mod bench;
pub(crate) mod class;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod current;
pub(crate) mod data;
pub(crate) mod duration;
pub(crate) mod ensemble;
pub(crate) mod ensemble_file;
pub(crate) mod environment;
pub(crate) mod generated;
pub(crate) mod global;
pub(crate) mod guarded;
mod help;
pub(crate) mod holders;
pub(crate) mod input;
pub(crate) mod kerberos;
pub(crate) mod prompt;
pub(crate) mod protect;
pub(crate) mod quota;
pub(crate) mod secrets;
pub(crate) mod security;
pub(crate) mod serve;
pub(crate) mod servers;
pub(crate) mod session;
pub(crate) mod shell;
pub(crate) mod size;
pub(crate) mod status;
#[cfg(feature = "tls")]
mod tls;
pub(crate) mod top;
pub(crate) mod trees;
pub(crate) mod txn;
pub(crate) mod ui;
pub(crate) mod usage;
pub(crate) mod words;
pub(crate) mod znode;

use clap::{Parser, Subcommand};

use acl::{AclCommand, Digest};
use bench::Bench;
use context::args::ContextCommand;
use ensemble::{Config, Reconfig};
use generated::{Completions, Manual};
use global::Global;
use guarded::{Elect, Lock};
use holders::{Queues, Semaphores, Sessions, Watchers};
use quota::QuotaCommand;
use serve::Serve;
use session::{Ephemerals, Sync};
use shell::Shell;
use status::{FourLetter, Health, Version};
use top::Top;
use trees::{Copy, Diff, Du, Export, Find, Import};
use txn::Txn;
use ui::Ui;
use znode::{Create, Delete, Exists, Get, Ls, Node, Set, Stat, Tree, Watch};

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
    Stat(Stat),
    /// Print whether a znode exists: true with exit code 0, or false with 1; 2 on failure
    #[command(after_help = help::EXISTS)]
    Exists(Exists),
    /// Count the znodes below a znode, itself not included
    Count(Node),
    /// List the ephemeral znodes at and below a znode, with the sessions that own them
    Ephemerals(Ephemerals),
    /// Show or replace the ACLs of znodes
    #[command(subcommand)]
    Acl(AclCommand),
    /// Print a user's id for ACLs, digest:USER:HASH; the password comes from the terminal or standard input
    Digest(Digest),
    /// Apply several operations together or not at all, from lines or JSON
    #[command(after_help = help::TXN)]
    Txn(Txn),
    /// Show or change the limits for the number of znodes and bytes of subtrees
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Have the server catch up with the leader, and print its last transaction
    Sync(Sync),
    /// Print the identities that the server has accepted for these credentials
    Whoami,
    /// Print the changes of znodes, or run a command for them, until interrupted; through lost connections
    /// and sessions
    Watch(Watch),
    /// Run a command while holding a lock or a semaphore's lease, or hold it until interrupted
    #[command(after_help = help::GUARDED)]
    Lock(Lock),
    /// Run a command while being the elected leader, lead until interrupted, or print the leaders
    #[command(after_help = help::GUARDED)]
    Elect(Elect),
    /// Show the holder of a lock and its waiters: session, address, token, age
    ///
    /// Recognizes the locks of zk-recipes, Curator, kazoo, go-zk and ZooKeeper's WriteLock.
    Locks(Queues),
    /// Show the leader of an election and the other candidates
    ///
    /// Recognizes the elections of zk-recipes, kazoo, Curator (LeaderSelector, LeaderLatch) and ZooKeeper's
    /// LeaderElectionSupport.
    Elections(Queues),
    /// Show the holders of a semaphore's leases and the queue for them
    ///
    /// Recognizes the semaphores of zk-recipes, Curator (InterProcessSemaphoreV2) and kazoo.
    Semaphores(Semaphores),
    /// Show the sessions that watch a znode
    ///
    /// Apache's servers list the watches of `get` and `exists` and persistent ones, not those on the list of
    /// children. Sends wchp to all servers, which slows a server with very many watches down for a moment.
    Watchers(Watchers),
    /// Show all sessions: client address, server, timeout, ephemeral znodes
    ///
    /// Sends the four-letter words dump and cons to all servers.
    Sessions(Sessions),
    /// Write a tree with data, ACLs and kinds, as one JSON object a line
    Export(Export),
    /// Create the znodes of an export. Repeat an import that was cut: it does what is missing
    Import(Import),
    /// Copy a tree to another znode, or to another ensemble
    Copy(Copy),
    /// Compare two trees: znodes, other ensembles, exports
    #[command(after_help = help::DIFF)]
    Diff(Diff),
    /// Show the bytes and the znodes of subtrees
    Du(Du),
    /// Print the znodes that have all the properties given
    Find(Find),
    /// Show the ensemble's configuration: its servers and its version
    Config(Config),
    /// Change the ensemble and show its new configuration. Needs the superuser's credentials, and
    /// servers with reconfigEnabled=true
    Reconfig(Reconfig),
    /// Show each server's role, version, latency, connections, lag, and what is wrong
    #[command(after_help = help::HEALTH)]
    Health(Health),
    /// Watch the ensemble: each server's rates, latency, load, lag, and what is wrong
    #[command(after_help = help::TOP)]
    Top(Top),
    /// Print the version of the server
    Version(Version),
    /// Print a server's answer to a four-letter word
    FourLetter(FourLetter),
    /// Browse the tree in the terminal: data, metadata, ACLs, live changes; read-only without --write
    #[command(after_help = help::UI)]
    Ui(Ui),
    /// Run commands in one session, with history and completion; zkCli's commands too
    #[command(after_help = help::SHELL)]
    Shell(Box<Shell>),
    /// Name servers, with their options, in a file
    #[command(subcommand)]
    Context(ContextCommand),
    /// Measure how long requests take, on znodes that are deleted afterwards
    Bench(Bench),
    /// Run an in-memory server for development and tests, until interrupted
    Serve(Box<Serve>),
    /// Show locks, an election, watches and an expiry at work, on an embedded server, or on the
    /// ensemble that --server names
    Demo,
    /// Print a script that makes a shell complete zkctl's commands and options
    #[command(after_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Print a manual page, or write all of them to a directory
    #[command(after_help = help::MANUAL)]
    Man(Manual),
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

    /// What the README's table for users of zkCli names.
    #[test]
    fn counterparts_of_zkcli_exist() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("| zkCli | zkctl | |\n").unwrap();
        let rows = table
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with('|'));
        let mut cli = Cli::command();
        cli.build();
        let (mut commands, mut options) = (0, 0);
        for row in rows {
            // Within a cell, a bar is escaped.
            let counterparts = row.split(" | ").nth(1).unwrap();
            for usage in counterparts.split('`').skip(1).step_by(2) {
                let mut command = &cli;
                let words = usage.split([' ', '[', ']', '|', '\\', ',']);
                for word in words {
                    if let Some(found) = command.find_subcommand(word) {
                        command = found;
                        commands += 1;
                    } else if let Some(option) = word.strip_prefix('-') {
                        let has = command.get_arguments().any(|argument| {
                            let short = argument.get_short().map(String::from);
                            short.as_deref() == Some(option)
                                || argument.get_long() == option.strip_prefix('-')
                        });
                        assert!(has, "{word} of {usage}");
                        options += 1;
                    }
                }
            }
        }
        assert!(commands > 20 && options > 30, "{commands} {options}");
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
