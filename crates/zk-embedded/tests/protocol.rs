//! Replies, errors and closes as observed on live Apache servers.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use raw::{Literal, Nothing, Raw, ask, create};
use zk_embedded::{Pose, Server};
use zk_proto::records::*;
use zk_proto::*;

async fn server() -> Server {
    Server::builder().in_memory().start().await.unwrap()
}

async fn server_3_8() -> Server {
    let builder = Server::builder().in_memory().pose(Pose::V3_8);
    builder.start().await.unwrap()
}

#[tokio::test]
async fn handshakes_are_as_long_as_requested() {
    let server = server().await;
    let new = Raw::new(&server).await;
    assert_eq!((new.handshake_len, new.session.timeout_ms), (37, 10_000));
    let old = ConnectRequest {
        read_only: None,
        ..ask()
    };
    assert_eq!(Raw::with(&server, 0, &old).await.unwrap().handshake_len, 36);
    for (asked, granted) in [(1, 4_000), (i32::MAX, 40_000), (12_345, 12_345)] {
        let ask = ConnectRequest {
            timeout_ms: asked,
            ..ask()
        };
        let raw = Raw::with(&server, 0, &ask).await.unwrap();
        assert_eq!(raw.session.timeout_ms, granted);
    }
}

#[tokio::test]
async fn a_wrong_password_is_an_expired_session() {
    let server = server().await;
    let mut live = Raw::new(&server).await;
    let wrong = ConnectRequest {
        password: SessionPassword::zero(),
        ..live.resume()
    };
    let unknown = ConnectRequest {
        session_id: SessionId(99),
        ..live.resume()
    };
    for ask in [unknown, wrong] {
        let mut refused = Raw::with(&server, 0, &ask).await.unwrap();
        assert!(refused.session.is_expired());
        assert_eq!(refused.session.session_id, SessionId::NONE);
        assert_eq!(refused.session.password.as_bytes(), [0; 16]);
        assert!(refused.closed().await);
    }
    // The wrong password closes the live connection; the session survives.
    assert!(live.closed().await);
    let mut again = Raw::with(&server, 0, &live.resume()).await.unwrap();
    assert_eq!(again.id(), live.id());
    assert_eq!(again.ping().await.unwrap().err, 0);
}

#[tokio::test]
async fn resuming_closes_the_older_connection() {
    let server = server().await;
    let mut old = Raw::new(&server).await;
    let new = Raw::with(&server, 0, &old.resume()).await.unwrap();
    assert_eq!(
        (new.id(), &new.session.password),
        (old.id(), &old.session.password)
    );
    assert!(old.closed().await);
}

#[tokio::test]
async fn a_client_with_a_later_zxid_is_closed() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let seen = raw.ping().await.unwrap().zxid;
    let with = |zxid| ConnectRequest {
        last_zxid_seen: Zxid(zxid),
        ..ask()
    };
    assert!(Raw::with(&server, 0, &with(seen)).await.is_some());
    assert!(Raw::with(&server, 0, &with(seen + 100)).await.is_none());
}

#[tokio::test]
async fn unknown_operations_close_the_connection() {
    let server = server().await;
    for op in [13, 999, 0, -1, 10, i32::MIN] {
        let mut raw = Raw::new(&server).await;
        raw.send(7, op, &Nothing).await;
        let reply = raw.reply().await.unwrap();
        assert_eq!((reply.xid, reply.zxid, reply.err), (7, -1, -6), "{op}");
        assert!(raw.closed().await);
    }
}

