//! Where the password of a login comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "io")]
use tokio::{runtime::Handle, sync::Semaphore};
use zeroize::Zeroizing;

use super::mechanism::SaslError;

/// A function that returns a password.
type Callback = dyn Fn() -> Result<String, SaslError> + Send + Sync;

/// A password in memory.
type Secret = Arc<Zeroizing<String>>;

/// Where the password of a login comes from.
#[derive(Clone)]
pub(super) enum Password {
    Given(Secret),
    File(PasswordFile),
    Callback(Arc<Callback>),
}

/// A file whose first line is the password.
#[derive(Clone)]
pub(super) struct PasswordFile {
    path: PathBuf,
    /// One read at a time: reads that hang occupy one thread.
    #[cfg(feature = "io")]
    reads: Arc<Semaphore>,
}

impl Password {
    pub(super) fn given(password: String) -> Self {
        Password::Given(secret(password))
    }

    pub(super) fn file(path: PathBuf) -> Self {
        Password::File(PasswordFile {
            path,
            #[cfg(feature = "io")]
            reads: Arc::new(Semaphore::new(1)),
        })
    }

    /// The password for the login that begins now. A file is read on a thread for blocking calls, because
    /// the read of a pipe or of a network file system may hang.
    #[cfg(feature = "io")]
    pub(super) async fn fetch(&self) -> Result<Secret, SaslError> {
        let (Password::File(file), Ok(runtime)) = (self, Handle::try_current()) else {
            return self.read();
        };
        let ended = || SaslError::Unavailable("the runtime shuts down".to_owned());
        let permit = Arc::clone(&file.reads).acquire_owned().await;
        let permit = permit.map_err(|_closed| ended())?;
        let path = file.path.clone();
        let read = runtime.spawn_blocking(move || {
            let read = first_line(&path);
            drop(permit);
            read
        });
        read.await.map_err(|_cancelled| ended())?
    }

    /// The password for the login that begins now.
    #[cfg(not(feature = "io"))]
    pub(super) async fn fetch(&self) -> Result<Secret, SaslError> {
        self.read()
    }

    /// The password for the login that begins now. Blocks if it is in a file.
    pub(super) fn read(&self) -> Result<Secret, SaslError> {
        match self {
            Password::Given(password) => Ok(Arc::clone(password)),
            Password::File(file) => first_line(&file.path),
            Password::Callback(callback) => callback().map(secret),
        }
    }
}

fn secret(password: String) -> Secret {
    Arc::new(Zeroizing::new(password))
}

/// The first line of a file. It is empty while another program replaces the contents, and a login without a
/// password would be refused, which ends the client.
fn first_line(path: &Path) -> Result<Secret, SaslError> {
    let file = path.display();
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| {
            SaslError::Unavailable(format!("cannot read the password file {file}: {error}"))
        })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(secret(line.to_owned())),
        _ => Err(SaslError::Unavailable(format!(
            "the password file {file} is empty, or its first line is; write the password there"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "io")]
    use super::super::{Digest, Login};
    #[cfg(feature = "io")]
    use std::{future::poll_fn, task::Poll};

    fn read(password: &Password) -> Result<String, SaslError> {
        password.read().map(|password| password.to_string())
    }

    #[test]
    fn the_first_line_of_a_file_is_read_anew() {
        let name = format!("zk-transport-password-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let password = Password::file(file.clone());
        let error = read(&password).unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_temporary() && text.contains("zk-transport-password"),
            "{text}"
        );
        for (content, first) in [("one\nrest\n", "one"), ("t w o ", "t w o ")] {
            fs::write(&file, content).unwrap();
            assert_eq!(read(&password), Ok(first.to_owned()));
        }
        // Truncated, and not yet written.
        for content in ["", "\n", "\r\nrest"] {
            fs::write(&file, content).unwrap();
            let error = read(&password).unwrap_err();
            assert!(error.is_temporary(), "{error}");
            assert!(error.to_string().contains("is empty"), "{error}");
        }
        fs::remove_file(file).unwrap();
    }

    /// Of the threads for blocking calls there is one, and it is occupied.
    #[cfg(feature = "io")]
    #[test]
    fn a_file_is_read_on_another_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (release, held) = std::sync::mpsc::channel::<()>();
            let _occupied = tokio::task::spawn_blocking(move || held.recv());
            let digest = Digest::password_file("u", "/no/such/file");
            let host = "zk1".parse().unwrap();
            let mut begun = Login::begin(&digest, &host);
            let is_pending = poll_fn(|cx| Poll::Ready(begun.as_mut().poll(cx).is_pending()));
            assert!(is_pending.await);
            drop(release);
            let error = begun.await.err().unwrap();
            assert!(error.to_string().contains("/no/such/file"), "{error}");
        });
    }
}
