//! `reconfig` in an ensemble, as Apache ZooKeeper executes it.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use raw::{Raw, Reply};
use zk_embedded::fault::on;
use zk_embedded::{Server, ServerBuilder};
use zk_proto::config::{EnsembleConfig, Role};
use zk_proto::records::*;
use zk_proto::*;

const CONFIG: &str = "/zookeeper/config";

fn builder() -> ServerBuilder {
    Server::builder()
        .in_memory()
        .reconfig_enabled(true)
        .super_digest(digest_id("super", "secret"))
}

/// A client of a member, with all permissions.
async fn admin(server: &Server, member: usize) -> Raw {
    let mut admin = Raw::on(server, member).await;
    assert_eq!(admin.auth("digest", b"super:secret").await.err, 0);
    admin
}

fn joining(servers: &str) -> ReconfigRequest<'_> {
    ReconfigRequest {
        joining: Some(servers),
        leaving: None,
        new_members: None,
        cur_config_id: -1,
    }
}

fn leaving(ids: &str) -> ReconfigRequest<'_> {
    ReconfigRequest {
        joining: None,
        leaving: Some(ids),
        ..joining("")
    }
}

fn members(servers: &str) -> ReconfigRequest<'_> {
    ReconfigRequest {
        joining: None,
        new_members: Some(servers),
        ..joining("")
    }
}

async fn reconfig(raw: &mut Raw, request: &ReconfigRequest<'_>) -> Reply {
    raw.call(OpCode::Reconfig, request).await
}

fn config(data: Option<bytes::Bytes>) -> EnsembleConfig {
    let text = data.unwrap();
    std::str::from_utf8(&text).unwrap().parse().unwrap()
}

fn roles(config: &EnsembleConfig) -> Vec<(u64, Role)> {
    let servers = config.servers.iter();
    servers.map(|server| (server.id, server.role)).collect()
}

#[tokio::test]
async fn a_member_leaves_and_joins_again() {
    let server = builder().members(3).start().await.unwrap();
    let mut admin = admin(&server, 2).await;
    let mut other = Raw::on(&server, 0).await;
    let before = other.get(CONFIG, true).await;
    let before: GetDataResponse = before.body();
    // The stat in a real ensemble of this node, which no transaction created.
    let stat = before.stat;
    assert_eq!((stat.version, stat.mzxid), (-1, Zxid(1 << 32)));
    let first = config(before.data);
    let reply = reconfig(&mut admin, &leaving("1")).await;
    let changed: ReconfigResponse = reply.body();
    assert_eq!(
        (changed.stat.version, changed.stat.mzxid),
        (-1, Zxid(reply.zxid))
    );
    let changed = config(changed.data);
    assert_eq!(changed.version, Some(reply.zxid));
    let voter = Role::Participant;
    assert_eq!(roles(&changed), [(2, voter), (3, voter)]);
    // The member that was removed continues to serve clients, and sees the change.
    let seen: GetDataResponse = other.get(CONFIG, false).await.body();
    assert_eq!(config(seen.data), changed);
    let event = (EventType::NodeDataChanged, CONFIG.to_owned());
    assert_eq!(other.take_events(), [event]);
    other.make("/a", CreateMode::Persistent).await;
    // It has no vote: a quorum needs both other members.
    server.partition(&[0, 1]);
    assert!(Raw::with(&server, 2, &raw::ask()).await.is_none());
    server.heal();
    let mut admin = self::admin(&server, server.leader()).await;
    let back = first.servers[0].to_string();
    let reply = reconfig(&mut admin, &joining(&back)).await;
    assert_eq!(
        config(reply.body::<ReconfigResponse>().data).servers,
        first.servers
    );
    server.partition(&[2]);
    assert!(Raw::with(&server, 0, &raw::ask()).await.is_some());
}

#[tokio::test]
async fn refusals_are_those_of_apache() {
    use ErrorCode::*;
    let server = builder().members(3).start().await.unwrap();
    let mut admin = admin(&server, 0).await;
    let version = server.zxid().0;
    let stale = ReconfigRequest {
        cur_config_id: 7,
        ..leaving("1")
    };
    let down = "server.7=10.0.0.7:1:2;3,server.8=10.0.0.8:1:2;3";
    let replaced = ReconfigRequest {
        leaving: Some("1,2,3"),
        ..joining(down)
    };
    for (request, code) in [
        (stale, BadVersion),
        (replaced, NewConfigNoQuorum),
        (joining("server.4=10.0.0.4:1:2"), BadArguments),
        (joining("server.4=10.0.0.4:1:2:king;3"), BadArguments),
        (joining("server.4=10.0.0.4:1:2;3=4"), BadArguments),
        (joining("server.x=10.0.0.4:1:2;3"), MarshallingError),
        (leaving("x"), MarshallingError),
        (leaving("1,2"), BadArguments),
        (joining("server.4=a:1:2;3,server.5=a:1:9;4"), BadArguments),
        (members("nonsense=1"), BadArguments),
        (members("server.1=a:1:2;3"), BadArguments),
        (
            members("server.1=a:1:2;3,server.2=b:1:2:observer;3"),
            MarshallingError,
        ),
    ] {
        let reply = reconfig(&mut admin, &request).await;
        assert_eq!(reply.err, code.code(), "{request:?}");
    }
    // The permission is checked last, so a client without it gets the other errors first.
    let mut anyone = Raw::on(&server, 0).await;
    let reply = reconfig(&mut anyone, &leaving("x")).await;
    assert_eq!(reply.err, MarshallingError.code());
    let reply = reconfig(&mut anyone, &leaving("1")).await;
    assert_eq!(reply.err, NoAuth.code());
    assert!(server.zxid().0 > version, "a refusal takes a zxid");
    let unchanged: GetDataResponse = anyone.get(CONFIG, false).await.body();
    assert_eq!(config(unchanged.data).version, Some(1 << 32));
    let current = ReconfigRequest {
        cur_config_id: 1 << 32,
        ..leaving("1")
    };
    assert_eq!(reconfig(&mut admin, &current).await.err, 0);
}