#[tokio::test]
async fn a_bad_frame_length_closes_without_reply() {
    let server = server().await;
    for len in [0x10_0000_i32, i32::MAX, -1, i32::MIN] {
        let mut raw = Raw::new(&server).await;
        raw.bytes(&len.to_be_bytes()).await;
        assert!(raw.closed().await, "{len}");
    }
    let mut raw = Raw::new(&server).await;
    let head = RequestHeader::LEN + 4 + 2 + 4 + (4 + 4 + 4 + 5 + 4 + 6) + 4;
    let request = |len| CreateRequest {
        data: Some(&[7; 0xf_ffff][..len]),
        ..create("/a", CreateMode::Persistent)
    };
    let reply = raw.call(OpCode::Create, &request(0xf_ffff - head)).await;
    assert_eq!(reply.err, 0);
    assert!(
        raw.try_call(OpCode::Create, &request(0x10_0000 - head))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn empty_replies_and_null_data() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let null = CreateRequest {
        data: None,
        ..create("/null", CreateMode::Persistent)
    };
    raw.call(OpCode::Create, &null).await;
    assert_eq!(
        raw.get("/null", false).await.body::<GetDataResponse>().data,
        None
    );
    raw.set("/null", b"", -1).await;
    let data = raw.get("/null", false).await.body::<GetDataResponse>().data;
    assert_eq!(data.as_deref(), Some(&b""[..]));
    assert_eq!(raw.delete("/null").await.body_len(), 0);
    assert_eq!(raw.ping().await.unwrap().body_len(), 0);
    let missing = raw.get("/null", false).await;
    assert_eq!((missing.err, missing.body_len()), (-101, 0));
    assert_eq!(raw.auth("digest", b"u:p").await.body_len(), 0);
    let added = raw.add_watch("/null", AddWatchMode::Persistent).await;
    assert_eq!(added.body::<ErrorResponse>().err, 0);
}

#[tokio::test]
async fn auth_is_answered_with_zxid_0() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let reply = raw.auth("digest", b"u:p").await;
    assert_eq!((reply.xid, reply.zxid, reply.err), (-4, 0, 0));
    let identities = raw
        .call(OpCode::WhoAmI, &Nothing)
        .await
        .body::<WhoAmIResponse>();
    let identities: Vec<_> = identities
        .clients
        .iter()
        .map(|c| (&*c.auth_scheme, &*c.user))
        .collect();
    assert_eq!(identities, [("ip", "127.0.0.1"), ("digest", "u")]);
    let reply = raw.auth("nonsense", b"").await;
    assert_eq!((reply.xid, reply.zxid, reply.err), (-4, 0, -115));
    assert!(raw.closed().await);
}

#[tokio::test]
async fn sasl_without_sasl_is_success_and_null() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let token = Some(&b""[..]);
    let reply = raw.call(OpCode::Sasl, &SaslRequest { token }).await;
    assert_eq!(reply.body::<SaslResponse>().token, None);
}

#[tokio::test]
async fn codes_of_bad_flags_acls_and_paths() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let bad_flags = CreateRequest {
        flags: 99,
        ..create("/a", CreateMode::Persistent)
    };
    assert_eq!(raw.call(OpCode::Create, &bad_flags).await.err, -8);
    let null_acl = Literal([&[0, 0, 0, 2][..], b"/a", &[255; 4], &[255; 4], &[0; 4]].concat());
    assert_eq!(raw.call(OpCode::Create, &null_acl).await.err, -114);
    for (path, code) in [
        ("nope", -8),
        ("/a/", -101),
        ("//a", -8),
        ("/a//b", -101),
        ("/.", -8),
        ("/😀", -8),
        ("/", -110),
    ] {
        let reply = raw
            .call(OpCode::Create, &create(path, CreateMode::Persistent))
            .await;
        assert_eq!(reply.err, code, "{path}");
    }
    for path in ["nope", "/a/"] {
        assert_eq!(raw.exists(path, false).await.err, -101);
    }
}

#[tokio::test]
async fn a_refused_write_takes_a_zxid() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let start = raw.ping().await.unwrap().zxid;
    assert_eq!(raw.get("/none", false).await.zxid, start);
    assert_eq!(raw.delete("/none").await.zxid, start + 1);
    assert_eq!(raw.set("/none", b"", -1).await.zxid, start + 2);
    let truncated = raw.call(OpCode::Create, &Nothing).await;
    assert_eq!((truncated.err, truncated.zxid), (-5, start + 2));
}

fn multi<'a>(ops: impl Into<Vec<MultiOp<'a>>>) -> MultiRequest<'a> {
    MultiRequest { ops: ops.into() }
}

