//! The command line.

use std::ffi::OsString;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand, ValueEnum};
use zk_client::path;
use zk_proto::config::{ConfigError, Server};
use zk_proto::path::PathProblem;
use zk_recipes::Layout;

use crate::environment;
use crate::security::Security;
use crate::serve::Serve;
use crate::size::size;
use crate::time::{duration, session_timeout};

const AFTER_HELP: &str = "\
Exit codes:
    0  done; for `exists`: there is such a znode
    1  failed; for `exists`: there is no such znode
    2  usage; for `exists`: also that it could not be found out
  130  ended by SIGINT; 128+N by signal N
`lock` and `elect` exit with COMMAND's code, and otherwise:
   75  the lock was lost, or not obtained in time (--conflict-exit-code)
  125  zkctl itself failed, before COMMAND was started or while it looked after it; usage
  126  COMMAND cannot be run
  127  COMMAND was not found
  128+N  signal N ended COMMAND, or zkctl before it was started

Durations: 500ms, 10s, 2m, 1h; a bare number is seconds. Sizes: 1048576, 1024K, 1M (of 1024).
An empty environment variable is as one that is not set. Credentials of ZK_AUTH (one a line),
ZK_AUTH_FILE, --auth-file and --auth are all given to the servers.";

const LOCK_EXIT_CODES: &str = "\
Exit codes: COMMAND's, and otherwise
   75  it was lost, or not obtained in time (--conflict-exit-code)
  125  zkctl itself failed, before COMMAND was started or while it looked after it; usage
  126  COMMAND cannot be run
  127  COMMAND was not found
  128+N  signal N ended COMMAND, or zkctl before it was started";

const EXISTS_EXIT_CODES: &str = "\
Exit codes: 0 there is such a znode, 1 there is none, 2 it could not be found out, or usage.";

/// Look at a ZooKeeper ensemble, edit it, watch it, run programs under its locks.
#[derive(Parser)]
#[command(name = "zkctl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Global {
    /// The ensemble, and the znode to take for the root: host:port,host:port/chroot, or
    /// dns-srv://service/chroot
    #[arg(
        long,
        global = true,
        value_name = "HOSTS",
        env = environment::SERVER,
        default_value = "127.0.0.1:2181"
    )]
    pub(crate) server: String,
    /// The session timeout to ask for; servers clamp it
    #[arg(
        long,
        global = true,
        value_name = "D",
        default_value = "10s",
        value_parser = session_timeout
    )]
    pub(crate) session_timeout: Duration,
    /// How long to try to get a session; 5s unless given, for lock and elect with --no-wait 1s, with
    /// --wait at most that
    #[arg(long, global = true, value_name = "D", value_parser = duration)]
    pub(crate) connect_timeout: Option<Duration>,
    /// How long one request may take, once there is a session
    #[arg(long, global = true, value_name = "D", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Credentials, as in digest:user:password; may be given several times. Other users of the
    /// machine can see command lines, so prefer ZK_AUTH or a file
    #[arg(long, global = true, value_name = "SCHEME:CRED")]
    pub(crate) auth: Vec<String>,
    /// A file with credentials, one a line; may be given several times, and ZK_AUTH_FILE names one
    /// more
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) auth_file: Vec<PathBuf>,
    /// The largest reply to take, as the list of a znode's children may be one; 8M unless given
    #[arg(long, global = true, value_name = "BYTES", value_parser = size)]
    pub(crate) max_reply_bytes: Option<usize>,
    /// The largest request to send, data included: the servers' jute.maxbuffer, which is 1048575
    /// unless they are configured otherwise
    #[arg(long, global = true, value_name = "BYTES", value_parser = size)]
    pub(crate) max_request_bytes: Option<usize>,
    /// Make do with a server that has no quorum, if there is no other: ls, tree, get, stat, exists
    /// and config may then show what is old
    #[arg(long, global = true)]
    pub(crate) read_only: bool,
    /// For people, or one JSON object a line for programs
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) security: Security,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Plain,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List a znode's children
    Ls(Ls),
    /// Draw a znode and what is below it
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
    /// Say whether a znode exists: true and exit code 0, or false and 1; 2 if it cannot be found out
    #[command(after_help = EXISTS_EXIT_CODES)]
    Exists(Node),
    /// Print what happens to znodes until interrupted, through lost connections and sessions
    Watch(Watch),
    /// Run a command while holding a lock
    #[command(after_help = LOCK_EXIT_CODES)]
    Lock(Lock),
    /// Run a command while leading, once elected
    #[command(after_help = LOCK_EXIT_CODES)]
    Elect(Elect),
    /// Show the ensemble's configuration: its servers and its version
    Config,
    /// Change the ensemble and show its new configuration. Needs the superuser's credentials, and
    /// servers with reconfigEnabled=true
    Reconfig(Reconfig),
    /// Measure how long requests take here, on znodes of its own
    Bench(Bench),
    /// Run an in-memory server for development and tests, until interrupted
    Serve(Box<Serve>),
    /// Show locks, an election, watches and an expiry at work, on a server of its own, or on the
    /// ensemble that --server names
    Demo,
    /// Ends the command of a zkctl that was killed or stopped; started by zkctl itself
    #[command(name = "__keeper", hide = true)]
    Keeper,
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct Reconfig {
    /// A server to add or change, as in server.4=zk4:2888:3888:participant;2181 or, from 3.10 on with
    /// a port for clients over TLS, server.4=zk4:2888:3888:participant;2181;2281
    #[arg(long, value_name = "SERVER", value_parser = server, group = "change")]
    pub(crate) join: Vec<String>,
    /// The number of a server to remove
    #[arg(long, value_name = "N", group = "change")]
    pub(crate) leave: Vec<u64>,
    /// A server of the new ensemble, which consists of those named in this way and no others
    #[arg(
        long,
        value_name = "SERVER",
        value_parser = server,
        conflicts_with_all = ["join", "leave"],
        group = "change"
    )]
    pub(crate) member: Vec<String>,
    /// Only if the configuration has this version, as `config` shows it
    #[arg(long, value_name = "HEX", value_parser = config_version)]
    pub(crate) from_version: Option<i64>,
}

