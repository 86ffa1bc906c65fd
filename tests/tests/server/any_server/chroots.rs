//! Handles with a root of their own, and paths that are made sure of: what is created lies inside,
//! needs no permission where it exists, and a root that does not exist is named.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use crate::common::client;
use zk_client::{Acl, Client, CreateMode, ErrorKind, OpResult, Permissions, digest_id};
use zk_recipes::{Barrier, Layout, Lock, Semaphore};

async fn names(zk: &Client, path: &str) -> Vec<String> {
    let mut names = zk.children(path).await.unwrap().to_vec();
    names.sort_unstable();
    names
}

/// Guards: P32.
#[tokio::test]
async fn numbered_children_of_a_chroot_are_in_it() {
    let zk = client().await;
    let app = zk.chroot("/app").unwrap();
    app.ensure_path("/").await.unwrap();
    let made = app.create("/", "v").sequential().await.unwrap();
    assert_eq!(made.path, "/0000000000");
    let made = app.create("/", "v").sequential().ephemeral().await.unwrap();
    assert_eq!(made.path, "/0000000001");
    let results = app
        .multi()
        .create_mode("/", "v", CreateMode::PersistentSequential)
        .create_as(app.create("/", "v").sequential())
        .commit()
        .await
        .unwrap();
    assert!(matches!(&results[0], OpResult::Created { path, .. } if path == "/0000000002"));
    assert!(matches!(&results[1], OpResult::Created { path, .. } if path == "/0000000003"));
    let made = app.create("/", "v").sequential().parents().await.unwrap();
    assert_eq!(made.path, "/0000000004");
    let made = app.create("/", "v").sequential().protected().await.unwrap();
    assert!(made.path.ends_with("-0000000005"), "{}", made.path);
    assert_eq!(names(&zk, "/").await, ["app"]);
    assert_eq!(names(&zk, "/app").await.len(), 6);
    assert_eq!(app.get("/0000000002").await.unwrap().0, "v");
}

/// Guards: P33.
#[tokio::test]
async fn ensure_path_needs_no_right_if_it_exists() {
    let zk = client().await;
    zk.create("/tenants", "").await.unwrap();
    for path in ["/tenants/a", "/tenants/barrier", "/tenants/s"] {
        zk.create(path, "").await.unwrap();
    }
    zk.create("/tenants/s-__lock__", "").await.unwrap();
    let readable = Acl::new(Permissions::READ, "world", "anyone");
    let admin = Acl::new(Permissions::ALL, "digest", digest_id("admin", "pw"));
    zk.set_acl("/tenants", vec![readable, admin]).await.unwrap();
    zk.ensure_path("/tenants/a").await.unwrap();
    zk.ensure_path("/tenants/a").container().await.unwrap();
    zk.chroot("/tenants/a")
        .unwrap()
        .ensure_path("/")
        .await
        .unwrap();
    zk.create("/tenants/a/b/c", "").parents().await.unwrap();
    Lock::new(&zk, "/tenants/a")
        .acquire()
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
    Barrier::new(&zk, "/tenants/barrier").close().await.unwrap();
    let kazoo = Semaphore::new(&zk, "/tenants/s", 1).layout(Layout::Kazoo);
    kazoo.acquire().await.unwrap().release().await.unwrap();
    for error in [
        zk.ensure_path("/tenants/new").await.unwrap_err(),
        zk.create("/tenants/new/a", "").parents().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NoAuth, "{error}");
    }
    assert!(Barrier::new(&zk, "/tenants/new").close().await.is_err());
}

/// Guards: P38.
#[tokio::test]
async fn a_chroot_that_does_not_exist_is_named() {
    let zk = client().await;
    let none = zk.chroot("/none").unwrap();
    let root = none.root().to_string();
    for error in [
        none.children("/").await.map(drop).unwrap_err(),
        none.get("/").await.map(drop).unwrap_err(),
        none.create("/x", "").await.map(drop).unwrap_err(),
        none.create("/", "")
            .sequential()
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NoNode);
        let named = format!("the client's chroot {root} does not exist");
        assert!(error.to_string().contains(&named), "{error}");
    }
    // A path inside may be missing by itself.
    let error = none.get("/x/y").await.unwrap_err().to_string();
    let expected = format!("getData /x/y: the znode does not exist in the chroot {root}");
    assert_eq!(error, expected);
    assert_eq!(none.create("/y", "1").parents().await.unwrap().path, "/y");
    let next = zk.chroot("/next/one").unwrap();
    assert_eq!(
        next.create("/y/z", "1").parents().await.unwrap().path,
        "/y/z"
    );
}