#[tokio::test]
async fn a_failed_multi_is_a_success_with_errors() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let start = raw.ping().await.unwrap().zxid;
    let make = |path| MultiOp::Create(create(path, CreateMode::Persistent));
    let check = MultiOp::Check(CheckVersionRequest {
        path: "/none".into(),
        version: 0,
    });
    let reply = raw
        .call(OpCode::Multi, &multi([make("/a"), check, make("/b")]))
        .await;
    assert_eq!((reply.err, reply.zxid), (0, start + 1));
    let codes = [0, -101, -2].map(MultiResult::Error);
    assert_eq!(reply.body::<MultiResponse>().results, codes);
    assert_eq!(raw.exists("/a", false).await.err, -101);
    let empty = raw.call(OpCode::Multi, &multi([])).await;
    assert_eq!(
        (empty.zxid, empty.body::<MultiResponse>().results.len()),
        (start + 2, 0)
    );
    let read = MultiOp::GetData(GetDataRequest {
        path: "/a".into(),
        watch: false,
    });
    let mixed = raw.call(OpCode::Multi, &multi([make("/a"), read])).await;
    assert_eq!((mixed.err, mixed.zxid), (-5, start + 3));
}

#[tokio::test]
async fn a_multi_sees_its_own_changes() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let make = |path, mode| MultiOp::Create(create(path, mode));
    let delete = MultiOp::Delete(DeleteRequest {
        path: "/a/b".into(),
        version: 0,
    });
    let ops = [
        make("/a", CreateMode::Persistent),
        make("/a/b", CreateMode::Persistent),
        make("/a/s-", CreateMode::PersistentSequential),
        make("/a/s-", CreateMode::PersistentSequential),
        delete,
    ];
    let reply = raw.call(OpCode::Multi, &multi(ops)).await;
    let results = reply.body::<MultiResponse>().results;
    let path = |path: &str| MultiResult::Create { path: path.into() };
    assert_eq!(
        results[2..4],
        [path("/a/s-0000000001"), path("/a/s-0000000002")]
    );
    let stat = raw.exists("/a", false).await.body::<ExistsResponse>().stat;
    assert_eq!((stat.num_children, stat.cversion), (2, 4));
}

/// ZOOKEEPER-4026.
///
/// Guards: B9.
#[tokio::test]
async fn create2_in_a_multi_depends_on_the_pose() {
    for (server, has_stat) in [(server().await, true), (server_3_8().await, false)] {
        let mut raw = Raw::new(&server).await;
        let op = MultiOp::Create2(create("/a", CreateMode::Persistent));
        let container = MultiOp::CreateContainer(create("/c", CreateMode::Container));
        let reply = raw.call(OpCode::Multi, &multi([op, container])).await;
        let results = reply.body::<MultiResponse>().results;
        assert_eq!(matches!(results[0], MultiResult::Create2 { .. }), has_stat);
        assert!(matches!(results[1], MultiResult::Create2 { .. }));
    }
}

#[tokio::test]
async fn operations_unknown_to_3_8() {
    let server = server_3_8().await;
    let mut raw = Raw::new(&server).await;
    for kind in [WatcherType::Persistent, WatcherType::PersistentRecursive] {
        let path = "/a".into();
        let reply = raw
            .call(OpCode::RemoveWatches, &RemoveWatchesRequest { path, kind })
            .await;
        assert_eq!(reply.err, -5);
    }
    let path = "/none".into();
    let reply = raw
        .call(OpCode::DeleteContainer, &DeleteContainerRequest { path })
        .await;
    assert_eq!(reply.err, -8);
    raw.exists("/a", true).await;
    raw.make("/a", CreateMode::Persistent).await;
    assert_eq!(raw.events[0].0, -1);
}

/// 3.8 fails when it executes the operation; 3.9 reads all operations before it executes any.
#[tokio::test]
async fn a_multi_with_a_ttl_left_out_is_unread() {
    let undone = vec![MultiResult::Error(-101), MultiResult::Error(-2)];
    for (server, after_a_failure) in [(server_3_8().await, Some(undone)), (server().await, None)] {
        let mut raw = Raw::new(&server).await;
        let timed = MultiOp::Create(CreateRequest {
            flags: 5,
            ..create("/w", CreateMode::Persistent)
        });
        let check = MultiOp::Check(CheckVersionRequest {
            path: "/none".into(),
            version: -1,
        });
        let reply = raw.call(OpCode::Multi, &multi([timed.clone()])).await;
        assert_eq!((reply.err, reply.body_len()), (-5, 0));
        let reply = raw.call(OpCode::Multi, &multi([check, timed])).await;
        match after_a_failure {
            Some(results) => assert_eq!(reply.body::<MultiResponse>().results, results),
            None => assert_eq!((reply.err, reply.body_len()), (-5, 0)),
        }
    }
}

