//! `ls` and `tree`.

use std::collections::VecDeque;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use zk_client::{Client, Error, ErrorKind, Stat, path};

use super::next_change::next_change;
use super::walk::{Walk, of_one_znode};
use crate::cli::znode::{Ls, Tree};
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::{stat_columns, stat_json};
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

/// How many stats are read at once.
const WINDOW: usize = 256;

pub(super) async fn ls(
    args: &Ls,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut unread = Unread::default();
    if args.recursive {
        let mut walk = Walk::begin(client, &args.path, None).await?;
        while let Some(visit) = walk.next().await? {
            let stat = args.long.then_some(visit.stat.as_ref());
            entry(output, &visit.path, &visit.path, stat).await?;
            unread.add(visit.unread);
        }
        return unread.report(notices);
    }
    let list = client.children(&args.path);
    let (children, watch) = if args.watch {
        let (children, _, watch) = list.watch().await?;
        (children, Some(watch))
    } else {
        (list.await?, None)
    };
    let mut names: Vec<&str> = children.iter().collect();
    names.sort_unstable();
    let paths = names.iter().map(|name| path::join(&args.path, name));
    if args.long {
        long(paths, client, output, &mut unread).await?;
    } else {
        for path in paths {
            entry(output, &path, path::name(&path), None).await?;
        }
    }
    if let Some(watch) = watch {
        next_change(&args.path, watch, output, notices).await?;
    }
    unread.report(notices)
}

/// Writes znodes with their stats. One that is deleted meanwhile is left out.
async fn long(
    mut paths: impl Iterator<Item = String>,
    client: &Client,
    output: &mut Output,
    unread: &mut Unread,
) -> Result<(), Failure> {
    let mut pending = VecDeque::new();
    loop {
        while pending.len() < WINDOW
            && let Some(path) = paths.next()
        {
            let reply = client.exists(&path).submit();
            pending.push_back((path, reply));
        }
        let Some((path, reply)) = pending.pop_front() else {
            return Ok(());
        };
        let stat = match reply.await {
            Ok(None) => continue,
            Ok(stat) => stat,
            Err(error) => {
                unread.add(Some(of_one_znode(error)?));
                None
            }
        };
        entry(output, &path, path::name(&path), Some(stat.as_ref())).await?;
    }
}

/// Writes a znode. `stat` is `None` if it is not to be shown, `Some(None)` if it could not be read.
async fn entry(
    output: &mut Output,
    path: &str,
    shown: &str,
    stat: Option<Option<&Stat>>,
) -> Result<(), Failure> {
    if output.is_json() {
        let mut object = Map::new();
        object.insert("path".to_owned(), path.into());
        object.insert("name".to_owned(), path::name(path).into());
        if let Some(stat) = stat {
            object.insert("stat".to_owned(), stat.map(stat_json).unwrap_or_default());
        }
        return output.json(&Value::Object(object)).await;
    }
    match stat {
        Some(stat) => {
            let columns = stat_columns(stat);
            output
                .line(format_args!("{columns}  {}", visible_line(shown)))
                .await
        }
        None => output.line(visible_line(shown)).await,
    }
}

pub(super) async fn tree(
    args: &Tree,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut walk = Walk::begin(client, &args.path, args.depth).await?;
    let (mut total, mut ephemerals) = (0_usize, 0_usize);
    let mut unread = Unread::default();
    // For each level above the visited znode, whether its ancestor there is the last of its siblings.
    let mut ended = Vec::new();
    while let Some(visit) = walk.next().await? {
        total += 1;
        let ephemeral = visit.stat.is_some_and(|stat| stat.is_ephemeral());
        ephemerals += usize::from(ephemeral);
        if output.is_json() {
            let object = json!({
                "path": visit.path,
                "depth": visit.depth,
                "ephemeral": visit.stat.map(|stat| stat.is_ephemeral()),
                "stat": visit.stat.as_ref().map(stat_json),
                "error": visit.unread.as_ref().map(explain),
            });
            output.json(&object).await?;
            unread.add(visit.unread);
            continue;
        }
        let mut line = String::new();
        if visit.depth == 0 {
            line.push_str(&visible_line(&visit.path));
        } else {
            ended.truncate(visit.depth - 1);
            for &ended in &ended {
                line.push_str(if ended { "    " } else { "│   " });
            }
            line.push_str(if visit.last {
                "└── "
            } else {
                "├── "
            });
            line.push_str(&visible_line(path::name(&visit.path)));
            ended.push(visit.last);
        }
        if ephemeral {
            line.push_str(" (ephemeral)");
        }
        if let Some(error) = &visit.unread {
            line.push_str(match error.kind() {
                ErrorKind::NoAuth => " (not permitted)",
                _ => " (not read)",
            });
        }
        output.line(line).await?;
        unread.add(visit.unread);
    }
    if !output.is_json() {
        let summary = format!("\n{total} znodes, {ephemerals} of them ephemeral");
        output.line(summary).await?;
    }
    unread.report(notices)
}

/// The znodes that could not be read, reported after those that could.
#[derive(Default)]
struct Unread {
    denied: usize,
    failed: Vec<String>,
    more: usize,
}

impl Unread {
    /// How many errors are shown.
    const SHOWN: usize = 10;

    fn add(&mut self, error: Option<Error>) {
        match error {
            None => {}
            Some(error) if error.kind() == ErrorKind::NoAuth => self.denied += 1,
            Some(error) if self.failed.len() < Self::SHOWN => self.failed.push(explain(&error)),
            Some(_) => self.more += 1,
        }
    }

    fn report(self, notices: &Notices) -> Result<ExitCode, Failure> {
        if self.denied == 0 && self.failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        for text in self.failed {
            notices.say(text);
        }
        if self.more > 0 {
            notices.say(format_args!("{} more could not be read", self.more));
        }
        if self.denied > 0 {
            notices.say(format_args!(
                "{} of these znodes may not be read with the credentials given (ZK_AUTH, --auth)",
                self.denied
            ));
        }
        Err(Failure::Reported)
    }
}
