//! How a session file and those beside it are named and opened, and the errors about them.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Outcome};

/// What to do about a file that cannot be used.
pub(super) const CHECK_DIRECTORY: &str = "check the directory and its permissions";

/// An error about a session file.
pub(super) fn failure(path: &Path, what: &str, advice: &str) -> Error {
    Error::new(ErrorKind::SessionFile, Outcome::NotSent).with_detail(format!(
        "the session file {} {what}; {advice}",
        path.display()
    ))
}

/// The path of a file beside the session file.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Has no link followed, and no wait for the other end of a FIFO.
pub(super) fn never_follow(options: &mut OpenOptions) {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
    }
    // Elsewhere the check of the path is the only one.
    let _ = options;
}