#[tokio::test]
async fn a_multi_read_refuses_writes() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let get = |path: &'static str| {
        let path = path.into();
        MultiOp::GetData(GetDataRequest { path, watch: true })
    };
    let reply = raw
        .call(OpCode::MultiRead, &multi([get("/none"), get("/")]))
        .await;
    let results = reply.body::<MultiResponse>().results;
    assert_eq!(results[0], MultiResult::Error(-101));
    assert!(matches!(results[1], MultiResult::GetData { .. }));
    assert_eq!(server.watch_counts().data, 0);
    let write = MultiOp::Create(create("/a", CreateMode::Persistent));
    let mixed = multi([write.clone(), get("/")]);
    for (request, body) in [(multi([write]), MultiHeader::LEN), (mixed, 0)] {
        let reply = raw.call(OpCode::MultiRead, &request).await;
        assert_eq!((reply.err, reply.body_len()), (-5, body));
    }
}

#[tokio::test]
async fn flags_of_a_create_ttl_in_a_multi_decide() {
    for server in [server().await, server_3_8().await] {
        let mut raw = Raw::new(&server).await;
        let timed = |path: &'static str, flags| {
            let CreateRequest {
                path, data, acl, ..
            } = create(path, CreateMode::Persistent);
            MultiOp::CreateTtl(CreateTtlRequest {
                path,
                data,
                acl,
                flags,
                ttl_ms: 100,
            })
        };
        let ops = [timed("/a", 0), timed("/c", 4), timed("/t", 5)];
        let reply = raw.call(OpCode::Multi, &multi(ops)).await;
        let results = reply.body::<MultiResponse>().results;
        assert!(matches!(results[0], MultiResult::Create { .. }));
        assert!(matches!(results[1], MultiResult::Create2 { .. }));
        assert!(server.node("/c").unwrap().is_container);
        assert_eq!(server.node("/a").unwrap().ttl, None);
        assert!(server.node("/t").unwrap().ttl.is_some());
    }
}

#[tokio::test]
async fn reconfig_and_delete_container_standalone() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let request = ReconfigRequest {
        joining: None,
        leaving: None,
        new_members: None,
        cur_config_id: -1,
    };
    assert_eq!(raw.call(OpCode::Reconfig, &request).await.err, -123);
    let path = "/none".into();
    let reply = raw
        .call(OpCode::DeleteContainer, &DeleteContainerRequest { path })
        .await;
    assert_eq!(reply.err, -101);
    let config = raw
        .get("/zookeeper/config", false)
        .await
        .body::<GetDataResponse>();
    assert_eq!(
        (config.data.as_deref(), config.stat.aversion),
        (Some(&b""[..]), -1)
    );
}

#[tokio::test]
async fn close_session_deletes_ephemerals() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    raw.make("/e", CreateMode::Ephemeral).await;
    assert_eq!(server.node("/e").unwrap().stat.ephemeral_owner, raw.id().0);
    let reply = raw.call(OpCode::CloseSession, &Nothing).await;
    assert_eq!((reply.err, reply.body_len()), (0, 0));
    assert!(raw.closed().await);
    assert!(server.node("/e").is_none() && server.sessions().is_empty());
}

#[tokio::test]
async fn sequence_numbers_overflow_to_negative() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    raw.make("/p", CreateMode::Persistent).await;
    for expected in ["/p/s-0000000000", "/p/s-0000000001"] {
        assert_eq!(
            raw.make("/p/s-", CreateMode::PersistentSequential).await,
            expected
        );
        raw.delete(expected).await;
    }
    assert!(server.set_next_sequence("/p", i32::MAX));
    for expected in ["/p/2147483647", "/p/-2147483648"] {
        assert_eq!(
            raw.make("/p/", CreateMode::EphemeralSequential).await,
            expected
        );
    }
}

