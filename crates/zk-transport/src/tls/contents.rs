//! Certificates, keys and revocation lists from files and texts: PEM, DER, and key stores.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};

use webpki::anchor_from_trusted_cert;

use super::der::{element, elements};
use super::error::{TlsError, refusal};
use super::formats::{Format, Wanted};
#[cfg(feature = "tls-stores")]
use super::passphrase::{Passphrase, Unlock};
use super::sections::{Section, sections};

/// Where to read: memory, or a file that is read again for every connection.
#[derive(Clone)]
pub(super) struct Source {
    place: Place,
    #[cfg(feature = "tls-stores")]
    passphrase: Option<Passphrase>,
    /// Whether it was given as a key store, which may be PEM all the same.
    #[cfg(feature = "tls-stores")]
    is_store: bool,
}

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

/// Leaves the text out: it may be a private key.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => path.fmt(f),
            Place::Bytes(_) => f.write_str("[PEM]"),
        }
    }
}

/// What was read, and its name in errors.
#[derive(Clone)]
pub(super) struct Contents {
    pub(super) what: String,
    /// Its name in a command.
    pub(super) file: String,
    pub(super) bytes: Arc<[u8]>,
    #[cfg(feature = "tls-stores")]
    pub(super) unlock: Option<Unlock>,
    #[cfg(feature = "tls-stores")]
    is_store: bool,
}

/// Whether the same would be made of both.
impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "tls-stores")]
        if self.unlock != other.unlock {
            return false;
        }
        self.what == other.what && self.bytes == other.bytes
    }
}

/// The use of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// As trusted CAs.
    Trust,
    /// As this client's own, or as a server's that is pinned.
    Identity,
}

/// A certificate's name in messages, and its bytes or why there are none.
type Candidate = (String, Result<Vec<u8>, String>);

impl Source {
    pub(super) fn file(path: impl Into<PathBuf>) -> Self {
        Source::of(Place::File(path.into()))
    }

    pub(super) fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Source::of(Place::Bytes(bytes.as_ref().into()))
    }

    fn of(place: Place) -> Self {
        Source {
            place,
            #[cfg(feature = "tls-stores")]
            passphrase: None,
            #[cfg(feature = "tls-stores")]
            is_store: false,
        }
    }

    /// A key store.
    #[cfg(feature = "tls-stores")]
    pub(super) fn store(path: impl Into<PathBuf>, passphrase: Option<Passphrase>) -> Self {
        Source {
            is_store: true,
            passphrase,
            ..Source::file(path)
        }
    }

    /// The same with a passphrase.
    #[cfg(feature = "tls-stores")]
    pub(super) fn locked(&self, passphrase: Option<&Passphrase>) -> Self {
        Source {
            passphrase: passphrase.or(self.passphrase.as_ref()).cloned(),
            ..self.clone()
        }
    }

    /// Reads the contents. Blocks.
    pub(super) fn read(&self, what: &str) -> Result<Contents, TlsError> {
        let (what, file, bytes) = match &self.place {
            Place::Bytes(bytes) => (what.to_owned(), "FILE".to_owned(), Arc::clone(bytes)),
            Place::File(path) => {
                let what = format!("{what} {}", path.display());
                match std::fs::read(path) {
                    Ok(bytes) => (what, path.display().to_string(), bytes.into()),
                    Err(error) => return Err(TlsError::configuration(what, error)),
                }
            }
        };
        Ok(Contents {
            #[cfg(feature = "tls-stores")]
            unlock: match &self.passphrase {
                None => None,
                Some(passphrase) => Some(passphrase.read(&what)?),
            },
            what,
            file,
            bytes,
            #[cfg(feature = "tls-stores")]
            is_store: self.is_store,
        })
    }
}

