//! Typed znodes, their models, children with data, and watches that continue in the next session.

use super::common::{
    at, create_op, dropped_after, end_session, is_restored, memory, paths, pose, soon, until,
    until_unwatched,
};
use bytes::Bytes;
use zk_client::{ErrorKind, NodeEventKind, Outcome, WatchMode};
use zk_embedded::{Pose, fault::on};
use zk_proto::OpCode;
use zk_recipes::{
    ChildrenWithData, Codec, DataState, Error, GapCause, Gzip, Json, Model, NodeOptions,
    PathTemplate, PersistentEvent, PersistentWatch, Text, TypedNode,
};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Config {
    retries: u32,
}

#[tokio::test(start_paused = true)]
async fn a_typed_node_is_created_and_updated() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = TypedNode::new(&zk, "/a/config", Gzip::new(Json));
    assert_eq!(node.get().await.unwrap(), None);
    let stat = node.set(&Config { retries: 3 }).await.unwrap();
    assert_eq!(stat.version, 0);
    let found = node.get_or_insert(&Config { retries: 9 }).await.unwrap();
    assert_eq!((found.value.retries, found.stat.version), (3, 0));
    let node2 = TypedNode::new(&zk, "/b/config", Json);
    let found = node2.get_or_insert(&Config { retries: 9 }).await.unwrap();
    assert_eq!((found.value.retries, found.stat.version), (9, 0));
    assert_eq!(
        memory.server.node(&at("/b/config")).unwrap().data.unwrap(),
        r#"{"retries":9}"#
    );

    let changed = node
        .update(|config| {
            let retries = config.unwrap().retries + 1;
            Some(Config { retries })
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!((changed.value.retries, changed.stat.version), (4, 1));
    let unchanged = node.update(|_| None).await.unwrap().unwrap();
    assert_eq!(unchanged, changed);
    let error = node.compare_and_set(&stat, &Config { retries: 0 }).await;
    assert_eq!(error.unwrap_err().kind(), Some(ErrorKind::BadVersion));
    node.compare_and_set(&changed.stat, &Config { retries: 0 })
        .await
        .unwrap();
    let error = node.delete_version(&changed.stat).await;
    assert_eq!(error.unwrap_err().kind(), Some(ErrorKind::BadVersion));
    node.delete().await.unwrap();
    node.delete().await.unwrap();
    assert_eq!(node.update(|config| config).await.unwrap(), None);
    let created = node.update(|config| {
        assert_eq!(config, None);
        Some(Config { retries: 1 })
    });
    assert_eq!(created.await.unwrap().unwrap().stat.version, 0);
}

/// What another program has written is not replaced by a function of nothing.
#[tokio::test(start_paused = true)]
async fn undecodable_data_are_left_alone() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = TypedNode::<u32>::new(&zk, "/n", Text);
    zk.create("/n", "many").await.unwrap();
    zk.set("/n", "more").await.unwrap();
    for error in [
        node.get().await.map(drop).unwrap_err(),
        node.update(|_| Some(1)).await.map(drop).unwrap_err(),
        node.get_or_insert(&1).await.map(drop).unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::Undecodable { version: 1, .. }),
            "{error}"
        );
        assert_eq!(
            (error.path(), error.outcome()),
            (Some("/n"), Outcome::NotSent)
        );
    }
    assert_eq!(memory.server.node(&at("/n")).unwrap().data.unwrap(), "more");
    node.set(&1).await.unwrap();
    assert_eq!(node.get().await.unwrap().unwrap().value, 1);
}

/// A codec for which nothing can be encoded.
struct ReadOnly;

impl Codec<u32> for ReadOnly {
    fn encode(&self, _: &u32) -> Result<Bytes, zk_recipes::CodecError> {
        Err("this is only for reading".into())
    }

    fn decode(&self, data: &Bytes) -> Result<u32, zk_recipes::CodecError> {
        Text.decode(data)
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_encoded_is_not_sent() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/n", "7").await.unwrap();
    let node = TypedNode::new(&zk, "/n", ReadOnly);
    let known = node.get().await.unwrap().unwrap();
    for error in [
        node.set(&1).await.map(drop).unwrap_err(),
        node.update(|_| Some(1)).await.map(drop).unwrap_err(),
        node.get_or_insert(&1).await.map(drop).unwrap_err(),
        node.compare_and_set(&known.stat, &1)
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unencodable { .. }), "{error}");
        assert_eq!(
            (error.path(), error.outcome()),
            (Some("/n"), Outcome::NotSent)
        );
    }
    assert_eq!(node.get().await.unwrap().unwrap(), known);
}

