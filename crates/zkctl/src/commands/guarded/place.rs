//! The place of `lock` and `elect` in the queue, which outlives a crash of zkctl: `--session-file`.
//!
//! The file has the session, as `SessionStore` writes it. A second one beside it, `FILE.place`, says which
//! lock the place is of, and has the id in the name of its znode. It is locked as long as a command under the
//! lock may run: by zkctl, and by the watchdog, which after a crash of zkctl ends the command. The command begins
//! after the watchdog knows it, and zkctl ends the command if the watchdog ends. So the next zkctl does not start
//! the command a second time before the first has ended, unless the watchdog and zkctl are killed at the same time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::{Errno, retry_on_intr};
use zk_client::{Guid, SessionStore};

use crate::cli::Command;
use crate::cli::guarded::Guarded;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

/// The files of `--session-file`, which no other process has.
pub(crate) struct Place {
    session: PathBuf,
    file: File,
    /// What the second file says: the lock, and the id.
    contest: String,
    store: Option<SessionStore>,
    id: Guid,
}

impl Place {
    /// Takes the files that the command names, if it does. Blocks for a few system calls.
    pub(crate) fn open(command: &Command) -> Result<Option<Self>, Failure> {
        let (kind, args) = match command {
            Command::Lock(lock) if lock.leases.is_some() => ("lock -n", &lock.guarded),
            Command::Lock(lock) => ("lock", &lock.guarded),
            Command::Elect(elect) => ("elect", &elect.guarded),
            _ => return Ok(None),
        };
        let Some(session) = &args.session_file else {
            return Ok(None);
        };
        let store = SessionStore::open(session)?;
        let file = second_file(session).map_err(|error| unusable(session, error))?;
        Ok(Some(Place {
            session: session.clone(),
            file,
            contest: contest(kind, args),
            store: Some(store),
            id: Guid::random(),
        }))
    }

    /// Waits until the command of an earlier zkctl has ended, and reads the id of its place.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the files as they are.
    pub(crate) async fn enter(&mut self, notices: &Notices) -> Result<(), Failure> {
        let session = self.session.clone();
        let unusable = |error| unusable(&session, error);
        match retry_on_intr(|| flock(&self.file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                notices.say("waiting for the end of the command that an earlier zkctl has started");
                let file = self.file.try_clone().map_err(unusable)?;
                let waiting = tokio::task::spawn_blocking(move || {
                    retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
                });
                let taken = waiting.await.map_err(io::Error::other);
                taken
                    .and_then(|taken| taken.map_err(io::Error::from))
                    .map_err(unusable)?;
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let mut text = String::new();
        self.file.read_to_string(&mut text).map_err(unusable)?;
        let has_session = std::fs::metadata(&self.session).is_ok_and(|file| file.len() > 0);
        match entry(&text) {
            Some((contest, id)) if contest == self.contest => self.id = id,
            // The session in the file would keep the other place, which no program would give up.
            Some((contest, _)) if has_session => {
                return Err(Failure::Usage(format!(
                    "--session-file: {} has the session of `zkctl {}`, and this is `zkctl {}`; give each lock a \
                     file of its own",
                    self.session.display(),
                    visible_line(contest),
                    visible_line(&self.contest),
                )));
            }
            _ => self.write().map_err(unusable)?,
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let text = format!("{} {}\n", self.id, self.contest);
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()
    }

    /// The file of the session, the first time.
    pub(crate) fn take_store(&mut self) -> Option<SessionStore> {
        self.store.take()
    }

    /// What is in the name of the contender's znode.
    pub(crate) fn id(&self) -> Guid {
        self.id
    }

    /// The locked file, for the watchdog.
    pub(crate) fn lock(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(crate) fn session_file(&self) -> &Path {
        &self.session
    }
}

/// What is contended for. Names of another layout are not those of the earlier znode.
fn contest(kind: &str, args: &Guarded) -> String {
    let layout = args.layout.option();
    format!("{kind} --layout {layout} {}", args.path)
}

/// What the second file says; `None` if its writer was ended before it had written all of it, and so before
/// it had a place.
fn entry(text: &str) -> Option<(&str, Guid)> {
    let (id, contest) = text.strip_suffix('\n')?.split_once(' ')?;
    Some((contest, id.parse().ok()?))
}

fn second_file(session: &Path) -> io::Result<File> {
    let mut name = session.as_os_str().to_owned();
    name.push(".place");
    let follow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(follow)
        .open(name)
}

fn unusable(session: &Path, error: io::Error) -> Failure {
    let session = session.display();
    Failure::io(
        &format!("use {session}.place, the file beside --session-file"),
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_an_entry_is_none() {
        let id = Guid::random();
        let whole = format!("{id} lock --layout default /a b\n");
        assert_eq!(entry(&whole), Some(("lock --layout default /a b", id)));
        for length in 0..whole.len() {
            assert_eq!(entry(&whole[..length]), None, "{length}");
        }
    }
}
