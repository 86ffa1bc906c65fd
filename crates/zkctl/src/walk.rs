//! A znode and what is below it, parents first, siblings by name.

use std::collections::VecDeque;

use zk_client::{Client, Error, ErrorKind, Result, Stat, path};

/// How many siblings are asked for at once.
const WINDOW: usize = 256;

/// A znode on the way.
pub(crate) struct Visit {
    pub(crate) path: String,
    /// Levels below the start.
    pub(crate) depth: usize,
    /// Whether it is the last of its siblings.
    pub(crate) last: bool,
    /// None if it could not be read.
    pub(crate) stat: Option<Stat>,
    /// Why it, or the list of its children, could not be read.
    pub(crate) unread: Option<Error>,
    /// The names of its children; empty at the greatest depth.
    children: Vec<String>,
}

impl Visit {
    fn new(path: String, depth: usize) -> Self {
        Visit {
            path,
            depth,
            last: false,
            stat: None,
            unread: None,
            children: Vec::new(),
        }
    }
}

/// A walk. What vanishes on the way is left out; what cannot be read is visited with the reason.
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
            unread: None,
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
        let mut visit = Visit::new(path, depth);
        match reply.await {
            Ok((names, stat)) => {
                visit.stat = Some(stat);
                visit.children = names.iter().map(str::to_owned).collect();
            }
            Err(error) if error.kind() == ErrorKind::NoNode => continue,
            Err(error) => visit.unread = Some(its_own(error)?),
        }
        // Its stat may be had although the list of its children is too long, or not permitted.
        if visit.unread.is_some() {
            match client.exists(&visit.path).await {
                Ok(Some(stat)) => visit.stat = Some(stat),
                Ok(None) => continue,
                Err(error) => drop(its_own(error)?),
            }
        }
        found.push(visit);
    }
}

/// The error, if it is about one znode; others may still be read.
fn its_own(error: Error) -> Result<Error> {
    match error.kind() {
        ErrorKind::ConnectionLost
        | ErrorKind::SessionExpired
        | ErrorKind::DeadlineExceeded
        | ErrorKind::Untrusted
        | ErrorKind::AuthFailed
        | ErrorKind::Closed => Err(error),
        _ => Ok(error),
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
        let mut visit = Visit::new(path, depth);
        match reply.await {
            Ok(Some(stat)) => visit.stat = Some(stat),
            Ok(None) => continue,
            Err(error) => visit.unread = Some(its_own(error)?),
        }
        found.push(visit);
    }
}
