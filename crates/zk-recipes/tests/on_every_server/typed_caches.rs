//! Caches of values, caches of a part of a tree, and the events behind the states of a watch.

use super::common::{Memory, at, end_session, memory, pose, soon, until, until_unwatched};
use zk_client::{Client, ErrorKind, NodeEventKind};
use zk_embedded::Pose;
use zk_recipes::{
    CacheError, ChildrenCache, ChildrenState, ChildrenWatch, DataState, DataWatch, Error, Gzip,
    Text, TreeCache, TypedCache, TypedChildren,
};

fn values(children: Option<Result<TypedChildren<u32>, Error>>) -> Vec<(String, u32)> {
    let values = children.unwrap().unwrap().values.into_iter();
    values.map(|(name, value)| (name, *value.data)).collect()
}

async fn until_values(children: &mut ChildrenCache<u32>, expected: &[(&str, u32)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect();
    while values(soon("the children", children.next()).await) != expected {}
}

#[tokio::test(start_paused = true)]
async fn children_are_followed_with_their_values() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let mut children = ChildrenCache::<u32>::new(&zk, "/all", Text);
    assert_eq!(values(soon("no children", children.next()).await), []);
    other.create("/all", "not a number").await.unwrap();
    other.create("/all/a", "1").await.unwrap();
    other.create("/all/b", "2").await.unwrap();
    other.create("/all/b/below", "3").await.unwrap();
    until_values(&mut children, &[("a", 1), ("b", 2)]).await;
    other.set("/all/a", "many").await.unwrap();
    let state = loop {
        let state = soon("the children", children.next())
            .await
            .unwrap()
            .unwrap();
        if !state.undecodable.is_empty() {
            break state;
        }
    };
    assert_eq!(state.undecodable["a"].path(), Some("/all/a"));
    assert_eq!(state.values.len(), 1, "the others are there");
    end_session(&memory.server, &zk);
    let later = memory.any().await;
    later.set("/all/a", "4").await.unwrap();
    later.delete("/all/b/below").await.unwrap();
    later.delete("/all/b").await.unwrap();
    until_values(&mut children, &[("a", 4)]).await;
    let generation = children.tree().snapshot().unwrap().generation();
    soon("the rebuild", children.rebuild()).await.unwrap();
    let snapshot = children.tree().snapshot().unwrap();
    assert!(snapshot.generation() > generation && snapshot.is_complete());
    assert_eq!(snapshot.get("/all/b/below"), None);
    zk.close().await.unwrap();
    loop {
        match soon("the end", children.next()).await {
            Some(Err(Error::Cache(CacheError::Closed))) | None => break,
            Some(state) => drop(state.unwrap()),
        }
    }
}

async fn tree(memory: &Memory) -> Client {
    let zk = memory.any().await;
    for path in [
        "/app",
        "/app/a",
        "/app/a/tmp",
        "/app/a/tmp/x",
        "/app/closed",
        "/app/closed/x",
    ] {
        zk.create(path, path).await.unwrap();
    }
    zk
}

