//! Every pose, frame by frame, by the sources of the servers.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use raw::{Literal, Nothing, Raw, ask, create};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_embedded::{Pose, Server};
use zk_proto::records::*;
use zk_proto::*;

const KEEPERS: [Pose; 2] = [Pose::KeeperOld, Pose::KeeperNew];

async fn server(pose: Pose) -> Server {
    Server::builder()
        .in_memory()
        .pose(pose)
        .start()
        .await
        .unwrap()
}

fn multi(ops: impl Into<Vec<MultiOp<'static>>>) -> MultiRequest<'static> {
    MultiRequest { ops: ops.into() }
}

/// Sends a body that no operation can read.
async fn provoke(raw: &mut Raw, op: OpCode) -> Option<i32> {
    Some(raw.try_call(op, &Literal(vec![0])).await?.err)
}

/// Every operation outside a multi on every pose: executed if its body is readable, or unknown.
#[tokio::test]
async fn unknown_operations_end_the_connection() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        for &op in OpCode::ALL {
            let mut raw = Raw::new(&server).await;
            if pose.knows(op) {
                continue;
            }
            let answer = provoke(&mut raw, op).await;
            let expected = pose.resumes_sessions().then_some(-6);
            assert_eq!(answer, expected, "{op} on {pose}");
            assert!(raw.closed().await, "{op} on {pose}");
        }
    }
}

/// The operations by number, as the sources have them.
#[tokio::test]
async fn each_pose_knows_its_operations() {
    let known = |pose: Pose| {
        let all = OpCode::ALL.iter().filter(|&&op| pose.knows(op));
        let mut codes: Vec<i32> = all.map(|op| op.code()).collect();
        codes.sort_unstable();
        codes
    };
    let base = [
        -11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 100, 101, 102,
    ];
    assert_eq!(known(Pose::V3_4), base);
    let with = |more: &[i32], less: &[i32]| {
        let mut codes: Vec<i32> = base.iter().chain(more).copied().collect();
        codes.retain(|code| !less.contains(code));
        codes.sort_unstable();
        codes
    };
    let v3_5 = [15, 16, 17, 18, 19, 20, 21];
    assert_eq!(known(Pose::V3_5), with(&v3_5, &[]));
    let v3_6 = [&v3_5[..], &[22, 103, 104, 105, 106]].concat();
    assert_eq!(known(Pose::V3_6), with(&v3_6, &[]));
    let v3_8 = [&v3_6[..], &[107]].concat();
    assert_eq!(known(Pose::V3_8), with(&v3_8, &[]));
    assert_eq!(known(Pose::V3_9), with(&v3_8, &[13]));
    assert_eq!(known(Pose::KeeperOld), with(&[], &[101, 102]));
    let new = [16, 17, 18, 22, 105, 106];
    assert_eq!(known(Pose::KeeperNew), with(&new, &[102]));
}

#[tokio::test]
async fn which_sessions_survive_an_unknown_op() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        raw.make("/e", CreateMode::Ephemeral).await;
        raw.send(1, 99, &Nothing).await;
        while raw.reply().await.is_some() {}
        let again = Raw::with(&server, 0, &raw.resume()).await.unwrap();
        assert_eq!(again.id() == raw.id(), pose.resumes_sessions(), "{pose}");
        // The old session has not ended, resumed or not.
        let owner = server.node("/e").unwrap().stat.ephemeral_owner;
        assert_eq!(owner, raw.id().0, "{pose}");
    }
}

#[tokio::test]
async fn a_keeper_handshake_grants_a_new_session() {
    for pose in KEEPERS {
        let server = server(pose).await;
        let far_ahead = ConnectRequest {
            last_zxid_seen: Zxid(1 << 40),
            timeout_ms: 0,
            ..ask()
        };
        let raw = Raw::with(&server, 0, &far_ahead).await.unwrap();
        assert_eq!((raw.handshake_len, raw.id()), (36, SessionId(1)));
        assert_eq!(raw.session.password.as_bytes(), [0; 16]);
        assert_eq!(raw.session.timeout_ms, 30_000);
        let mut second = Raw::with(&server, 0, &raw.resume()).await.unwrap();
        assert_eq!(
            (second.id(), second.session.timeout_ms),
            (SessionId(2), 10_000)
        );
        assert_eq!(second.ping().await.unwrap().err, 0);
    }
}

#[tokio::test]
async fn a_keeper_without_quorum_refuses() {
    let builder = Server::builder().in_memory().members(3);
    let server = builder.pose(Pose::KeeperNew).start().await.unwrap();
    server.partition(&[0, 1]);
    let mut refused = Raw::on(&server, 2).await;
    assert_eq!(refused.session.protocol_version, 42);
    assert!(refused.closed().await);
}

