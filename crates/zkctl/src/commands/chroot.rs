//! The check that the chroot exists.

use zk_client::Client;

/// Fails if the chroot does not exist. For commands that create znodes of their own, and the chroot with
/// them: its path may be misspelt.
pub(crate) async fn check_root(client: &Client) -> zk_client::Result<()> {
    if client.exists("/").await?.is_none() {
        // Unlike `exists`, `children` fails, with an error that names the chroot.
        client.children("/").await?;
    }
    Ok(())
}
