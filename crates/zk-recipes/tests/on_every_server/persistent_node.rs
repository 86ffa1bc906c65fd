//! Persistent nodes when replies, connections and sessions are lost.

use std::time::Duration;

use super::common::{
    self, Memory, at, dropped_after, end_session, memory, pose, soon, until, until_unwatched,
};
use zk_client::{Client, CreateMode, ErrorKind, Outcome, SessionPolicy};
use zk_embedded::{Server, fault::on};
use zk_proto::OpCode;
use zk_recipes::{DataWrite, Error, NodeState, NodeStates, Parents, PersistentNode};

const PATH: &str = "/services/a";

fn data(server: &Server) -> Option<String> {
    let node = server.node(&at(PATH))?;
    Some(String::from_utf8(node.data?.to_vec()).unwrap())
}

/// The session that owns the znode.
fn owner(server: &Server) -> Option<zk_client::SessionId> {
    server.node(&at(PATH))?.stat.owner()
}

async fn until_state(states: &mut NodeStates, wanted: impl Fn(&NodeState) -> bool) -> NodeState {
    soon("the state", async {
        loop {
            let state = states.next().await.unwrap();
            if wanted(&state) {
                return state;
            }
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn it_is_created_and_deleted() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::new(&zk, PATH, "one");
    let mut states = node.states();
    assert_eq!(soon("it", node.wait_created()).await.unwrap(), PATH);
    assert_eq!(data(&memory.server).as_deref(), Some("one"));
    assert_eq!(owner(&memory.server), Some(zk.session().id));
    let NodeState::Present { path, session, .. } = node.state() else {
        panic!("{:?}", node.state());
    };
    assert_eq!((path.as_str(), session), (PATH, Some(zk.session().id)));
    let written = soon("the write", node.set_data("two")).await.unwrap();
    assert!(matches!(written, DataWrite::Written(stat) if stat.version == 1));
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
    soon("the end", node.close()).await.unwrap();
    assert!(memory.server.node(&at(PATH)).is_none());
    until_state(&mut states, |state| matches!(state, NodeState::Closed)).await;
    assert!(states.next().await.is_none());
    until_unwatched(|| memory.server.watch_counts().data).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_created_again_after_deletion() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let _ = soon("the write", node.set_data("two")).await.unwrap();
    let first = memory.server.node(&at(PATH)).unwrap().stat.czxid;
    admin.delete(PATH).await.unwrap();
    until("it is there again", || {
        let node = memory.server.node(&at(PATH));
        node.is_some_and(|node| node.stat.czxid > first)
    })
    .await;
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
    soon("the parent, too", async {
        memory.server.node(&at("/services")).unwrap();
        admin.delete("/services").recursive().await.ok();
        node.wait_created().await.unwrap();
    })
    .await;
}

/// The first failure of every service that registers itself with an ephemeral znode.
#[tokio::test(start_paused = true)]
async fn it_is_there_in_the_next_session() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let mut states = node.states();
    for epoch in 2..5 {
        end_session(&memory.server, &zk);
        let is_later = |state: &NodeState| match state {
            NodeState::Present { session, .. } => {
                zk.session().epoch == epoch && *session == Some(zk.session().id)
            }
            _ => false,
        };
        until_state(&mut states, is_later).await;
        assert_eq!(owner(&memory.server), Some(zk.session().id));
    }
    soon("the end", node.close()).await.unwrap();
    assert_eq!(memory.names("/services"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn data_set_meanwhile_are_written_later() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let mut states = node.states();
    memory.server.faults().close_after_accept(true);
    memory.server.faults().disconnect(zk.session().id);
    until_state(&mut states, |state| matches!(state, NodeState::Suspended)).await;
    let pending = soon("the answer", node.set_data("two")).await.unwrap();
    assert_eq!(pending, DataWrite::Pending);
    assert_eq!(node.data(), "two");
    end_session(&memory.server, &zk);
    memory.server.faults().close_after_accept(false);
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
    assert_eq!(owner(&memory.server), Some(zk.session().id));
}

#[tokio::test(start_paused = true)]
async fn lost_replies_are_resolved() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/services").await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let first = memory.server.node(&at(PATH)).unwrap().stat.czxid;
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(OpCode::SetData));
    let written = soon("the write", node.set_data("two")).await.unwrap();
    if written == DataWrite::Pending {
        soon("it", node.wait_created()).await.unwrap();
    }
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
    if pose().resumes_sessions() {
        let again = memory.server.node(&at(PATH)).unwrap().stat.czxid;
        assert_eq!(first, again, "it was not created twice");
    }
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(OpCode::Delete));
    soon("the end", node.close()).await.unwrap();
    assert!(memory.server.node(&at(PATH)).is_none());
}

/// A lost reply to the deletion does not delete what another client has created meanwhile.
#[tokio::test(start_paused = true)]
async fn a_repeated_deletion_spares_a_successor() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(OpCode::Delete));
    memory.server.faults().close_after_accept(true);
    let closing = common::start(node.close());
    until("it is deleted", || memory.server.node(&at(PATH)).is_none()).await;
    other.create(PATH, "another").ephemeral().await.unwrap();
    memory.server.faults().close_after_accept(false);
    soon("the end", closing).await.unwrap().unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("another"));
}

