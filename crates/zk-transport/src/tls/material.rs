//! The contents of a configuration's files, and the configuration of rustls that is made of them.

use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::clock::AfterEpoch;
use super::config::{Given, Identity, TlsConfig};
use super::contents::{Contents, Purpose};
use super::error::{TlsError, USABLE_KEYS, unusable_identity};
#[cfg(feature = "tls-stores")]
use super::passphrase::Unlock;
use super::pins::{Pin, Pins};
use super::provider;
use super::verify::{Chains, Verifier};

/// The contents of the files and texts when they were read.
#[derive(Clone, PartialEq)]
pub(super) struct Material {
    roots: Vec<Contents>,
    revocation_lists: Vec<Contents>,
    pins: Vec<Contents>,
    pub(super) identity: Option<Own>,
}

/// This client's certificate and key.
#[derive(Clone, PartialEq)]
pub(super) enum Own {
    Files {
        certificates: Contents,
        key: Contents,
    },
    #[cfg(feature = "tls-stores")]
    Store {
        store: Contents,
        alias: Option<String>,
        key: Option<Unlock>,
    },
}

/// A configuration of rustls, and a sentence for each certificate that was skipped.
pub(super) struct Made {
    pub(super) config: Arc<ClientConfig>,
    pub(super) skipped: Vec<String>,
}

impl TlsConfig {
    /// Reads all files. Blocks.
    pub(super) fn read(&self) -> Result<Material, TlsError> {
        let pins = self.pins.iter().filter_map(|pin| match pin {
            Pin::Certificate(source) => Some(source.read("pinned certificate")),
            Pin::Sha256(_) => None,
        });
        let roots = self.roots.iter().map(|source| source.read("CA file"));
        let lists = self.revocation_lists.iter();
        let lists = lists.map(|source| source.read("revocation list"));
        Ok(Material {
            roots: roots.collect::<Result<_, _>>()?,
            revocation_lists: lists.collect::<Result<_, _>>()?,
            pins: pins.collect::<Result<_, _>>()?,
            identity: self
                .identity
                .as_ref()
                .map(|own| self.read_own(own))
                .transpose()?,
        })
    }

    fn read_own(&self, own: &Identity) -> Result<Own, TlsError> {
        match own {
            Identity::Files { certificates, key } => {
                #[cfg(feature = "tls-stores")]
                let key = key.locked(self.key_passphrase.as_ref());
                Ok(Own::Files {
                    certificates: certificates.read("client certificate")?,
                    key: key.read("client key")?,
                })
            }
            #[cfg(feature = "tls-stores")]
            Identity::Store { store, alias } => Ok(Own::Store {
                store: store.read("client key store")?,
                alias: alias.clone(),
                key: match &self.key_passphrase {
                    None => None,
                    Some(passphrase) => Some(passphrase.read("client key")?),
                },
            }),
        }
    }

