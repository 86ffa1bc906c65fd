//! Carries out what the model requests.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use zk_client::{Client, Error, ErrorKind, NodeEventKind, Outcome, WatchMode, path};
use zk_recipes::{PersistentEvent, PersistentWatch};

use super::request::{Content, Refused, Reply, Request, Unread};
use super::tree::Pattern;
use crate::output::explain::{explain, explain_recipe};
use crate::output::failure::Failure;
use crate::runtime::{panic_failure, panicked};

/// How many znodes a search visits between two reports.
const REPORT: usize = 500;

/// The requests that are under way. Dropping it cancels them.
pub(super) struct Tasks {
    client: Client,
    replies: mpsc::UnboundedSender<Reply>,
    running: JoinSet<()>,
    watches: BTreeMap<String, AbortHandle>,
    find: Option<AbortHandle>,
    /// The panic of a task that [`start`](Self::start) has removed.
    failure: Option<Failure>,
}

impl Tasks {
    pub(super) fn new(client: Client) -> (Self, mpsc::UnboundedReceiver<Reply>) {
        let (sender, replies) = mpsc::unbounded_channel();
        let tasks = Tasks {
            client,
            replies: sender,
            running: JoinSet::new(),
            watches: BTreeMap::new(),
            find: None,
            failure: None,
        };
        (tasks, replies)
    }

    /// Waits until a task panics.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn panicked(&mut self) -> Failure {
        match self.failure.take() {
            Some(failure) => failure,
            None => panicked(&mut self.running).await,
        }
    }

    /// Begins what is requested; the replies come to the receiver. Those that need the screen are the caller's.
    pub(super) fn start(&mut self, request: Request) {
        // The results of ended tasks would stay in memory.
        while let Some(ended) = self.running.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                self.failure = Some(panic_failure(&error));
            }
        }
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

#[cfg(test)]
#[allow(clippy::panic, reason = "a panic is what is tested")]
pub(super) mod tests {
    use super::*;

    /// Begins a task that panics.
    pub(in super::super) fn start_panic(tasks: &mut Tasks) {
        tasks.running.spawn(async { panic!("a seeded panic") });
    }

    #[tokio::test]
    async fn a_panic_of_a_task_is_noticed() {
        let client = Client::builder("127.0.0.1:1").start().unwrap();
        // Before another request begins, and after it.
        for starts in [false, true] {
            let (mut tasks, _replies) = Tasks::new(client.clone());
            start_panic(&mut tasks);
            tokio::task::yield_now().await;
            if starts {
                tasks.start(Request::StopFind);
                assert!(tasks.failure.is_some());
            }
            let Failure::Failed(why) = tasks.panicked().await else {
                panic!("another failure");
            };
            assert!(why.contains("panicked"), "{why}");
        }
    }
}
