//! Connections that fail leave no file descriptor open.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::bounds::until;
use crate::common::counting::alone;
use zk_client::{BackoffPolicy, Client, HostPort, TcpDial};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// ZOOKEEPER-1174, ZOOKEEPER-3112, ZOOKEEPER-4736.
/// Guards: B32.
#[test]
fn failed_connects_leave_no_descriptor() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let closed = TcpListener::bind(local).unwrap().local_addr().unwrap();
        let host = |host: &str, port| HostPort {
            host: host.to_owned(),
            port,
        };
        let refused = host(&closed.ip().to_string(), closed.port());
        let unknown = host("no-such-host.invalid", 2181);
        let dial = TcpDial::default();
        // Once, for what is opened once.
        drop((dial.connect(&refused).await, dial.connect(&unknown).await));
        let before = descriptors();
        for n in 0..10_000 {
            assert!(dial.connect(&refused).await.is_err());
            if n % 1_000 == 0 {
                assert!(dial.connect(&unknown).await.is_err());
            }
        }
        let after = descriptors();
        assert!(after <= before + 2, "{after}, and {before} before");

        // The same through a client, whose connections are accepted and closed.
        let listener = tokio::net::TcpListener::bind(local).await.unwrap();
        let hosts = listener.local_addr().unwrap().to_string();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = accepted.clone();
        let slam = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let none = Duration::ZERO;
        let hasty = BackoffPolicy::new(none, none);
        let zk = Client::builder(hosts).backoff(hasty).start().unwrap();
        until("300 attempts", || accepted.load(Ordering::Relaxed) >= 300).await;
        let after = descriptors();
        assert!(after <= before + 5, "{after}, and {before} before");
        zk.close().await.unwrap();
        slam.abort();
    });
}
