//! Parties, groups and znodes with a time to live when connections and sessions are lost.

use std::time::Duration;

use super::common::{
    Memory, at, dropped_after, end_session, memory, now, pose, soon, start, until,
};
use zk_client::{Client, ErrorKind, Guid};
use zk_recipes::{GroupMember, NodeState, Party, PersistentTtlNode, ShallowParty};

fn data(memory: &Memory, path: &str) -> Option<String> {
    let node = memory.server.node(&at(path))?;
    Some(String::from_utf8(node.data?.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_party_are_listed() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let ours = Party::new(&zk, "/party").identifier("ours");
    assert!(ours.is_empty().await.unwrap(), "it was not created");
    let theirs = Party::new(&other, "/party").identifier("theirs");
    let (first, second) = (ours.join().await.unwrap(), theirs.join().await.unwrap());
    zk.create("/party/no-member", "no").await.unwrap();
    for name in memory.names("/party") {
        let hex = name.strip_suffix("__party__");
        assert!(
            name == "no-member" || hex.is_some_and(|hex| hex.len() == 32),
            "{name}"
        );
    }
    let mut members = ours.members().await.unwrap();
    members.sort_unstable();
    assert_eq!(members, ["ours", "theirs"]);
    assert_eq!(ours.len().await.unwrap(), 2);
    second.leave().await.unwrap();
    assert_eq!(ours.members().await.unwrap(), ["ours"]);
    drop(first);
    until("it has left", || memory.names("/party") == ["no-member"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_shallow_party_has_its_members_in_names() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let party = ShallowParty::new(&zk, "/party").identifier("host-7");
    let membership = party.join().await.unwrap();
    let [name] = &memory.names("/party")[..] else {
        panic!("{:?}", memory.names("/party"));
    };
    let (hex, identifier) = name.split_once('-').unwrap();
    assert_eq!((hex.len(), identifier), (32, "host-7"));
    assert_eq!(
        data(&memory, &format!("/party/{name}")).as_deref(),
        Some("host-7")
    );
    assert_eq!(party.members().await.unwrap(), ["host-7"]);
    assert_eq!(party.len().await.unwrap(), 1);
    membership.leave().await.unwrap();
    assert!(party.is_empty().await.unwrap());
    let slash = ShallowParty::new(&zk, "/party").identifier("a/b");
    let error = slash.join().await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::InvalidPath));
}

/// kazoo's member has to call `join` again.
#[tokio::test(start_paused = true)]
async fn a_member_is_there_in_the_next_session() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let party = ShallowParty::new(&zk, "/party").identifier("host-7");
    let membership = party.join().await.unwrap();
    let path = membership.node().path().unwrap();
    let mut states = membership.states();
    end_session(&memory.server, &zk);
    let present = async {
        while let Some(state) = states.next().await {
            if state.is_present() && zk.session().epoch == 2 {
                return state;
            }
        }
        NodeState::Closed
    };
    let again = soon("it", present).await;
    assert!(matches!(again, NodeState::Present { path: again, .. } if again == path));
    assert_eq!(party.members().await.unwrap(), ["host-7"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_join_leaves_nothing() {
    for polls in 1..30 {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let party = Party::new(&zk, "/party").identifier("host-7");
        if dropped_after(polls, party.join()).await {
            break;
        }
        until(&format!("nothing after {polls}"), || {
            memory.names("/party").is_empty()
        })
        .await;
        // Whatever the task had begun is done when this is.
        zk.sync("/").await.unwrap();
        zk.close().await.unwrap();
        assert_eq!(memory.names("/party"), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_always_contains_its_member() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let ours = GroupMember::new(&zk, "/group", "ours", "1");
    let mut view = ours.view().unwrap();
    let own = |members: &std::collections::BTreeMap<String, bytes::Bytes>| {
        members.get("ours").map(|data| data.to_vec())
    };
    assert_eq!(own(&view.members().unwrap()).as_deref(), Some(&b"1"[..]));
    soon("it", ours.node().wait_created()).await.unwrap();
    let theirs = GroupMember::new(&other, "/group", "theirs", "2");
    assert_eq!(theirs.id(), "theirs");
    let both = async {
        loop {
            let members = view.members().unwrap();
            if members.contains_key("theirs") {
                return members;
            }
            view.next().await.unwrap().unwrap();
        }
    };
    let members = soon("both", both).await;
    assert_eq!(members.keys().collect::<Vec<_>>(), ["ours", "theirs"]);
    // While its znode does not exist, too.
    memory.server.faults().close_after_accept(true);
    memory.server.faults().disconnect(zk.session().id);
    until("it is suspended", || {
        matches!(ours.node().state(), NodeState::Suspended)
    })
    .await;
    let pending = soon("the answer", ours.set_data("3")).await.unwrap();
    assert_eq!(pending, zk_recipes::DataWrite::Pending);
    assert_eq!(own(&view.members().unwrap()).as_deref(), Some(&b"3"[..]));
    memory.server.faults().close_after_accept(false);
    soon("it", ours.node().wait_created()).await.unwrap();
    until("its data", || {
        data(&memory, "/group/ours").as_deref() == Some("3")
    })
    .await;
    soon("the end", ours.close()).await.unwrap();
    until("it has left", || {
        view.members().unwrap().keys().collect::<Vec<_>>() == ["theirs"]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_id_is_a_conflict() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let first = GroupMember::new(&zk, "/group", "id", "1");
    soon("it", first.node().wait_created()).await.unwrap();
    let second = GroupMember::new(&other, "/group", "id", "2");
    soon("the conflict", second.node().wait_created())
        .await
        .unwrap_err();
    drop(first);
    until("it is the second's", || {
        data(&memory, "/group/id").as_deref() == Some("2")
    })
    .await;
}

/// Servers without TTLs refuse it, and the refusal is reported.
#[tokio::test(start_paused = true)]
async fn a_ttl_node_is_touched() {
    const TTL: Duration = Duration::from_secs(10);
    let memory = memory(1).await;
    let zk = memory.any().await;
    let node = PersistentTtlNode::new(&zk, "/build", TTL, "running");
    if let Err(error) = soon("it", node.wait_created()).await {
        assert_eq!(error.kind(), Some(ErrorKind::Unimplemented), "{:?}", pose());
        assert!(matches!(node.node().state(), NodeState::Refused(_)));
        return;
    }
    let found = memory.server.node(&at("/build")).unwrap();
    assert_eq!(found.ttl, Some(TTL));
    until("it is touched", || {
        memory.server.node(&at("/build/touch")).is_some()
    })
    .await;
    let touched = || memory.server.node(&at("/build/touch")).unwrap();
    assert_eq!(touched().ttl, Some(TTL));
    let first = touched().stat.version;
    until("it is touched again", || touched().stat.version > first).await;
    // A deleted one is created again, though it outlives sessions.
    zk.delete("/build").recursive().await.unwrap();
    until("it is there again", || {
        memory.server.node(&at("/build")).is_some()
    })
    .await;
    soon("the write", node.set_data("done"))
        .await
        .map(drop)
        .unwrap();
    soon("the end", node.close()).await.unwrap();
    assert_eq!(data(&memory, "/build").as_deref(), Some("done"));
}

/// No request is repeated without a delay.
#[tokio::test(start_paused = true)]
async fn a_ttl_of_zero_is_refused_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/build/touch").await.unwrap();
    let before = memory.server.zxid();
    let node = PersistentTtlNode::new(&zk, "/build", Duration::ZERO, "running");
    let error = soon("the error", node.wait_created()).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::InvalidArgument));
    tokio::time::sleep(zk.session().timeout / 2).await;
    assert_eq!(memory.server.zxid(), before, "nothing is written");
}

/// As two replicas with one configuration.
#[tokio::test(start_paused = true)]
async fn members_with_one_id_replace_slowly() {
    let memory = memory(1).await;
    let (one, two) = (memory.any().await, memory.any().await);
    let observer = memory.any().await;
    let id = Guid::random();
    let join = |zk: &Client| {
        let party = Party::new(zk, "/party").adopt_by(id);
        start(async move { party.join().await.unwrap() })
    };
    observer.ensure_path("/party").await.unwrap();
    let members = [join(&one), join(&two)];
    let began = now();
    for _ in 0..40 {
        let children = observer.children("/party").watch();
        let (_, _, watch) = children.await.unwrap();
        soon("a change", watch).await;
    }
    let elapsed = now() - began;
    assert!(elapsed > Duration::from_secs(5), "{elapsed:?}");
    drop(members);
}
