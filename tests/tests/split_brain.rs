//! A process that was stopped while it held a lock, and does not know yet that others hold it now.

mod common;

use std::time::Duration;

use common::child::{self, Child};
use common::soon;
use zk_client::Client;
use zk_recipes::{Error, Lock, Lost};

const SESSION: Duration = Duration::from_secs(2);

async fn contender(hosts: &str, root: &str) -> Client {
    let zk = Client::builder(hosts)
        .session_timeout(SESSION)
        .connect_timeout(common::PATIENCE)
        .connect()
        .await
        .unwrap();
    zk.chroot(root).unwrap()
}

/// Holds the lock until the check says no more, and then tries to write all the same.
///
/// The loop yields to nothing: what the client's task would have heard of the network after the
/// process goes on, it has not heard when the check is made.
async fn hold(orders: &str) {
    let (hosts, root) = orders.split_once(' ').unwrap();
    let zk = contender(hosts, root).await;
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    guard.fenced().set("/ledger", "holder").commit().await.unwrap();
    let before = zk.session();
    child::say(&format!("holds {}", guard.token()));
    let lost = loop {
        match guard.check() {
            Ok(()) => std::thread::yield_now(),
            Err(lost) => break lost,
        }
    };
    // Nothing has come from the network: to the client, all is as it was.
    let unaware = zk.state().is_connected() && zk.session() == before;
    let refused = guard.fenced().set("/ledger", "late").commit().await.unwrap_err();
    child::say(&format!("lost {lost:?} {unaware} {}", matches!(refused, Error::Lost(_))));

    // The same, had the process not asked the guard: the ensemble refuses.
    let path = guard.path().to_owned();
    let late = zk.multi().check(&path, -1).set("/ledger", "late").commit().await.unwrap_err();
    child::say(&format!("refused {late}"));
}

/// Finding 3 of the verification programme: with a boolean for a lock, the holder writes.
///
/// The holder runs on one thread, so that its client cannot hear anything between the
/// continuation and the check.
#[tokio::test(flavor = "current_thread")]
async fn a_holder_that_was_stopped_knows_before_any_network_event_and_writes_nothing() {
    if let Some(orders) = child::orders() {
        return hold(&orders).await;
    }
    let ensemble = common::ensemble();
    let hosts = ensemble.connect_string();
    let zk = common::client_of(&hosts).await;
    zk.create("/ledger", "").await.unwrap();
    let orders = format!("{hosts} {}", zk.root());
    let test = "a_holder_that_was_stopped_knows_before_any_network_event_and_writes_nothing";
    let mut holder = Child::start(test, &orders);
    let token: i64 = holder.hear("holds").await.parse().unwrap();
    holder.pause().await;
    assert_eq!(holder.word("lost"), None, "it was stopped while it held the lock");
    assert_eq!(zk.get("/ledger").await.unwrap().0, "holder");

    let other = contender(&hosts, zk.root().as_str()).await;
    let guard = soon("the lock", Lock::new(&other, "/lock").acquire()).await.unwrap();
    assert!(guard.token().get() > token);
    guard.fenced().set("/ledger", "successor").commit().await.unwrap();
    let written = zk.get("/ledger").await.unwrap();

    holder.go_on();
    let lost = holder.hear("lost").await;
    assert_eq!(lost, format!("{:?} true true", Lost::OutOfContact));
    holder.hear("refused").await;
    guard.check().unwrap();
    assert_eq!(zk.get("/ledger").await.unwrap(), written, "nobody but the successor has written");
    guard.release().await.unwrap();
}
