//! A session file on the disk. Everything here blocks.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file_access::{CHECK_DIRECTORY, failure, never_follow, with_suffix};
use super::file_lock::FileLock;
use super::record::Record;
use crate::error::{Error, Result};

/// A record is shorter, unless the list of servers is very long.
const LONGEST: u64 = 64 * 1024;

/// A session file, which this process has for itself.
#[derive(Debug)]
pub(super) struct SessionFile {
    path: PathBuf,
    /// Held while the file is written or deleted, however long the disk takes.
    pub(super) disk: Mutex<()>,
    /// `None` once this process has left the file. A write has a clone until it is done: the file is left
    /// at once, and other processes are excluded until the write ends. Never held during I/O.
    lock: Mutex<Option<Arc<FileLock>>>,
}

impl SessionFile {
    /// Takes the file for this process, whether it exists or not.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.file_name().is_none() {
            return Err(failure(
                path,
                "is no path of a file",
                "give the path of a file",
            ));
        }
        // Each path has its own lock, so the file could have two.
        if fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink()) {
            return Err(failure(
                path,
                "is a symbolic link",
                "give the path of the file itself",
            ));
        }
        Ok(SessionFile {
            path: path.to_owned(),
            disk: Mutex::new(()),
            lock: Mutex::new(Some(Arc::new(FileLock::take(path)?))),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The session in the file, if there is one.
    pub(super) fn read(&self) -> Result<Option<Record>> {
        let mut options = OpenOptions::new();
        options.read(true);
        never_follow(&mut options);
        let file = match options.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failure("cannot be read", error)),
        };
        let data = (file.metadata()).map_err(|error| self.failure("cannot be read", error))?;
        require_private(&self.path, &data, user())?;
        let mut text = String::new();
        (file.take(LONGEST))
            .read_to_string(&mut text)
            .map_err(|error| self.failure("cannot be read", error))?;
        Record::parse(&text).map_err(|error| {
            let what = format!("has no session: {error}");
            failure(
                &self.path,
                &what,
                "name another file, or delete this one for a new session",
            )
        })
    }

    /// Replaces the contents of the file as a whole. Does nothing once the file was left.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        let _disk = acquired(&self.disk);
        let Some(_lock) = self.held() else {
            return Ok(());
        };
        let written = self.replace(record.to_text().as_bytes());
        written.map_err(|error| self.failure("cannot be written", error))
    }

    fn replace(&self, contents: &[u8]) -> io::Result<()> {
        let new = with_suffix(&self.path, ".new");
        // One that a crash has left. The lock says that it is no other process's.
        remove(&new)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        let written = (file.write_all(contents))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            // The first error is reported.
            let _ = remove(&new);
        }
        written?;
        self.sync_directory()
    }

    /// Deletes the file and leaves it: its session has ended.
    pub(super) fn remove(&self) -> Result<()> {
        let _disk = acquired(&self.disk);
        // Until the end of this function, as another process could write the file before it is deleted.
        let Some(_lock) = acquired(&self.lock).take() else {
            return Ok(());
        };
        (remove(&self.path).and_then(|()| self.sync_directory()))
            .map_err(|error| self.failure("cannot be deleted", error))
    }

    /// Leaves the file, with its contents, to another process, once a write that is under way has ended.
    /// Does not wait for that, nor for the disk.
    pub(super) fn leave(&self) {
        *acquired(&self.lock) = None;
    }

    /// What excludes other processes, unless the file was left.
    fn held(&self) -> Option<Arc<FileLock>> {
        acquired(&self.lock).clone()
    }

    /// A rename or a deletion is on the disk when its directory is.
    fn sync_directory(&self) -> io::Result<()> {
        match cfg!(unix) {
            true => File::open(directory(&self.path))?.sync_all(),
            false => Ok(()),
        }
    }

    fn failure(&self, what: &str, cause: io::Error) -> Error {
        failure(&self.path, what, CHECK_DIRECTORY).with_source(cause)
    }
}

/// Neither mutex guards anything that a panic could leave half done.
fn acquired<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The user as which this process opens files, where that is known.
fn user() -> Option<u32> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    return Some(rustix::process::geteuid().as_raw());
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    None
}