#[tokio::test]
async fn what_a_connection_may_do() {
    let server = Server::builder()
        .in_memory()
        .super_digest(digest_id("root", "pw"));
    let server = server.start().await.unwrap();
    let mut bob = Raw::new(&server).await;
    bob.auth("digest", b"bob:secret").await;
    let mine = CreateRequest {
        acl: Acl::creator_all().into(),
        ..create("/mine", CreateMode::Persistent)
    };
    bob.call(OpCode::Create, &mine)
        .await
        .body::<CreateResponse>();
    let mut eve = Raw::new(&server).await;
    assert_eq!(eve.get("/mine", false).await.err, -102);
    assert_eq!(eve.exists("/mine", false).await.err, -102);
    assert_eq!(eve.set("/mine", b"", -1).await.err, -102);
    let below = create("/mine/x", CreateMode::Persistent);
    assert_eq!(eve.call(OpCode::Create, &below).await.err, -102);
    // The permission to delete is that of the parent.
    eve.add_watch("/mine", AddWatchMode::Persistent).await;
    bob.set("/mine", b"", -1).await;
    eve.ping().await.unwrap();
    assert_eq!(eve.take_events(), []);
    eve.auth("digest", b"root:pw").await;
    assert_eq!(eve.get("/mine", false).await.err, 0);
    bob.set("/mine", b"", -1).await;
    eve.ping().await.unwrap();
    assert_eq!(
        eve.take_events(),
        [(EventType::NodeDataChanged, "/mine".to_owned())]
    );
}

#[tokio::test]
async fn ephemerals_and_descendants_are_counted() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    for path in ["/a", "/ab"] {
        raw.make(path, CreateMode::Ephemeral).await;
    }
    raw.make("/p", CreateMode::Persistent).await;
    raw.make("/p/c", CreateMode::Persistent).await;
    for (prefix, expected) in [(None, 2), (Some("/"), 2), (Some("/ab"), 1), (Some("/p"), 0)] {
        let reply = raw
            .call(OpCode::GetEphemerals, &GetEphemeralsRequest { prefix })
            .await;
        assert_eq!(reply.body::<GetEphemeralsResponse>().paths.len(), expected);
    }
    let path = "/p".into();
    let request = GetAllChildrenNumberRequest { path };
    let reply = raw.call(OpCode::GetAllChildrenNumber, &request).await;
    assert_eq!(reply.body::<GetAllChildrenNumberResponse>().total, 1);
    let below = create("/a/x", CreateMode::Persistent);
    assert_eq!(raw.call(OpCode::Create, &below).await.err, -108);
    assert_eq!(raw.delete("/p").await.err, -111);
}

#[tokio::test]
async fn a_hard_quota_is_counted_and_enforced() {
    let server = Server::builder().in_memory().enforce_quota(true);
    let server = server.start().await.unwrap();
    let mut raw = Raw::new(&server).await;
    let limits = "/zookeeper/quota/a/zookeeper_limits";
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    for path in ["/a", "/zookeeper/quota/a", limits, stats] {
        raw.make(path, CreateMode::Persistent).await;
    }
    let text = b"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3";
    assert_eq!(raw.set(limits, text, -1).await.err, 0);
    let used = || server.node(stats).unwrap().data.unwrap();
    assert_eq!(&used()[..], b"count=1,bytes=4");
    raw.make("/a/b", CreateMode::Persistent).await;
    raw.make("/a/c", CreateMode::Persistent).await;
    assert_eq!(&used()[..], b"count=3,bytes=12");
    let over = create("/a/d", CreateMode::Persistent);
    assert_eq!(raw.call(OpCode::Create, &over).await.err, -125);
    assert_eq!(raw.set("/a/b", &[7; 13], -1).await.err, -125);
    assert_eq!(raw.set("/a/b", &[7; 12], -1).await.err, 0);
    raw.delete("/a/c").await;
    assert_eq!(&used()[..], b"count=2,bytes=16");
}
