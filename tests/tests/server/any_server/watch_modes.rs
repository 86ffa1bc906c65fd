//! Several kinds of watches on one path, set in any order, some of them dropped again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::future::Future;
use std::task::{Context, Waker};

use crate::common::server::{
    assert_unimplemented, is_keeper, server_has, server_has_recursive_watches,
};
use crate::common::{beside, client, shared_server};
use zk_client::{Client, NodeEventKind, Watch, WatchEvent, WatchMode, WatchStream};
use zk_proto::OpCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Child,
    Persistent,
    Recursive,
}

const KINDS: [Kind; 4] = [Kind::Data, Kind::Child, Kind::Persistent, Kind::Recursive];

impl Kind {
    /// Whether the servers have it.
    fn is_known(self) -> bool {
        match self {
            Kind::Data | Kind::Child => true,
            Kind::Persistent => server_has(OpCode::AddWatch),
            Kind::Recursive => server_has_recursive_watches(),
        }
    }
}

enum Handle {
    Once(Watch),
    Stream(WatchStream),
}

impl Handle {
    async fn set(zk: &Client, kind: Kind, path: &str) -> Self {
        match kind {
            Kind::Data => Handle::Once(zk.get(path).watch().await.unwrap().2),
            Kind::Child => Handle::Once(zk.children(path).watch().await.unwrap().2),
            Kind::Persistent => {
                Handle::Stream(zk.watch(path, WatchMode::Persistent).await.unwrap())
            }
            Kind::Recursive => Handle::Stream(
                zk.watch(path, WatchMode::PersistentRecursive)
                    .await
                    .unwrap(),
            ),
        }
    }

    /// The events that are there now.
    fn delivered(&mut self) -> Vec<WatchEvent> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut delivered = Vec::new();
        match self {
            Handle::Once(watch) => {
                if let std::task::Poll::Ready(event) = std::pin::Pin::new(watch).poll(&mut cx) {
                    delivered.push(event);
                }
            }
            Handle::Stream(events) => {
                while let std::task::Poll::Ready(Some(event)) =
                    std::pin::pin!(events.next()).poll(&mut cx)
                {
                    delivered.push(event);
                }
            }
        }
        delivered
    }
}

/// The events of a new child and then of new data, for a watch of this kind on `path`.
fn expected(kind: Kind, path: &str) -> Vec<(NodeEventKind, String)> {
    let path = path.to_owned();
    let child = format!("{path}/child");
    match kind {
        Kind::Data => vec![(NodeEventKind::DataChanged, path)],
        Kind::Child => vec![(NodeEventKind::ChildrenChanged, path)],
        Kind::Persistent => vec![
            (NodeEventKind::ChildrenChanged, path.clone()),
            (NodeEventKind::DataChanged, path),
        ],
        Kind::Recursive => {
            vec![
                (NodeEventKind::Created, child),
                (NodeEventKind::DataChanged, path),
            ]
        }
    }
}

/// All sequences of different kinds, with at least one.
fn orders() -> Vec<Vec<Kind>> {
    let known = KINDS.into_iter().filter(|kind| kind.is_known());
    let known: Vec<_> = known.collect();
    let mut orders: Vec<Vec<Kind>> = vec![Vec::new()];
    let mut from = 0;
    for _ in &known {
        let to = orders.len();
        for n in from..to {
            for &kind in &known {
                if !orders[n].contains(&kind) {
                    let mut longer = orders[n].clone();
                    longer.push(kind);
                    orders.push(longer);
                }
            }
        }
        from = to;
    }
    orders.split_off(1)
}

/// ZOOKEEPER-4466, ZOOKEEPER-4471, ZOOKEEPER-4475: each watch gets exactly its events, whatever mode
/// the server has for the path.
/// Guards: A45, B64, B65.
#[tokio::test]
async fn watches_on_one_path_are_independent() {
    let zk = client().await;
    let other = beside(&zk, &shared_server().connect_string()).await;
    for kind in [Kind::Persistent, Kind::Recursive] {
        let mode = match kind {
            Kind::Persistent => WatchMode::Persistent,
            _ => WatchMode::PersistentRecursive,
        };
        if !kind.is_known() {
            let refused = zk.watch("/", mode).await.unwrap_err();
            assert_unimplemented(&refused, "the server");
        }
    }
    let orders = orders();
    let known = KINDS.iter().filter(|kind| kind.is_known()).count();
    assert_eq!(orders.len(), [0, 1, 4, 15, 64][known]);
    let mut wrong = Vec::new();
    for (n, order) in orders.iter().enumerate() {
        for dropped in std::iter::once(None).chain(order.iter().map(Some)) {
            let path = format!("/n{n}-{dropped:?}").replace(['(', ')'], "");
            other.create(&path, "").await.unwrap();
            zk.sync("/").await.unwrap();
            let mut handles = Vec::new();
            for &kind in order {
                handles.push((kind, Handle::set(&zk, kind, &path).await));
            }
            handles.retain(|(kind, _)| Some(kind) != dropped);
            // The removal of what was dropped is over before anything happens.
            zk.sync("/").await.unwrap();
            other.create(&format!("{path}/child"), "").await.unwrap();
            other.set(&path, "x").await.unwrap();
            zk.sync("/").await.unwrap();
            zk.exists(&path).await.unwrap();
            for (kind, mut handle) in handles {
                let mut delivered: Vec<_> = handle
                    .delivered()
                    .iter()
                    .map(|event| event.node().map(|event| (event.kind, event.path.clone())))
                    .collect();
                if is_keeper() {
                    // It sends an event for each kind, and one is like the other.
                    delivered.dedup();
                }
                let due: Vec<_> = expected(kind, &path).into_iter().map(Some).collect();
                if delivered != due {
                    wrong.push(format!(
                        "{order:?} without {dropped:?}: {kind:?} has {delivered:?}"
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them, the first {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(12)]
    );
    assert_eq!(zk.statistics().watches, 0);
}
