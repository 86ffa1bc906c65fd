//! The implementation of cryptography.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;

use super::error::TlsError;

/// The provider that a configuration names, or that the process has installed, or that of a feature.
pub(super) fn chosen(given: Option<&Arc<CryptoProvider>>) -> Result<Arc<CryptoProvider>, TlsError> {
    given
        .cloned()
        .or_else(|| CryptoProvider::get_default().cloned())
        .or_else(of_features)
        .ok_or_else(|| {
            TlsError::configuration(
                "TLS",
                "there is no crypto provider; give one with TlsConfig::crypto_provider, install one with \
                 CryptoProvider::install_default, or enable the feature `tls` (ring) or `tls-aws-lc-rs`",
            )
        })
}

/// ring, if there are both: a feature does not change what exists without it.
#[allow(unreachable_code, reason = "both features may be enabled")]
fn of_features() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "tls")]
    return Some(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ));
    #[cfg(feature = "tls-aws-lc-rs")]
    return Some(Arc::new(
        tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
    ));
    None
}

#[cfg(test)]
mod tests {
    use super::super::TlsConfig;

    /// A certificate and a key on a curve that only aws-lc-rs has.
    fn on_p521() -> TlsConfig {
        let input =
            |name| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/inputs/tls/").to_owned() + name;
        TlsConfig::new()
            .ca_file(input("ca.pem"))
            .identity_files(input("p521.pem"), input("p521.key"))
    }

    #[cfg(feature = "tls")]
    #[test]
    fn ring_comes_first() {
        let why = on_p521().check().unwrap_err().to_string();
        assert!(why.contains("P-521"), "{why}");
    }

    #[cfg(feature = "tls-aws-lc-rs")]
    #[test]
    fn a_given_provider_comes_before_features() {
        let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
        assert_eq!(on_p521().crypto_provider(provider).check(), Ok(Vec::new()));
    }

    #[cfg(not(any(feature = "tls", feature = "tls-aws-lc-rs")))]
    #[test]
    fn a_missing_provider_is_an_error() {
        let why = on_p521().check().unwrap_err().to_string();
        assert!(why.contains("TlsConfig::crypto_provider"), "{why}");
    }
}