impl Contents {
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
        let candidates = self.candidates(purpose)?;
        self.usable(candidates, purpose, skipped)
    }

    /// The certificates that can be used.
    pub(super) fn usable(
        &self,
        candidates: Vec<Candidate>,
        purpose: Purpose,
        skipped: &mut Vec<String>,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let (mut found, mut bad) = (Vec::new(), Vec::new());
        for (name, certificate) in candidates {
            match certificate.and_then(|der| usable(der, purpose)) {
                Ok(certificate) => found.push(certificate),
                Err(problem) => bad.push(format!("{name} {problem}")),
            }
        }
        match bad.first() {
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

    /// All its certificates, at least one.
    fn candidates(&self, purpose: Purpose) -> Result<Vec<Candidate>, TlsError> {
        let sections = sections(&self.bytes);
        let in_pem = sections.iter().filter(|section| section.is_certificate());
        let in_pem: Vec<Candidate> = in_pem
            .zip(1..)
            .map(|(section, number)| (numbered(number), in_section(section, purpose)))
            .collect();
        if !in_pem.is_empty() {
            return Ok(in_pem);
        }
        match Format::of(&self.bytes) {
            Format::DerCertificate => {
                let mut rest = &*self.bytes;
                let mut found = Vec::new();
                while let Some(next) = element(rest) {
                    rest = next.rest;
                    found.push((numbered(found.len() + 1), Ok(next.whole.to_vec())));
                }
                if !rest.is_empty() {
                    found.push((numbered(found.len() + 1), Err("is malformed".to_owned())));
                }
                Ok(found)
            }
            #[cfg(feature = "tls-stores")]
            format if self.is_store && format.is_store() => {
                let found = self.store(format)?.certificates;
                if found.is_empty() {
                    return Err(self.refused("it holds no certificate"));
                }
                let whole = |(name, der)| (name, Ok(der));
                Ok(found.into_iter().map(whole).collect())
            }
            _ => Err(self.missing(Wanted::Certificate, &sections)),
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
        if !found.is_empty() {
            return Ok(found);
        }
        if Format::of(&self.bytes) != Format::DerRevocationList {
            return Err(self.missing(Wanted::RevocationList, &sections));
        }
        let read: usize = elements(&self.bytes).map(|list| list.whole.len()).sum();
        if read != self.bytes.len() {
            return Err(self.refused("it is malformed: a revocation list in DER is incomplete"));
        }
        let lists = elements(&self.bytes).map(|list| list.whole.to_vec().into());
        Ok(lists.collect())
    }

    /// Its private key, decrypted.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let sections = sections(&self.bytes);
        let plain = |section: &&Section| section.is_key() && !section.is_encrypted();
        // The parser's error may quote the key.
        let parsed = |text: &str| {
            PrivateKeyDer::from_pem_slice(text.as_bytes())
                .map_err(|_| self.refused("it is not valid PEM"))
        };
        if let Some(section) = sections.iter().find(plain) {
            return parsed(&section.text);
        }
        if let Some(section) = sections.iter().find(|section| section.is_encrypted()) {
            if !section.is_pkcs8() {
                let encrypted = parsed(&section.without_settings())?;
                return self.legacy_key(section, encrypted);
            }
            let encrypted = parsed(&section.relabelled("PRIVATE KEY"))?;
            return self.encrypted_key(encrypted.secret_der());
        }
        match Format::of(&self.bytes) {
            Format::DerKey => PrivateKeyDer::try_from(&*self.bytes)
                .map(|key| key.clone_key())
                .map_err(|_| self.refused("it is a malformed private key in DER")),
            Format::DerEncryptedKey => self.encrypted_key(&self.bytes),
            _ => Err(self.missing(Wanted::Key, &sections)),
        }
    }

    pub(super) fn missing(&self, wanted: Wanted, sections: &[Section]) -> TlsError {
        self.refused(wanted.missing_in(&self.bytes, sections, &self.file))
    }
}

fn numbered(number: usize) -> String {
    format!("certificate {number}")
}

/// The certificate of a section, or why it cannot be used.
fn in_section(section: &Section, purpose: Purpose) -> Result<Vec<u8>, String> {
    let text = section.relabelled("CERTIFICATE");
    let der = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|error| format!("is not valid PEM: {error}"))?;
    let der = section
        .certificate(&der, purpose == Purpose::Trust)
        .ok_or("has settings of OpenSSL that do not trust it for servers")?;
    Ok(der.to_vec())
}

/// A certificate, or why it cannot be used.
fn usable(der: Vec<u8>, purpose: Purpose) -> Result<CertificateDer<'static>, String> {
    let der = CertificateDer::from(der);
    if purpose == Purpose::Trust {
        anchor_from_trusted_cert(&der)
            .map_err(|error| format!("is refused: {}", refusal(&error)))?;
    } else if element(&der).is_none_or(|whole| !whole.rest.is_empty()) {
        return Err("is malformed".to_owned());
    }
    Ok(der)
}
