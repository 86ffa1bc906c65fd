//! The lock of a session file.

use std::fs::{File, OpenOptions};
use std::path::Path;

use super::file_access::{CHECK_DIRECTORY, failure, never_follow, with_suffix};
use crate::error::Result;

/// Excludes other processes from the session file, until it is dropped or the process ends. Not the file
/// itself is locked, as each write replaces it.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn take(path: &Path) -> Result<Self> {
        let beside = with_suffix(path, ".lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        never_follow(&mut options);
        let file = options.open(&beside).map_err(|error| {
            failure(path, "cannot be locked", CHECK_DIRECTORY).with_source(error)
        })?;
        lock(path, &file)?;
        Ok(FileLock { _file: file })
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn lock(path: &Path, file: &File) -> Result<()> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::{Errno, retry_on_intr};

    match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(failure(
            path,
            "is in use by another client, of this process or of another",
            "wait for its end, or give each client a file of its own: one session cannot have two \
             clients",
        )),
        Err(error) if has_no_locks(error) => {
            tracing::warn!(
                %error, path = %path.display(),
                "the session file cannot be locked; another process with the same file would take the \
                 session"
            );
            Ok(())
        }
        Err(error) => {
            let cause = std::io::Error::from(error);
            Err(failure(path, "cannot be locked", CHECK_DIRECTORY).with_source(cause))
        }
    }
}

/// Whether the error says that the file system has no locks, as some network file systems.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn has_no_locks(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;

    let errors = [
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::NOLCK,
        Errno::INVAL,
    ];
    errors.contains(&error)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn lock(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

#[cfg(all(
    test,
    any(target_os = "linux", target_os = "android", target_vendor = "apple")
))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn only_a_missing_lock_call_is_tolerated() {
        for error in [Errno::NOTSUP, Errno::NOSYS, Errno::NOLCK, Errno::INVAL] {
            assert!(has_no_locks(error), "{error}");
        }
        for error in [Errno::INTR, Errno::ACCESS, Errno::IO, Errno::BADF] {
            assert!(!has_no_locks(error), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_lock_that_fails_is_an_error() {
        use rustix::fs::{Mode, OFlags, open};

        // A descriptor that has no lock.
        let opened = open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let error = lock(Path::new("/a/session"), &File::from(opened)).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::SessionFile);
        assert!(error.to_string().contains("cannot be locked"), "{error}");
    }
}