/// Each increment whose call succeeds counts once, and no other counts more than once.
#[tokio::test(start_paused = true)]
async fn updates_with_lost_replies_count_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let rival = memory.any().await;
    let (node, other) = (
        TypedNode::<u64>::new(&zk, "/n", Text),
        TypedNode::<u64>::new(&rival, "/n", Text),
    );
    let add = |n: Option<u64>| Some(n.unwrap_or(0) + 1);
    let (mut counted, mut unknown) = (0, 0);
    for round in 0..40 {
        if round % 2 == 0 {
            let op = if round == 0 {
                create_op()
            } else {
                OpCode::SetData
            };
            memory.server.faults().drop_reply_after_apply(on(op));
        }
        if round % 8 == 3 {
            memory.server.faults().disconnect(zk.session().id);
        }
        let (mine, theirs) = tokio::join!(
            soon("an update", node.update(add)),
            soon("another update", other.update(add))
        );
        for result in [mine, theirs] {
            match result {
                Ok(_) => counted += 1,
                Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let found = node.get().await.unwrap().unwrap().value;
    assert!(
        (counted..=counted + unknown).contains(&found),
        "{counted} {unknown} {found}"
    );
    assert!(counted >= 40 && unknown > 0, "{counted} {unknown}");
}

/// A lost reply is resolved by a read, or the write is repeated.
#[tokio::test(start_paused = true)]
async fn a_set_survives_lost_replies_and_sessions() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = TypedNode::<u32>::new(&zk, "/a/n", Text);
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(create_op()));
    soon("the creation", node.set(&1)).await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(OpCode::SetData));
    let stat = soon("the write", node.set(&2)).await.unwrap();
    assert_eq!(stat.version, 1, "written once");
    end_session(&memory.server, &zk);
    soon("the next session", node.set(&3)).await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(OpCode::Delete));
    soon("the deletion", node.delete()).await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(create_op()));
    let found = soon("the creation", node.get_or_insert(&4)).await.unwrap();
    assert_eq!((found.value, found.stat.version), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_update_counts_at_most_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = TypedNode::<u64>::new(&zk, "/n", Text);
    let mut before = 0;
    for polls in 1..40 {
        let update = node.update(|n| Some(n.unwrap_or(0) + 1));
        let done = dropped_after(polls, update).await;
        zk.sync("/").await.unwrap();
        let after = node.get().await.unwrap().map_or(0, |found| found.value);
        assert!(
            (before..=before + 1).contains(&after),
            "{polls}: {before} {after}"
        );
        assert!(!done || after == before + 1);
        before = after;
    }
    assert_eq!(
        paths(&memory.server)
            .iter()
            .filter(|path| path.starts_with("/n"))
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_watched_value_follows_its_znode() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = TypedNode::<u32>::new(&zk, "/n", Text);
    let mut values = node.watch();
    let first = soon("no znode", values.next()).await.unwrap().unwrap();
    assert_eq!(first, DataState::Absent);
    node.set(&1).await.unwrap();
    let value = soon("a value", values.next()).await.unwrap().unwrap();
    assert!(matches!(value, DataState::Present { data: 1, .. }));
    end_session(&memory.server, &zk);
    node.set(&2).await.unwrap();
    let value = soon("the next value", values.next())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(value, DataState::Present { data: 2, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_model_lists_its_znodes() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let path = PathTemplate::new("/teams/{team}/users/{id}").unwrap();
    let users = Model::<String>::new(path, Text).options(NodeOptions::new().container());
    assert!(users.list(&zk, &[&"red"]).await.unwrap().is_empty());
    for id in 0..200 {
        let user = users.at(&zk, &[&"red", &id]).unwrap();
        user.set(&format!("user {id}")).await.unwrap();
    }
    let listed = users.list(&zk, &[&"red"]).await.unwrap();
    assert_eq!(listed.len(), 200);
    assert!(
        listed
            .iter()
            .all(|(id, user)| user.value == format!("user {id}"))
    );
    assert!(users.list(&zk, &[&"blue"]).await.unwrap().is_empty());
    zk.set("/teams/red/users/7", b"\xff").await.unwrap();
    let error = users.list(&zk, &[&"red"]).await.unwrap_err();
    assert_eq!(error.path(), Some("/teams/red/users/7"));
    let fixed = Model::<String>::new(PathTemplate::new("/teams").unwrap(), Text);
    let error = fixed.list(&zk, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)));
}

#[tokio::test(start_paused = true)]
async fn children_are_read_with_their_data() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let error = ChildrenWithData::new(&zk, "/none")
        .read()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoNode));
    zk.create("/all", "").await.unwrap();
    for n in 0..150 {
        zk.create(&format!("/all/{n:03}"), n.to_string())
            .await
            .unwrap();
    }
    let read = ChildrenWithData::new(&zk, "/all").window(7);
    let plain = read.clone().read().await.unwrap();
    assert_eq!((plain.children.len(), plain.stat.num_children), (150, 150));
    let in_order = plain.children.values().enumerate();
    for (n, (data, stat)) in in_order {
        assert_eq!((&**data, stat.version), (n.to_string().as_bytes(), 0));
    }
    let at_once = read.clone().consistent().read().await;
    match pose().knows(OpCode::MultiRead) {
        true => assert_eq!(at_once.unwrap(), plain),
        false => assert_eq!(at_once.unwrap_err().kind(), Some(ErrorKind::Unimplemented)),
    }
    // One is gone by the time that its data are read.
    memory.server.faults().disconnect(zk.session().id);
    let (read, deleted) = tokio::join!(read.read(), memory.any());
    drop(deleted);
    assert_eq!(read.unwrap(), plain);
}

