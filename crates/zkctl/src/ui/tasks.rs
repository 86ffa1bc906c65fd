//! Carries out what the model requests.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use zk_client::{Client, Error, ErrorKind, NodeEventKind, Outcome, WatchMode, path};
use zk_recipes::{PersistentEvent, PersistentWatch};

use super::request::{Content, Refused, Reply, Request, Unread};
use super::tree::Pattern;
use crate::output::explain::{explain, explain_recipe};

/// How many znodes a search visits between two reports.
const REPORT: usize = 500;

/// The requests that are under way. Dropping it cancels them.
pub(super) struct Tasks {
    client: Client,
    replies: mpsc::UnboundedSender<Reply>,
    running: JoinSet<()>,
    watches: BTreeMap<String, AbortHandle>,
    find: Option<AbortHandle>,
}

impl Tasks {
    pub(super) fn new(client: Client, replies: mpsc::UnboundedSender<Reply>) -> Self {
        Tasks {
            client,
            replies,
            running: JoinSet::new(),
            watches: BTreeMap::new(),
            find: None,
        }
    }

    /// Begins what is requested; the replies come to the receiver. Those that need the screen are the caller's.
    pub(super) fn start(&mut self, request: Request) {
        // The results of ended tasks would stay in memory.
        while self.running.try_join_next().is_some() {}
        let client = self.client.clone();
        match request {
            Request::Children(path) => self.reply(async move {
                let names = match client.children(&path).await {
                    Ok(names) => Ok(names.to_vec()),
                    Err(error) => Err(unread(&error)),
                };
                Reply::Children { path, names }
            }),
            Request::Read(path) => self.reply(async move {
                let content = read(&client, &path).await;
                Reply::Read { path, content }
            }),
            Request::Watch(path) => {
                let watch = watch(client, path.clone(), self.replies.clone());
                let task = self.running.spawn(watch);
                if let Some(before) = self.watches.insert(path, task) {
                    before.abort();
                }
            }
            Request::Unwatch(path) => {
                if let Some(task) = self.watches.remove(&path) {
                    task.abort();
                }
            }
            Request::Find {
                number,
                below,
                word,
            } => {
                self.stop_find();
                let find = find(client, number, below, word, self.replies.clone());
                self.find = Some(self.running.spawn(find));
            }
            Request::StopFind => self.stop_find(),
            Request::Set {
                path,
                data,
                version,
            } => self.reply(async move {
                let done = match client.set(&path, &data[..]).version(version).await {
                    Ok(_) => Ok(()),
                    Err(error) if error.kind() == ErrorKind::BadVersion => Err(Refused::Version),
                    Err(error) if error.outcome() == Outcome::Unknown => {
                        Err(Refused::Unknown(explain(&error)))
                    }
                    Err(error) => Err(Refused::Failed(explain(&error))),
                };
                Reply::Set { path, data, done }
            }),
            Request::Create { path, data } => self.reply(async move {
                let created = client.create(&path, &data[..]).await;
                let done = created.map(drop).map_err(|error| explain(&error));
                Reply::Created { path, done }
            }),
            Request::Count(path) => self.reply(async move {
                let count = count(&client, &path).await.map_err(|error| explain(&error));
                Reply::Counted { path, count }
            }),
            Request::Delete { path, version } => self.reply(async move {
                let delete = client.delete(&path);
                let deleted = match version {
                    Some(version) => delete.version(version).await,
                    None => delete.recursive().await,
                };
                let done = deleted.map_err(|error| match error.kind() {
                    ErrorKind::BadVersion => {
                        "not deleted: the data were changed after they were shown".to_owned()
                    }
                    ErrorKind::NotEmpty => {
                        "not deleted: children were created after they were counted".to_owned()
                    }
                    _ => explain(&error),
                });
                Reply::Deletion { path, done }
            }),
            Request::Edit { .. } | Request::Copy(_) | Request::Quit => {}
        }
    }