/// Neither what is listed nor what has an event is read, if it is not covered.
#[tokio::test(start_paused = true)]
async fn a_cache_covers_what_is_selected() {
    for one_shot in [false, true] {
        let memory = memory(1).await;
        let zk = tree(&memory).await;
        let mut builder = TreeCache::builder(&zk, "/app")
            .traverse(|path| path != "/app/closed")
            .accept(|path| !path.ends_with("/tmp"));
        if one_shot {
            builder = builder.one_shot_watches();
        }
        let cache = builder.start();
        let expected = |paths: &[&str]| {
            let snapshot = cache.snapshot().unwrap();
            let found: Vec<_> = snapshot.iter().map(|(path, _)| path).collect();
            found == paths
        };
        soon("the tree", cache.initialized()).await.unwrap();
        assert!(expected(&["/app", "/app/a", "/app/closed"]));
        for path in [
            "/app/a/tmp/y",
            "/app/closed/y",
            "/app/tmp",
            "/app/z",
            "/app/z/tmp",
        ] {
            zk.create(path, "").await.unwrap();
        }
        zk.set("/app/closed", "new").await.unwrap();
        zk.delete("/app/a/tmp/x").await.unwrap();
        until("the events", || {
            expected(&["/app", "/app/a", "/app/closed", "/app/z"])
                && cache.snapshot().unwrap().get("/app/closed").unwrap().data == "new"
        })
        .await;
        let rebuilt = soon("the rebuild", cache.rebuild()).await.unwrap();
        assert!(rebuilt.is_complete() && expected(&["/app", "/app/a", "/app/closed", "/app/z"]));
        drop(cache);
        until_unwatched(|| {
            let counts = memory.server.watch_counts();
            counts.data + counts.child
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_creates_its_root_when_asked() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let plain = TreeCache::new(&zk, "/none/at/all");
    assert!(
        soon("nothing", plain.initialized())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(memory.server.node(&at("/none")).is_none());
    let cache = TreeCache::builder(&zk, "/some/where").create_root().start();
    assert_eq!(
        soon("the root", cache.initialized()).await.unwrap().len(),
        1
    );
    let invalid = TreeCache::builder(&zk, "some").create_root().start();
    let error = Error::from(soon("the end", invalid.initialized()).await.unwrap_err());
    assert_eq!(error.kind(), Some(ErrorKind::InvalidPath));
    let error = soon("the end", invalid.rebuild()).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), Some(ErrorKind::InvalidPath));
}

#[tokio::test(start_paused = true)]
async fn a_typed_cache_decodes_its_nodes() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = zk_recipes::TypedNode::<u32>::new(&zk, "/n", Gzip::new(Text));
    node.set(&0).await.unwrap();
    node.child("a").set(&1).await.unwrap();
    zk.create("/n/b", "plain").await.unwrap();
    let cache = TypedCache::<u32>::new(TreeCache::new(&zk, "/n"), Gzip::new(Text));
    soon("the tree", cache.tree().initialized()).await.unwrap();
    assert_eq!(cache.get("/n/a").unwrap().unwrap().data, 1);
    assert_eq!(cache.get("/n/c").unwrap(), None);
    assert_eq!(cache.get("/n/b").unwrap_err().path(), Some("/n/b"));
    let children = cache.children("/n").unwrap();
    assert!(children["a"].as_ref().is_ok_and(|a| a.data == 1));
    assert!(children["b"].is_err());
}

/// The kind, and from servers that send it the transaction.
#[tokio::test(start_paused = true)]
async fn a_state_comes_with_its_event() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let mut data = DataWatch::new(&zk, "/n");
    let mut names = ChildrenWatch::new(&zk, "/n");
    let first = soon("no znode", data.next_change()).await.unwrap().unwrap();
    assert_eq!((first.state, first.event), (DataState::Absent, None));
    let first = soon("no znode", names.next_change())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first.state, first.event), (ChildrenState::Absent, None));
    zk.create("/n", "").await.unwrap();
    soon("the znode", names.next()).await.unwrap().unwrap();
    let created = soon("the znode", data.next_change())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(created.event.unwrap().kind, NodeEventKind::Created);
    zk.create("/n/a", "").await.unwrap();
    let child = soon("a child", names.next_change()).await.unwrap().unwrap();
    assert_eq!(child.event.unwrap().kind, NodeEventKind::ChildrenChanged);
    let stat = zk.set("/n", "new").await.unwrap();
    let set = soon("the data", data.next_change()).await.unwrap().unwrap();
    let event = set.event.unwrap();
    assert_eq!(
        (event.kind, &*event.path),
        (NodeEventKind::DataChanged, "/n")
    );
    let zxid = (pose() == Pose::V3_9).then_some(stat.mzxid);
    assert_eq!(event.zxid, zxid);
    end_session(&memory.server, &zk);
    let other = memory.any().await;
    other.set("/n", "newer").await.unwrap();
    let set = soon("the data", data.next_change()).await.unwrap().unwrap();
    assert!(matches!(set.state, DataState::Present { data, .. } if data == "newer"));
}