/// The sum of two children never changes, as far as they are read at once.
#[tokio::test(start_paused = true)]
async fn a_consistent_read_is_of_one_state() {
    if !pose().knows(OpCode::MultiRead) {
        return;
    }
    let memory = memory(1).await;
    let (zk, writer) = (memory.any().await, memory.any().await);
    zk.create("/sum", "").await.unwrap();
    zk.create("/sum/a", "100").await.unwrap();
    zk.create("/sum/b", "0").await.unwrap();
    for n in 1..50 {
        let transfer = writer
            .multi()
            .set("/sum/a", (100 - n).to_string())
            .set("/sum/b", n.to_string());
        let mut extra = writer.multi().create(&format!("/sum/{n}"), "0");
        if n > 1 {
            extra = extra.delete(&format!("/sum/{}", n - 1));
        }
        let (read, written, changed) = tokio::join!(
            ChildrenWithData::new(&zk, "/sum").consistent().read(),
            transfer.into_future(),
            extra.into_future()
        );
        written.unwrap();
        changed.unwrap();
        let read = read.unwrap().children;
        let number = |data: &Bytes| -> i32 { Text.decode(data).unwrap() };
        let sum: i32 = read.values().map(|(data, _)| number(data)).sum();
        assert_eq!(sum, 100, "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_persistent_watch_outlives_its_session() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let mut watch = PersistentWatch::new(&zk, "/jobs", WatchMode::PersistentRecursive);
    let first = soon("the watch", watch.next()).await.unwrap();
    if !pose().knows(OpCode::AddWatch) {
        assert_eq!(first.unwrap_err().kind(), Some(ErrorKind::Unimplemented));
        assert!(watch.next().await.is_none());
        return;
    }
    if pose() == Pose::KeeperNew {
        return; // Its recursive watches report the watched path only.
    }
    assert_eq!(first.unwrap(), PersistentEvent::Armed);
    for session in 0..3 {
        let path = format!("/jobs-{session}");
        zk.create(&path, "").await.unwrap();
        zk.ensure_path("/jobs").await.unwrap();
        zk.create(&format!("/jobs/{session}"), "").await.unwrap();
        loop {
            let next = soon("an event", watch.next()).await.unwrap().unwrap();
            let PersistentEvent::Node(event) = next else {
                panic!("{next:?}");
            };
            assert_eq!(event.kind, NodeEventKind::Created);
            if event.path != "/jobs" {
                assert_eq!(event.path, format!("/jobs/{session}"));
                break;
            }
        }
        let polled = dropped_after(3, watch.next()).await;
        assert!(!polled);
        end_session(&memory.server, &zk);
        let gap = soon("the gap", watch.next()).await.unwrap().unwrap();
        assert_eq!(gap, PersistentEvent::Gap(GapCause::NewSession));
    }
    memory.server.faults().disconnect(zk.session().id);
    let gap = soon("the gap", watch.next()).await.unwrap().unwrap();
    assert!(matches!(
        gap,
        PersistentEvent::Gap(GapCause::Reconnected { .. })
    ));
    drop(watch);
    until_unwatched(|| {
        let counts = memory.server.watch_counts();
        counts.data + counts.child
    })
    .await;
    let mut watch = PersistentWatch::new(&zk, "/jobs", WatchMode::Persistent);
    soon("the watch", watch.next()).await.unwrap().unwrap();
    if !is_restored() {
        zk.close().await.unwrap();
        assert!(soon("the end", watch.next()).await.is_none());
    }
    until("quiet", || true).await;
}