/// The other client's znode is neither changed nor deleted.
#[tokio::test(start_paused = true)]
async fn a_conflict_names_the_owner() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    other.ensure_path("/services").await.unwrap();
    other.create(PATH, "another").ephemeral().await.unwrap();
    let node = PersistentNode::new(&zk, PATH, "one");
    let error = soon("the conflict", node.wait_created()).await.unwrap_err();
    let Error::Occupied { path, owner } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((path.as_str(), *owner), (PATH, Some(other.session().id)));
    assert!(
        error.to_string().contains(&other.session().id.to_string()),
        "{error}"
    );
    let pending = soon("the answer", node.set_data("two")).await.unwrap();
    assert_eq!(pending, DataWrite::Pending);
    assert_eq!(data(&memory.server).as_deref(), Some("another"));
    let mut states = node.states();
    other.delete(PATH).await.unwrap();
    until_state(&mut states, NodeState::is_present).await;
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
    // And a second node of the same client.
    let second = PersistentNode::new(&zk, PATH, "three");
    let error = soon("the conflict", second.wait_created())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Occupied { owner, .. } if owner == Some(zk.session().id)));
    soon("the end", second.close()).await.unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn a_persistent_znode_is_no_ephemeral() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create(PATH, "another").parents().await.unwrap();
    let node = PersistentNode::new(&zk, PATH, "one");
    let error = soon("the conflict", node.wait_created()).await.unwrap_err();
    assert!(
        matches!(error, Error::Occupied { owner: None, .. }),
        "{error:?}"
    );
    drop(node);
    // A node that is not ephemeral either adopts it.
    let node = PersistentNode::builder(&zk, PATH)
        .mode(CreateMode::Persistent)
        .data("two")
        .start();
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
    end_session(&memory.server, &zk);
    until("there is another session", || zk.session().epoch == 2).await;
    until("it is there", || {
        data(&memory.server).as_deref() == Some("two")
    })
    .await;
    soon("the end", node.close()).await.unwrap();
    assert!(memory.server.node(&at(PATH)).is_none());
}

/// Of a session that the client has given up and the servers have not.
#[tokio::test(start_paused = true)]
async fn its_own_ghost_is_removed() {
    let memory = memory(1).await;
    let zk = memory
        .client(&[0], |options| {
            options.session_timeout(Duration::from_secs(8))
        })
        .await;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let first = zk.session().id;
    memory.server.faults().close_after_accept(true);
    memory.server.faults().disconnect(first);
    // The next leader counts the sessions' timeouts anew.
    tokio::time::sleep(zk.session().timeout * 7 / 8).await;
    memory.server.change_leader();
    until("the session is given up", || {
        matches!(zk.state(), zk_client::State::Expired { .. })
    })
    .await;
    assert_eq!(owner(&memory.server), Some(first), "a ghost");
    memory.server.faults().close_after_accept(false);
    until("it is there", || {
        owner(&memory.server).is_some_and(|owner| owner != first)
    })
    .await;
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(owner(&memory.server), Some(zk.session().id));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_run_is_recognized() {
    let memory = memory(1).await;
    let (zk, crashed) = (memory.any().await, memory.any().await);
    crashed
        .create(PATH, "host-7 at 9200")
        .parents()
        .await
        .unwrap();
    crashed.delete(PATH).await.unwrap();
    crashed
        .create(PATH, "host-7 at 9200")
        .ephemeral()
        .await
        .unwrap();
    let start = |host: &'static str| {
        PersistentNode::builder(&zk, PATH)
            .data("host-7 at 9201")
            .recognize_earlier_run(move |data| data.starts_with(host.as_bytes()))
            .start()
    };
    let another = start("host-8");
    soon("the conflict", another.wait_created())
        .await
        .unwrap_err();
    soon("the end", another.close()).await.unwrap();
    let node = start("host-7");
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(owner(&memory.server), Some(zk.session().id));
    assert_eq!(data(&memory.server).as_deref(), Some("host-7 at 9201"));
}

