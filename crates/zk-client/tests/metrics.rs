//! The metrics that a recorder receives, with an embedded server.

#![cfg(feature = "metrics")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use zk_client::{
    BackoffPolicy, Client, Dial, DialError, Dialing, HostPort, State, StateStream, Transport,
    WatchEvent, WatchMode,
};
use zk_embedded::Server;

/// What has changed since the last call: `name{label=value,…}`, with the number of values for
/// histograms.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let mut recorded = BTreeMap::new();
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        assert!(unit.is_some() && description.is_some(), "{key}");
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let value = match value {
            DebugValue::Counter(count) => u32::try_from(count).unwrap().into(),
            DebugValue::Gauge(gauge) => gauge.into_inner(),
            DebugValue::Histogram(values) => {
                let sound = values.iter().all(|value| (0.0..60.0).contains(&**value));
                assert!(sound, "{name}: {values:?}");
                u32::try_from(values.len()).unwrap().into()
            }
        };
        recorded.insert(name, value);
    }
    recorded
}

/// Runs `scene` with a server, on a paused clock, while a recorder of its own receives the metrics.
fn recording<T>(scene: impl AsyncFnOnce(Arc<Server>, Snapshotter) -> T) -> T {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let server = Server::builder().in_memory().start().await.unwrap();
            scene(Arc::new(server), snapshotter).await
        })
    })
}

/// The way to a server in this process, on whose connections the clock can be paused.
#[derive(Debug)]
struct Memory(Arc<Server>);

impl Dial for Memory {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        let stream = self.0.connect_in_memory().map_err(DialError::Other);
        let stream = stream.map(|stream| Box::new(stream) as Box<dyn Transport>);
        Box::pin(std::future::ready(stream))
    }
}

async fn until(states: &mut StateStream, wanted: impl Fn(State) -> bool) {
    while !wanted(states.next().await.expect("the client is over")) {}
}

#[test]
fn requests_sessions_watches_are_counted() {
    let (midway, end) = recording(async |server, snapshotter| {
        let zk = Client::builder("memory")
            .dial(Memory(server.clone()))
            .backoff(BackoffPolicy::new(
                Duration::from_millis(10),
                Duration::from_millis(10),
            ))
            .connect()
            .await
            .unwrap();
        zk.create("/a", "").await.unwrap();
        for _ in 0..3 {
            zk.get("/a").await.unwrap();
        }
        zk.get("/none").await.unwrap_err();
        zk.get("not a path").await.unwrap_err();
        drop(zk.get("/a").submit());
        let mut events = zk.watch("/a", WatchMode::Persistent).await.unwrap();
        let pinged = async {
            while zk.statistics().ping.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        pinged.await;
        let mut states = zk.states();
        server.faults().disconnect_all();
        until(&mut states, |state| {
            matches!(state, State::Suspended { .. })
        })
        .await;
        until(&mut states, State::is_connected).await;
        let gap = events.next().await.unwrap();
        assert!(matches!(gap, WatchEvent::Gap { .. }), "{gap:?}");
        let waiting = zk.get("/a").submit();
        let midway = recorded(&snapshotter);
        waiting.await.unwrap();
        assert!(server.expire_session(zk.session().id));
        until(&mut states, |state| matches!(state, State::Expired { .. })).await;
        until(&mut states, State::is_connected).await;
        zk.close().await.unwrap();
        tokio::task::yield_now().await;
        (midway, recorded(&snapshotter))
    });
    for (name, value) in [
        ("zk_requests_total{op=create2,outcome=ok}", 1.0),
        ("zk_requests_total{op=getData,outcome=ok}", 3.0),
        ("zk_requests_total{op=getData,outcome=rejected}", 1.0),
        ("zk_requests_total{op=getData,outcome=not_sent}", 1.0),
        ("zk_requests_total{op=getData,outcome=dropped}", 1.0),
        ("zk_request_seconds{op=getData}", 5.0),
        ("zk_outstanding_requests{}", 1.0),
        ("zk_connected_clients{}", 1.0),
        ("zk_connections_total{}", 2.0),
        ("zk_connections_lost_total{}", 1.0),
        ("zk_sessions_total{}", 1.0),
        ("zk_session_resumed_total{}", 1.0),
        ("zk_watch_gaps_total{}", 1.0),
        ("zk_rearm_batches_total{}", 1.0),
        ("zk_rearmed_watches_total{}", 1.0),
    ] {
        assert_eq!(midway.get(name), Some(&value), "{name} of {midway:#?}");
    }
    for name in [
        "zk_ping_seconds{}",
        "zk_sent_bytes_total{}",
        "zk_received_bytes_total{}",
    ] {
        let value = midway.get(name);
        assert!(
            value.is_some_and(|value| *value >= 1.0),
            "{name} of {midway:#?}"
        );
    }
    for (name, value) in [
        ("zk_requests_total{op=getData,outcome=ok}", 1.0),
        ("zk_session_expired_total{}", 1.0),
        ("zk_sessions_total{}", 1.0),
        ("zk_outstanding_requests{}", -1.0),
        ("zk_connected_clients{}", -1.0),
    ] {
        assert_eq!(end.get(name), Some(&value), "{name} of {end:#?}");
    }
}

/// A query such as `increase` does not see the first step of a counter that begins with it.
#[test]
fn series_exist_before_their_first_event() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let before = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let server = Arc::new(Server::builder().in_memory().start().await.unwrap());
            server.faults().stop();
            let dial = Memory(server);
            let zk = Client::builder("memory").name("app").dial(dial).start();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let before = recorded(&snapshotter);
            drop(zk);
            before
        })
    });
    for name in [
        "zk_connected_clients",
        "zk_session_expired_total",
        "zk_watch_gaps_total",
    ] {
        assert_eq!(
            before.get(&format!("{name}{{client=app}}")),
            Some(&0.0),
            "{before:?}"
        );
    }
}

#[test]
fn clients_with_names_are_kept_apart() {
    let counted = recording(async |server, snapshotter| {
        let client = |name: &'static str| {
            let builder = Client::builder("memory").dial(Memory(server.clone()));
            builder.name(name).connect()
        };
        let (orders, users) = (client("orders").await, client("users").await);
        let (orders, users) = (orders.unwrap(), users.unwrap());
        orders.get("/").await.unwrap();
        orders.get("/").await.unwrap();
        users.get("/").await.unwrap();
        recorded(&snapshotter)
    });
    for (name, value) in [
        (
            "zk_requests_total{client=orders,op=getData,outcome=ok}",
            2.0,
        ),
        ("zk_requests_total{client=users,op=getData,outcome=ok}", 1.0),
        ("zk_request_seconds{client=orders,op=getData}", 2.0),
        ("zk_outstanding_requests{client=users}", 0.0),
        ("zk_sessions_total{client=orders}", 1.0),
        ("zk_connected_clients{client=users}", 1.0),
    ] {
        assert_eq!(counted.get(name), Some(&value), "{name} of {counted:#?}");
    }
    assert!(counted.keys().all(|name| name.contains("{client=")));
}
