//! Checking a server's certificate: as webpki does it, and where that is too narrow.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::EndEntityCert;

use super::der::is_for_servers;
use super::error::webpki_error;

/// Checks what webpki checks, and accepts a certificate that is itself among those trusted, a CA's too:
/// that is what `openssl req -x509` makes.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
    /// Whether revocation lists were given, by which every certificate must be covered.
    pub(super) needs_revocation_lists: bool,
    /// Whether a certificate may be for another host than the one connected to.
    pub(super) any_name: bool,
}

impl Verifier {
    /// A certificate that is trusted as it is, and so needs no issuer. webpki has found that it is well
    /// formed and valid now: it checks that before it looks at who issued it. It has not come to the
    /// purposes of a CA's certificate.
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

    /// Whether the certificate's chain leads to a trusted CA, by the names of issuers. For an error text
    /// only: no signature is checked.
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
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
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
            // The name is looked at last, when all else has been found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether webpki found nothing wrong with the certificate but that no trusted CA issued it for a server.
fn lacks_issuer(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::UnknownIssuer)
        || matches!(
            webpki_error(problem),
            Some(webpki::Error::CaUsedAsEndEntity)
        )
}