    /// The configuration of rustls, made from the contents of the files.
    pub(super) fn build(&self, material: &Material) -> Result<Made, TlsError> {
        if let Some(Given(config)) = &self.given {
            if let Some(options) = self.without_effect() {
                return Err(TlsError::configuration(
                    "TLS",
                    format!(
                        "{options} has no effect beside TlsConfig::from_rustls; set it in the given \
                         rustls::ClientConfig and remove it here"
                    ),
                ));
            }
            self.require_approved(config, "make the given rustls::ClientConfig with")?;
            let mut config = ClientConfig::clone(config);
            config.time_provider = Arc::new(AfterEpoch::over(config.time_provider));
            return Ok(Made {
                config: Arc::new(config),
                skipped: Vec::new(),
            });
        }
        let provider = provider::chosen(self.provider.as_ref())?;
        let mut skipped = Vec::new();
        let verifier = self.verifier(material, &provider, &mut skipped)?;
        let clock = Arc::new(AfterEpoch::default());
        let versions: &[_] = if self.only_tls13 {
            &[&TLS13]
        } else {
            &[&TLS13, &TLS12]
        };
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), clock)
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::configuration("TLS", error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &material.identity {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let mut left_out = Vec::new();
                let (chain, private) = own.parts(&mut left_out)?;
                let loaded = provider.key_provider.load_private_key(private.clone_key());
                loaded.map_err(|_| {
                    own.key_contents().refused(format!(
                        "its key is malformed, or of a kind that is not supported, as one on the curve \
                         P-521 may be; {USABLE_KEYS}"
                    ))
                })?;
                let config = builder.with_client_auth_cert(chain, private);
                let config = config.map_err(|error| {
                    let why = unusable_identity(&error);
                    // The certificate of the key may be one that was skipped.
                    own.certificate_contents().refused(match left_out.first() {
                        Some(problem) => format!("{why}; {problem}"),
                        None => why,
                    })
                })?;
                skipped.append(&mut left_out);
                config
            }
        };
        self.require_approved(&config, "give TlsConfig::crypto_provider")?;
        for problem in &skipped {
            tracing::warn!("{problem}");
        }
        Ok(Made {
            config: Arc::new(config),
            skipped,
        })
    }

    /// The options that a configuration of rustls decides on itself, of which one is set.
    fn without_effect(&self) -> Option<&'static str> {
        #[cfg(feature = "tls-stores")]
        let has_passphrase = self.key_passphrase.is_some();
        #[cfg(not(feature = "tls-stores"))]
        let has_passphrase = false;
        let options = [
            (!self.pins.is_empty(), "pin_sha256, pin_file or pin_pem"),
            (!self.revocation_lists.is_empty(), "crl_file or crl_pem"),
            (self.only_tls13, "only_tls13"),
            (!self.roots.is_empty(), "ca_file, ca_pem or ca_store"),
            (self.system_roots, "system_roots"),
            (
                self.identity.is_some(),
                "identity_files, identity_pem or identity_store",
            ),
            (has_passphrase, "key_passphrase"),
            (self.provider.is_some(), "crypto_provider"),
            (self.any_name, "danger_accept_any_host_name"),
            (self.any_certificate, "danger_accept_any_certificate"),
        ];
        options
            .into_iter()
            .find_map(|(is_set, option)| is_set.then_some(option))
    }

    /// Fails if FIPS 140 is required and a configuration is not approved. `remedy` is what to
    /// do with one that is.
    fn require_approved(&self, config: &ClientConfig, remedy: &str) -> Result<(), TlsError> {
        if !self.fips || config.fips() {
            return Ok(());
        }
        Err(TlsError::configuration(
            "TLS",
            format!(
                "FIPS 140 is required, and the crypto provider is not approved or has settings that are \
                 not; {remedy} the one of rustls's feature `fips`, \
                 rustls::crypto::default_fips_provider()"
            ),
        ))
    }

    fn verifier(
        &self,
        material: &Material,
        provider: &Arc<CryptoProvider>,
        skipped: &mut Vec<String>,
    ) -> Result<Verifier, TlsError> {
        let pins = Pins::new(&self.pins, &material.pins, provider, skipped)?;
        let algorithms = provider.signature_verification_algorithms;
        if self.any_certificate {
            tracing::warn!(
                "TLS without verification of the servers (danger_accept_any_certificate): any machine on \
                 the way can read and change everything"
            );
            return Ok(Verifier {
                pins,
                chains: None,
                algorithms,
            });
        }
        let has_roots = !material.roots.is_empty() || self.system_roots;
        if pins.is_some() && !has_roots {
            if !material.revocation_lists.is_empty() {
                return Err(TlsError::configuration(
                    "TLS",
                    "with pins and no CA, revocation lists have no effect; give the CA that issued the \
                     servers' certificates and the lists, or remove the lists",
                ));
            }
            return Ok(Verifier {
                pins,
                chains: None,
                algorithms,
            });
        }
        if !has_roots {
            return Err(TlsError::configuration(
                "TLS",
                "no CA is given, so no server could be trusted; give the CA that issued the \
                 servers' certificates",
            ));
        }
        let chains = self.chains(material, provider, skipped)?;
        Ok(Verifier {
            pins,
            chains: Some(chains),
            algorithms,
        })
    }

    /// The verification of a server's certificate by the trusted CAs.
    fn chains(
        &self,
        material: &Material,
        provider: &Arc<CryptoProvider>,
        skipped: &mut Vec<String>,
    ) -> Result<Chains, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        for contents in &material.roots {
            for certificate in contents.certificates(Purpose::Trust, skipped)? {
                let added = roots.add(certificate.clone());
                added.map_err(|error| contents.refused(error))?;
                trusted.push(certificate);
            }
        }
        #[cfg(feature = "tls-native-roots")]
        if self.system_roots {
            self.add_system_roots(&mut roots)?;
        }
        let mut lists = Vec::new();
        for contents in &material.revocation_lists {
            lists.extend(contents.revocation_lists()?);
        }
        let needs_revocation_lists = !lists.is_empty();
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .with_crls(lists)
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| TlsError::configuration("TLS", error))?;
        Ok(Chains {
            webpki,
            trusted,
            needs_revocation_lists,
            any_name: self.any_name,
        })
    }

    #[cfg(feature = "tls-native-roots")]
    fn add_system_roots(&self, roots: &mut RootCertStore) -> Result<(), TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "CAs of the system");
        if added > 0 || !self.roots.is_empty() {
            return Ok(());
        }
        let why = match found.errors.first() {
            Some(error) => format!("none can be used: {error}"),
            None => "there are none; on Debian the package ca-certificates has them".to_owned(),
        };
        Err(TlsError::configuration("the CAs of the system", why))
    }
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Own {
    /// The certificates and the key, decrypted.
    pub(super) fn parts(&self, skipped: &mut Vec<String>) -> Result<ChainAndKey, TlsError> {
        match self {
            Own::Files { certificates, key } => Ok((
                certificates.certificates(Purpose::Identity, skipped)?,
                key.key()?,
            )),
            #[cfg(feature = "tls-stores")]
            Own::Store { store, alias, key } => {
                store.store_identity(alias.as_deref(), key.as_ref(), skipped)
            }
        }
    }

    fn certificate_contents(&self) -> &Contents {
        match self {
            Own::Files { certificates, .. } => certificates,
            #[cfg(feature = "tls-stores")]
            Own::Store { store, .. } => store,
        }
    }

    fn key_contents(&self) -> &Contents {
        match self {
            Own::Files { key, .. } => key,
            #[cfg(feature = "tls-stores")]
            Own::Store { store, .. } => store,
        }
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use super::*;

    fn given() -> TlsConfig {
        let provider = provider::chosen(None).unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        TlsConfig::from_rustls(Arc::new(config))
    }

    /// A list that nothing checks would let every revoked certificate pass.
    #[test]
    fn revocation_lists_need_a_ca() {
        let pinned = TlsConfig::new().pin_sha256("00".repeat(32));
        assert_eq!(pinned.check(), Ok(Vec::new()));
        let error = pinned.crl_pem("").check().unwrap_err();
        assert!(matches!(error, TlsError::Configuration { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("revocation lists"), "{error}");
        assert!(error.contains("give the CA"), "{error}");
    }

    #[test]
    fn a_given_config_decides_for_itself() {
        let with_name = given().server_name("zk1").danger_trust_dns_names();
        assert_eq!(with_name.check(), Ok(Vec::new()));
        for (option, config) in [
            ("pin_", given().pin_sha256("00")),
            ("crl_", given().crl_pem("")),
            ("only_tls13", given().only_tls13()),
            ("ca_", given().ca_pem("")),
            ("identity_", given().identity_pem("", "")),
            (
                "danger_accept_any_host_name",
                given().danger_accept_any_host_name(),
            ),
            (
                "danger_accept_any_certificate",
                given().danger_accept_any_certificate(),
            ),
            (
                "crypto_provider",
                given().crypto_provider(provider::chosen(None).unwrap()),
            ),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(option), "{option}: {error}");
            assert!(error.contains("from_rustls"), "{option}: {error}");
        }
        // Ring is not approved.
        let error = given().require_fips().check().unwrap_err().to_string();
        assert!(error.contains("default_fips_provider"), "{error}");
    }
}
