//! Semaphores whose znodes have an ACL that refuses them. Some servers do not check all permissions.

use super::common::{self, LAYOUTS, memory, soon};
use zk_client::{Acl, ErrorCode, ErrorKind, Permissions};
use zk_embedded::fault::{Action, on};
use zk_recipes::{Layout, Semaphore};

fn leases(layout: Layout) -> &'static str {
    match layout {
        Layout::Kazoo => "/s",
        _ => "/s/leases",
    }
}

#[tokio::test(start_paused = true)]
async fn leases_that_are_refused_are_an_error() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let semaphore = Semaphore::new(&zk, "/s", 1).layout(layout);
        drop(semaphore.acquire().await.unwrap());
        memory.until_names(leases(layout), 0).await;
        for allowed in [Permissions::READ, Permissions::CREATE] {
            let admin = allowed | Permissions::DELETE | Permissions::ADMIN;
            let acl = Acl::new(admin, "world", "anyone");
            zk.set_acl(leases(layout), [acl]).await.unwrap();
            let refused = soon("the error", semaphore.acquire()).await;
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::NoAuth), "{layout:?}");
            memory.until_names(leases(layout), 0).await;
        }
    }
}

/// In kazoo's layout the number of leases is stored in the semaphore's znode.
#[tokio::test(start_paused = true)]
async fn a_count_that_is_not_stored_is_an_error() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/closed", "").await.unwrap();
    let acl = Acl::new(Permissions::READ, "world", "anyone");
    zk.set_acl("/closed", [acl]).await.unwrap();
    let closed = Semaphore::new(&zk, "/closed/s", 1).layout(Layout::Kazoo);
    let refused = soon("the error", closed.acquire()).await;
    assert_eq!(refused.unwrap_err().kind(), Some(ErrorKind::NoAuth));
    // One that was deleted after it was found.
    let exists = Action::Refuse(ErrorCode::NodeExists);
    let found = on(common::create_op()).path(common::at("/s"));
    memory.server.faults().rule(found.then(exists));
    let semaphore = Semaphore::new(&zk, "/s", 1).layout(Layout::Kazoo);
    let lease = soon("the lease", semaphore.acquire()).await.unwrap();
    assert_eq!(memory.server.faults().pending(), 0);
    assert_eq!(zk.get("/s").await.unwrap().0, "1");
    lease.release().await.unwrap();
}