#[derive(Args)]
pub(crate) struct Bench {
    /// What is done: `watch` sets a watch and a znode's data and waits for the event, `lock` acquires
    /// and releases one that all want, `connect` opens a session and ends it
    #[arg(value_enum)]
    pub(crate) workload: Workload,
    /// How often
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=100_000_000)
    )]
    pub(crate) ops: u64,
    /// How many at a time
    #[arg(
        long,
        value_name = "C",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(1..=100_000)
    )]
    pub(crate) concurrency: u64,
    /// The length of a znode's data; servers take a little less than 1 MiB unless told otherwise
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    Get,
    Set,
    Create,
    Watch,
    Lock,
    Connect,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Get => "get",
            Workload::Set => "set",
            Workload::Create => "create",
            Workload::Watch => "watch",
            Workload::Lock => "lock",
            Workload::Connect => "connect",
        }
    }
}

#[derive(Args)]
pub(crate) struct Node {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// The znode
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// Everything below it, and itself, by full paths
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// With kind (e ephemeral; c container and t time to live where servers show it), version, number of children, size, time of the last change
    #[arg(short, long)]
    pub(crate) long: bool,
}

#[derive(Args)]
pub(crate) struct Tree {
    /// The znode
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// How many levels below it to show
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Get {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Also show the metadata, on standard error
    #[arg(short = 'l', long)]
    pub(crate) stat: bool,
}

#[derive(Args)]
pub(crate) struct Set {
    /// The znode
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// The data; read from standard input if -, or if absent and standard input is not empty
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<OsString>,
    /// Only if the data have this version
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) version: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Create {
    /// The znode; for a sequential one its beginning, which may end in a slash
    pub(crate) path: String,
    /// The data; empty if absent, read from standard input if -
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<OsString>,
    /// It lives as long as this command runs
    #[arg(short, long)]
    pub(crate) ephemeral: bool,
    /// The server appends a number to its name
    #[arg(short, long)]
    pub(crate) sequential: bool,
    /// It goes some time after its last child
    #[arg(short, long, conflicts_with_all = ["ephemeral", "sequential", "ttl"])]
    pub(crate) container: bool,
    /// It goes when it has had no child and no change for this long
    #[arg(long, value_name = "D", value_parser = duration, conflicts_with = "ephemeral")]
    pub(crate) ttl: Option<Duration>,
    /// Create what is missing above it as well
    #[arg(short, long)]
    pub(crate) parents: bool,
    /// Who may do what: scheme:id:permissions, separated by commas, as in world:anyone:cdrwa
    #[arg(long, value_name = "ACL")]
    pub(crate) acl: Option<String>,
}

#[derive(Args)]
pub(crate) struct Delete {
    /// The znodes
    #[arg(required = true, value_name = "PATH", value_parser = deletable)]
    pub(crate) paths: Vec<String>,
    /// With everything below them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Only if the data have this version
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(i32).range(0..),
        conflicts_with = "recursive"
    )]
    pub(crate) version: Option<i32>,
}