#[tokio::test]
async fn keeper_does_not_answer_a_close() {
    for pose in KEEPERS {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        raw.make("/e", CreateMode::Ephemeral).await;
        assert!(raw.try_call(OpCode::CloseSession, &Nothing).await.is_none());
        assert!(server.node("/e").is_none() && server.sessions().is_empty());
    }
}

#[tokio::test]
async fn unreadable_requests_by_pose() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        for op in [OpCode::Create, OpCode::GetData, OpCode::Multi] {
            let mut raw = Raw::new(&server).await;
            let answer = provoke(&mut raw, op).await;
            assert_eq!(answer, pose.resumes_sessions().then_some(-5), "{op} {pose}");
        }
    }
}

#[tokio::test]
async fn a_multi_takes_the_operations_of_its_pose() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        let node = |path, mode| create(path, mode);
        let parts = [
            MultiOp::Create(node("/1", CreateMode::Persistent)),
            MultiOp::Create2(node("/2", CreateMode::Persistent)),
            MultiOp::CreateContainer(node("/3", CreateMode::Container)),
        ];
        for part in parts {
            let op = part.op_code();
            let mut raw = Raw::new(&server).await;
            let reply = raw.try_call(OpCode::Multi, &multi([part])).await;
            let err = reply.map(|reply| reply.err);
            let expected = match (pose.knows_in_multi(op), pose.resumes_sessions()) {
                (true, _) => Some(0),
                (false, true) => Some(-5),
                (false, false) => None,
            };
            assert_eq!(err, expected, "{op} on {pose}");
        }
        assert!(Pose::V3_4.knows_in_multi(OpCode::Check));
        assert!(!Pose::V3_4.knows_in_multi(OpCode::Create2));
    }
}

#[tokio::test]
async fn flags_of_containers_and_ttls_by_pose() {
    for (pose, flags, err, stays) in [
        (Pose::V3_4, 4, -8, false),
        (Pose::V3_5, 4, 0, true),
        (Pose::KeeperOld, 4, 0, true),
        (Pose::KeeperNew, 5, 0, false),
    ] {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        let request = CreateRequest {
            flags,
            ..create("/n", CreateMode::Persistent)
        };
        assert_eq!(raw.call(OpCode::Create, &request).await.err, err, "{pose}");
        raw.try_call(OpCode::CloseSession, &Nothing).await;
        assert_eq!(server.node("/n").is_some(), stays, "{pose}");
    }
}

#[tokio::test]
async fn the_servers_own_nodes_by_pose() {
    for (pose, expected) in [
        (Pose::V3_4, &["/", "/zookeeper", "/zookeeper/quota"][..]),
        (
            Pose::V3_9,
            &["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"],
        ),
        (Pose::KeeperOld, &["/"]),
        (
            Pose::KeeperNew,
            &[
                "/",
                "/keeper",
                "/keeper/api_version",
                "/keeper/feature_flags",
            ],
        ),
    ] {
        let server = server(pose).await;
        assert_eq!(server.paths(), expected, "{pose}");
    }
    let server = server(Pose::KeeperNew).await;
    let mut raw = Raw::new(&server).await;
    let flags = raw.get("/keeper/feature_flags", false).await;
    assert_eq!(
        flags.body::<GetDataResponse>().data.as_deref(),
        Some(&[0xff, 0x60][..])
    );
    let version = raw.get("/keeper/api_version", false).await;
    assert_eq!(
        version.body::<GetDataResponse>().data.as_deref(),
        Some(&b"2"[..])
    );
    // No client may write there, or set the root.
    let below = create("/keeper/x", CreateMode::Persistent);
    assert_eq!(raw.call(OpCode::Create, &below).await.err, -8);
    for path in ["/keeper/api_version", "/"] {
        assert_eq!(raw.set(path, b"", -1).await.err, -8);
    }
    assert_eq!(raw.delete("/keeper/api_version").await.err, -8);
}

#[tokio::test]
async fn parents_stats_by_pose() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        for path in ["/p", "/p/a", "/p/b"] {
            raw.make(path, CreateMode::Persistent).await;
        }
        let stat = || server.node("/p").unwrap().stat;
        let created = stat();
        assert_eq!(created.cversion, 2);
        assert_eq!(created.pzxid, server.node("/p/b").unwrap().stat.czxid);
        raw.set("/p/a", b"x", -1).await;
        let set = stat().cversion - created.cversion;
        raw.delete("/p/b").await;
        let keeper = KEEPERS.contains(&pose);
        assert_eq!(set, i32::from(keeper), "{pose}");
        assert_eq!(stat().cversion, 3 + set, "{pose}");
        assert_eq!(stat().pzxid == created.pzxid, keeper, "{pose}");
        // Numbers count creations only.
        let next = raw.make("/p/s", CreateMode::PersistentSequential).await;
        assert_eq!(next, "/p/s0000000002", "{pose}");
        let root = server.node("/").unwrap().stat;
        let expected = if keeper { 1 } else { 0 };
        assert_eq!(root.cversion, expected, "{pose}");
    }
}

