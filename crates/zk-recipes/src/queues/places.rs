//! What the handles, puts and claims of one queue share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use zk_client::{Client, Error, path};

use super::layout::{Directories, QueueLayout};
use super::stock::Stock;
use crate::error::Result;
use crate::paths::check_own;

/// A queue, and the options of this handle of it.
#[derive(Debug)]
pub(crate) struct Places {
    /// Without a deadline: a take waits as long as it has to.
    pub(crate) client: Client,
    pub(crate) path: String,
    pub(crate) layout: QueueLayout,
    /// Of the layout, with the lock path for the claims if there is one.
    pub(crate) directories: Directories,
    lock_path: Option<String>,
    pub(crate) max_items: Option<u32>,
    pub(crate) max_deliveries: Option<u32>,
    stock: Mutex<Stock>,
}

impl Clone for Places {
    /// With a stock of its own.
    fn clone(&self) -> Self {
        Places {
            client: self.client.clone(),
            path: self.path.clone(),
            directories: self.directories.clone(),
            lock_path: self.lock_path.clone(),
            stock: Mutex::default(),
            ..*self
        }
    }
}

impl Places {
    pub(crate) fn new(client: &Client, path: &str) -> Self {
        let layout = QueueLayout::default();
        Places {
            client: client.with_deadline(None),
            path: path.to_owned(),
            layout,
            directories: layout.directories(path),
            lock_path: None,
            max_items: None,
            max_deliveries: None,
            stock: Mutex::default(),
        }
    }

    pub(crate) fn set_layout(&mut self, layout: QueueLayout) {
        self.layout = layout;
        self.directories = layout.directories(&self.path);
        if let Some(path) = &self.lock_path {
            self.directories.claims.clone_from(path);
        }
    }

    pub(crate) fn set_lock_path(&mut self, path: &str) {
        self.lock_path = Some(path.to_owned());
        path.clone_into(&mut self.directories.claims);
    }

    pub(crate) fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses an invalid path, and the root, beside which there is no place for the claims.
    pub(crate) fn check_path(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        match self.path == "/" {
            true => Err(Error::invalid_path(
                "invalid path \"/\": a queue needs a znode of its own below the root",
            )
            .into()),
            false => Ok(()),
        }
    }

    /// Creates the directories of the items, the claims and the puts.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let Directories {
            entries,
            claims,
            puts,
            ..
        } = &self.directories;
        for directory in [entries, claims, puts] {
            self.client.ensure_path(directory).await?;
        }
        Ok(())
    }

    pub(crate) fn item(&self, name: &str) -> String {
        path::join(&self.directories.entries, name)
    }

    pub(crate) fn claim(&self, name: &str) -> String {
        path::join(&self.directories.claims, name)
    }
}
