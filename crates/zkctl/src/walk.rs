//! A znode and what is below it, parents first, siblings by name.

use std::collections::VecDeque;

use zk_client::{Client, ErrorKind, Result, Stat, path};

/// How many siblings are asked for at once.
const WINDOW: usize = 256;

/// A znode on the way.
pub(crate) struct Visit {
    pub(crate) path: String,
    /// Levels below the start.
    pub(crate) depth: usize,
    /// Whether it is the last of its siblings.
    pub(crate) last: bool,
    /// None if it may not be read.
    pub(crate) stat: Option<Stat>,
    /// The names of its children; empty at the greatest depth.
    children: Vec<String>,
}

/// A walk. What vanishes on the way is left out; what may not be read is visited without a stat.
pub(crate) struct Walk<'a> {
    client: &'a Client,
    max_depth: usize,
    /// To be visited, the next one last.
    stack: Vec<Visit>,
}

impl<'a> Walk<'a> {
    /// Begins at `start`, which must exist.
    pub(crate) async fn begin(
        client: &'a Client,
        start: &str,
        max_depth: Option<usize>,
    ) -> Result<Self> {
        let (names, stat) = client.children(start).stat().await?;
        let start = Visit {
            path: start.to_owned(),
            depth: 0,
            last: true,
            stat: Some(stat),
            children: names.iter().map(str::to_owned).collect(),
        };
        Ok(Walk {
            client,
            max_depth: max_depth.unwrap_or(usize::MAX),
            stack: vec![start],
        })
    }

    /// The next znode.
    pub(crate) async fn next(&mut self) -> Result<Option<Visit>> {
        let Some(mut visit) = self.stack.pop() else {
            return Ok(None);
        };
        if visit.depth < self.max_depth {
            let mut names = std::mem::take(&mut visit.children);
            names.sort_unstable();
            let paths = names.iter().map(|name| path::join(&visit.path, name));
            let depth = visit.depth + 1;
            let mut below = if depth < self.max_depth {
                look_inside(self.client, paths, depth).await?
            } else {
                look_at(self.client, paths, depth).await?
            };
            if let Some(last) = below.last_mut() {
                last.last = true;
            }
            self.stack.extend(below.into_iter().rev());
        }
        Ok(Some(visit))
    }
}

/// The znodes with their stats and children, in the order given.
async fn look_inside(
    client: &Client,
    mut paths: impl Iterator<Item = String>,
    depth: usize,
) -> Result<Vec<Visit>> {
    let mut pending = VecDeque::new();
    let mut found = Vec::new();
    loop {
        while pending.len() < WINDOW
            && let Some(path) = paths.next()
        {
            let reply = client.children(&path).stat().submit();
            pending.push_back((path, reply));
        }
        let Some((path, reply)) = pending.pop_front() else {
            return Ok(found);
        };
        let seen = match reply.await {
            Ok((names, stat)) => Some((names.iter().map(str::to_owned).collect(), stat)),
            Err(error) if error.kind() == ErrorKind::NoNode => continue,
            Err(error) if error.kind() == ErrorKind::NoAuth => None,
            Err(error) => return Err(error),
        };
        let (children, stat) = match seen {
            Some((children, stat)) => (children, Some(stat)),
            None => (Vec::new(), None),
        };
        found.push(Visit {
            path,
            depth,
            last: false,
            stat,
            children,
        });
    }
}

/// The znodes with their stats, in the order given.
pub(crate) async fn look_at(
    client: &Client,
    mut paths: impl Iterator<Item = String>,
    depth: usize,
) -> Result<Vec<Visit>> {
    let mut pending = VecDeque::new();
    let mut found = Vec::new();
    loop {
        while pending.len() < WINDOW
            && let Some(path) = paths.next()
        {
            let reply = client.exists(&path).submit();
            pending.push_back((path, reply));
        }
        let Some((path, reply)) = pending.pop_front() else {
            return Ok(found);
        };
        let stat = match reply.await {
            Ok(Some(stat)) => Some(stat),
            Ok(None) => continue,
            Err(error) if error.kind() == ErrorKind::NoAuth => None,
            Err(error) => return Err(error),
        };
        found.push(Visit {
            path,
            depth,
            last: false,
            stat,
            children: Vec::new(),
        });
    }
}
