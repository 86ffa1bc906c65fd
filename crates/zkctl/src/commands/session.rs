//! `sync`, `whoami`, `ephemerals`, `count`.

use std::process::ExitCode;

use serde_json::json;
use zk_client::{Client, ErrorKind};

use super::walk::Walk;
use crate::cli::session::{Ephemerals, Sync};
use crate::cli::znode::Node;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::stat_json;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

pub(super) async fn sync(
    args: &Sync,
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    client.sync(&args.path).await?;
    let zxid = client.last_zxid();
    let written = if output.is_json() {
        let object = json!({
            "path": args.path,
            "server": client.server().map(|server| server.to_string()),
            "zxid": zxid.to_string(),
        });
        output.json(&object).await
    } else {
        output.line(format_args!("zxid {zxid}")).await
    };
    Failure::unless_reader_gone(written)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn whoami(client: &Client, output: &mut Output) -> Result<ExitCode, Failure> {
    let identities = client.whoami().await.map_err(|error| {
        if error.lacks_operation() || error.kind() == ErrorKind::Unimplemented {
            Failure::Failed(format!(
                "{}; version 3.7 of the servers added it",
                explain(&error)
            ))
        } else {
            error.into()
        }
    })?;
    for identity in identities {
        if output.is_json() {
            let object = json!({ "scheme": identity.auth_scheme, "user": identity.user });
            output.json(&object).await?;
        } else {
            let text = format!("{}:{}", identity.auth_scheme, identity.user);
            output.line(visible_line(&text)).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the ephemeral znodes of all sessions, by their stats. The request of the protocol for it lists
/// those of its own session, and this one has none.
pub(super) async fn ephemerals(
    args: &Ephemerals,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut walk = Walk::begin(client, &args.path, None).await?;
    let mut failed = false;
    while let Some(visit) = walk.next().await? {
        if let Some(error) = &visit.unread {
            failed = true;
            notices.say(explain(error));
        }
        let Some((stat, owner)) = visit.stat.and_then(|stat| Some((stat, stat.owner()?))) else {
            continue;
        };
        if args.owner.is_some_and(|only| only != owner) {
            continue;
        }
        if output.is_json() {
            let object = json!({
                "path": visit.path,
                "session": owner.to_string(),
                "stat": stat_json(&stat),
            });
            output.json(&object).await?;
        } else {
            output
                .line(format_args!("{owner}  {}", visible_line(&visit.path)))
                .await?;
        }
    }
    match failed {
        true => Err(Failure::Reported),
        false => Ok(ExitCode::SUCCESS),
    }
}

pub(super) async fn count(
    args: &Node,
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let count = match client.count(&args.path).await {
        Ok(count) => u64::from(count),
        // Servers before 3.6.
        Err(error) if error.kind() == ErrorKind::Unimplemented || error.lacks_operation() => {
            by_walking(&args.path, client).await?
        }
        Err(error) => return Err(error.into()),
    };
    if output.is_json() {
        output
            .json(&json!({ "path": args.path, "count": count }))
            .await?;
    } else {
        output.line(count).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The number of znodes below a znode. Fails if one of them cannot be read, because the number would be
/// too small.
async fn by_walking(path: &str, client: &Client) -> Result<u64, Failure> {
    let mut walk = Walk::begin(client, path, None).await?;
    let mut count = 0;
    while let Some(visit) = walk.next().await? {
        if let Some(error) = visit.unread {
            return Err(error.into());
        }
        count += u64::from(visit.depth > 0);
    }
    Ok(count)
}
