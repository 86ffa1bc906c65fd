//! The size of a tree, for its progress.

use zk_client::Client;

use crate::output::progress::Progress;

/// The number of znodes of a tree, to draw a bar; `None` if nothing is drawn, or if the server cannot count.
pub(super) async fn total(client: &Client, root: &str) -> Option<u64> {
    if !Progress::is_shown() {
        return None;
    }
    let below = client.count(root).await.ok()?;
    Some(u64::from(below) + 1)
}
