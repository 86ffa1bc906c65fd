//! A process that was stopped while it held a lock, or led, and does not know yet that others do now.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::common::child::{self, Child, Said};
use crate::common::contest::Contest;
use crate::common::{soon, then_always, unless_starved};
use zk_client::{Client, ErrorKind};
use zk_recipes::{Error, GuardLost};
use zk_tests::starvation::always;

const SESSION: Duration = Duration::from_secs(2);

async fn contender(hosts: &str, root: &str, session: Duration) -> Client {
    let zk = crate::common::builder(hosts)
        .session_timeout(session)
        .connect()
        .await
        .unwrap();
    zk.chroot(root).unwrap()
}

fn contest(kind: &str, zk: &Client, name: &str) -> Contest {
    match kind {
        "lock" => Contest::lock(zk, "/contest", name),
        _ => Contest::election(zk, "/contest", name),
    }
}

/// Holds the lock, or leads, and is stopped. When it continues, it checks and writes before its client's
/// task has read anything: both run on one thread.
async fn hold(orders: &str) {
    let [hosts, root, kind, session] = orders.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{orders}");
    };
    let session = Duration::from_millis(session.parse().unwrap());
    let zk = contender(hosts, root, session).await;
    let guard = contest(kind, &zk, "holder").acquire().await.unwrap();
    guard
        .fenced()
        .set("/ledger", "holder")
        .commit()
        .await
        .unwrap();
    let raw = zk.multi().check(guard.path(), -1).set("/ledger", "late");
    guard.check().unwrap();
    let before = (zk.state(), zk.session());
    child::say(&format!("holds {}", guard.token()));
    child::stop();

    let checked = guard.check();
    child::say(&format!("checks {checked:?}"));
    let fenced = guard.fenced().set("/ledger", "late").commit().await;
    let after = (zk.state(), zk.session());
    child::say(&format!("writes {fenced:?}"));
    // Had it not asked the guard, the ensemble would refuse what it writes.
    let late = raw.commit().await;
    child::say(&format!("writes {late:?}"));

    assert_eq!(after, before, "to the client, all is as it was");
    let refused = fenced.unwrap_err();
    assert!(
        matches!(refused, Error::Lost(GuardLost::OutOfContact)),
        "{refused}"
    );
    assert_eq!(checked, Err(GuardLost::OutOfContact));
    let late = late.unwrap_err();
    let lost = matches!(
        late.kind(),
        ErrorKind::ConnectionLost | ErrorKind::SessionExpired
    );
    assert!(lost || late.kind() == ErrorKind::NoNode, "{late}");
    child::say("has written nothing");
}

/// Whatever became of the rest, a holder that was stopped does neither pass a check nor write.
fn it_holds_no_more(record: &OnceLock<Said>) {
    let said = record.get().map(Said::lines).unwrap_or_default();
    for line in said {
        let succeeds = line.starts_with("checks Ok") || line.starts_with("writes Ok");
        always(!succeeds, format_args!("two hold it: {line}"));
    }
}

/// Finding 3 of the verification programme: with a boolean for a lock, the holder writes.
#[tokio::test(flavor = "current_thread")]
async fn stopped_holder_writes_nothing() {
    let test = "stopped_holder_writes_nothing";
    be_stopped(test, "lock").await;
}

/// Guards: D6.
#[tokio::test(flavor = "current_thread")]
async fn stopped_leader_writes_nothing() {
    let test = "stopped_leader_writes_nothing";
    be_stopped(test, "election").await;
}

async fn be_stopped(test: &'static str, kind: &'static str) {
    if let Some(orders) = child::orders() {
        return hold(&orders).await;
    }
    unless_starved(SESSION, |session| async move {
        let record = Arc::new(OnceLock::new());
        let scene = is_stopped(test, kind, session, record.clone());
        then_always(scene, async || it_holds_no_more(&record)).await;
    })
    .await;
}

async fn is_stopped(test: &str, kind: &str, session: Duration, record: Arc<OnceLock<Said>>) {
    let ensemble = crate::common::ensemble();
    let hosts = ensemble.connect_string();
    let zk = crate::common::client_of(&hosts).await;
    zk.create("/ledger", "").await.unwrap();
    let orders = format!("{hosts} {} {kind} {}", zk.root(), session.as_millis());
    let mut holder = Child::start(module_path!(), test, &orders);
    let token: i64 = holder.receive("holds").await.parse().unwrap();
    holder.stopped().await;
    // Not through a follower that is behind.
    zk.sync("/").await.unwrap();
    let (ledger, _) = zk.get("/ledger").await.unwrap();
    always(ledger == "holder", "the holder has written");

    let other = contender(&hosts, zk.root().as_str(), session).await;
    let next = contest(kind, &other, "successor");
    let guard = soon("what it had", next.acquire()).await.unwrap();
    always(guard.token().get() > token, "the tokens grow");
    guard
        .fenced()
        .set("/ledger", "successor")
        .commit()
        .await
        .unwrap();
    zk.sync("/").await.unwrap();
    let written = zk.get("/ledger").await.unwrap();
    record.set(holder.record()).unwrap();

    holder.go_on();
    holder.receive("has written nothing").await;
    zk.sync("/").await.unwrap();
    let ledger = zk.get("/ledger").await.unwrap();
    always(
        ledger == written,
        format_args!("the holder has written: {ledger:?} after {written:?}"),
    );
    guard.check().unwrap();
    guard.release().await.unwrap();
}