#[tokio::test]
async fn null_data_is_empty_on_keeper() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        let request = CreateRequest {
            data: None,
            ..create("/n", CreateMode::Persistent)
        };
        raw.call(OpCode::Create, &request).await;
        let reply = raw.get("/n", false).await;
        let is_null = reply.body::<GetDataResponse>().data.is_none();
        assert_eq!(is_null, !KEEPERS.contains(&pose), "{pose}");
    }
}

#[tokio::test]
async fn the_stat_after_old_keepers_children() {
    for pose in KEEPERS {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        raw.make("/n", CreateMode::Persistent).await;
        let len = raw.children("/n", false).await.body_len();
        let expected = if pose == Pose::KeeperOld { 4 + 68 } else { 4 };
        assert_eq!(len, expected, "{pose}");
    }
}

#[tokio::test]
async fn keeper_acls_and_identities() {
    for pose in KEEPERS {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        raw.make("/open", CreateMode::Persistent).await;
        let get_acl = |path: &'static str| GetAclRequest { path: path.into() };
        let reply = raw.call(OpCode::GetAcl, &get_acl("/open")).await;
        assert_eq!(reply.body::<GetAclResponse>().acl, []);
        // A failure is answered. Any proof that is not a digest of two parts is one.
        assert_eq!(raw.auth("ip", b"127.0.0.1").await.err, -115);
        assert_eq!(raw.auth("digest", b"no colon").await.err, -115);
        assert_eq!(raw.auth("digest", b"bob:pw").await.err, 0);
        let acl = vec![
            Acl::new(Permissions::READ, "world", "anyone"),
            Acl::new(Permissions::ALL, "ip", "10.0.0.1"),
            Acl::new(Permissions::ALL, "auth", ""),
        ];
        let request = CreateRequest {
            acl: acl.into(),
            ..create("/mine", CreateMode::Persistent)
        };
        assert_eq!(raw.call(OpCode::Create, &request).await.err, 0);
        let bob = Acl::new(Permissions::ALL, "digest", digest_id("bob", "pw"));
        let expected = match pose {
            Pose::KeeperOld => vec![bob],
            _ => vec![Acl::new(Permissions::READ, "world", "anyone"), bob],
        };
        let reply = raw.call(OpCode::GetAcl, &get_acl("/mine")).await;
        assert_eq!(reply.body::<GetAclResponse>().acl, expected, "{pose}");
        let only_ip = CreateRequest {
            acl: vec![Acl::new(Permissions::ALL, "ip", "10.0.0.1")].into(),
            ..create("/ip", CreateMode::Persistent)
        };
        assert_eq!(raw.call(OpCode::Create, &only_ip).await.err, -114);
    }
}

#[tokio::test]
async fn keeper_sends_an_event_for_each_watch() {
    let server = server(Pose::KeeperNew).await;
    let mut raw = Raw::new(&server).await;
    let mut other = Raw::new(&server).await;
    other.make("/a", CreateMode::Persistent).await;
    other.make("/a/b", CreateMode::Persistent).await;
    let reply = raw.add_watch("/a", AddWatchMode::PersistentRecursive).await;
    assert_eq!((reply.err, reply.body_len()), (0, 0));
    raw.add_watch("/a/b", AddWatchMode::Persistent).await;
    raw.get("/a/b", true).await;
    raw.children("/a", true).await;
    other.delete("/a/b").await;
    raw.ping().await.unwrap();
    let event = |kind, path: &str| (kind, path.to_owned());
    assert_eq!(
        raw.take_events(),
        [
            // The recursive watch; its event names the watched node.
            event(EventType::NodeDeleted, "/a"),
            event(EventType::NodeDeleted, "/a/b"),
            event(EventType::NodeChildrenChanged, "/a"),
            // The persistent watch, for data and for children.
            event(EventType::NodeDeleted, "/a/b"),
            event(EventType::NodeDeleted, "/a/b"),
        ]
    );
    other.make("/a/b", CreateMode::Persistent).await;
    raw.ping().await.unwrap();
    assert_eq!(
        raw.take_events(),
        [
            event(EventType::NodeCreated, "/a"),
            event(EventType::NodeCreated, "/a/b"),
        ]
    );
}

