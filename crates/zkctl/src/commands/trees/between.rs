//! The commands on two trees, each of which may be on other servers: `diff` and `copy`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use zk_client::{Client, ClientBuilder};

use super::diff;
use super::overlap::{newest, overlap};
use super::source::Source;
use super::total::total;
use super::transfer::{Transfer, chroot};
use crate::cli::trees::{Copy, Diff, Operand};
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;
use crate::tree::order::is_at_or_below;

/// A tree that the command line names, and how to reach it.
pub(crate) struct Side {
    operand: Operand,
    /// `None` for a file.
    builder: Option<ClientBuilder>,
    /// The servers, as they were given.
    hosts: String,
    /// How long the end of the session may take, if that is given.
    close_timeout: Option<Duration>,
}

/// The sessions of a command, which are closed after it.
#[derive(Default)]
pub(crate) struct Sessions(Vec<(Client, Option<Duration>)>);

impl Sessions {
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.0.iter().map(|(client, _)| client)
    }

    /// The clients, and how long the end of each session may take if that is given.
    pub(crate) fn into_clients(self) -> Vec<(Client, Option<Duration>)> {
        self.0
    }
}

impl Side {
    pub(crate) fn of_file(operand: Operand) -> Self {
        Side {
            operand,
            builder: None,
            hosts: String::new(),
            close_timeout: None,
        }
    }

    pub(crate) fn of_servers(
        operand: Operand,
        builder: ClientBuilder,
        hosts: String,
        close_timeout: Option<Duration>,
    ) -> Self {
        Side {
            operand,
            builder: Some(builder),
            hosts,
            close_timeout,
        }
    }

    /// The session for the tree, and the path of its root; `None` for a file.
    async fn connect(&self, sessions: &mut Sessions) -> Result<Option<(Client, &str)>, Failure> {
        let Some(builder) = &self.builder else {
            return Ok(None);
        };
        let connected = builder.clone().connect().await;
        let client = connected.map_err(|error| {
            Failure::Failed(format!(
                "cannot connect to {}: {}",
                self.hosts,
                explain(&error)
            ))
        })?;
        sessions.0.push((client.clone(), self.close_timeout));
        let root = match &self.operand {
            Operand::Znode(path) | Operand::Servers { path, .. } => path.as_str(),
            Operand::File(_) => "/",
        };
        Ok(Some((client, root)))
    }

    async fn source(&self, sessions: &mut Sessions) -> Result<Source, Failure> {
        match (self.connect(sessions).await?, &self.operand) {
            (Some((client, root)), Operand::Znode(path)) if Path::new(path).is_file() => {
                match Source::of_server(&client, root).await {
                    Err(Failure::Failed(text)) => Err(Failure::Failed(format!(
                        "{text} (for the file of that name give file:{path})"
                    ))),
                    source => source,
                }
            }
            (Some((client, root)), _) => Source::of_server(&client, root).await,
            (None, Operand::File(name)) => Source::of_file(name).await,
            (None, _) => Err(Failure::Usage("there is no tree".to_owned())),
        }
    }
}

pub(crate) async fn diff(
    args: &Diff,
    [left, right]: &[Side; 2],
    sessions: &mut Sessions,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let standard = Operand::File("-".to_owned());
    if left.operand == standard && right.operand == standard {
        return Err(Failure::Usage(
            "only one of the trees can be standard input".to_owned(),
        ));
    }
    let left = left.source(sessions).await?;
    let right = right.source(sessions).await?;
    diff::diff(args, left, right, output, notices).await
}

pub(crate) async fn copy(
    args: &Copy,
    [from, to]: &[Side; 2],
    sessions: &mut Sessions,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let outside = "one of the two znodes is below the other; copy to a znode outside the tree";
    if let (Operand::Znode(from), Operand::Znode(to)) = (&from.operand, &to.operand)
        && (is_at_or_below(to, from) || is_at_or_below(from, to))
    {
        return Err(Failure::Usage(outside.to_owned()));
    }
    let Some((client, root)) = from.connect(sessions).await? else {
        return Err(Failure::Usage("a file is not copied; import it".to_owned()));
    };
    let before = newest(&client).await?;
    let Some((target, path)) = to.connect(sessions).await? else {
        return Err(Failure::Usage(
            "a tree is not copied to a file; export it, and write the output to the file"
                .to_owned(),
        ));
    };
    if overlap((&client, root), (&target, path), before).await? {
        let (from, to) = (visible_line(&from.hosts), visible_line(&to.hosts));
        return Err(Failure::Usage(format!(
            "{from} and {to} are one ensemble, by their znodes and transactions, and {outside}"
        )));
    }
    let source = Source::of_server(&client, root).await?;
    let transfer = Transfer {
        name: "copy",
        writing: &args.writing,
        client: &target,
        target: chroot(path)?,
        total: total(&client, root).await,
    };
    transfer.run(source, output, notices).await
}
