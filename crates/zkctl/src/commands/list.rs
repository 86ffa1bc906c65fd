//! `ls` and `tree`.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use zk_client::{Client, ErrorKind, Stat, path};

use crate::args::{Ls, Tree};
use crate::failure::{Failure, explain};
use crate::node_text::{stat_columns, stat_json};
use crate::output::{Notices, Output, name};
use crate::walk::{Visit, Walk, look_at};

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
            unread.add(visit);
        }
        return unread.report(notices);
    }
    let children = client.children(&args.path).await?;
    let mut names: Vec<&str> = children.iter().collect();
    names.sort_unstable();
    let paths = names.iter().map(|name| path::join(&args.path, name));
    if args.long {
        for visit in look_at(client, paths, 1).await? {
            let stat = Some(visit.stat.as_ref());
            entry(output, &visit.path, path::name(&visit.path), stat).await?;
            unread.add(visit);
        }
    } else {
        for path in paths {
            entry(output, &path, path::name(&path), None).await?;
        }
    }
    unread.report(notices)
}

/// Shows a znode; `stat` is `None` if not asked for, `Some(None)` if it could not be read.
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
                .line(format_args!("{columns}  {}", name(shown)))
                .await
        }
        None => output.line(name(shown)).await,
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
    // For each level, whether the sibling on the way to the present znode was the last one.
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
            unread.add(visit);
            continue;
        }
        let mut line = String::new();
        if visit.depth == 0 {
            line.push_str(&name(&visit.path));
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
            line.push_str(&name(path::name(&visit.path)));
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
        unread.add(visit);
    }
    if !output.is_json() {
        let summary = format!("\n{total} znodes, {ephemerals} of them ephemeral");
        output.line(summary).await?;
    }
    unread.report(notices)
}

/// What could not be read, to be said after what could.
#[derive(Default)]
struct Unread {
    denied: usize,
    failed: Vec<String>,
    more: usize,
}

impl Unread {
    /// As many are named.
    const NAMED: usize = 10;

    fn add(&mut self, visit: Visit) {
        match visit.unread {
            None => {}
            Some(error) if error.kind() == ErrorKind::NoAuth => self.denied += 1,
            Some(error) if self.failed.len() < Self::NAMED => self.failed.push(explain(&error)),
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
                "{} of these znodes may not be read; credentials are given with ZK_AUTH or --auth",
                self.denied
            ));
        }
        Err(Failure::Reported)
    }
}
