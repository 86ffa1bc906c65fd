//! `locks` and `elections`.

use std::collections::VecDeque;
use std::process::ExitCode;

use zk_client::{Client, ErrorKind, path};

use super::contenders::{Addresses, addresses, read};
use super::layout::{Contender, Kind, Names, Place, forms, hint, sort};
use super::row::Row;
use crate::cli::holders::Queues;
use crate::commands::walk::of_one_znode;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

/// How many lists of children are read at once.
const WINDOW: usize = 64;

pub(crate) async fn locks(
    args: &Queues,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    Search::new(Kind::Lock, args, client, output, notices)
        .run()
        .await
}

pub(crate) async fn elections(
    args: &Queues,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    Search::new(Kind::Election, args, client, output, notices)
        .run()
        .await
}

/// The search for queues of contenders, at a znode or below it as well.
struct Search<'a> {
    kind: Kind,
    args: &'a Queues,
    client: &'a Client,
    output: &'a mut Output,
    notices: &'a Notices,
    addresses: Addresses,
    failed: bool,
}

impl<'a> Search<'a> {
    fn new(
        kind: Kind,
        args: &'a Queues,
        client: &'a Client,
        output: &'a mut Output,
        notices: &'a Notices,
    ) -> Self {
        Search {
            kind,
            args,
            client,
            output,
            notices,
            addresses: Addresses::default(),
            failed: false,
        }
    }

    async fn run(mut self) -> Result<ExitCode, Failure> {
        // Fails before the servers are searched for addresses.
        let start = self.client.children(&self.args.path).await?;
        if !self.args.no_addresses {
            self.addresses = addresses(self.client, self.notices).await?;
        }
        let names: Vec<&str> = start.iter().collect();
        let found = self.queue(&self.args.path, &names).await?;
        if !self.args.recursive {
            if !found {
                self.nothing_found(&names).await?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        self.below(&names).await?;
        match self.failed {
            true => Err(Failure::Reported),
            false => Ok(ExitCode::SUCCESS),
        }
    }

    /// Shows the queues below the start. Visits the children of a znode before its siblings, which keeps the list
    /// of znodes to visit short in a large tree.
    async fn below(&mut self, children: &[&str]) -> Result<(), Failure> {
        let mut unvisited = others(&self.args.path, children);
        let mut pending = VecDeque::new();
        loop {
            while pending.len() < WINDOW
                && let Some(path) = unvisited.pop()
            {
                let reply = self.client.children(&path).submit();
                pending.push_back((path, reply));
            }
            let Some((path, reply)) = pending.pop_front() else {
                return Ok(());
            };
            match reply.await {
                Ok(children) => {
                    let names: Vec<&str> = children.iter().collect();
                    self.queue(&path, &names).await?;
                    unvisited.extend(others(&path, &names));
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => {
                    self.notices.say(explain(&of_one_znode(error)?));
                    self.failed = true;
                }
            }
        }
    }

    /// Shows the queue at a znode, and returns whether there is one.
    async fn queue(&mut self, path: &str, names: &[&str]) -> Result<bool, Failure> {
        let names = names.iter().copied();
        let mut contenders = read(self.client, path, self.kind, names).await?;
        if contenders.is_empty() {
            return Ok(false);
        }
        let holding = sort(&mut contenders);
        if let Some(text) = conflict(path, &forms(&contenders)) {
            self.notices.say(text);
        }
        if !self.output.is_json() {
            self.output.line(visible_line(path)).await?;
        }
        for (position, contender) in contenders.iter().enumerate() {
            self.contender(path, contender, position, holding).await?;
        }
        Ok(true)
    }

    async fn contender(
        &mut self,
        path: &str,
        contender: &Contender,
        position: usize,
        holding: usize,
    ) -> Result<(), Failure> {
        let state = match (self.kind, position < holding) {
            (Kind::Lock, true) => "holding",
            (Kind::Lock, false) => "waiting",
            (Kind::Election, true) => "leading",
            (Kind::Election, false) => "candidate",
        };
        let place = &contender.place;
        let mut more = vec![];
        if self.kind == Kind::Lock {
            let mode = if place.shared { "shared" } else { "exclusive" };
            more.push(("mode", mode.into()));
        }
        more.push(("layout", place.names.layout().into()));
        if self.output.is_json() {
            more.push(("position", position.into()));
        }
        let row = Row {
            recipe: path,
            znode: &contender.path,
            state,
            identifier: contender.identifier.as_deref(),
            stat: contender.stat.as_ref(),
            more,
        };
        if self.output.is_json() {
            self.output.json(&row.json(&self.addresses)).await
        } else {
            self.output.line(row.text(&self.addresses)).await
        }
    }

    async fn nothing_found(&mut self, names: &[&str]) -> Result<(), Failure> {
        let path = visible_line(&self.args.path);
        let word = match self.kind {
            Kind::Lock => "is free",
            Kind::Election => "has no candidates",
        };
        match hint(self.kind, names.iter().copied()) {
            Some(hint) => self.notices.say(format_args!("{path} {word}; {hint}")),
            // Perhaps a lock of another client: nothing says that it is free.
            None if names.iter().any(|name| path::sequence(name).is_some()) => {
                self.notices.say(format_args!(
                    "{path} has no contender of a client that zkctl knows, but children with sequence numbers: see \
                     `zkctl ls -l {path}`"
                ));
            }
            None if self.output.is_json() => {}
            None => self.output.line(format_args!("{path} {word}")).await?,
        }
        Ok(())
    }
}

/// The children that are no contenders, the first one last.
fn others(parent: &str, names: &[&str]) -> Vec<String> {
    let others = names.iter().filter(|name| Place::read(name).is_none());
    let mut others: Vec<_> = others.map(|name| path::join(parent, name)).collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    others
}

/// A warning if contenders of several forms share a znode.
fn conflict(path: &str, forms: &[Names]) -> Option<String> {
    let [first, rest @ ..] = forms else {
        return None;
    };
    if rest.is_empty() {
        return None;
    }
    let mut recipes = first.recipe().to_owned();
    for names in rest {
        recipes.push_str(" and ");
        recipes.push_str(names.recipe());
    }
    Some(format!(
        "{}: names of {recipes} are mixed; unless the programs recognize each other's, several hold it at \
         the same time",
        visible_line(path)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_names_are_a_warning() {
        assert_eq!(conflict("/l", &[Names::Kazoo]), None);
        let text = conflict("/l", &[Names::CuratorLock, Names::Kazoo]).unwrap();
        assert!(
            text.contains("/l: names of Curator's mutex and kazoo's locks"),
            "{text}"
        );
    }

    #[test]
    fn contenders_are_not_searched() {
        let names = ["b", "x-lock-0000000001", "n_0000000002", "a"];
        assert_eq!(others("/", &names), ["/b", "/a"]);
    }
}
