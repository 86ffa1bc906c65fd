//! Certificates, keys and revocation lists from PEM text.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};

use webpki::anchor_from_trusted_cert;

use super::der::element;
use super::error::{TlsError, refusal};
use super::formats::Wanted;
use super::sections::{Section, sections};

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

/// PEM text that was read, and its name in errors.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    what: String,
    /// Its name in a command.
    file: String,
    bytes: Arc<[u8]>,
}

/// The use of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// As trusted CAs.
    Trust,
    /// As this client's own.
    Identity,
}

impl Source {
    /// Reads the text. Blocks.
    pub(super) fn read(&self, what: &str) -> Result<Pem, TlsError> {
        match self {
            Source::Bytes(bytes) => Ok(Pem {
                what: what.to_owned(),
                file: "FILE".to_owned(),
                bytes: Arc::clone(bytes),
            }),
            Source::File(path) => {
                let what = format!("{what} {}", path.display());
                match std::fs::read(path) {
                    Ok(bytes) => Ok(Pem {
                        what,
                        file: path.display().to_string(),
                        bytes: bytes.into(),
                    }),
                    Err(error) => Err(TlsError::configuration(what, error)),
                }
            }
        }
    }
}

impl Pem {
    /// The error for this reason.
    pub(super) fn refused(&self, why: impl fmt::Display) -> TlsError {
        TlsError::configuration(&self.what, why)
    }

    /// Its certificates. Those that cannot be used are skipped, with a sentence each in `skipped`.
    ///
    /// # Errors
    /// No certificate can be used.
    pub(super) fn certificates(
        &self,
        purpose: Purpose,
        skipped: &mut Vec<String>,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let sections = sections(&self.bytes);
        let (mut found, mut bad) = (Vec::new(), Vec::new());
        let certificates = sections.iter().filter(|section| section.is_certificate());
        for (section, number) in certificates.zip(1..) {
            match certificate(section, purpose) {
                Ok(certificate) => found.push(certificate),
                Err(problem) => bad.push(format!("certificate {number} {problem}")),
            }
        }
        match bad.first() {
            None if found.is_empty() => Err(self.missing(Wanted::Certificate, &sections)),
            Some(first) if found.is_empty() => {
                Err(self.refused(format!("none of its certificates can be used; {first}")))
            }
            _ => {
                let named = |problem| format!("{}: {problem}; it is skipped", self.what);
                skipped.extend(bad.into_iter().map(named));
                Ok(found)
            }
        }
    }

    /// Its revocation lists. None is skipped: the certificates that it revokes would be accepted.
    pub(super) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let sections = sections(&self.bytes);
        let lists = sections
            .iter()
            .filter(|section| section.label == "X509 CRL");
        let found = lists
            .map(|section| CertificateRevocationListDer::from_pem_slice(section.text.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.refused(format!("it is not valid PEM: {error}")))?;
        if found.is_empty() {
            return Err(self.missing(Wanted::RevocationList, &sections));
        }
        Ok(found)
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let sections = sections(&self.bytes);
        let plain = |section: &&Section| section.is_key() && !section.is_encrypted();
        let Some(section) = sections.iter().find(plain) else {
            if sections.iter().any(Section::is_encrypted) {
                return Err(self.refused(
                    "the private key is encrypted, which is not supported; decrypt it with `openssl \
                     pkey` and protect the file by its permissions",
                ));
            }
            return Err(self.missing(Wanted::Key, &sections));
        };
        // The parser's error may quote the key.
        PrivateKeyDer::from_pem_slice(section.text.as_bytes())
            .map_err(|_| self.refused("it is not valid PEM"))
    }

    fn missing(&self, wanted: Wanted, sections: &[Section]) -> TlsError {
        self.refused(wanted.missing_in(&self.bytes, sections, &self.file))
    }
}

/// The certificate of a section, or why it cannot be used.
fn certificate(section: &Section, purpose: Purpose) -> Result<CertificateDer<'static>, String> {
    let is_trusted = purpose == Purpose::Trust;
    let text = section.relabelled("CERTIFICATE");
    let der = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|error| format!("is not valid PEM: {error}"))?;
    let der = section
        .certificate(&der, is_trusted)
        .ok_or("has settings of OpenSSL that do not trust it for servers")?;
    let der = CertificateDer::from(der.to_vec());
    if is_trusted {
        anchor_from_trusted_cert(&der)
            .map_err(|error| format!("is refused: {}", refusal(&error)))?;
    } else if element(&der).is_none_or(|whole| !whole.rest.is_empty()) {
        return Err("is malformed".to_owned());
    }
    Ok(der)
}
