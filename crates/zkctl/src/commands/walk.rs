//! A walk over a znode and everything below it: parents first, siblings by name.

use std::collections::VecDeque;

use zk_client::{Client, Error, ErrorKind, Result, Stat, path};

/// How many siblings are read at once.
const WINDOW: usize = 256;

/// A visited znode.
pub(crate) struct Visit {
    pub(crate) path: String,
    /// The number of levels below the start.
    pub(crate) depth: usize,
    /// Whether it is the last of its siblings.
    pub(crate) last: bool,
    /// `None` if the stat could not be read.
    pub(crate) stat: Option<Stat>,
    /// Why the znode, or the list of its children, could not be read.
    pub(crate) unread: Option<Error>,
    /// The names of its children; empty at the maximum depth.
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

/// A walk. A znode that is deleted meanwhile is left out; one that cannot be read is visited with the
/// error.
pub(crate) struct Walk<'a> {
    client: &'a Client,
    max_depth: usize,
    /// The znodes to visit, the next one last.
    stack: Vec<Visit>,
}

impl<'a> Walk<'a> {
    /// Begins at `start`.
    ///
    /// # Errors
    /// `start` does not exist, or cannot be read.
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
                visit_children(self.client, paths, depth).await?
            } else {
                visit_stats(self.client, paths, depth).await?
            };
            if let Some(last) = below.last_mut() {
                last.last = true;
            }
            self.stack.extend(below.into_iter().rev());
        }
        Ok(Some(visit))
    }
}

/// Visits znodes with their stats and children, in the order given.
async fn visit_children(
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
            Err(error) => visit.unread = Some(of_one_znode(error)?),
        }
        // The stat may be readable although the list of children is too long, or not permitted.
        if visit.unread.is_some() {
            match client.exists(&visit.path).await {
                Ok(Some(stat)) => visit.stat = Some(stat),
                Ok(None) => continue,
                Err(error) => drop(of_one_znode(error)?),
            }
        }
        found.push(visit);
    }
}

/// Passes an error on as a value if it concerns one znode, so that others may still be read.
fn of_one_znode(error: Error) -> Result<Error> {
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

/// Visits znodes with their stats, in the order given.
pub(crate) async fn visit_stats(
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
            Err(error) => visit.unread = Some(of_one_znode(error)?),
        }
        found.push(visit);
    }
}
