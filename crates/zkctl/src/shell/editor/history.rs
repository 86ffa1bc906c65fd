//! The file with the lines of earlier shells.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use reedline::{
    FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, Result, SearchQuery,
};

use super::secrets::may_hold_secret;
use crate::cli::environment::variable;

const CAPACITY: usize = 1000;

/// A history that leaves out lines with secrets.
pub(super) struct Kept(FileBackedHistory);

impl Kept {
    /// The history in a file that only this user can read.
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        if let Some(dir) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(file)?;
        let mut permissions = opened.metadata()?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(0o600);
            opened.set_permissions(permissions)?;
        }
        FileBackedHistory::with_file(CAPACITY, file.to_owned())
            .map(Kept)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// A history without a file.
    pub(super) fn in_memory() -> Self {
        Kept(FileBackedHistory::default())
    }
}

/// Where the history is: in the directory of the XDG specification for such files.
pub(super) fn file() -> Option<PathBuf> {
    let absolute = |name| {
        let path = variable(name).ok().flatten().map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let dir =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(dir.join("zkctl/history"))
}

impl History for Kept {
    fn save(&mut self, mut item: HistoryItem) -> Result<HistoryItem> {
        if may_hold_secret(&item.command_line) {
            item.id = None;
            return Ok(item);
        }
        self.0.save(item)
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}