#[tokio::test(start_paused = true)]
async fn a_sequential_znode_keeps_its_name() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::builder(&zk, "/workers/worker-")
        .mode(CreateMode::EphemeralSequential)
        .start();
    assert_eq!(node.path(), None);
    let path = soon("it", node.wait_created()).await.unwrap();
    assert!(
        path.starts_with("/workers/_c_") && path.ends_with("-worker-0000000000"),
        "{path}"
    );
    zk.create("/workers/other-", "").sequential().await.unwrap();
    let mut states = node.states();
    end_session(&memory.server, &zk);
    let present = until_state(&mut states, |state| {
        state.is_present() && zk.session().epoch == 2
    })
    .await;
    assert!(matches!(present, NodeState::Present { path: again, .. } if again == path));
    soon("the end", node.close()).await.unwrap();
    assert!(
        !memory
            .names("/workers")
            .iter()
            .any(|name| name.contains("worker-"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_protected_name_is_known_at_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::builder(&zk, PATH).protected().start();
    let path = node.path().unwrap();
    assert!(
        path.starts_with("/services/_c_") && path.ends_with("-a"),
        "{path}"
    );
    assert_eq!(soon("it", node.wait_created()).await.unwrap(), path);
    end_session(&memory.server, &zk);
    until("it is there again", || {
        let node = memory.server.node(&at(&path));
        zk.session().epoch == 2 && node.is_some_and(|n| n.stat.owner() == Some(zk.session().id))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_value_leaves_the_last_one() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let big = vec![0; 8 << 20];
    let error = soon("the refusal", node.set_data(big)).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::RequestTooLarge));
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(node.data(), "one");
    soon("it", node.wait_created()).await.unwrap();
    end_session(&memory.server, &zk);
    until("it is there again", || {
        owner(&memory.server) == Some(zk.session().id) && zk.session().epoch == 2
    })
    .await;
    assert_eq!(data(&memory.server).as_deref(), Some("one"));
}

const TOO_BIG: usize = 8 << 20;

/// A node that is present with "one", whose client has lost its connection, and then a value that is refused.
async fn with_pending_refusal(memory: &Memory, zk: &Client) -> PersistentNode {
    let node = PersistentNode::new(zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let mut states = node.states();
    memory.server.faults().close_after_accept(true);
    memory.server.faults().disconnect(zk.session().id);
    until_state(&mut states, |state| matches!(state, NodeState::Suspended)).await;
    let pending = soon("the answer", node.set_data(vec![0; TOO_BIG])).await;
    assert_eq!(pending.unwrap(), DataWrite::Pending);
    node
}

async fn assert_refused_once(memory: &Memory, zk: &Client, node: &PersistentNode) {
    let error = soon("the refusal", node.wait_created()).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::RequestTooLarge));
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(node.data(), "one");
    assert_eq!(data(&memory.server).as_deref(), Some("one"));
    assert_eq!(owner(&memory.server), Some(zk.session().id));
}

/// The znode is created again with the data that it had.
#[tokio::test(start_paused = true)]
async fn refused_pending_data_keep_no_znode_away() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = with_pending_refusal(&memory, &zk).await;
    end_session(&memory.server, &zk);
    memory.server.faults().close_after_accept(false);
    assert_refused_once(&memory, &zk, &node).await;
    assert_eq!(zk.session().epoch, 2);
}

#[tokio::test(start_paused = true)]
async fn refused_pending_data_are_reported() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = with_pending_refusal(&memory, &zk).await;
    memory.server.faults().close_after_accept(false);
    assert_refused_once(&memory, &zk, &node).await;
    // A later value makes the refusal of an earlier one immaterial.
    let node = {
        drop(node);
        with_pending_refusal(&memory, &zk).await
    };
    let _ = soon("the answer", node.set_data("two")).await.unwrap();
    memory.server.faults().close_after_accept(false);
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("two"));
}

