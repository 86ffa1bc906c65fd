//! Passphrases of keys and key stores.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::TlsError;

/// The passphrase of an encrypted key or of a key store: as given, from a file, or from a function.
///
/// It is in no output of `Debug`, no error and no log, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Passphrase(Origin);

#[derive(Clone)]
enum Origin {
    Given(Secret),
    File(PathBuf),
    Function(Function),
}

type Function = Arc<dyn Fn() -> io::Result<String> + Send + Sync>;

/// A passphrase in memory.
pub(super) type Secret = Arc<Zeroizing<String>>;

impl Passphrase {
    /// This passphrase.
    pub fn new(passphrase: impl Into<String>) -> Self {
        Passphrase(Origin::Given(secret(passphrase.into())))
    }

    /// The first line of a file, without its line end. The file is read again for every connection, as
    /// the key or the store is.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Passphrase(Origin::File(path.into()))
    }

    /// What a function returns. It is called when the key or the store is decrypted: when the client is
    /// made, and for the next connection after a file has changed, or after it failed. It may block.
    pub fn from_fn(function: impl Fn() -> io::Result<String> + Send + Sync + 'static) -> Self {
        Passphrase(Origin::Function(Arc::new(function)))
    }

    /// Reads the file, if it is one. Blocks.
    pub(super) fn read(&self, what: &str) -> Result<Unlock, TlsError> {
        match &self.0 {
            Origin::Given(secret) => Ok(Unlock::Known(Arc::clone(secret))),
            Origin::Function(function) => Ok(Unlock::Function(Arc::clone(function))),
            Origin::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let what = format!("the passphrase file {} of {what}", path.display());
                    TlsError::configuration(what, error)
                })?;
                let text = Zeroizing::new(text);
                let line = text.split(['\n', '\r']).next().unwrap_or_default();
                Ok(Unlock::Known(secret(line.to_owned())))
            }
        }
    }
}

fn secret(passphrase: String) -> Secret {
    Arc::new(Zeroizing::new(passphrase))
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Given(_) => f.write_str("Passphrase"),
            Origin::File(path) => f.debug_tuple("Passphrase").field(path).finish(),
            Origin::Function(_) => f.write_str("Passphrase(function)"),
        }
    }
}

impl From<&str> for Passphrase {
    fn from(passphrase: &str) -> Self {
        Passphrase::new(passphrase)
    }
}

impl From<String> for Passphrase {
    fn from(passphrase: String) -> Self {
        Passphrase::new(passphrase)
    }
}

/// How the contents of a file are decrypted.
#[derive(Clone)]
pub(super) enum Unlock {
    Known(Secret),
    Function(Function),
}

impl Unlock {
    /// The passphrase. May block.
    pub(super) fn secret(&self, what: &str) -> Result<Secret, TlsError> {
        match self {
            Unlock::Known(secret) => Ok(Arc::clone(secret)),
            Unlock::Function(function) => function().map(secret).map_err(|error| {
                TlsError::configuration(format!("the passphrase of {what}"), error)
            }),
        }
    }
}

impl PartialEq for Unlock {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Unlock::Known(one), Unlock::Known(other)) => one == other,
            (Unlock::Function(one), Unlock::Function(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_not_shown() {
        for passphrase in [
            Passphrase::new("canary"),
            Passphrase::from("canary"),
            Passphrase::from_fn(|| Ok("canary".to_owned())),
        ] {
            assert!(!format!("{passphrase:?}").contains("canary"));
            let unlock = passphrase.read("a key").unwrap();
            assert_eq!(**unlock.secret("a key").unwrap(), "canary");
        }
    }

    #[test]
    fn a_missing_passphrase_file_is_named() {
        let missing = Passphrase::file("/no/such/file").read("the key");
        let error = missing.err().unwrap().to_string();
        assert!(
            error.contains("/no/such/file") && error.contains("the key"),
            "{error}"
        );
    }
}
