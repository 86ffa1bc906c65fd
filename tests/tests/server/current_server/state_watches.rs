//! `DataWatch` and `ChildrenWatch` end up with the last state, whatever becomes of the connection
//! and the session meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use crate::common::{Proxies, TestEnsemble, blocking, soon_always, unless_starved, until};
use bytes::Bytes;
use zk_client::{Client, Error, ErrorKind, State, Zxid};
use zk_recipes::{ChildrenState, ChildrenWatch, DataState, DataWatch};

const SESSION: Duration = Duration::from_secs(2);

/// A client behind proxies that watches, one beside them that changes, and what is watched:
/// a znode that is there all the time, and one that comes and goes.
struct Scene {
    ensemble: TestEnsemble,
    proxies: Proxies,
    watching: Client,
    admin: Client,
    data: [(DataWatch, Delivered<(Bytes, Zxid)>); 2],
    children: [(ChildrenWatch, Delivered<Vec<String>>); 2],
    step: u32,
}

/// The last state that a watch delivered, if any; `Some(None)` is a znode that does not exist.
type Delivered<T> = Option<Option<T>>;

const PATHS: [&str; 2] = ["/there", "/comes-and-goes"];

/// What was read, if the znode exists; any other failure says nothing about the znode.
fn existing<T>(read: Result<T, Error>) -> Option<T> {
    match read {
        Err(error) if error.kind() == ErrorKind::NoNode => None,
        read => Some(read.unwrap()),
    }
}

impl Scene {
    async fn new(session: Duration) -> Self {
        let ensemble = blocking(crate::common::ensemble);
        let proxies = Proxies::start(&ensemble);
        let admin = crate::common::connect(&ensemble.connect_string(), |builder| {
            builder.backoff(crate::common::impatient())
        })
        .await;
        admin.create(PATHS[0], "0").await.unwrap();
        let watching = crate::common::builder(proxies.connect_string())
            .session_timeout(session)
            .backoff(crate::common::impatient())
            .connect()
            .await
            .unwrap()
            .chroot(admin.root().as_str())
            .unwrap();
        let data = PATHS.map(|path| (DataWatch::new(&watching, path), None));
        let children = PATHS.map(|path| (ChildrenWatch::new(&watching, path), None));
        let mut scene = Scene {
            ensemble,
            proxies,
            watching,
            admin,
            data,
            children,
            step: 0,
        };
        scene.all_is_seen().await;
        scene
    }

    /// Changes everything there is to see, in another way each time: the second znode is made,
    /// changed, deleted and made again within one step, deleted, and made anew.
    async fn change(&mut self) {
        self.step += 1;
        let (step, zk) = (self.step, &self.admin);
        let [there, other] = PATHS;
        zk.set(there, step.to_string()).await.unwrap();
        zk.create(&format!("{there}/c{step}"), "").await.unwrap();
        match step % 4 {
            1 => {
                zk.create(other, step.to_string()).await.unwrap();
                zk.create(&format!("{other}/c{step}"), "").await.unwrap();
            }
            2 => drop(zk.set(other, step.to_string()).await.unwrap()),
            3 => {
                zk.delete(other).recursive().await.unwrap();
                zk.create(other, step.to_string()).await.unwrap();
            }
            _ => zk.delete(other).recursive().await.unwrap(),
        }
    }

    /// Waits until each watch has delivered the present state.
    async fn all_is_seen(&mut self) {
        for (path, (watch, delivered)) in PATHS.into_iter().zip(&mut self.data) {
            let now = existing(self.admin.get(path).await);
            let now = now.map(|(data, stat)| (data, stat.mzxid));
            let what = format!("the data of {path} in step {}: {now:?}", self.step);
            soon_always(&what, async {
                while delivered.as_ref() != Some(&now) {
                    *delivered = Some(match watch.next().await.unwrap().unwrap() {
                        DataState::Absent => None,
                        DataState::Present { data, stat } => Some((data, stat.mzxid)),
                    });
                }
            })
            .await;
        }
        for (path, (watch, delivered)) in PATHS.into_iter().zip(&mut self.children) {
            let now = existing(self.admin.children(path).await).map(|children| {
                let mut names = children.to_vec();
                names.sort();
                names
            });
            let what = format!("the children of {path} in step {}: {now:?}", self.step);
            soon_always(&what, async {
                while delivered.as_ref() != Some(&now) {
                    *delivered = Some(match watch.next().await.unwrap().unwrap() {
                        ChildrenState::Absent => None,
                        ChildrenState::Present { names, .. } => Some(names),
                    });
                }
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_state_after_reconnects_and_expiry() {
    unless_starved(SESSION, the_last_state_is_seen).await;
}

async fn the_last_state_is_seen(session: Duration) {
    let mut scene = Scene::new(session).await;
    scene.change().await;
    scene.all_is_seen().await;

    // Four times, so that every kind of change is made while the watches are cut off.
    for _ in 0..4 {
        let mut states = scene.watching.states();
        let session = scene.watching.session();
        let serving = scene.proxies.in_use().expect("a connection");
        scene.proxies.refuse(true);
        blocking(|| scene.ensemble.servers()[serving].kill().unwrap());
        crate::common::until_suspended(&mut states).await;
        let admin = scene.admin.clone();
        until("the ensemble serves others", || async {
            admin.sync("/").await.is_ok()
        })
        .await;
        scene.change().await;
        assert!(
            !scene.watching.state().is_connected(),
            "it was to be cut off all the while"
        );
        scene.proxies.refuse(false);
        scene.all_is_seen().await;
        if scene.watching.session().epoch != session.epoch {
            println!("the session expired while the ensemble was without a leader");
        }
        blocking(|| scene.ensemble.servers()[serving].restart().unwrap());
    }

    for _ in 0..4 {
        let mut states = scene.watching.states();
        let epoch = scene.watching.session().epoch;
        scene.proxies.stall(true);
        let expired = |state: &State| matches!(state, State::Expired { .. });
        crate::common::states_until(&mut states, "the session to expire", expired).await;
        scene.change().await;
        scene.proxies.stall(false);
        scene.all_is_seen().await;
        assert_eq!(scene.watching.session().epoch, epoch + 1);
    }

    // Nothing is left of all that when they are dropped.
    let Scene {
        data,
        children,
        watching,
        ..
    } = scene;
    drop((data, children));
    until("the watches are gone", || async {
        watching.statistics().watches == 0
    })
    .await;
}