#[tokio::test]
async fn keeper_reports_missed_children_as_data() {
    let server = server(Pose::KeeperNew).await;
    let mut raw = Raw::new(&server).await;
    raw.make("/p", CreateMode::Persistent).await;
    let seen = raw.get("/p", false).await.zxid;
    raw.make("/p/c", CreateMode::Persistent).await;
    let request: SetWatchesRequest = SetWatchesRequest {
        relative_zxid: Zxid(seen),
        data: Default::default(),
        exist: Default::default(),
        child: ["/p"].into_iter().collect(),
    };
    assert_eq!(raw.call(OpCode::SetWatches, &request).await.err, 0);
    assert_eq!(raw.take_events(), [], "the reply comes first");
    raw.ping().await.unwrap();
    assert_eq!(
        raw.take_events(),
        [(EventType::NodeDataChanged, "/p".to_owned())]
    );
}

#[tokio::test]
async fn events_for_clients_that_may_not_read() {
    for &pose in Pose::ALL {
        let server = server(pose).await;
        let mut bob = Raw::new(&server).await;
        bob.auth("digest", b"bob:pw").await;
        let mut eve = Raw::new(&server).await;
        eve.exists("/mine", true).await;
        let request = CreateRequest {
            acl: Acl::creator_all().into(),
            ..create("/mine", CreateMode::Persistent)
        };
        assert_eq!(bob.call(OpCode::Create, &request).await.err, 0);
        eve.ping().await.unwrap();
        let withheld = matches!(pose, Pose::V3_8 | Pose::V3_9);
        assert_eq!(eve.take_events().is_empty(), withheld, "{pose}");
    }
}

#[tokio::test]
async fn reconfig_by_pose() {
    let request = ReconfigRequest {
        joining: None,
        leaving: None,
        new_members: None,
        cur_config_id: -1,
    };
    for (pose, err) in [
        (Pose::V3_5, -123),
        (Pose::V3_9, -123),
        (Pose::KeeperNew, -6),
    ] {
        let server = server(pose).await;
        let mut raw = Raw::new(&server).await;
        let reply = raw.call(OpCode::Reconfig, &request).await;
        assert_eq!(reply.err, err, "{pose}");
        assert_eq!(raw.ping().await.unwrap().err, 0);
    }
}

#[tokio::test]
async fn four_letter_words_by_pose() {
    for &pose in Pose::ALL {
        let server = Server::builder().pose(pose).start().await.unwrap();
        let address = server.addresses()[0];
        let word = async |word: &'static str| {
            let mut wire = TcpStream::connect(address).await.unwrap();
            wire.write_all(word.as_bytes()).await.unwrap();
            let mut text = String::new();
            wire.read_to_string(&mut text).await.unwrap();
            text
        };
        assert_eq!(word("ruok").await, "imok", "{pose}");
        // Also before the first transaction, where Keeper's zxid has no digits.
        let fresh: admin::ServerStatus = word("srvr").await.parse().unwrap();
        assert_eq!(fresh.unreadable, [], "{pose}");
        let wire = TcpStream::connect(address).await.unwrap();
        let mut raw = Raw::over(wire, &ask()).await.unwrap();
        raw.make("/e", CreateMode::Ephemeral).await;
        raw.get("/e", true).await;
        let srvr = word("srvr").await;
        let keeper = KEEPERS.contains(&pose);
        let begins = if keeper {
            "ClickHouse Keeper version: "
        } else {
            "Zookeeper version: "
        };
        assert!(srvr.starts_with(begins), "{srvr}");
        // zk-proto parses the texts of every server.
        let status: admin::ServerStatus = srvr.parse().unwrap();
        assert_eq!(status.mode, Some(admin::ServerMode::Standalone), "{pose}");
        assert_eq!(status.unreadable, [], "{pose}");
        let whole = keeper || matches!(pose, Pose::V3_4 | Pose::V3_5);
        assert_eq!(srvr.contains("max: 0/0/0\n"), whole, "{srvr}");
        let mntr = word("mntr").await;
        assert!(mntr.contains("zk_ephemerals_count\t1\n"), "{mntr}");
        assert_eq!(mntr.contains("zk_uptime"), !whole, "{mntr}");
        assert!(word("wchs").await.ends_with("Total watches:1\n"), "{pose}");
        let session = if keeper {
            "0x0000000000000001".to_owned()
        } else {
            raw.id().to_string()
        };
        for list in ["dump", "cons", "wchc"] {
            assert!(word(list).await.contains(&session), "{list} of {pose}");
        }
        let hash = word("hash").await;
        assert!(hash.is_empty(), "empty, known or not: {hash}");
    }
    let server = Server::builder()
        .pose(Pose::KeeperNew)
        .start()
        .await
        .unwrap();
    let mut wire = TcpStream::connect(server.addresses()[0]).await.unwrap();
    wire.write_all(b"ftfl").await.unwrap();
    let mut text = String::new();
    wire.read_to_string(&mut text).await.unwrap();
    assert!(
        text.contains("persistent_watches\t1\ncreate_with_stats\t0\ntry_remove\t1\n"),
        "{text}"
    );
}
