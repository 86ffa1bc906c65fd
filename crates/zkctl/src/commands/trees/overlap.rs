//! Whether `copy` would copy a tree into itself, also if the two trees are named by different names of the same
//! servers.

use zk_client::{Client, ErrorKind, Result, Zxid, path};

use crate::tree::order::is_at_or_below;

/// How often the source's servers are asked for the newest transaction. One that lags may not know it yet.
const ROUNDS: u32 = 3;
/// The name of the znode of the servers' own data, which all servers have.
const SYSTEM: &str = "zookeeper";

/// The newest transaction that the servers of a session have executed.
pub(super) async fn newest(client: &Client) -> Result<Zxid> {
    match client.sync("/").await {
        Err(error) if error.kind() != ErrorKind::ReadOnly => return Err(error),
        _ => {}
    }
    client.exists("/").await?;
    Ok(client.last_zxid())
}

/// Whether one of two znodes is at or below the other on the same servers. `before` is the
/// [newest transaction](newest) of the source's servers before the target's session was opened.
pub(super) async fn overlap(
    (source, from): (&Client, &str),
    (target, to): (&Client, &str),
    before: Zxid,
) -> Result<bool> {
    let from = source.root().join(from);
    let to = target.root().join(to);
    if !is_at_or_below(&to, &from) && !is_at_or_below(&from, &to) {
        return Ok(false);
    }
    // Both sessions reach this znode, as it is below the root of each.
    let chroot = target.root().join("/");
    let common = match is_at_or_below(&from, &chroot) {
        true => from,
        false => chroot,
    };
    Ok(is_one_znode(source, target, &common).await?
        && is_one_history(source, target, before).await?)
}

/// Whether the newest transactions of both may be those of one ensemble. An ensemble that was restored from a backup of
/// another one has its znodes, but other transactions since.
async fn is_one_history(source: &Client, target: &Client, before: Zxid) -> Result<bool> {
    let between = newest(target).await?;
    if between < before {
        return Ok(false);
    }
    for _ in 0..ROUNDS {
        if newest(source).await? >= between {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether both sessions see the same znode at the servers' path `at`, by the transaction that has created it.
async fn is_one_znode(source: &Client, target: &Client, at: &str) -> Result<bool> {
    let at = match at {
        // All servers begin with a root.
        "/" => match common_child(source, target).await? {
            Some(name) => path::join("/", &name),
            None => return Ok(false),
        },
        at => at.to_owned(),
    };
    let one = creation(source, &at).await?;
    Ok(one.is_some() && one == creation(target, &at).await?)
}

/// A znode below the root that both have.
async fn common_child(source: &Client, target: &Client) -> Result<Option<String>> {
    let others = match target.children("/").await {
        Err(error) if error.kind() == ErrorKind::NoAuth => return Ok(None),
        others => others?,
    };
    let names = source.children("/").await?;
    let name = names
        .iter()
        .find(|name| *name != SYSTEM && others.iter().any(|other| other == *name));
    Ok(name.map(str::to_owned))
}

/// The transaction that has created a znode, and its time.
async fn creation(client: &Client, at: &str) -> Result<Option<(Zxid, i64)>> {
    let Some(path) = client.root().strip(at) else {
        return Ok(None);
    };
    let stat = client.exists(path).await?;
    Ok(stat.map(|stat| (stat.czxid, stat.ctime)))
}