    fn reply(&mut self, reply: impl Future<Output = Reply> + Send + 'static) {
        let replies = self.replies.clone();
        self.running.spawn(async move {
            // An error means that the browser has ended.
            let _ = replies.send(reply.await);
        });
    }

    fn stop_find(&mut self) {
        if let Some(find) = self.find.take() {
            find.abort();
        }
    }
}

fn unread(error: &Error) -> Unread {
    match error.kind() {
        ErrorKind::NoNode => Unread::Gone,
        _ => Unread::Failed(explain(error)),
    }
}

/// What can be read of a znode: the permission to read may be missing, and the stat needs none.
async fn read(client: &Client, path: &str) -> Result<Content, Unread> {
    let data = client.get(path).submit();
    let acl = client.acl(path).submit();
    let data = data.await;
    let acl = acl.await;
    let (data, stat) = match data {
        Ok((data, stat)) => (Ok(data), Some(stat)),
        Err(error) if error.kind() == ErrorKind::NoNode => return Err(Unread::Gone),
        Err(error) => {
            let stat = client.exists(path).await.ok().flatten();
            (Err(explain(&error)), stat)
        }
    };
    Ok(Content {
        data,
        stat,
        acl: acl.map(|(acl, _)| acl).map_err(|error| explain(&error)),
    })
}

/// How many znodes are below one.
async fn count(client: &Client, path: &str) -> Result<u64, Error> {
    match client.count(path).await {
        Ok(count) => return Ok(u64::from(count)),
        Err(error) if error.kind() == ErrorKind::NoNode => return Err(error),
        // Servers before 3.6 cannot count.
        Err(_) => {}
    }
    let mut below = client.descendants(path).submit();
    let mut count = 0;
    while let Some(found) = below.next().await {
        found?;
        count += 1;
    }
    Ok(count)
}

/// Delivers the events of a znode, in every session.
async fn watch(client: Client, path: String, replies: mpsc::UnboundedSender<Reply>) {
    let mut events = PersistentWatch::new(&client, &path, WatchMode::Persistent);
    while let Some(event) = events.next().await {
        let reply = match event {
            Ok(PersistentEvent::Node(event)) => match event.kind {
                NodeEventKind::DataChanged => Reply::DataChanged(path.clone()),
                NodeEventKind::ChildrenChanged => Reply::ChildrenChanged(path.clone()),
                NodeEventKind::Deleted => Reply::Deleted(path.clone()),
                NodeEventKind::Created => Reply::Stale(path.clone()),
            },
            Ok(PersistentEvent::Armed | PersistentEvent::Gap(_)) => Reply::Stale(path.clone()),
            Err(error) => Reply::NotWatched {
                path: path.clone(),
                why: explain_recipe(&error),
            },
        };
        // An error means that the browser has ended.
        if replies.send(reply).is_err() {
            return;
        }
    }
}

/// Searches the names below a znode.
async fn find(
    client: Client,
    number: u64,
    below: String,
    word: String,
    replies: mpsc::UnboundedSender<Reply>,
) {
    let Some(pattern) = Pattern::new(&word) else {
        return;
    };
    let mut znodes = client.descendants(&below).submit();
    let (mut visited, mut unread, mut ended) = (0, 0_usize, None);
    let mut paths = Vec::new();
    while let Some(znode) = znodes.next().await {
        match znode {
            Ok(found) => {
                visited += 1;
                if pattern.matches(path::name(&found)) {
                    paths.push(found);
                }
            }
            Err(error) if error.kind() == ErrorKind::NoAuth => unread += 1,
            Err(error) => ended = Some(explain(&error)),
        }
        if visited % REPORT == 0 || visited == 1 || !paths.is_empty() {
            let paths = std::mem::take(&mut paths);
            let reply = Reply::Found {
                number,
                paths,
                visited,
            };
            if replies.send(reply).is_err() {
                return;
            }
        }
    }
    let error = ended
        .or_else(|| (unread > 0).then(|| format!("what is below {unread} znodes may not be read")));
    // An error means that the browser has ended.
    let _ = replies.send(Reply::FindEnded {
        number,
        visited,
        error,
    });
}
