//! Verification of a server's certificate: by pins, by webpki, and for trusted certificates that webpki
//! refuses.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::EndEntityCert;

use super::der::is_for_servers;
use super::error::webpki_error;
use super::pins::Pins;

/// Verifies that a server's certificate is pinned, if any is, and that a trusted CA issued it, if there is
/// one.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) pins: Option<Pins>,
    /// `None` if the pins are all that is required, or any certificate is accepted.
    pub(super) chains: Option<Chains>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Verifies as webpki does, and also accepts a certificate that is itself trusted, even a CA's:
/// `openssl req -x509` makes such certificates.
#[derive(Debug)]
pub(super) struct Chains {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
    /// Whether there are revocation lists, which then have to cover every certificate.
    pub(super) needs_revocation_lists: bool,
    /// Whether a certificate may be for a host other than the one connected to.
    pub(super) any_name: bool,
}

impl Chains {
    /// Verifies a certificate that is trusted itself, and so needs no issuer. webpki has found that it is
    /// well formed and valid now, because it checks the issuer last. It has not checked the purposes of a
    /// CA's certificate.
    fn verify_trusted(
        &self,
        certificate: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        if self.needs_revocation_lists {
            return Err(CertificateError::UnknownRevocationStatus.into());
        }
        if !is_for_servers(certificate) {
            return Err(CertificateError::InvalidPurpose.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    /// Whether the certificate's chain leads to a trusted CA, by the names of issuers. Only for an error
    /// text: no signature is verified.
    fn names_trusted_issuer(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> bool {
        let parse = |der| EndEntityCert::try_from(der).ok();
        let Some(certificate) = parse(certificate) else {
            return false;
        };
        if certificate.issuer() == certificate.subject() {
            return false;
        }
        let mut issuer = certificate.issuer().to_vec();
        for _ in 0..=intermediates.len() {
            let mut trusted = self.trusted.iter().filter_map(parse);
            if trusted.any(|trusted| trusted.subject() == issuer) {
                return true;
            }
            let mut above = intermediates.iter().filter_map(parse);
            match above.find(|above| above.subject() == issuer) {
                Some(above) => issuer = above.issuer().to_vec(),
                None => return false,
            }
        }
        false
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.webpki
                .verify_server_cert(end_entity, intermediates, server_name, &[], now);
        let verdict = match verdict {
            Err(Error::InvalidCertificate(problem)) if lacks_issuer(&problem) => {
                if self.trusted.contains(end_entity) {
                    self.verify_trusted(end_entity, server_name)
                } else if self.names_trusted_issuer(end_entity, intermediates) {
                    Err(problem.into())
                } else {
                    Err(CertificateError::UnknownIssuer.into())
                }
            }
            verdict => verdict,
        };
        match verdict {
            // webpki checks the name last, so everything else is in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(pins) = &self.pins {
            pins.verify(end_entity)?;
        }
        match &self.chains {
            Some(chains) => chains.verify(end_entity, intermediates, server_name, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the only fault webpki found is that no trusted CA issued the certificate for a server.
fn lacks_issuer(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::UnknownIssuer)
        || matches!(
            webpki_error(problem),
            Some(webpki::Error::CaUsedAsEndEntity)
        )
}
