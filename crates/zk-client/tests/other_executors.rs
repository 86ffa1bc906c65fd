//! The futures of a client are polled by an executor that is not tokio's.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use zk_client::{Client, WatchEvent};
use zk_embedded::Server;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor of one future, without a timer and without I/O.
fn execute<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn any_executor_polls_the_futures() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (server, zk) = runtime.block_on(async {
        let server = Server::start().await.unwrap();
        let zk = Client::connect(server.connect_string()).await.unwrap();
        (server, zk)
    });
    // The timers are tokio's.
    let _entered = runtime.enter();
    let mut states = zk.states();
    execute(async {
        zk.create("/a/b", "one").parents().await.unwrap();
        let (_, stat, watch) = zk.get("/a/b").watch().await.unwrap();
        let updated = zk.update("/a/b", |_| Some("two")).await;
        assert_eq!(updated.unwrap().1.version, 1);
        assert!(matches!(watch.await, WatchEvent::Node(_)));
        let changed = zk.set("/a/b", "three").version(stat.version + 1).await;
        changed.unwrap();
        assert!(states.next().await.unwrap().is_connected());
        assert_eq!(&*zk.command("ruok").await.unwrap(), "imok");
    });
    execute(zk.close()).unwrap();
    drop(server);
}

/// The deletion of the file needs a thread of the client's runtime.
#[test]
fn any_executor_closes_a_restored_client() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let name = format!("zk-executors-{}", zk_client::Guid::random().hex());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("session");
    let (server, zk) = runtime.block_on(async {
        let server = Server::start().await.unwrap();
        let store = zk_client::SessionStore::open(&path).unwrap();
        let restoring = Client::builder(server.connect_string()).restore(store);
        (server, restoring.await.unwrap().0)
    });
    assert!(path.exists());
    execute(zk.close()).unwrap();
    assert!(!path.exists());
    std::fs::remove_dir_all(directory).unwrap();
    drop(server);
}
