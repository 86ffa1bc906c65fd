//! The examples, each against an embedded server. `secure` needs certificates, and runs in the tests of
//! the workspace.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod common;

use common::connect;

macro_rules! examples {
    ($($name:ident $file:literal;)*) => {$(
        #[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
        #[path = $file]
        mod $name;
    )*};
}

examples! {
    sessions "../examples/sessions.rs";
    transactions "../examples/transactions.rs";
    watches "../examples/watches.rs";
    znodes "../examples/znodes.rs";
}

#[cfg(feature = "blocking")]
#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../examples/blocking.rs"]
mod blocking;

#[tokio::test]
async fn each_example_leaves_nothing() {
    let (server, zk) = connect().await;
    let hosts = server.connect_string();
    // Twice, as users do.
    for _ in 0..2 {
        znodes::change(&format!("{hosts}/app")).await.unwrap();
        watches::follow(&hosts).await.unwrap();
        transactions::transact(&hosts).await.unwrap();
        sessions::hand_over(&hosts).await.unwrap();
    }
    let mut names = zk.children("/").await.unwrap().to_vec();
    names.sort_unstable();
    assert_eq!(names, ["app", "zookeeper"]);
    assert!(zk.children("/app").await.unwrap().is_empty());
    assert_eq!(server.sessions().len(), 1);
}

#[cfg(feature = "blocking")]
#[tokio::test]
async fn the_blocking_example_runs() {
    let (server, zk) = connect().await;
    let hosts = server.connect_string();
    let ran = tokio::task::spawn_blocking(move || blocking::run(&hosts));
    ran.await.unwrap().unwrap();
    assert_eq!(zk.exists("/demo").await.unwrap(), None);
}
