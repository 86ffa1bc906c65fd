//! `DataWatch`, `ChildrenWatch` and `PatientChildrenWatch` on a clock that can be paused.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::common::{self, end_session, has_root, root};
use futures_core::Stream;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, Dial, DialError, Dialing, ErrorCode, ErrorKind, HostPort, Transport};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{
    CacheEvent, ChildrenState, ChildrenWatch, DataState, DataWatch, Election, Error,
    PatientChildrenWatch, TreeCache,
};

/// Virtual time.
const TIMEOUT: Duration = Duration::from_secs(3600);
const SESSION: Duration = Duration::from_secs(10);

/// Connects inside the process, unless it is cut off.
#[derive(Debug, Clone)]
struct InMemory {
    server: Arc<Server>,
    cut: Arc<AtomicBool>,
}

impl Dial for InMemory {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        let stream = match self.cut.load(Ordering::Relaxed) {
            true => Err(std::io::ErrorKind::TimedOut.into()),
            false => self.server.connect_in_memory(),
        };
        Box::pin(
            async move { Ok(Box::new(stream.map_err(DialError::Other)?) as Box<dyn Transport>) },
        )
    }
}

impl InMemory {
    async fn new() -> Self {
        Self::of(common::server().in_memory().start().await.unwrap())
    }

    fn of(server: Server) -> Self {
        InMemory {
            server: Arc::new(server),
            cut: Arc::default(),
        }
    }

    async fn client(&self) -> Client {
        let builder = Client::builder(format!("memory{}", root())).dial(self.clone());
        let zk = builder.session_timeout(SESSION).connect().await.unwrap();
        has_root(&zk).await;
        zk
    }

    /// Disconnects a client while `meanwhile` runs.
    async fn without(&self, zk: &Client, meanwhile: impl Future<Output = ()>) {
        self.cut.store(true, Ordering::Relaxed);
        self.server.faults().disconnect(zk.session().id);
        while zk.state().is_connected() {
            sleep(Duration::from_millis(1)).await;
        }
        meanwhile.await;
        self.cut.store(false, Ordering::Relaxed);
    }
}

async fn soon<T>(future: impl Future<Output = Option<T>>) -> T {
    timeout(TIMEOUT, future).await.unwrap().unwrap()
}

fn names(state: Result<ChildrenState, Error>) -> Option<Vec<String>> {
    match state.unwrap() {
        ChildrenState::Absent => None,
        ChildrenState::Present { names, .. } => Some(names),
    }
}

