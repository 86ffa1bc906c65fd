//! The table of commands: what each does to znodes, and the session that it runs in.

use std::ffi::OsStr;
use std::path::Path;

use super::Command;
use super::acl::AclCommand;
use super::quota::QuotaCommand;
use super::znode::Set;

/// The row of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) effect: Effect,
    pub(crate) session: Session,
}

/// What a command does to znodes and to the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It reads, and a read-only server can answer.
    Reads,
    /// It changes znodes or the ensemble. Locks and elections create znodes, and other clients wait for them.
    Writes,
    /// It changes nothing, but needs events or a quorum, which read-only servers do not provide; or no znodes.
    Other,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// In one session, in a shell that of the shell.
    Shared,
    /// In one session, which is never that of a shell: it handles signals itself, uses the terminal, or reads
    /// standard input.
    Own,
    /// In one session for each of its trees.
    OfEachTree,
    /// Asks each server, without a session.
    OfNone,
    /// Without the servers, and the context, that are given.
    WithoutServers,
}

impl Class {
    pub(crate) fn writes(self) -> bool {
        self.effect == Effect::Writes
    }
}

impl Command {
    /// The row of this command.
    pub(crate) fn class(&self) -> Class {
        use Effect::{Other, Reads, Writes};
        use Session::{OfEachTree, OfNone, Own, Shared, WithoutServers};
        let writes_unless = |dry_run| if dry_run { Reads } else { Writes };
        let shared_unless = |own| if own { Own } else { Shared };
        let (effect, session) = match self {
            Command::Ls(_) => (Reads, Shared),
            Command::Tree(_) => (Reads, Shared),
            Command::Get(_) => (Reads, Shared),
            Command::Set(set) => (Writes, shared_unless(set_reads_stdin(set))),
            Command::Create(create) => (Writes, shared_unless(is_stdin(create.data.as_deref()))),
            Command::Delete(delete) => (writes_unless(delete.dry_run), Shared),
            Command::Stat(_) => (Reads, Shared),
            Command::Exists(_) => (Reads, Shared),
            Command::Count(_) => (Reads, Shared),
            Command::Ephemerals(_) => (Reads, Shared),
            Command::Acl(AclCommand::Get(_)) => (Reads, Shared),
            Command::Acl(AclCommand::Set(_)) => (Writes, Shared),
            Command::Digest(_) => (Other, WithoutServers),
            Command::Txn(txn) => (Writes, shared_unless(txn_reads_stdin(txn.file.as_deref()))),
            Command::Quota(QuotaCommand::Get(_) | QuotaCommand::Tree(_)) => (Reads, Shared),
            Command::Quota(QuotaCommand::Set(_) | QuotaCommand::Delete(_)) => (Writes, Shared),
            Command::Sync(_) => (Other, Shared),
            Command::Whoami => (Reads, Shared),
            Command::Watch(watch) => (Other, shared_unless(!watch.command.is_empty())),
            Command::Lock(_) => (Writes, Own),
            Command::Elect(elect) if elect.observe => (Other, Own),
            Command::Elect(_) => (Writes, Own),
            Command::Locks(_) => (Reads, Shared),
            Command::Elections(_) => (Reads, Shared),
            Command::Semaphores(_) => (Reads, Shared),
            Command::Watchers(_) => (Reads, Shared),
            Command::Sessions(_) => (Reads, Shared),
            Command::Export(_) => (Reads, Shared),
            Command::Import(import) => (
                writes_unless(import.writing.dry_run),
                shared_unless(import.file == "-"),
            ),
            Command::Copy(copy) => (writes_unless(copy.writing.dry_run), OfEachTree),
            Command::Diff(_) => (Reads, OfEachTree),
            Command::Du(_) => (Reads, Shared),
            Command::Find(_) => (Reads, Shared),
            Command::Config(_) => (Reads, Shared),
            Command::Reconfig(_) => (Writes, Shared),
            Command::Health(_) => (Other, OfNone),
            Command::Top(_) => (Other, OfNone),
            Command::Version(_) => (Other, OfNone),
            Command::FourLetter(args) if args.changes_servers() => (Writes, OfNone),
            Command::FourLetter(_) => (Other, OfNone),
            // Refuses changes itself without --write.
            Command::Ui(_) => (Reads, Own),
            // Each of its lines is a command.
            Command::Shell(_) => (Other, Own),
            Command::Context(_) => (Other, WithoutServers),
            Command::Bench(_) => (Writes, Own),
            Command::Serve(_) => (Other, WithoutServers),
            Command::Demo => (Other, WithoutServers),
            Command::Completions(_) => (Other, WithoutServers),
            Command::Man(_) => (Other, WithoutServers),
            Command::Watchdog => (Other, WithoutServers),
        };
        Class { effect, session }
    }
}

fn is_stdin(data: Option<&OsStr>) -> bool {
    data.is_some_and(|data| data == "-")
}

fn set_reads_stdin(set: &Set) -> bool {
    let has_data = set.data.is_some() || set.given.file.is_some() || set.given.null;
    !has_data || is_stdin(set.data.as_deref())
}

fn txn_reads_stdin(file: Option<&Path>) -> bool {
    file.is_none_or(|file| file.as_os_str() == "-")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn class(line: &str) -> Class {
        let words = std::iter::once("zkctl").chain(line.split(' '));
        let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        cli.command.class()
    }

    #[test]
    fn a_row_depends_on_the_options() {
        let (shared, own, trees) = (Session::Shared, Session::Own, Session::OfEachTree);
        for (line, effect, session) in [
            ("delete -r /a", Effect::Writes, shared),
            ("delete -n -r /a", Effect::Reads, shared),
            ("import f", Effect::Writes, shared),
            ("import -n f", Effect::Reads, shared),
            ("import -", Effect::Writes, own),
            ("copy /a /b", Effect::Writes, trees),
            ("copy -n /a /b", Effect::Reads, trees),
            ("elect /e", Effect::Writes, own),
            ("elect --observe /e", Effect::Other, own),
            ("set /a v", Effect::Writes, shared),
            ("set /a", Effect::Writes, own),
            ("set /a -", Effect::Writes, own),
            ("create /a", Effect::Writes, shared),
            ("create /a -", Effect::Writes, own),
            ("txn", Effect::Writes, own),
            ("txn f", Effect::Writes, shared),
            ("txn -", Effect::Writes, own),
            ("watch /a", Effect::Other, shared),
            ("watch /a -- true", Effect::Other, own),
            ("acl get /a", Effect::Reads, shared),
            ("acl set /a world:anyone:r", Effect::Writes, shared),
            ("quota tree", Effect::Reads, shared),
            ("quota delete /a", Effect::Writes, shared),
            ("four-letter mntr", Effect::Other, Session::OfNone),
            ("four-letter srst", Effect::Writes, Session::OfNone),
        ] {
            assert_eq!(class(line), Class { effect, session }, "{line}");
        }
    }
}
