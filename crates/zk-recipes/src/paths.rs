//! Checks of paths, before a recipe sends anything.

use zk_client::{Client, Error, Result, path};

/// Checks the path of a recipe that only reads.
pub(crate) fn check(path: &str) -> Result<()> {
    path::validate(path).map_err(|error| Error::invalid_path(error.to_string()))
}

/// Checks the path of a recipe that creates and deletes znodes at or below it. Refuses the root of the
/// ensemble, which cannot be deleted and whose children belong to all programs. The root of a chroot
/// is a znode like any other.
pub(crate) fn check_own(client: &Client, path: &str) -> Result<()> {
    check(path)?;
    if path == "/" && client.root().is_none() {
        return Err(Error::invalid_path(
            "invalid path \"/\": a recipe that creates and deletes a znode needs one of its own, and \
             this is the root of the ensemble",
        ));
    }
    Ok(())
}
