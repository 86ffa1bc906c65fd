//! What a barrier before a read is for, on members that lag and with sessions that end between the
//! two. No real server can be made to lag.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::{BufMut, Bytes, BytesMut};
use zk_client::{Client, ErrorKind, State, WatchEvent, WatchMode};
use zk_embedded::fault::{Action, on};
use zk_embedded::{Faults, Server};
use zk_proto::OpCode;

const BEHIND: usize = 0;

struct Ensemble {
    server: Server,
    /// A client of the member that lags.
    behind: Client,
    /// A client of another member.
    ahead: Client,
}

impl Ensemble {
    async fn start() -> Self {
        let server = Server::builder().members(3).start().await.unwrap();
        assert_ne!(server.leader(), BEHIND);
        let hosts = server.addresses();
        let behind = Client::connect(hosts[BEHIND].to_string()).await.unwrap();
        let leader = hosts[server.leader()].to_string();
        let ahead = Client::connect(leader).await.unwrap();
        ahead.create("/a", "old").await.unwrap();
        Ensemble {
            server,
            behind,
            ahead,
        }
    }

    /// Writes what the member that lags does not know yet.
    async fn write(&self, data: &str) {
        self.write_unseen(data).await;
        let (seen, _) = self.behind.get("/a").await.unwrap();
        assert_ne!(seen, data, "the member does not lag");
    }

    async fn write_unseen(&self, data: &str) {
        self.server.set_lag(BEHIND, false);
        self.server.set_lag(BEHIND, true);
        self.ahead.set("/a", data).await.unwrap();
    }

    fn faults(&self) -> Faults {
        self.server.member(BEHIND)
    }
}

#[tokio::test]
async fn barrier_read_is_not_stale() {
    let ensemble = Ensemble::start().await;
    let zk = &ensemble.behind;
    ensemble.write("one").await;
    assert_eq!(zk.get("/a").synced().await.unwrap().0, "one");
    ensemble.write("two").await;
    assert_eq!(zk.get("/a").linearizable().await.unwrap().0, "two");
    ensemble.write("three").await;
    ensemble.ahead.create("/a/b", "").await.unwrap();
    let names = zk.children("/a").synced().submit();
    let stat = zk.exists("/a/b").submit();
    assert!(names.await.unwrap().contains("b"));
    assert!(stat.await.unwrap().is_some(), "what follows sees it, too");
}

#[tokio::test]
async fn lost_reply_keeps_the_barrier() {
    let ensemble = Ensemble::start().await;
    ensemble.write("one").await;
    ensemble
        .faults()
        .rule(on(OpCode::GetData).then(Action::DropReply));
    let read = ensemble.behind.get("/a").synced().await.unwrap();
    assert_eq!(read.0, "one");
    assert_eq!(ensemble.behind.session().epoch, 1);
}

/// The session expires when the barrier is answered and its read is not: a read made again in the
/// next session would have nothing before it. The second barrier is made to fail, to be seen.
#[tokio::test]
async fn expired_session_renews_the_barrier() {
    let server = Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    zk.create("/a", "one").await.unwrap();
    for refuse in [false, true] {
        // The connection is lost at the read, and the port closed until the session is over.
        let faults = server.faults();
        faults.refuse_connections(true).await;
        faults.rule(on(OpCode::GetData).then(Action::DropReply));
        if refuse {
            let not_read_only = reply(1, -119);
            faults.rule(
                on(OpCode::Sync)
                    .after(1)
                    .then(Action::Respond(not_read_only)),
            );
        }
        let mut states = zk.states();
        let session = zk.session();
        let read = zk.get("/a").synced().submit();
        while !matches!(states.next().await, Some(State::Suspended { .. })) {}
        assert!(server.expire_session(session.id));
        faults.refuse_connections(false).await;
        match read.await {
            Ok((data, _)) => assert!(!refuse && data == "one"),
            Err(error) => assert!(refuse && error.kind() == ErrorKind::ReadOnly, "{error}"),
        }
        assert_eq!(zk.session().epoch, session.epoch + 1);
    }
}

fn reply(xid: i32, error: i32) -> Bytes {
    let mut reply = BytesMut::new();
    reply.put_i32(16);
    reply.put_i32(xid);
    reply.put_i64(1);
    reply.put_i32(error);
    reply.freeze()
}

/// ClickHouse Keeper's reply has no record. The events of its recursive watches name the
/// watched znode, so that there is none.
/// Guards: D15.
#[tokio::test]
async fn bare_add_watch_reply_sets_a_watch() {
    let server = Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    let mut watching = zk.watch("/a", WatchMode::Persistent).await.unwrap();
    let answer = |xid| {
        let faults = server.faults();
        faults.respond_with(on(OpCode::AddWatch), reply(xid, 0));
    };
    answer(2);
    let second = zk.watch("/b", WatchMode::Persistent).await.unwrap();
    assert_eq!(zk.statistics().watches, 2);
    answer(3);
    let recursive = zk.watch("/c", WatchMode::PersistentRecursive).await;
    let error = recursive.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented, "{error}");
    assert_eq!(zk.statistics().watches, 2);
    drop(second);
    zk.create("/a", "").await.unwrap();
    assert!(matches!(watching.next().await, Some(WatchEvent::Node(_))));
}