#[tokio::test]
async fn reconfig_needs_an_enabled_ensemble() {
    for (members, enabled, code) in [
        (3, false, ErrorCode::ReconfigDisabled),
        (1, true, ErrorCode::Unimplemented),
    ] {
        let builder = builder().members(members).reconfig_enabled(enabled);
        let server = builder.start().await.unwrap();
        let mut admin = admin(&server, 0).await;
        let reply = reconfig(&mut admin, &leaving("1")).await;
        assert_eq!(reply.err, code.code());
    }
}

#[tokio::test]
async fn a_leader_that_leaves_is_replaced() {
    let server = builder().members(3).start().await.unwrap();
    assert_eq!(server.leader(), 2);
    let mut admin = admin(&server, 2).await;
    let mut other = Raw::on(&server, 1).await;
    let epoch = server.zxid().epoch();
    let reply = reconfig(&mut admin, &leaving("3")).await;
    assert_eq!((reply.err, server.leader()), (0, 0));
    assert!(server.zxid().epoch() > epoch);
    assert!(admin.closed().await && other.closed().await);
    // The sessions survive.
    let resumed = Raw::with(&server, 1, &other.resume()).await.unwrap();
    assert_eq!(resumed.id(), other.id());
    server.change_leader();
    assert_eq!(server.leader(), 1);
    server.change_leader();
    assert_eq!(server.leader(), 0, "the member that left does not lead");
}

#[tokio::test]
async fn observers_follow_without_a_vote() {
    let server = builder().members(4).observers(1).start().await.unwrap();
    assert_eq!(server.leader(), 2);
    let mut at_observer = Raw::on(&server, 3).await;
    at_observer.make("/a", CreateMode::Persistent).await;
    // One voter and the observer are no quorum.
    server.partition(&[0, 1]);
    assert!(Raw::with(&server, 3, &raw::ask()).await.is_none());
    server.heal();
    let mut admin = admin(&server, server.leader()).await;
    let mut at_observer = Raw::on(&server, 3).await;
    let seen: GetDataResponse = admin.get(CONFIG, false).await.body();
    let seen = config(seen.data);
    assert_eq!(seen.servers[3].role, Role::Observer);
    let voter = seen.servers[3]
        .to_string()
        .replace("observer", "participant");
    let reply = reconfig(&mut admin, &joining(&voter)).await;
    assert_eq!(reply.err, 0);
    assert!(at_observer.closed().await, "its role has changed");
    assert!(admin.ping().await.is_some());
    let all = [&seen.servers[0], &seen.servers[1]];
    let all = all.map(ToString::to_string).join(",");
    let third = seen.servers[2].to_string();
    let watching = third.replace("participant", "observer");
    let reply = reconfig(&mut admin, &members(&format!("{all},{watching},{voter}"))).await;
    let changed = config(reply.body::<ReconfigResponse>().data);
    let (voter, observer) = (Role::Participant, Role::Observer);
    assert_eq!(
        roles(&changed),
        [(1, voter), (2, voter), (3, observer), (4, voter)]
    );
}

/// Guards: M2.
#[tokio::test]
async fn a_misreported_reconfig_is_executed() {
    let server = builder().members(3).start().await.unwrap();
    let mut admin = admin(&server, 0).await;
    let code = ErrorCode::OperationTimeout;
    let faults = server.faults();
    faults.misreport_after_apply(on(OpCode::Reconfig).path(CONFIG), code);
    let reply = reconfig(&mut admin, &leaving("1")).await;
    assert_eq!((reply.err, reply.body_len()), (code.code(), 0));
    let seen: GetDataResponse = admin.get(CONFIG, false).await.body();
    assert_eq!(config(seen.data).servers.len(), 2);
    assert_eq!(faults.pending(), 0);
}

#[tokio::test]
async fn the_configuration_survives_a_wipe() {
    let server = builder().members(3).start().await.unwrap();
    let mut admin = admin(&server, 0).await;
    let snapshot = server.snapshot();
    assert_eq!(reconfig(&mut admin, &leaving("1")).await.err, 0);
    server.restore_snapshot(&snapshot, false);
    for wiped in [false, true] {
        if wiped {
            server.wipe();
        }
        let node = server.node(CONFIG).unwrap();
        assert_eq!(config(node.data).servers.len(), 2, "wiped: {wiped}");
    }
}

#[tokio::test]
async fn members_can_be_named_by_a_configuration() {
    let lines = [
        "server.7=zk7:2888:3888:participant;2181",
        "server.2=zk2:2888:3888:observer;2181",
        "server.9=zk9:2888:3888:participant;2181",
    ];
    let servers = lines.map(|line| line.parse().unwrap());
    let server = builder().servers(servers).start().await.unwrap();
    assert_eq!((server.member_count(), server.leader()), (3, 2));
    let raw = Raw::on(&server, 0).await;
    assert_eq!(
        raw.id().0 >> 56,
        7,
        "session ids have the number of the first member"
    );
    let seen = config(server.node(CONFIG).unwrap().data);
    let (voter, observer) = (Role::Participant, Role::Observer);
    assert_eq!(roles(&seen), [(7, voter), (2, observer), (9, voter)]);
    assert_eq!(seen.servers[0].addresses[0].host, "zk7");
}
