//! Trees of znodes, also for the end-to-end tests.

use zk_client::Client;

/// `/a` with so many children, and so many below each.
pub(crate) async fn fill(zk: &Client, children: usize, below: usize) {
    zk.create("/a", "").await.unwrap();
    let mut replies = Vec::new();
    for child in 0..children {
        replies.push(zk.create(&format!("/a/{child}"), "").submit());
        for leaf in 0..below {
            replies.push(zk.create(&format!("/a/{child}/{leaf}"), "").submit());
        }
    }
    for reply in replies {
        reply.await.unwrap();
    }
}
