//! The file of a session, before a client has it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use zk_proto::{ConnectTarget, Zxid};

use super::blocking::blocking;
use super::file::SessionFile;
use super::record::Record;
use super::restored::Restored;
use crate::error::Result;
use crate::session::token::SessionToken;

/// A file with the client's session, by which a program continues its session after a crash: its
/// ephemeral znodes stay, and with them its place in the queue of a lock.
///
/// ```no_run
/// # async fn run() -> zk_client::Result<()> {
/// use zk_client::{Client, Restored, SessionStore};
///
/// let store = SessionStore::open("/var/lib/app/session")?;
/// let (zk, restored) = Client::builder("zk1:2181,zk2:2181/app").restore(store).await?;
/// match restored {
///     Restored::Resumed => println!("the ephemeral znodes of the last run are still there"),
///     other => println!("a new session: {other}"),
/// }
/// # Ok(()) }
/// ```
///
/// # The file
///
/// It contains the session's id, password and timeout, and the connect string, whose servers and chroot
/// identify the ensemble. It is written when a session is established or resumed,
/// before [`restore`](crate::ClientBuilder::restore) returns and then with each change of the session,
/// in milliseconds after [`State::Connected`](crate::State::Connected) is delivered; a program that
/// crashes before that leaves the new session to its timeout. It is deleted when
/// [`Client::close`](crate::Client::close) has ended the session, and stays after
/// [`Client::detach`](crate::Client::detach).
///
/// A write is atomic: another file, `<path>.new`, is written, flushed to the disk and renamed, and the
/// directory is flushed. All of it runs on the runtime's threads for blocking calls, so a slow disk
/// delays no request. A write that fails is logged as a warning and repeated; only the first is an
/// error, of `restore`.
///
/// The file is created with the mode 0600. One that belongs to another user, or that other users can read
/// or write, is refused, and so are a symbolic link and a file that contains anything but a session. The
/// directory should belong to the program's user. An empty file counts as missing.
///
/// # Two processes
///
/// A client locks `<path>.lock`, which stays, until it is closed or its process ends, and another one
/// with the same file is refused ([`ErrorKind::SessionFile`](crate::ErrorKind::SessionFile)). With copies of the file, or on a network
/// file system without locks, the ensemble gives the session to the client that was last to connect,
/// and closes the connection of the other, which connects again and takes the session back: both are
/// disconnected repeatedly.
///
/// On systems other than Linux, Android and Apple's there is no lock and the owner is not checked, and on
/// Windows neither modes nor a flush of the directory: there the directory's permissions protect the file,
/// and a program should be started once.
pub struct SessionStore {
    pub(super) file: Arc<SessionFile>,
}

impl SessionStore {
    /// Takes the session file at `path` for this process. The file need not exist, but its directory.
    /// Blocks for a few system calls.
    ///
    /// # Errors
    /// [`ErrorKind::SessionFile`](crate::ErrorKind::SessionFile): another client has the file, it cannot be
    /// locked, or the path is a symbolic link.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = Arc::new(SessionFile::open(path.as_ref())?);
        Ok(SessionStore { file })
    }

    /// The path of the file, as given.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What the file contains.
    pub(crate) async fn read(&self) -> Result<Option<SavedSession>> {
        let file = self.file.clone();
        let record = blocking(move || file.read()).await?;
        Ok(record.map(|record| SavedSession { record }))
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("path", &self.path())
            .finish()
    }
}

/// What was in a session file.
pub(crate) struct SavedSession {
    record: Record,
}

impl SavedSession {
    /// The token, if this ensemble may have the session; otherwise what the file says.
    pub(crate) fn for_target(self, target: &ConnectTarget) -> Result<SessionToken, Restored> {
        match self.record.is_for(target) {
            // Servers close the connection of a client that has seen a later transaction than they have,
            // and do not say whether the session has ended. So a client with the zxid of the file could
            // not connect to an ensemble that was restored from a backup, neither with this session nor
            // for a new one.
            true => Ok(SessionToken {
                last_zxid: Zxid::ZERO,
                ..self.record.token
            }),
            false => Err(Restored::Foreign {
                session: self.record.token.session(),
                ensemble: self.record.target.to_string(),
            }),
        }
    }
}