#[derive(Args)]
pub(crate) struct Watch {
    /// The znodes; they need not exist
    #[arg(required = true, value_name = "PATH", value_parser = znode)]
    pub(crate) paths: Vec<String>,
    /// Everything below them too
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

#[derive(Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) guarded: Guarded,
}

#[derive(Args)]
pub(crate) struct Elect {
    #[command(flatten)]
    pub(crate) guarded: Guarded,
}

#[derive(Args)]
pub(crate) struct Guarded {
    /// Give up after this long, connecting included, with exit code 75; to find out what was in the
    /// way may take up to half a second more
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Give up at once if another has it or waits for it, or if no server answers within a second
    /// (--connect-timeout), with exit code 75
    #[arg(long, conflicts_with = "wait")]
    pub(crate) no_wait: bool,
    /// Who is asking, for others to see; user@host:pid unless given
    #[arg(long, value_name = "TEXT")]
    pub(crate) identifier: Option<String>,
    /// Whose names its znodes have: kazoo's, Curator's, or those of Curator together with an eye for
    /// kazoo's
    #[arg(long, value_enum, value_name = "NAMES", default_value_t)]
    pub(crate) layout: Names,
    /// The exit code for a lock that was lost or not obtained, if COMMAND has a use for 75
    #[arg(long, value_name = "N", default_value_t = 75)]
    pub(crate) conflict_exit_code: u8,
    /// COMMAND may use the terminal. Except on Linux, what it has started is then not ended with it
    #[arg(long)]
    pub(crate) foreground: bool,
    /// COMMAND inherits ZK_AUTH and ZK_SASL_PASSWORD
    #[arg(long)]
    pub(crate) keep_credentials: bool,
    /// The znode that stands for it
    #[arg(value_parser = znode)]
    pub(crate) path: String,
    /// Runs with ZK_FENCING_TOKEN set to a number that grows from holder to holder. It and what it
    /// has started (its process group; on Linux all its descendants) are sent SIGTERM, then SIGKILL,
    /// before another can have the lock: if the lock is about to be lost, and when COMMAND has ended
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Names {
    #[default]
    Default,
    Kazoo,
    Curator,
}

impl From<Names> for Layout {
    fn from(names: Names) -> Self {
        match names {
            Names::Default => Layout::Default,
            Names::Kazoo => Layout::Kazoo,
            Names::Curator => Layout::Curator,
        }
    }
}

/// A usage error that does not repeat the value of an argument which may hold a password, be it by
/// mistake.
pub(crate) fn without_secrets(mut error: clap::Error) -> clap::Error {
    const MAY_HOLD_SECRETS: [&str; 5] = ["--server", "--auth", "--acl", "--join", "--member"];
    let holds = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => MAY_HOLD_SECRETS
            .iter()
            .any(|name| argument.split(' ').next() == Some(name)),
        _ => false,
    };
    if holds {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}

fn server(text: &str) -> Result<String, ConfigError> {
    text.parse::<Server>().map(|_| text.to_owned())
}

/// As the configuration's text has it.
fn config_version(text: &str) -> Result<i64, ParseIntError> {
    u64::from_str_radix(text, 16).map(u64::cast_signed)
}

/// The parser repeats the path.
fn znode(text: &str) -> Result<String, PathProblem> {
    match path::validate(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(error.problem),
    }
}

/// A slip of the finger should not empty an ensemble.
fn deletable(text: &str) -> Result<String, String> {
    if text == "/" {
        return Err("the root cannot be deleted; name the znodes below it".to_owned());
    }
    znode(text).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        environment::settle(Cli::command()).debug_assert();
    }

    /// Guards: P27.
    #[test]
    fn help_shows_no_value_of_a_variable() {
        let mut checked = 0;
        for argument in environment::settle(Cli::command()).get_arguments() {
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
        let text = without_secrets(error).to_string();
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
    fn options_may_follow_the_command_and_names_do_not_clash() {
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
