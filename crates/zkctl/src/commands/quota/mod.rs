//! `quota`: the limits below `/zookeeper/quota`, and how much of them is used.

mod limits;
mod rounds;

use std::process::ExitCode;

use serde_json::json;
use zk_client::{Client, ErrorKind, Repetition, path};

use super::walk::Walk;
use crate::cli::quota::{DeleteQuota, QuotaCommand, SetQuota, Tree};
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;
use limits::Limits;
use rounds::Rounds;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const USAGE: &str = "zookeeper_stats";

pub(super) async fn quota(
    command: QuotaCommand,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    if !client.root().is_none() {
        return Err(Failure::Usage(format!(
            "quotas are outside of the chroot {root}: give the servers without it, and the path with it",
            root = visible_line(client.root().as_str())
        )));
    }
    match command {
        QuotaCommand::Get(args) => get(&args.path, client, output).await?,
        QuotaCommand::Set(args) => set(&args, client, output, notices).await?,
        QuotaCommand::Delete(args) => delete(&args, client, output).await?,
        QuotaCommand::Tree(args) => tree(&args, client, output, notices).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(path: &str, client: &Client, output: &mut Output) -> Result<(), Failure> {
    match read(path, client).await? {
        Some((limits, used)) => show(path, limits, used, output).await,
        None => Err(no_quota(path)),
    }
}

async fn set(
    args: &SetQuota,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<(), Failure> {
    let path = &args.path;
    if path == "/" || is_at_or_below(path, "/zookeeper") {
        return Err(Failure::Usage(
            "the root and the znodes below /zookeeper have no quota".to_owned(),
        ));
    }
    if client.exists(path).await?.is_none() {
        return Err(Failure::Failed(format!(
            "{}: the znode does not exist",
            visible_line(path)
        )));
    }
    if let Some(other) = overlapping(path, client).await? {
        return Err(Failure::Failed(format!(
            "{} has a quota already, and of two quotas one above the other servers use only one; delete \
             that one first",
            visible_line(&other)
        )));
    }
    let given = Limits {
        count: args.count,
        bytes: args.bytes,
        hard_count: args.hard_count,
        hard_bytes: args.hard_bytes,
    };
    let limits_at = below(path, LIMITS);
    let mut rounds = Rounds::of(path);
    loop {
        let done = match client.get(&limits_at).await {
            Ok((data, stat)) => {
                let limits = given.or(Limits::parse(&data));
                let set = client.set(&limits_at, limits.to_string());
                set.version(stat.version).await.map(drop)
            }
            Err(error) if error.kind() == ErrorKind::NoNode => create(path, given, client).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => break,
            Err(error) => rounds.another(error).await?,
        }
    }
    let Some((limits, used)) = read(path, client).await? else {
        return Err(no_quota(path));
    };
    for name in limits.exceeded_by(used) {
        notices.say(format_args!(
            "{}: the limit {name} is exceeded already",
            visible_line(path)
        ));
    }
    Failure::unless_reader_gone(show(path, limits, used, output).await)
}

/// Creates a quota, also where only the usage of an earlier one is left.
async fn create(path: &str, limits: Limits, client: &Client) -> zk_client::Result<()> {
    let (limits_at, usage_at) = (below(path, LIMITS), below(path, USAGE));
    client.ensure_path(&at(path)).await?;
    let left = client.exists(&usage_at).await?;
    let usage = Limits {
        count: Some(0),
        bytes: Some(0),
        ..Limits::default()
    };
    let mut create = client.multi().create(&limits_at, limits.to_string());
    if let Some(stat) = left {
        create = create.delete_version(&usage_at, stat.version);
    }
    // The server counts what there is when the usage is created after the limits. Without limits it does not keep
    // the usage up to date, so that of an earlier quota is created anew.
    create = create.create(&usage_at, usage.to_string());
    create.commit().await.map(drop)
}

async fn delete(args: &DeleteQuota, client: &Client, output: &mut Output) -> Result<(), Failure> {
    let path = &args.path;
    match args.count || args.bytes || args.hard_count || args.hard_bytes {
        true => delete_limits(args, client, output).await,
        false => {
            delete_all(path, client).await?;
            let written = match output.is_json() {
                true => output.json(&json!({ "path": path, "limits": null })).await,
                false => Ok(()),
            };
            Failure::unless_reader_gone(written)
        }
    }
}

/// Deletes the limits that are named.
async fn delete_limits(
    args: &DeleteQuota,
    client: &Client,
    output: &mut Output,
) -> Result<(), Failure> {
    let path = &args.path;
    let limits_at = below(path, LIMITS);
    let mut rounds = Rounds::of(path);
    loop {
        let set = match client.get(&limits_at).await {
            Ok((data, stat)) => {
                let mut limits = Limits::parse(&data);
                for (named, limit) in [
                    (args.count, &mut limits.count),
                    (args.bytes, &mut limits.bytes),
                    (args.hard_count, &mut limits.hard_count),
                    (args.hard_bytes, &mut limits.hard_bytes),
                ] {
                    if named {
                        *limit = None;
                    }
                }
                let set = client.set(&limits_at, limits.to_string());
                set.version(stat.version).await.map(|_| limits)
            }
            Err(error) if error.kind() == ErrorKind::NoNode => return Err(no_quota(path)),
            Err(error) => Err(error),
        };
        match set {
            Ok(limits) => {
                let used = read(path, client).await?.map(|(_, used)| used);
                let used = used.unwrap_or_default();
                return Failure::unless_reader_gone(show(path, limits, used, output).await);
            }
            Err(error) => rounds.another(error).await?,
        }
    }
}

/// Deletes a quota.
async fn delete_all(path: &str, client: &Client) -> Result<(), Failure> {
    let limits_at = below(path, LIMITS);
    let usage_at = below(path, USAGE);
    let mut rounds = Rounds::of(path);
    loop {
        let deleted = async {
            let (_, stat) = client.get(&limits_at).await?;
            let mut delete = client.multi().delete_version(&limits_at, stat.version);
            if client.exists(&usage_at).await?.is_some() {
                delete = delete.delete(&usage_at);
            }
            delete.commit().await.map(drop)
        };
        match deleted.await {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::NoNode && error.path() == Some(&limits_at) => {
                match rounds.is_unknown {
                    // The deletion whose reply was lost.
                    true => break,
                    false => return Err(no_quota(path)),
                }
            }
            Err(error) => rounds.another(error).await?,
        }
    }
    remove_empty(path, client).await
}

/// Deletes the znodes above a deleted quota that have no child any more.
async fn remove_empty(path: &str, client: &Client) -> Result<(), Failure> {
    let empty = std::iter::successors(Some(path), |path| path::parent(path));
    let mut repetition = Repetition::default();
    for at in empty.take_while(|path| *path != "/").map(at) {
        loop {
            match client.delete(&at).await {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::NoNode => break,
                Err(error) if error.kind() == ErrorKind::NotEmpty => return Ok(()),
                Err(error) if repetition.may_go_on(&error) => {
                    tokio::time::sleep(repetition.next_delay()).await;
                }
                Err(error) => {
                    return Err(Failure::Failed(format!(
                        "{}; the quota is deleted, and this empty znode of it is left",
                        explain(&error)
                    )));
                }
            }
        }
    }
    Ok(())
}

async fn tree(
    args: &Tree,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<(), Failure> {
    let mut walk = match Walk::begin(client, &at(&args.path), None).await {
        // There is no quota.
        Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
        begun => begun?,
    };
    let mut failed = false;
    while let Some(visit) = walk.next().await? {
        if let Some(error) = &visit.unread {
            failed = true;
            notices.say(explain(error));
        }
        let Some(path) = limited_by(&visit.path) else {
            continue;
        };
        if let Some((limits, used)) = read(path, client).await? {
            show(path, limits, used, output).await?;
        }
    }
    match failed {
        true => Err(Failure::Reported),
        false => Ok(()),
    }
}

/// A quota at an ancestor of this znode, or below it.
async fn overlapping(path: &str, client: &Client) -> Result<Option<String>, Failure> {
    let ancestors = std::iter::successors(path::parent(path), |path| path::parent(path));
    let replies: Vec<_> = ancestors
        .take_while(|path| *path != "/")
        .map(|path| (path, client.exists(&below(path, LIMITS)).submit()))
        .collect();
    for (path, reply) in replies {
        if reply.await?.is_some() {
            return Ok(Some(path.to_owned()));
        }
    }
    let mut walk = match Walk::begin(client, &at(path), None).await {
        Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
        begun => begun?,
    };
    while let Some(visit) = walk.next().await? {
        if let Some(other) = limited_by(&visit.path)
            && other != path
        {
            return Ok(Some(other.to_owned()));
        }
    }
    Ok(None)
}

/// The limits and the usage; `None` without a quota.
async fn read(path: &str, client: &Client) -> Result<Option<(Limits, Limits)>, Failure> {
    let usage = client.get(&below(path, USAGE)).submit();
    match client.get(&below(path, LIMITS)).await {
        Ok((data, _)) => {
            let used = match usage.await {
                Ok((used, _)) => Limits::parse(&used),
                Err(error) if error.kind() == ErrorKind::NoNode => Limits::default(),
                Err(error) => return Err(error.into()),
            };
            Ok(Some((Limits::parse(&data), used)))
        }
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn show(
    path: &str,
    limits: Limits,
    used: Limits,
    output: &mut Output,
) -> Result<(), Failure> {
    if output.is_json() {
        let object = json!({
            "path": path,
            "limits": limits.json(),
            "used": { "count": used.count, "bytes": used.bytes },
            "exceeded": limits.exceeded_by(used),
        });
        return output.json(&object).await;
    }
    let number = |number: Option<i64>| number.map_or("?".to_owned(), |number| number.to_string());
    let mut line = format!(
        "{}  {} znodes, {} bytes",
        path,
        number(used.count),
        number(used.bytes)
    );
    for (name, limit) in [
        ("count", limits.count),
        ("bytes", limits.bytes),
        ("hard count", limits.hard_count),
        ("hard bytes", limits.hard_bytes),
    ] {
        if let Some(limit) = limit {
            line += &format!("  {name} {limit}");
        }
    }
    for name in limits.exceeded_by(used) {
        line += &format!("  {} exceeded", name.replace('_', " "));
    }
    output.line(visible_line(&line)).await
}

fn no_quota(path: &str) -> Failure {
    Failure::Failed(format!("{} has no quota", visible_line(path)))
}

/// Where the quota of a znode is.
fn at(path: &str) -> String {
    match path {
        "/" => ROOT.to_owned(),
        path => format!("{ROOT}{path}"),
    }
}

fn below(path: &str, name: &str) -> String {
    format!("{ROOT}{path}/{name}")
}

/// The znode whose limits this znode has.
fn limited_by(path: &str) -> Option<&str> {
    let path = path.strip_prefix(ROOT)?.strip_suffix(LIMITS)?;
    path.strip_suffix('/').filter(|path| !path.is_empty())
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    let rest = path.strip_prefix(top);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
