//! `semaphores`: the leases of a semaphore, and the queue for them.

use std::process::ExitCode;

use serde_json::Value;
use zk_client::{Client, ErrorKind, path};

use super::contenders::{Addresses, ReadZnode, addresses, read, read_all};
use super::layout::{Kind, sort};
use super::row::Row;
use crate::cli::holders::Semaphores;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

/// The znodes of a semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Layout {
    /// `locks` and `leases` below it.
    Curator,
    /// The leases below it, the queue beside it; its contents are their number.
    Kazoo { max: Option<u64> },
}

impl Layout {
    /// Recognizes a semaphore; `None` if it is none.
    fn of<'a>(children: impl Iterator<Item = &'a str> + Clone, data: &[u8]) -> Option<Self> {
        if children
            .clone()
            .any(|name| name == "leases" || name == "locks")
        {
            return Some(Layout::Curator);
        }
        let max = std::str::from_utf8(data)
            .ok()
            .and_then(|text| text.parse().ok());
        let is_empty = children.clone().next().is_none();
        // Other znodes also contain a number.
        let is_kazoo = children.clone().any(is_hex_id) || (max.is_some() && is_empty);
        is_kazoo.then_some(Layout::Kazoo { max })
    }

    /// Whether a child of the parent of the leases is one.
    fn is_lease(&self, name: &str) -> bool {
        match self {
            Layout::Curator => true,
            Layout::Kazoo { .. } => is_hex_id(name),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Layout::Curator => "curator",
            Layout::Kazoo { .. } => "kazoo",
        }
    }
}

/// The name of a lease of kazoo: a UUID without hyphens.
fn is_hex_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|c| c.is_ascii_hexdigit())
}

pub(crate) async fn semaphores(
    args: &Semaphores,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let path = args.path.as_str();
    let children = client.children(path).submit();
    let (data, _) = client.get(path).await?;
    let children = children.await?;
    let Some(layout) = Layout::of(children.iter(), &data) else {
        return Err(Failure::Failed(format!(
            "{}: not a semaphore: it has neither the children of Curator's nor the contents or children of \
             kazoo's",
            visible_line(path)
        )));
    };
    let addresses = match args.no_addresses {
        true => Addresses::default(),
        false => addresses(client, notices).await?,
    };
    let (leases, queue) = match &layout {
        Layout::Curator => (path::join(path, "leases"), Some(path::join(path, "locks"))),
        // The root has no sibling.
        Layout::Kazoo { .. } => (
            path.to_owned(),
            (path != "/").then(|| format!("{path}-__lock__")),
        ),
    };
    let mut held = read_leases(client, &leases, &layout).await?;
    let mut waiting = Vec::new();
    if let Some(queue) = &queue {
        match client.children(queue).await {
            Ok(names) => waiting = read(client, queue, Kind::Lock, names.iter()).await?,
            Err(error) if error.kind() == ErrorKind::NoNode => {}
            Err(error) => return Err(error.into()),
        }
    }
    sort(&mut waiting);
    held.sort_by_key(|lease| lease.stat.map(|stat| stat.czxid));
    // With Curator the head of the queue creates its lease before it knows whether one is free.
    let owner = |stat: Option<zk_client::Stat>| stat.and_then(|stat| stat.owner());
    let head = waiting.first().and_then(|head| owner(head.stat));
    let acquiring = held
        .last()
        .filter(|newest| layout == Layout::Curator && head.is_some() && owner(newest.stat) == head)
        .map(|newest| newest.path.clone());
    if !output.is_json() {
        let max = match layout {
            Layout::Kazoo { max: Some(max) } => format!(" of {max}"),
            _ => String::new(),
        };
        let summary = format!("{}: {}{max} leases", visible_line(path), held.len());
        output.line(summary).await?;
    }
    let held = held.iter().map(|lease| {
        let is_acquiring = acquiring.as_ref() == Some(&lease.path);
        let state = if is_acquiring { "acquiring" } else { "holding" };
        (
            state,
            &lease.path,
            lease.data.as_deref(),
            lease.stat.as_ref(),
        )
    });
    let waiting = waiting.iter().map(|contender| {
        let identifier = contender.identifier.as_deref();
        (
            "waiting",
            &contender.path,
            identifier,
            contender.stat.as_ref(),
        )
    });
    for (state, znode, identifier, stat) in held.chain(waiting) {
        let mut more = vec![("layout", Value::from(layout.word()))];
        if output.is_json() {
            let max = match layout {
                Layout::Kazoo { max } => max,
                Layout::Curator => None,
            };
            more.push(("max", max.into()));
        }
        let row = Row {
            recipe: path,
            znode,
            state,
            identifier,
            stat,
            more,
        };
        if output.is_json() {
            output.json(&row.json(&addresses)).await?;
        } else {
            output.line(row.text(&addresses)).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The leases.
async fn read_leases(
    client: &Client,
    parent: &str,
    layout: &Layout,
) -> Result<Vec<ReadZnode>, Failure> {
    match client.children(parent).await {
        Ok(names) => {
            let leases = names.iter().filter(|name| layout.is_lease(name));
            let paths = leases.map(|name| path::join(parent, name));
            Ok(read_all(client, paths).await?)
        }
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(children: &[&str], data: &[u8]) -> Option<Layout> {
        Layout::of(children.iter().copied(), data)
    }

    #[test]
    fn semaphores_of_both_layouts_are_found() {
        assert_eq!(layout(&["locks"], b""), Some(Layout::Curator));
        assert_eq!(layout(&["leases", "x"], b"10.0.0.1"), Some(Layout::Curator));
        let lease = "6f9619ff8b864d01b42d00cf4fc964ff";
        let kazoo = |max| Some(Layout::Kazoo { max });
        assert_eq!(layout(&[lease], b"3"), kazoo(Some(3)));
        assert_eq!(layout(&[], b"3"), kazoo(Some(3)));
        assert_eq!(layout(&[lease], b""), kazoo(None));
        assert_eq!(layout(&["x", lease], b"3"), kazoo(Some(3)));
        assert_eq!(layout(&["x"], b"3"), None);
        assert_eq!(layout(&["x"], b"v1"), None);
        assert_eq!(layout(&[], b"\xff"), None);
    }
}
