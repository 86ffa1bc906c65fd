//! What the end-to-end tests share: a server, a client on a chroot of its own, waiting for facts.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zk_client::{Builder, Client};
use zk_tests::{ServerOptions, Standalone};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One standalone server for all tests of a binary that leave it alone.
pub fn shared_server() -> &'static Standalone {
    static SERVER: OnceLock<Arc<Standalone>> = OnceLock::new();
    SERVER.get_or_init(|| {
        // The server dies with the thread that started it, so that thread stays.
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let server = Arc::new(Standalone::start(ServerOptions::default()).unwrap());
            send.send(server).unwrap();
            std::thread::park();
        });
        receive.recv().expect("the shared server does not start")
    })
}

/// A client on a chroot that no other test uses, which exists.
pub async fn client() -> Client {
    client_of(&shared_server().connect_string()).await
}

pub async fn client_of(hosts: &str) -> Client {
    connect(hosts, |builder| builder).await
}

pub async fn connect(hosts: &str, options: impl FnOnce(Builder) -> Builder) -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let root = format!("/t{n}-{}", std::process::id());
    let zk = options(Client::builder(hosts)).connect().await.unwrap();
    zk.ensure_path(&root).await.unwrap();
    zk.chroot(&root).unwrap()
}

/// Waits until `fact` is true.
pub async fn until<F: Future<Output = bool>>(what: &str, mut fact: impl FnMut() -> F) {
    let started = Instant::now();
    while !fact().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails instead of hanging.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
