//! Server certificates that are accepted because they are these very certificates.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::hash::{Hash, HashAlgorithm};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{CertificateError, Error, OtherError, SupportedCipherSuite};

use super::contents::{Contents, Purpose, Source};
use super::error::{NotPinned, TlsError};

/// A certificate, as it was given.
#[derive(Clone, Debug)]
pub(super) enum Pin {
    /// The SHA-256 of its DER, in hexadecimal digits.
    Sha256(String),
    Certificate(Source),
}

/// The certificates of which a server must present one.
pub(super) struct Pins {
    hash: &'static dyn Hash,
    allowed: Vec<[u8; 32]>,
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pins").field(&self.allowed.len()).finish()
    }
}

impl Pins {
    /// The pins; `None` without any. `files` has the contents of those that are certificates.
    pub(super) fn new(
        pins: &[Pin],
        files: &[Contents],
        provider: &CryptoProvider,
        skipped: &mut Vec<String>,
    ) -> Result<Option<Self>, TlsError> {
        if pins.is_empty() {
            return Ok(None);
        }
        let hash = sha256(provider).ok_or_else(|| {
            TlsError::configuration("a pinned certificate", "the crypto provider has no SHA-256")
        })?;
        let mut found = Pins {
            hash,
            allowed: Vec::new(),
        };
        for pin in pins {
            if let Pin::Sha256(digits) = pin {
                found.allowed.push(fingerprint(digits)?);
            }
        }
        for file in files {
            for certificate in file.certificates(Purpose::Identity, skipped)? {
                found.allowed.extend(found.of(&certificate));
            }
        }
        Ok(Some(found))
    }

    fn of(&self, certificate: &[u8]) -> Option<[u8; 32]> {
        self.hash.hash(certificate).as_ref().try_into().ok()
    }

    /// Accepts a pinned certificate.
    pub(super) fn verify(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let presented = self.of(certificate);
        if presented.is_some_and(|presented| self.allowed.contains(&presented)) {
            return Ok(());
        }
        let problem = NotPinned(shown(&presented.unwrap_or_default()));
        Err(CertificateError::Other(OtherError(Arc::new(problem))).into())
    }
}

/// The provider's SHA-256, which every usable one has for its cipher suites.
fn sha256(provider: &CryptoProvider) -> Option<&'static dyn Hash> {
    let hashes = provider.cipher_suites.iter().map(|suite| match suite {
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
    });
    let mut hashes = hashes.filter(|hash| hash.algorithm() == HashAlgorithm::SHA256);
    hashes.next()
}

/// As `openssl x509 -fingerprint -sha256` shows it.
fn shown(fingerprint: &[u8; 32]) -> String {
    let digits = fingerprint.map(|byte| format!("{byte:02X}"));
    digits.join(":")
}

fn fingerprint(given: &str) -> Result<[u8; 32], TlsError> {
    let digits: String = given
        .rsplit('=')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| *c != ':' && !c.is_whitespace())
        .collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        let is_hexadecimal = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(pair, 16).ok().filter(|_| is_hexadecimal)
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.filter(|_| digits.len() == 64).ok_or_else(|| {
        TlsError::configuration(
            format!("the pinned SHA-256 {given:?}"),
            "it is not 32 bytes in hexadecimal digits; `openssl x509 -noout -fingerprint -sha256 -in FILE` \
             prints them",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_printed() {
        let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 7).unwrap());
        let text = shown(&bytes);
        assert!(text.starts_with("00:07:0E:"));
        for given in [
            text.clone(),
            text.replace(':', "").to_lowercase(),
            format!("sha256 Fingerprint={text}\n"),
        ] {
            assert_eq!(fingerprint(&given), Ok(bytes));
        }
        for bad in [
            "",
            "00:07",
            "+1",
            &text[3..],
            &format!("{text}:00"),
            &text.replace('0', "+"),
        ] {
            let error = fingerprint(bad).unwrap_err().to_string();
            assert!(error.contains("openssl x509"), "{error}");
        }
    }
}