/// Only the last of them is sent.
#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_all_calls() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let set = async { tokio::join!(node.set_data("two"), node.set_data(vec![0; TOO_BIG])) };
    let (first, second) = soon("the refusals", set).await;
    for refused in [first, second] {
        let kind = refused.unwrap_err().kind();
        assert_eq!(kind, Some(ErrorKind::RequestTooLarge));
    }
    soon("it", node.wait_created()).await.unwrap();
    assert_eq!(data(&memory.server).as_deref(), Some("one"));
    // The refusal for a call that was dropped.
    let dropped = dropped_after(1, node.set_data(vec![0; TOO_BIG])).await;
    assert!(!dropped);
    assert_refused_once(&memory, &zk, &node).await;
    let written = soon("the write", node.set_data("three")).await.unwrap();
    assert!(matches!(written, DataWrite::Written(_)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_parent_is_refused_if_wished() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentNode::builder(&zk, PATH)
        .parents(Parents::Existing)
        .start();
    let error = soon("the refusal", node.wait_created()).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoNode));
    assert!(matches!(node.state(), NodeState::Refused(_)));
    let mut states = node.states();
    zk.ensure_path("/services").await.unwrap();
    until_state(&mut states, NodeState::is_present).await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_path_is_final() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for path in ["no/slash", "/a//b"] {
        let node = PersistentNode::new(&zk, path, "");
        let error = soon("the error", node.wait_created()).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::InvalidPath));
        assert!(matches!(node.state(), NodeState::Closed));
        soon("the end", node.close()).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_client_is_final() {
    let memory = memory(1).await;
    let zk = memory
        .client(&[0], |options| options.session_policy(SessionPolicy::Close))
        .await;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    memory.server.expire_session(zk.session().id);
    let mut states = node.states();
    until_state(&mut states, |state| matches!(state, NodeState::Closed)).await;
    let error = soon("the error", node.wait_created()).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::SessionExpired));
    let error = soon("the error", node.set_data("two")).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::SessionExpired));
}

/// Of each kind, dropped after each number of turns of its task.
#[tokio::test(start_paused = true)]
async fn dropped_at_any_time_it_leaves_nothing() {
    let modes = [
        CreateMode::Ephemeral,
        CreateMode::Persistent,
        CreateMode::EphemeralSequential,
        CreateMode::PersistentSequential,
    ];
    for mode in modes {
        for turns in 0..40 {
            let memory = memory(1).await;
            let zk = memory.any().await;
            zk.ensure_path("/services").await.unwrap();
            let node = PersistentNode::builder(&zk, PATH).mode(mode).start();
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            if turns % 2 == 0 {
                drop(node);
            } else {
                dropped_after(1 + turns / 7, node.close()).await;
            }
            let left = || memory.names("/services");
            // The requests of the task have been answered when this is.
            soon("the end of the client", zk.close()).await.unwrap();
            until(&format!("{mode:?} after {turns}: {:?}", left()), || {
                left().is_empty()
            })
            .await;
        }
    }
}

/// The client lives on.
#[tokio::test(start_paused = true)]
async fn a_drop_in_an_outage_leaves_nothing() {
    for (mode, lost) in [
        (CreateMode::Ephemeral, false),
        (CreateMode::Ephemeral, true),
        (CreateMode::Persistent, false),
        (CreateMode::Persistent, true),
        (CreateMode::EphemeralSequential, true),
    ] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        zk.ensure_path("/services").await.unwrap();
        if lost {
            let faults = memory.server.faults();
            faults.drop_reply_after_apply(on(common::create_op()));
            faults.close_after_accept(true);
        }
        let node = PersistentNode::builder(&zk, PATH).mode(mode).start();
        until("it is created", || !memory.names("/services").is_empty()).await;
        if !lost {
            soon("it", node.wait_created()).await.unwrap();
            memory.server.faults().close_after_accept(true);
            memory.server.faults().disconnect(zk.session().id);
            let mut states = node.states();
            until_state(&mut states, |state| matches!(state, NodeState::Suspended)).await;
        }
        drop(node);
        memory.server.faults().close_after_accept(false);
        until(&format!("{mode:?}, {lost}"), || {
            memory.names("/services").is_empty()
        })
        .await;
        until_unwatched(|| memory.server.watch_counts().data).await;
    }
}

/// A client that waits for the next node at the same path need not wait for the drop of the last one.
#[tokio::test(start_paused = true)]
async fn a_dropped_node_makes_room_at_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for round in 0..10 {
        let node = PersistentNode::new(&zk, PATH, round.to_string());
        soon("it", node.wait_created()).await.unwrap();
        assert_eq!(data(&memory.server), Some(round.to_string()));
    }
}

async fn idle(memory: &Memory, zk: &Client) -> u64 {
    // A whole number of pings.
    tokio::time::sleep(zk.session().timeout * 2).await;
    common::received(memory).await
}

#[tokio::test(start_paused = true)]
async fn idle_it_sends_nothing() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let before = common::received(&memory).await;
    let pings = idle(&memory, &zk).await - before;
    let node = PersistentNode::new(&zk, PATH, "one");
    soon("it", node.wait_created()).await.unwrap();
    let before = common::received(&memory).await;
    let requests = idle(&memory, &zk).await - before;
    assert!(requests <= pings + 1, "{requests} and not {pings}");
}