/// Refuses what is no file, a file of another user than `user`, and one that other users can read or
/// write: they could have the session, or could have this program resume one of theirs.
fn require_private(path: &Path, data: &Metadata, user: Option<u32>) -> Result<()> {
    if !data.is_file() {
        let what = "is no regular file";
        return Err(failure(path, what, "give the path of a file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let owner = data.uid();
        if let Some(user) = user
            && user != owner
        {
            let what =
                format!("belongs to the user {owner}, and this process runs as the user {user}");
            let advice = "delete it, as its session may be known to others, or `chown` it";
            return Err(failure(path, &what, advice));
        }
        let mode = data.mode() & 0o7777;
        if mode & 0o077 != 0 {
            let what = format!("is accessible to other users: its mode is {mode:03o}");
            let advice = "delete it, as its session may be known to others, or `chmod 600` it";
            return Err(failure(path, &what, advice));
        }
    }
    // Elsewhere, access is that of the directory.
    let _ = user;
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(
    clippy::unwrap_used,
    reason = "the lints allow this in tests, but not in the helpers of tests"
)]
pub(super) mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use zk_proto::SessionId;

    use super::*;
    use crate::error::ErrorKind;
    use crate::session::token::SessionToken;

    /// A directory of a test's own, which is deleted with it.
    pub(in crate::session_store) struct Directory(PathBuf);

    impl Directory {
        pub(in crate::session_store) fn new() -> Self {
            let name = crate::Guid::random().hex();
            let path = std::env::temp_dir().join(format!("zk-session-{name}"));
            fs::create_dir(&path).unwrap();
            Directory(path)
        }

        pub(in crate::session_store) fn file(&self) -> PathBuf {
            self.0.join("session")
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
            names.sort_unstable();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn record(id: i64) -> Record {
        Record {
            token: SessionToken::new(SessionId(id), [0xcd; 16]),
            target: "zk1:2181/app".parse().unwrap(),
        }
    }

    #[test]
    fn a_session_file_is_private_and_whole() {
        let directory = Directory::new();
        let file = SessionFile::open(&directory.file()).unwrap();
        assert_eq!(file.read().unwrap(), None);
        for id in 1..=3 {
            file.write(&record(id)).unwrap();
            assert_eq!(file.read().unwrap(), Some(record(id)));
        }
        // A write of an earlier process was cut off.
        fs::write(with_suffix(&directory.file(), ".new"), "zk-ses").unwrap();
        file.write(&record(4)).unwrap();
        assert_eq!(file.read().unwrap(), Some(record(4)));
        assert_eq!(directory.names(), ["session", "session.lock"]);
        for name in directory.names() {
            let mode = fs::metadata(directory.0.join(&name)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        file.remove().unwrap();
        assert_eq!(directory.names(), ["session.lock"]);
    }

    #[test]
    fn a_file_is_not_written_after_it_was_left() {
        let directory = Directory::new();
        let first = SessionFile::open(&directory.file()).unwrap();
        first.write(&record(1)).unwrap();
        first.leave();
        first.write(&record(2)).unwrap();
        first.remove().unwrap();
        assert_eq!(first.read().unwrap(), Some(record(1)));
    }

    /// A slow disk does not delay the threads of the runtime.
    #[test]
    fn a_file_is_left_while_it_is_written() {
        let directory = Directory::new();
        let first = SessionFile::open(&directory.file()).unwrap();
        // What a write has.
        let (disk, lock) = (acquired(&first.disk), first.held().unwrap());
        first.leave();
        let error = SessionFile::open(&directory.file()).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        drop((disk, lock));
        SessionFile::open(&directory.file()).unwrap();
    }

    #[test]
    fn a_second_user_of_a_file_is_refused() {
        let directory = Directory::new();
        let first = SessionFile::open(&directory.file()).unwrap();
        let error = SessionFile::open(&directory.file()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionFile);
        assert!(error.to_string().contains("in use"), "{error}");
        first.leave();
        let second = SessionFile::open(&directory.file()).unwrap();
        second.write(&record(1)).unwrap();
        drop(second);
        SessionFile::open(&directory.file()).unwrap();
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = Directory::new();
        let file = SessionFile::open(&directory.file()).unwrap();
        file.write(&record(1)).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(directory.file(), permissions).unwrap();
            let error = file.read().unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!("{mode:o}")) && text.contains("chmod"),
                "{text}"
            );
        }
        // A write makes it private.
        file.write(&record(2)).unwrap();
        assert_eq!(file.read().unwrap(), Some(record(2)));
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let directory = Directory::new();
        let file = SessionFile::open(&directory.file()).unwrap();
        file.write(&record(1)).unwrap();
        let data = fs::metadata(directory.file()).unwrap();
        require_private(file.path(), &data, Some(data.uid())).unwrap();
        let other = data.uid() + 7;
        let error = require_private(file.path(), &data, Some(other)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionFile);
        let text = error.to_string();
        assert!(
            text.contains(&other.to_string()) && text.contains("chown"),
            "{text}"
        );
    }

    /// Its lock would not be that of the file.
    #[test]
    fn a_link_is_no_session_file() {
        let directory = Directory::new();
        let target = directory.0.join("target");
        SessionFile::open(&target)
            .unwrap()
            .write(&record(1))
            .unwrap();
        let file = SessionFile::open(&directory.file()).unwrap();
        std::os::unix::fs::symlink(&target, directory.file()).unwrap();
        let error = file.read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionFile);
        drop(file);
        let error = SessionFile::open(&directory.file()).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        // One whose target is missing.
        fs::remove_file(&target).unwrap();
        assert!(SessionFile::open(&directory.file()).is_err());
        // The lock may not be a link, either.
        let file = directory.0.join("other");
        std::os::unix::fs::symlink(&target, with_suffix(&file, ".lock")).unwrap();
        assert!(SessionFile::open(&file).is_err());
    }

    /// To open one for reading would wait for a writer.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_fifo_is_no_session_file() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let directory = Directory::new();
        let file = SessionFile::open(&directory.file()).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, directory.file(), FileType::Fifo, mode, 0).unwrap();
        let error = file.read().unwrap_err();
        assert!(error.to_string().contains("regular file"), "{error}");
    }

    #[test]
    fn an_unusable_file_is_an_error() {
        let directory = Directory::new();
        let file = SessionFile::open(&directory.file()).unwrap();
        fs::write(directory.file(), "tickTime=2000").unwrap();
        fs::set_permissions(directory.file(), fs::Permissions::from_mode(0o600)).unwrap();
        let text = file.read().unwrap_err().to_string();
        assert!(
            text.contains("session") && !text.contains("tickTime"),
            "{text}"
        );
        let missing = directory.0.join("missing/session");
        let error = SessionFile::open(&missing).unwrap_err();
        assert!(error.to_string().contains("missing/session"), "{error}");
        assert!(SessionFile::open(Path::new("/")).is_err());
    }
}
