//! The arguments of the commands on trees.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use zk_client::SessionId;

use super::duration::duration;
use super::session::session;
use super::size::size;
use super::znode::znode;

#[derive(Args)]
pub(crate) struct Export {
    /// The znode, which is exported with everything below it; / unless given. The servers' own /zookeeper is left
    /// out unless it is named
    #[arg(value_parser = znode)]
    pub(crate) path: Option<String>,
    /// Write to FILE and not to standard output. An export that is cut there is continued behind its last znode
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Import {
    /// The file that export has written; - is standard input
    pub(crate) file: String,
    /// The znode to write to; that of the export unless given
    #[arg(value_parser = znode)]
    pub(crate) path: Option<String>,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// How a tree is written.
#[derive(Args)]
#[command(group = ArgGroup::new("existing").args(["fail", "skip", "overwrite"]))]
pub(crate) struct Writing {
    /// Stop at a znode that exists and differs; the default
    #[arg(long)]
    pub(crate) fail: bool,
    /// Keep znodes that exist and differ as they are
    #[arg(long)]
    pub(crate) skip: bool,
    /// Replace the data and ACL of znodes that exist and differ
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only print what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// What becomes of ephemeral znodes, which end with the session that created them
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub(crate) ephemerals: Ephemerals,
    /// What becomes of znodes whose names end with the number of a sequential znode
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub(crate) sequences: Sequences,
    /// Neither compare ACLs nor set them: new znodes get the ACL that every client may use
    #[arg(long)]
    pub(crate) no_acl: bool,
    /// Create missing ancestors of the znode to write to
    #[arg(short, long)]
    pub(crate) parents: bool,
    /// Print each znode that is created, replaced, kept or left out
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ephemerals {
    /// They are left out
    #[default]
    Skip,
    /// They become persistent znodes
    Persistent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sequences {
    /// They keep their names
    #[default]
    Keep,
    /// They are left out, with everything below them
    Skip,
}

#[derive(Args)]
pub(crate) struct Copy {
    /// What to copy: a znode, or one of other servers, HOST:PORT,.../path or zk://HOST/path
    pub(crate) from: String,
    /// Where to: a znode, or one of other servers
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Args)]
pub(crate) struct Diff {
    /// A tree: a znode (/path), one of other servers (HOST:PORT,.../path or zk://HOST/path), or a file that export
    /// has written (tree.ndjson, file:/path, or - for standard input)
    pub(crate) left: String,
    /// The tree to compare it with
    pub(crate) right: String,
    /// Leave something out of the comparison; may be given several times
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) ignore: Vec<Ignored>,
    /// Also show which lines of the data differ; in JSON, the data of both znodes
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) data: bool,
    /// Print no differences; the exit code says whether there are any
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ignored {
    Data,
    Acl,
    Kind,
    /// Ephemeral znodes
    Ephemerals,
}

#[derive(Args)]
pub(crate) struct Du {
    /// The znode
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// How many levels below it to show
    #[arg(short, long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// Only the N subtrees with the most bytes, the largest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) top: Option<u32>,
}

#[derive(Args)]
pub(crate) struct Find {
    /// The znode below which to search, itself included
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// The name matches: * is any text, ? is any character
    #[arg(long, value_name = "PATTERN")]
    pub(crate) name: Option<String>,
    /// The data contain this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) value: Option<String>,
    /// Ephemeral, and owned by this session, as in 0x1000a2b3c4d0000
    #[arg(long, value_name = "SESSION", value_parser = session)]
    pub(crate) owner: Option<SessionId>,
    /// Ephemeral
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// The data were last set, or the znode created, longer ago than this
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) older: Option<Duration>,
    /// The data were last set, or the znode created, within this time
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) newer: Option<Duration>,
    /// At least so many bytes of data
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) larger: Option<usize>,
    /// How many levels below PATH to search
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// With kind, version, number of children, size, time of the last change, as ls -l
    #[arg(short, long)]
    pub(crate) long: bool,
}

/// A tree that the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A znode of the servers of --server.
    Znode(String),
    /// A znode of other servers.
    Servers { hosts: String, path: String },
    /// A file, or `-`.
    File(String),
}

impl Operand {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            let path = znode(text).map_err(|problem| {
                format!("{text}: {problem}; for the file of that name write file:{text}")
            })?;
            return Ok(Operand::Znode(path));
        }
        if let Some(file) = text.strip_prefix("file:") {
            return Ok(Operand::File(file.to_owned()));
        }
        let is_service = ["zk://", "zks://", "dns-srv://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if is_service || has_port(text) {
            let (hosts, path) = split_path(text);
            let path = znode(&path).map_err(|problem| format!("{text}: {path}: {problem}"))?;
            return Ok(Operand::Servers { hosts, path });
        }
        Ok(Operand::File(text.to_owned()))
    }
}

/// The servers without their path, and the path. A path with escapes stays, as the root of the session.
fn split_path(text: &str) -> (String, String) {
    let begin = text.find("://").map_or(0, |scheme| scheme + "://".len());
    let (place, query) = match text.find('?') {
        Some(query) => text.split_at(query),
        None => (text, ""),
    };
    let hosts = place.get(begin..).and_then(|rest| rest.find('/'));
    match hosts.and_then(|hosts| place.split_at_checked(begin + hosts)) {
        Some((hosts, path)) if !path.contains('%') => {
            let path = match path.trim_end_matches('/') {
                "" => "/",
                path => path,
            };
            (format!("{hosts}{query}"), path.to_owned())
        }
        _ => (text.to_owned(), "/".to_owned()),
    }
}

/// Whether the text begins as a connect string: a host, and a port.
fn has_port(text: &str) -> bool {
    let hosts = text.split_once('/').map_or(text, |(hosts, _)| hosts);
    let first = hosts.split(',').next().unwrap_or_default();
    first.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_znodes_servers_and_files() {
        let znode = |text: &str| Ok(Operand::Znode(text.to_owned()));
        let servers = |hosts: &str, path: &str| {
            Ok(Operand::Servers {
                hosts: hosts.to_owned(),
                path: path.to_owned(),
            })
        };
        let file = |text: &str| Ok(Operand::File(text.to_owned()));
        for (text, operand) in [
            ("/", znode("/")),
            ("/a/b", znode("/a/b")),
            ("zk1:2181", servers("zk1:2181", "/")),
            ("zk1:2181/", servers("zk1:2181", "/")),
            (
                "zk1:2181,zk2:2181/a/b",
                servers("zk1:2181,zk2:2181", "/a/b"),
            ),
            ("[::1]:2181/app", servers("[::1]:2181", "/app")),
            ("zks://zk1/app", servers("zks://zk1", "/app")),
            ("zk://zk1", servers("zk://zk1", "/")),
            ("zk://z/a?tls_ca=/x", servers("zk://z?tls_ca=/x", "/a")),
            ("zk://z/a%20b?x=y", servers("zk://z/a%20b?x=y", "/")),
            (
                "dns-srv://_zk._tcp.x/a",
                servers("dns-srv://_zk._tcp.x", "/a"),
            ),
            ("tree.ndjson", file("tree.ndjson")),
            ("./a:b", file("./a:b")),
            ("a/b:2181", file("a/b:2181")),
            ("-", file("-")),
            ("file:/var/tree", file("/var/tree")),
        ] {
            assert_eq!(Operand::parse(text), operand, "{text}");
        }
        let problem = Operand::parse("/var/../tree").unwrap_err();
        assert!(problem.contains("file:/var/../tree"), "{problem}");
    }
}
