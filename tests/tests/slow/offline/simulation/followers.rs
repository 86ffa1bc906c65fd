//! What follows the nodes all the time, and is to show the truth in the end.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zk_client::Client;
use zk_proto::Zxid;
use zk_recipes::{
    ChildrenState, ChildrenWatch, DataState, DataWatch, PatientChildrenWatch, TreeCache,
};

use super::world::World;

/// How long a cache may take to read what it follows.
const READ: Duration = Duration::from_secs(60);

/// How long the children have to be the same for the patient watch.
const BOUNDARY: Duration = Duration::from_millis(500);

/// What a watch has said last.
type Latest<T> = Arc<Mutex<Option<T>>>;

/// The watches and caches of one client.
#[derive(Debug)]
pub(crate) struct Followers {
    tasks: JoinSet<()>,
    data: Vec<(&'static str, Latest<DataState>)>,
    children: Vec<(&'static str, Latest<ChildrenState>)>,
    cache: TreeCache,
}

const CACHED: &str = "/d0";

impl Followers {
    pub(crate) fn of(client: &Client) -> Self {
        let mut tasks = JoinSet::new();
        let data = ["/h0", "/d0/c0"].map(|path| {
            let (mut watch, said) = (DataWatch::new(client, path), Latest::default());
            let latest = said.clone();
            tasks.spawn(async move {
                while let Some(Ok(state)) = watch.next().await {
                    *said.lock().unwrap() = Some(state);
                }
            });
            (path, latest)
        });
        let (mut watch, said) = (ChildrenWatch::new(client, "/d0"), Latest::default());
        let at_once = said.clone();
        tasks.spawn(async move {
            while let Some(Ok(state)) = watch.next().await {
                *said.lock().unwrap() = Some(state);
            }
        });
        let mut watch = PatientChildrenWatch::new(client, "/d1", BOUNDARY);
        let said = Latest::default();
        let settled = said.clone();
        tasks.spawn(async move {
            while let Some(Ok(state)) = watch.next().await {
                *said.lock().unwrap() = Some(state);
            }
        });
        Followers {
            tasks,
            data: data.into(),
            children: vec![("/d0", at_once), ("/d1", settled)],
            cache: TreeCache::new(client, CACHED),
        }
    }

    /// Holds what they say against what the leader has.
    pub(crate) async fn compare(&self, world: &World) {
        let server = &world.network.server;
        // A session that another client has left may end meanwhile, and its znodes with it.
        for _ in 0..20 {
            let before = server.zxid();
            sleep(BOUNDARY * 2).await;
            if server.zxid() == before {
                break;
            }
        }
        for (path, latest) in &self.data {
            let node = server.node(&format!("/app{path}"));
            let there = node.map(|node| (node.data.unwrap_or_default(), node.stat.mzxid));
            let said = latest.lock().unwrap().clone();
            let said = said.map(|state| match state {
                DataState::Present { data, stat } => Some((data, stat.mzxid)),
                DataState::Absent => None,
            });
            differ(world, path, said, there);
        }
        for (path, latest) in &self.children {
            let absolute = format!("/app{path}");
            let there = server.node(&absolute).map(|_| names(world, &absolute));
            let said = latest.lock().unwrap().clone();
            let said = said.map(|state| match state {
                ChildrenState::Present { names, .. } => {
                    let mut names = names.to_vec();
                    names.sort();
                    Some(names)
                }
                ChildrenState::Absent => None,
            });
            differ(world, path, said, there);
        }
        let below = format!("/app{CACHED}");
        let paths = server.paths().into_iter();
        let covered = paths.filter(|path| {
            let rest = path.strip_prefix(&below);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let there: Vec<(String, Zxid)> = covered
            .filter_map(|path| {
                let mzxid = server.node(&path)?.stat.mzxid;
                Some((path.strip_prefix("/app")?.to_owned(), mzxid))
            })
            .collect();
        let said = timeout(READ, self.cache.initialized()).await;
        let said = said.ok().and_then(Result::ok).map(|snapshot| {
            let known = snapshot.iter();
            let mut known: Vec<_> = known.map(|(path, node)| (path, node.stat.mzxid)).collect();
            known.sort();
            Some(known)
        });
        differ(world, "the cache", said, Some(there));
    }

    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

fn names(world: &World, parent: &str) -> Vec<String> {
    let paths = world.network.server.paths();
    let below = paths.iter().filter_map(|path| {
        let name = path.strip_prefix(parent)?.strip_prefix('/')?;
        (!name.contains('/')).then(|| name.to_owned())
    });
    let mut names: Vec<_> = below.collect();
    names.sort();
    names
}

fn differ<T: PartialEq + Debug>(world: &World, what: &str, said: Option<T>, there: T) {
    world.recorder.with(|history| history.compared += 1);
    if said.as_ref() != Some(&there) {
        world.recorder.finding(format!(
            "I23: {what} was said to be {said:?} last and is {there:?}"
        ));
    }
}
