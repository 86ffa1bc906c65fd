//! `acl get` and `acl set`.

mod setting;

use std::collections::VecDeque;
use std::process::ExitCode;

use serde_json::{Value, json};
use zk_client::{Acl, Client, ErrorKind, Stat};
use zk_proto::acl;

use setting::{Setting, WINDOW, show_set};

use super::walk::{Walk, of_one_znode};
use crate::cli::acl::{AclCommand, GetAcl, SetAcl};
use crate::cli::credentials::read_acl;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::{stat_json, stat_lines};
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

pub(super) async fn acl(
    command: AclCommand,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    match command {
        AclCommand::Get(args) if args.recursive => get_tree(&args, client, output, notices).await,
        AclCommand::Get(args) => get(&args, client, output, notices).await,
        AclCommand::Set(args) if args.recursive => set_tree(&args, client, output, notices).await,
        AclCommand::Set(args) => set(&args, client, output).await,
    }
}

async fn get(
    args: &GetAcl,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let (entries, stat) = client.acl(&args.path).await?;
    if output.is_json() {
        output.json(&as_json(&args.path, &entries, &stat)).await?;
    } else {
        output.line(visible_line(&text(&entries))).await?;
        output.flush().await?;
        if args.stat {
            notices.print(format!("{}\n", stat_lines(&stat)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn get_tree(
    args: &GetAcl,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut walk = Walk::begin(client, &args.path, None).await?;
    let mut pending = VecDeque::new();
    let mut failed = false;
    loop {
        while pending.len() < WINDOW
            && let Some(visit) = walk.next().await?
        {
            if let Some(error) = &visit.unread {
                failed = true;
                notices.say(explain(error));
            }
            let reply = client.acl(&visit.path).submit();
            pending.push_back((visit.path, reply));
        }
        let Some((path, reply)) = pending.pop_front() else {
            break;
        };
        match reply.await {
            Ok((entries, stat)) if output.is_json() => {
                output.json(&as_json(&path, &entries, &stat)).await?;
            }
            Ok((entries, _)) => {
                let line = format!("{path}  {}", text(&entries));
                output.line(visible_line(&line)).await?;
            }
            // Deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::NoNode => {}
            Err(error) => {
                failed = true;
                notices.say(explain(&of_one_znode(error)?));
            }
        }
    }
    done(failed)
}

async fn set(args: &SetAcl, client: &Client, output: &mut Output) -> Result<ExitCode, Failure> {
    let mut set = client.set_acl(&args.path, read_acl("ACL", &args.acl)?);
    if let Some(version) = args.version {
        set = set.version(version);
    }
    let stat = set.await?;
    show_set(&args.path, &stat, output).await?;
    Ok(ExitCode::SUCCESS)
}

/// Sets the ACL of everything below a znode, and of the znode.
async fn set_tree(
    args: &SetAcl,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let entries = read_acl("ACL", &args.acl)?;
    let mut setting = Setting::new(entries, client, output, notices);
    match setting.set_all(&args.path).await {
        Err(Failure::Failed(text)) => Err(Failure::Failed(setting.partly(&text))),
        Err(failure) => Err(failure),
        Ok(()) => done(setting.failed),
    }
}

/// The entries as `acl set` reads them. Without entries a znode is open to all clients, as ClickHouse Keeper
/// shows it.
fn text(entries: &[Acl]) -> String {
    match entries.is_empty() {
        true => acl::display(&Acl::open()),
        false => acl::display(entries),
    }
}

fn as_json(path: &str, entries: &[Acl], stat: &Stat) -> Value {
    let entry = |entry: &Acl| {
        json!({
            "scheme": entry.id.scheme,
            "id": entry.id.id,
            "permissions": entry.perms.to_string(),
        })
    };
    json!({
        "path": path,
        "acl": entries.iter().map(entry).collect::<Vec<_>>(),
        "text": text(entries),
        "stat": stat_json(stat),
    })
}

fn done(failed: bool) -> Result<ExitCode, Failure> {
    match failed {
        true => Err(Failure::Reported),
        false => Ok(ExitCode::SUCCESS),
    }
}
