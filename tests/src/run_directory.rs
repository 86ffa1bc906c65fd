//! The directory all servers of this process live in, and the janitor that removes it.
//!
//! Destructors do not run when a test binary aborts, is interrupted or is killed, and never for
//! statics. So the first server started in a process also starts a janitor: a shell in a process
//! group of its own that waits for the end of a pipe whose other end only this process holds. The
//! kernel closes that end whichever way the process dies; then the janitor kills the servers it
//! finds pid files of and removes the directory.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// The name of the file, in a server's directory, that holds its process id.
pub(crate) const PID_FILE: &str = "pid";

// $1 is the directory, $2 is "keep" or "remove". A process that has a pid from a pid file but not
// the directory on its command line is another program that got the number later.
const JANITOR: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for file in "$1"/*/*/pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    if [ -d /proc/self ]; then
        grep -qF -- "$1" "/proc/$pid/cmdline" 2>/dev/null || continue
    fi
    kill -KILL "$pid" 2>/dev/null
done
[ "$2" = keep ] && exit
# A dying server may still add a file behind rm's back.
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

struct RunDirectory {
    path: PathBuf,
    // Holds the writing end of the janitor's pipe.
    _janitor: Child,
}

static RUN_DIRECTORY: Mutex<Option<RunDirectory>> = Mutex::new(None);

/// Whether `ZK_TESTS_KEEP` is set, so that directories are kept for a look afterwards.
#[must_use]
pub fn keep_requested() -> bool {
    std::env::var_os("ZK_TESTS_KEEP").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A directory of one [`Standalone`](crate::Standalone) or [`Ensemble`](crate::Ensemble), removed
/// when dropped.
#[derive(Debug)]
pub struct ServerDirectory {
    path: PathBuf,
}

impl ServerDirectory {
    /// Makes a new, empty directory.
    ///
    /// # Errors
    ///
    /// If the temporary directory cannot be written to, or there is no `sh` for the janitor.
    pub fn create(kind: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = run_directory()?.join(format!("{kind}-{number}"));
        fs::create_dir(&path)
            .map_err(|source| Error::io(format!("create {}", path.display()), source))?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ServerDirectory {
    fn drop(&mut self) {
        if !keep_requested() {
            // What cannot be removed now the janitor tries again.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn run_directory() -> Result<PathBuf> {
    let mut slot = RUN_DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(existing) = &*slot {
        return Ok(existing.path.clone());
    }
    let path = create_unique().map_err(|source| Error::io("create a directory", source))?;
    let janitor = Command::new("sh")
        .args(["-c", JANITOR, "zk-tests-janitor"])
        .arg(&path)
        .arg(if keep_requested() { "keep" } else { "remove" })
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| Error::io("start a shell to clean up later", source))?;
    *slot = Some(RunDirectory {
        path: path.clone(),
        _janitor: janitor,
    });
    Ok(path)
}

fn create_unique() -> io::Result<PathBuf> {
    let parent = std::env::temp_dir().canonicalize()?;
    loop {
        // A clock before 1970 only makes the name less telling.
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_nanos());
        let path = parent.join(format!("zk-tests-{}-{nanos}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_distinct_and_removed() {
        let first = ServerDirectory::create("test").unwrap();
        let second = ServerDirectory::create("test").unwrap();
        assert_ne!(first.path(), second.path());
        let path = first.path().to_owned();
        fs::write(path.join("file"), b"x").unwrap();
        drop(first);
        assert_eq!(path.exists(), keep_requested());
        assert!(second.path().is_dir());
    }
}