fn some(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn only_lasting_states_are_yielded() {
    let memory = InMemory::new().await;
    let (zk, admin) = (memory.client().await, memory.client().await);
    let boundary = Duration::from_secs(30);
    let mut patient = PatientChildrenWatch::new(&zk, "/members", boundary);
    let begin = Instant::now();
    assert_eq!(names(soon(patient.next()).await), None);
    assert!(begin.elapsed() >= boundary);
    admin.create("/members", "").await.unwrap();
    // Only the last state lasts.
    let coming = async {
        for n in 0..10 {
            admin.create(&format!("/members/{n}"), "").await.unwrap();
            sleep(boundary / 2).await;
            if n < 9 {
                admin.delete(&format!("/members/{n}")).await.unwrap();
            }
        }
    };
    let begin = Instant::now();
    let (rested, ()) = tokio::join!(soon(patient.next()), coming);
    assert_eq!(names(rested), some(&["9"]));
    assert!(begin.elapsed() >= boundary / 2 * 9 + boundary);
    assert!(begin.elapsed() <= boundary / 2 * 10 + boundary);
    // A dropped `next` does not restart the time.
    admin.create("/members/a", "").await.unwrap();
    let begin = Instant::now();
    for _ in 0..7 {
        let early = timeout(boundary / 8, patient.next()).await;
        assert!(early.is_err(), "{early:?}");
    }
    assert_eq!(names(soon(patient.next()).await), some(&["9", "a"]));
    assert!(begin.elapsed() <= boundary + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn no_state_is_yielded_without_a_connection() {
    let memory = InMemory::new().await;
    let zk = memory.client().await;
    let boundary = Duration::from_secs(2);
    zk.create("/members", "").await.unwrap();
    zk.create("/members/a", "").await.unwrap();
    let mut patient = PatientChildrenWatch::new(&zk, "/members", boundary);
    assert_eq!(names(soon(patient.next()).await), some(&["a"]));
    // A session ends while the client is disconnected: its znode is deleted unnoticed.
    let other = memory.client().await;
    other.create("/members/b", "").ephemeral().await.unwrap();
    sleep(boundary / 2).await;
    let gone = async {
        end_session(&memory.server, &other);
        let early = timeout(boundary * 3, patient.next()).await;
        assert!(early.is_err(), "{early:?}");
    };
    memory.without(&zk, gone).await;
    assert_eq!(names(soon(patient.next()).await), some(&["a"]));
}

/// It does not exist, is created, deleted and created again, across sessions.
///
/// Guards: C14.
#[tokio::test(start_paused = true)]
async fn a_znode_may_come_and_go_in_any_session() {
    let memory = InMemory::new().await;
    let (zk, admin) = (memory.client().await, memory.client().await);
    let (mut data, mut children) = (DataWatch::new(&zk, "/a"), ChildrenWatch::new(&zk, "/a"));
    for round in 0..3_u64 {
        assert_eq!(soon(data.next()).await.unwrap(), DataState::Absent);
        assert_eq!(names(soon(children.next()).await), None);
        admin.create("/a", round.to_string()).await.unwrap();
        let state = soon(data.next()).await.unwrap();
        assert!(
            matches!(&state, DataState::Present { data, .. } if *data == round.to_string()),
            "{state:?}"
        );
        assert_eq!(names(soon(children.next()).await), some(&[]));
        let epoch = zk.session().epoch;
        end_session(&memory.server, &zk);
        while zk.session().epoch == epoch || !zk.state().is_connected() {
            sleep(Duration::from_millis(10)).await;
        }
        admin.create("/a/b", "").await.unwrap();
        assert_eq!(names(soon(children.next()).await), some(&["b"]));
        admin.delete("/a").recursive().await.unwrap();
        // The deletion of the child may be a state of its own or not.
        while let ChildrenState::Present { .. } = soon(children.next()).await.unwrap() {}
        admin.create("/a", "again").await.unwrap();
        // A deletion and a creation between two reads are one change.
        while !matches!(
            soon(data.next()).await.unwrap(),
            DataState::Present { data, .. } if data == "again"
        ) {}
        drop((data, children));
        admin.delete("/a").await.unwrap();
        (data, children) = (DataWatch::new(&zk, "/a"), ChildrenWatch::new(&zk, "/a"));
    }
    drop((data, children));
    timeout(TIMEOUT, async {
        while zk.statistics().watches > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

/// Guards: P5.
#[tokio::test(start_paused = true)]
async fn names_count_where_pzxid_does_not_change() {
    let server = common::server().keep_pzxid(true).in_memory();
    let memory = InMemory::of(server.start().await.unwrap());
    let zk = memory.client().await;
    zk.create("/members", "").await.unwrap();
    for name in ["a", "b", "c"] {
        zk.create(&format!("/members/{name}"), "").await.unwrap();
    }
    let mut children = ChildrenWatch::new(&zk, "/members");
    let mut patient = PatientChildrenWatch::new(&zk, "/members", Duration::from_secs(1));
    let cache = TreeCache::new(&zk, "/members");
    let (_, mut events) = cache.subscribe().unwrap();
    assert_eq!(names(soon(children.next()).await), some(&["a", "b", "c"]));
    assert_eq!(names(soon(patient.next()).await), some(&["a", "b", "c"]));
    for (gone, left) in [("a", &["b", "c"][..]), ("b", &["c"]), ("c", &[])] {
        zk.delete(&format!("/members/{gone}")).await.unwrap();
        assert_eq!(names(soon(children.next()).await), some(left));
        assert_eq!(names(soon(patient.next()).await), some(left));
        let removed = format!("/members/{gone}");
        while !matches!(
            soon(events.next()).await.unwrap(),
            CacheEvent::Removed { path, .. } if path == removed
        ) {}
    }
}

/// They are one error, and the next state follows.
///
/// Guards: C13.
#[tokio::test(start_paused = true)]
async fn undecodable_data_do_not_end_the_stream() {
    let memory = InMemory::new().await;
    let zk = memory.client().await;
    zk.create("/limit", "many").await.unwrap();
    let mut limit = DataWatch::new(&zk, "/limit")
        .decode_with(|data| std::str::from_utf8(&data).unwrap().parse::<u32>());
    match soon(limit.next()).await {
        Err(Error::Undecodable { path, version, .. }) => {
            assert_eq!((&*path, version), ("/limit", 0));
        }
        other => panic!("{other:?}"),
    }
    assert!(
        timeout(TIMEOUT, limit.next()).await.is_err(),
        "reported once"
    );
    zk.set("/limit", "10").await.unwrap();
    let state = soon(limit.next()).await.unwrap();
    assert!(
        matches!(state, DataState::Present { data: 10, .. }),
        "{state:?}"
    );
    zk.delete("/limit").await.unwrap();
    assert_eq!(soon(limit.next()).await.unwrap(), DataState::Absent);
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn json_is_decoded() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Config {
        retries: u32,
    }

    let memory = InMemory::new().await;
    let zk = memory.client().await;
    zk.create("/config", r#"{"retries": 3}"#).await.unwrap();
    let mut config = DataWatch::new(&zk, "/config").json::<Config>();
    let state = soon(config.next()).await.unwrap();
    let expected = Config { retries: 3 };
    assert!(matches!(state, DataState::Present { data, .. } if data == expected));
    zk.set("/config", "{").await.unwrap();
    let error = soon(config.next()).await.unwrap_err();
    assert!(error.to_string().contains("/config, version 1"), "{error}");
    zk.set("/config", r#"{"retries": 4}"#).await.unwrap();
    let state = soon(config.next()).await.unwrap();
    assert!(matches!(state, DataState::Present { data, .. } if data.retries == 4));
}

/// And neither the change of the data nor that of the children alone is one of the other.
#[tokio::test(start_paused = true)]
async fn the_same_state_is_not_yielded_again() {
    let server = InMemory::new().await;
    let (zk, other) = (server.client().await, server.client().await);
    zk.create("/app", "x").await.unwrap();
    zk.create("/app/a", "").await.unwrap();
    let mut data = DataWatch::new(&zk, "/app");
    let mut children = ChildrenWatch::new(&zk, "/app");
    soon(data.next()).await.unwrap();
    let a = names(soon(children.next()).await);
    server.without(&zk, async {}).await;
    assert!(timeout(SESSION, data.next()).await.is_err());
    assert!(timeout(SESSION, children.next()).await.is_err());
    other.create("/app/b", "").await.unwrap();
    assert_ne!(names(soon(children.next()).await), a);
    assert!(timeout(SESSION, data.next()).await.is_err());
    other.set("/app", "y").await.unwrap();
    soon(data.next()).await.unwrap();
    assert!(timeout(SESSION, children.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refused_read_ends_the_stream() {
    let server = InMemory::new().await;
    let zk = server.client().await;
    zk.create("/app", "").await.unwrap();
    for op in [OpCode::GetData, OpCode::GetChildren2] {
        let refused = on(op).then(Action::Refuse(ErrorCode::NoAuth));
        server.server.faults().rule(refused.always());
    }
    let mut data = DataWatch::new(&zk, "/app");
    let error = soon(data.next()).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoAuth));
    assert!(timeout(TIMEOUT, data.next()).await.unwrap().is_none());
    let mut children = ChildrenWatch::new(&zk, "/app");
    let error = soon(children.next()).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoAuth));
    assert!(timeout(TIMEOUT, children.next()).await.unwrap().is_none());
}

/// It has no leader to sync with.
#[tokio::test(start_paused = true)]
async fn a_read_only_server_does_not_end_a_stream() {
    let server = InMemory::new().await;
    let (zk, other) = (server.client().await, server.client().await);
    zk.create("/app", "x").await.unwrap();
    let mut data = DataWatch::new(&zk, "/app");
    soon(data.next()).await.unwrap();
    let read_only = Action::Refuse(ErrorCode::NotReadOnly);
    server
        .server
        .faults()
        .rule(on(OpCode::Sync).then(read_only));
    let write = async {
        other.set("/app", "y").await.unwrap();
    };
    server.without(&zk, write).await;
    let state = soon(data.next()).await.unwrap();
    assert!(matches!(state, DataState::Present { data, .. } if data == "y"));
}

async fn first<S: Stream + Unpin>(stream: &mut S) -> S::Item {
    soon(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))).await
}

#[tokio::test(start_paused = true)]
async fn streams_yield_what_next_returns() {
    let server = InMemory::new().await;
    let zk = server.client().await;
    zk.create("/app", "x").await.unwrap();
    zk.create("/app/a", "").await.unwrap();
    let data = first(&mut DataWatch::new(&zk, "/app")).await.unwrap();
    assert!(matches!(data, DataState::Present { data, .. } if data == "x"));
    let expected = Some(vec!["a".to_owned()]);
    let children = first(&mut ChildrenWatch::new(&zk, "/app")).await;
    assert_eq!(names(children), expected);
    let mut patient = PatientChildrenWatch::new(&zk, "/app", SESSION);
    assert_eq!(names(first(&mut patient).await), expected);
    let leader = first(&mut Election::new(&zk, "/election").observe()).await;
    assert_eq!(leader.unwrap(), None);
}
