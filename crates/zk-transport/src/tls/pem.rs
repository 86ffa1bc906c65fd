//! Where certificates and keys come from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};

use super::TlsError;

/// PEM text, from memory or from a file that is read again for every connection.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

/// Leaves the text out: it may be a private key.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.fmt(f),
            Source::Bytes(_) => f.write_str("[PEM]"),
        }
    }
}

/// PEM text that was read, and what to call it in errors.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    what: String,
    text: Arc<[u8]>,
}

impl Source {
    /// Reads it. Blocks.
    pub(super) fn read(&self, what: &str) -> Result<Pem, TlsError> {
        match self {
            Source::Bytes(text) => Ok(Pem {
                what: what.to_owned(),
                text: Arc::clone(text),
            }),
            Source::File(path) => {
                let what = format!("{what} {}", path.display());
                match std::fs::read(path) {
                    Ok(text) => Ok(Pem {
                        what,
                        text: text.into(),
                    }),
                    Err(error) => Err(TlsError::configuration(what, error)),
                }
            }
        }
    }
}

impl Pem {
    /// Says what is wrong with it.
    pub(super) fn refused(&self, why: impl fmt::Display) -> TlsError {
        TlsError::configuration(&self.what, why)
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.all("certificate")
    }

    pub(super) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        self.all("revocation list")
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let text = String::from_utf8_lossy(&self.text);
        if text.contains("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(self.refused(
                "the private key is encrypted, which is not supported; decrypt it with `openssl \
                 pkey` and protect the file by its permissions",
            ));
        }
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| match error {
            Error::NoItemsFound => self.refused("it holds no private key in PEM"),
            // The parser's own words may quote what it read.
            _ => self.refused("it is not valid PEM"),
        })
    }

    fn all<T: PemObject>(&self, kind: &str) -> Result<Vec<T>, TlsError> {
        let found: Result<Vec<T>, Error> = T::pem_slice_iter(&self.text).collect();
        match found {
            Ok(found) if found.is_empty() => {
                Err(self.refused(format!("it holds no {kind} in PEM")))
            }
            Ok(found) => Ok(found),
            Err(error) => Err(self.refused(format!("it is not valid PEM: {error}"))),
        }
    }
}
