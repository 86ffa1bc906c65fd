//! Contents that are encrypted, with and without the means to decrypt them.

use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::contents::Contents;
use super::error::TlsError;
use super::sections::Section;

#[cfg(feature = "tls-stores")]
mod decrypt {
    use tokio_rustls::rustls::pki_types::{
        CertificateDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    };

    use super::super::contents::Purpose;
    use super::super::formats::{Format, Wanted, recoding};
    use super::super::passphrase::{Secret, Unlock};
    use super::super::sections::sections;
    use super::super::stores::{Locked, Store, decrypt_key, decrypt_section, jks, pkcs12};
    use super::{Contents, PrivateKeyDer, Section, TlsError};

    impl Contents {
        /// The key of encrypted PKCS#8.
        pub(in super::super) fn encrypted_key(
            &self,
            encrypted: &[u8],
        ) -> Result<PrivateKeyDer<'static>, TlsError> {
            let secret = self.required_secret("PKCS#8")?;
            let plain = decrypt_key(encrypted, &secret);
            let plain = plain.map_err(|error| self.locked_key("PKCS#8", &error))?;
            Ok(PrivatePkcs8KeyDer::from(plain.to_vec()).into())
        }

        /// The key of a section that OpenSSL has encrypted in its own way.
        pub(in super::super) fn legacy_key(
            &self,
            section: &Section,
            encrypted: PrivateKeyDer<'static>,
        ) -> Result<PrivateKeyDer<'static>, TlsError> {
            const FORMAT: &str = "OpenSSL's form \"Proc-Type: 4,ENCRYPTED\"";
            let secret = self.required_secret(FORMAT)?;
            let plain = decrypt_section(&section.text, encrypted.secret_der(), &secret)
                .map_err(|error| self.locked_key(FORMAT, &error))?
                .to_vec();
            Ok(match encrypted {
                PrivateKeyDer::Pkcs1(_) => PrivatePkcs1KeyDer::from(plain).into(),
                PrivateKeyDer::Sec1(_) => PrivateSec1KeyDer::from(plain).into(),
                _ => PrivatePkcs8KeyDer::from(plain).into(),
            })
        }

        /// The entries of a key store.
        pub(in super::super) fn store(&self, format: Format) -> Result<Store, TlsError> {
            let secret = self.secret()?;
            let passphrase = secret.as_ref().map(|secret| secret.as_str());
            let (name, opened) = match format {
                Format::JavaKeyStore => ("a JKS key store", jks::open(&self.bytes, passphrase)),
                _ => (
                    "a key store in PKCS#12",
                    pkcs12::open(&self.bytes, passphrase),
                ),
            };
            opened.map_err(|error| {
                self.refused(match error {
                    Locked::WrongPassphrase if passphrase.is_none() => {
                        format!("it is {name}, encrypted, and no passphrase was given")
                    }
                    Locked::WrongPassphrase => {
                        format!("it is {name}, and the passphrase is wrong or the store is damaged")
                    }
                    Locked::Malformed => {
                        format!("it is {name}, truncated or malformed")
                    }
                    unsupported => format!(
                        "it is {name}; {unsupported}; convert it with {}",
                        recoding(format, &self.file)
                    ),
                })
            })
        }

        /// The key of a store and its certificates.
        pub(in super::super) fn store_identity(
            &self,
            alias: Option<&str>,
            key: Option<&Unlock>,
            skipped: &mut Vec<String>,
        ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
            let format = Format::of(&self.bytes);
            if !format.is_store() {
                // PEM with both.
                if sections(&self.bytes).iter().any(Section::is_certificate) {
                    let chain = self.certificates(Purpose::Identity, skipped)?;
                    return Ok((chain, self.key()?));
                }
                return Err(self.missing(Wanted::Key, &sections(&self.bytes)));
            }
            let store = self.store(format)?;
            let secret = match key {
                Some(unlock) => Some(unlock.secret(&format!("the key in {}", self.what))?),
                None => self.secret()?,
            };
            let passphrase = secret.as_ref().map(|secret| secret.as_str());
            let (key, chain) = store
                .identity(alias, passphrase)
                .map_err(|why| self.refused(why))?;
            let candidates = chain.iter().zip(1..).map(|(certificate, number)| {
                (
                    format!("certificate {number} of its key"),
                    Ok(certificate.clone()),
                )
            });
            let chain = self.usable(candidates.collect(), Purpose::Identity, skipped)?;
            let key = PrivatePkcs8KeyDer::from(key.to_vec());
            Ok((chain, key.into()))
        }

        fn secret(&self) -> Result<Option<Secret>, TlsError> {
            let unlock = self.unlock.as_ref();
            unlock.map(|unlock| unlock.secret(&self.what)).transpose()
        }

        fn required_secret(&self, format: &str) -> Result<Secret, TlsError> {
            self.secret()?.ok_or_else(|| {
                self.refused(format!(
                    "the private key is encrypted, in {format}, and no passphrase was given; give it \
                     with TlsConfig::key_passphrase, or decrypt the key with `openssl pkey -in {} -out \
                     key.pem` and protect the file by its permissions",
                    self.file
                ))
            })
        }

        fn locked_key(&self, format: &str, error: &Locked) -> TlsError {
            let key = format!("the private key is encrypted, in {format}, and");
            self.refused(match error {
                Locked::WrongPassphrase => format!("{key} the passphrase is wrong"),
                Locked::Malformed => format!("{key} malformed"),
                Locked::Unsupported(name) => format!(
                    "{key} with {name}, which is not supported; convert it with `openssl pkcs8 -topk8 -v2 \
                     aes256 -in {} -out key.pem`",
                    self.file
                ),
            })
        }
    }
}

#[cfg(not(feature = "tls-stores"))]
impl Contents {
    /// The error: this build decrypts nothing.
    pub(super) fn encrypted_key(&self, _: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        Err(self.refused(format!(
            "the private key is encrypted, which needs the feature `tls-stores`; or decrypt it with \
             `openssl pkey -in {} -out key.pem` and protect the file by its permissions",
            self.file
        )))
    }

    /// As [`encrypted_key`](Self::encrypted_key).
    pub(super) fn legacy_key(
        &self,
        _: &Section,
        encrypted: PrivateKeyDer<'static>,
    ) -> Result<PrivateKeyDer<'static>, TlsError> {
        self.encrypted_key(encrypted.secret_der())
    }
}
