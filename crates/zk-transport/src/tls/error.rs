//! Why TLS failed, in words.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, OtherError, PeerIncompatible,
};

const MALFORMED: &str = "it is malformed";
const CRITICAL_EXTENSION: &str = "it has a critical extension that this client does not support";
pub(super) const USABLE_KEYS: &str =
    "use keys on P-256 or P-384, of Ed25519, or of RSA with 2048 bits and more";
/// A cause for which TLS has no alert of its own.
const UNVERIFIABLE_KEY: &str = "a certificate with a key that this client cannot verify, as one on the \
     curve P-521 (use P-256, P-384, Ed25519, or RSA of 2048 bits and more)";

/// Why a TLS connection could not be made, or ended.
///
/// It contains no secret and no rustls type, so that it can be compared, cloned and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate, key or revocation list of this client cannot be used.
    #[error("{what} cannot be used: {why}")]
    Configuration {
        /// Which one.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server's certificate was issued by none of the trusted CAs.
    #[error(
        "the server's certificate was not issued by any CA that this client was given; give it the \
         CA that issued it, or the certificate itself, as for one that is self-signed"
    )]
    UnknownCa,
    /// The server's certificate, or one between it and the CA, has expired.
    #[error("the server's certificate has expired{}", Ago(.0, " ago"))]
    Expired(
        /// How long ago, if known.
        Option<Duration>,
    ),
    /// The server's certificate, or one between it and the CA, is not valid yet.
    #[error("the server's certificate is not valid yet{}; is this machine's clock right?", Ago(.0, " to go"))]
    NotYetValid(
        /// How long until then, if known.
        Option<Duration>,
    ),
    /// The server's certificate is for other hosts.
    #[error("the server's certificate is not for {expected:?} but for {}", Names(.presented))]
    WrongName {
        /// The name connected to, or the configured one in its place.
        expected: String,
        /// The names in the certificate's subject alternative names.
        presented: Vec<String>,
    },
    /// The server's certificate has been revoked.
    #[error("the server's certificate has been revoked")]
    Revoked,
    /// There are revocation lists, and none of them covers the server's certificate.
    #[error("no valid revocation list covers the server's certificate: {0}")]
    RevocationUnknown(String),
    /// The server's certificate is none of those that are pinned.
    #[error(
        "the server's certificate, with the SHA-256 {0}, is none of those that are pinned; if the server \
         has a new certificate, pin that one too"
    )]
    NotPinned(
        /// The SHA-256 of what the server presented, as OpenSSL shows it.
        String,
    ),
    /// The server's certificate is refused for another reason.
    #[error("the server's certificate is refused: {0}")]
    BadCertificate(String),
    /// The server requires a certificate of this client, which has none.
    #[error("the server wants a client certificate, and this client was given none (alert: {0})")]
    ClientCertificateRequired(String),
    /// The server does not accept this client's certificate.
    #[error(
        "the server refuses this client's certificate (alert: {0}); it may have expired or be \
         issued by a CA that the server does not trust"
    )]
    ClientCertificateRefused(String),
    /// Server and client have no protocol version or cipher suite in common.
    #[error("the server and this client have no TLS version or cipher in common: {0}")]
    Incompatible(String),
    /// What the server sent is not TLS.
    #[error("the server does not speak TLS on this port; it may be the port for plaintext")]
    NotTls,
    /// The server closed the connection during the handshake.
    #[error(
        "the server closed the connection during the TLS handshake; it may not speak TLS on this \
         port, have as many connections from this address as it allows (maxClientCnxns), be starting, \
         or have {UNVERIFIABLE_KEY}"
    )]
    ClosedInHandshake,
    /// The server ended the connection with another alert.
    #[error("the server ended TLS with the alert {0}")]
    Alert(String),
    /// Without the time, certificates cannot be verified.
    #[error(
        "this machine's clock is before 1970, so that no certificate can be judged; set the clock"
    )]
    Clock,
    /// The connection failed below TLS.
    #[error("{0}")]
    Io(String),
    /// Another failure.
    #[error("TLS failed: {0}")]
    Other(String),
}

impl TlsError {
    /// Whether the next attempt will fail in the same way unless a certificate or a setting is changed,
    /// as opposed to a server that is unreachable.
    pub fn is_lasting(&self) -> bool {
        !matches!(
            self,
            TlsError::ClosedInHandshake
                | TlsError::Clock
                | TlsError::Io(_)
                | TlsError::Configuration { .. }
        )
    }

    pub(super) fn configuration(what: impl Into<String>, why: impl fmt::Display) -> Self {
        TlsError::Configuration {
            what: what.into(),
            why: why.to_string(),
        }
    }

    /// The meaning of an error of the TLS stream. `identified` if this client has a certificate. An error
    /// that is not TLS's is returned as it is.
    pub(super) fn explain(error: io::Error, identified: bool) -> Result<TlsError, io::Error> {
        let known = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .map(|inner| TlsError::from_rustls(inner, identified));
        known.ok_or(error)
    }

    fn from_rustls(error: &rustls::Error, identified: bool) -> Self {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(why) => TlsError::from_certificate(why),
            E::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => TlsError::NotTls,
            E::FailedToGetCurrentTime => TlsError::Clock,
            E::AlertReceived(alert) => TlsError::from_alert(*alert, identified),
            E::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(_)) => {
                TlsError::Other(error.to_string())
            }
            E::PeerIncompatible(why) => TlsError::Incompatible(format!("{why:?}")),
            other => TlsError::Other(other.to_string()),
        }
    }

    fn from_alert(alert: AlertDescription, identified: bool) -> Self {
        use AlertDescription as A;
        let name = format!("{alert:?}");
        match alert {
            // Java's servers send `bad_certificate` when there is no certificate.
            A::CertificateRequired | A::BadCertificate if !identified => {
                TlsError::ClientCertificateRequired(name)
            }
            A::CertificateRequired
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied => TlsError::ClientCertificateRefused(name),
            A::ProtocolVersion | A::InsufficientSecurity => {
                TlsError::Incompatible(format!("alert {name}"))
            }
            A::HandshakeFailure if identified => TlsError::Incompatible(format!(
                "alert {name}; or the server has {UNVERIFIABLE_KEY}"
            )),
            A::HandshakeFailure => TlsError::Incompatible(format!(
                "alert {name}; or it wants a client certificate, and this client was given none; or it \
                 has {UNVERIFIABLE_KEY}"
            )),
            A::InternalError => TlsError::Alert(format!(
                "{name}; its log says why; it may have {UNVERIFIABLE_KEY}"
            )),
            _ => TlsError::Alert(name),
        }
    }

    fn from_certificate(error: &CertificateError) -> Self {
        use CertificateError as C;
        if let C::Other(OtherError(error)) = error
            && let Some(NotPinned(presented)) = error.downcast_ref()
        {
            return TlsError::NotPinned(presented.clone());
        }
        match error {
            C::UnknownIssuer => TlsError::UnknownCa,
            C::Expired => TlsError::Expired(None),
            C::ExpiredContext { time, not_after } => TlsError::Expired(Some(Duration::from_secs(
                time.as_secs().saturating_sub(not_after.as_secs()),
            ))),
            C::NotValidYet => TlsError::NotYetValid(None),
            C::NotValidYetContext { time, not_before } => TlsError::NotYetValid(Some(
                Duration::from_secs(not_before.as_secs().saturating_sub(time.as_secs())),
            )),
            C::NotValidForNameContext {
                expected,
                presented,
            } => TlsError::WrongName {
                expected: expected.to_str().into_owned(),
                presented: presented.iter().map(|name| plain(name)).collect(),
            },
            C::Revoked => TlsError::Revoked,
            C::UnknownRevocationStatus
            | C::ExpiredRevocationList
            | C::ExpiredRevocationListContext { .. } => TlsError::RevocationUnknown(
                rustls::Error::InvalidCertificate(error.clone()).to_string(),
            ),
            other => TlsError::BadCertificate(unusable(other)),
        }
    }
}

/// The SHA-256 of a certificate that is not pinned.
#[derive(Debug)]
pub(super) struct NotPinned(pub(super) String);

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate {} is not pinned", self.0)
    }
}

impl std::error::Error for NotPinned {}

/// Why a certificate cannot be used.
fn unusable(error: &CertificateError) -> String {
    use CertificateError as C;
    if let Some(error) = webpki_error(error) {
        return refusal(error);
    }
    match error {
        C::BadEncoding => MALFORMED.to_owned(),
        C::BadSignature => {
            "it names a CA that this client was given, and is signed with another key than \
                            that CA's; if the CA was renewed, give its present certificate"
                .to_owned()
        }
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "it is signed in a way that this client cannot verify, as with SHA-1, DSA or a CA's key on the \
             curve P-521; {USABLE_KEYS}"
        ),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            "it is not for servers: its extended key usage lacks serverAuth".to_owned()
        }
        C::UnhandledCriticalExtension => CRITICAL_EXTENSION.to_owned(),
        other => other.to_string(),
    }
}

/// Why a client certificate and its key cannot be used.
pub(super) fn unusable_identity(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => unusable(error),
        rustls::Error::InconsistentKeys(_) => {
            "it is not the certificate of the private key that was given".to_owned()
        }
        other => other.to_string(),
    }
}

/// The error of webpki, where rustls has no variant for it.
pub(super) fn webpki_error(error: &CertificateError) -> Option<&webpki::Error> {
    match error {
        CertificateError::Other(OtherError(error)) => error.downcast_ref(),
        _ => None,
    }
}

/// Why webpki refuses a certificate.
pub(super) fn refusal(error: &webpki::Error) -> String {
    use webpki::Error as E;
    let text = match error {
        E::CaUsedAsEndEntity => {
            "it is the certificate of a CA (basicConstraints CA:TRUE), and a server may present such a one \
             only if this client trusts it itself; give this client that certificate, or the server one \
             with CA:FALSE"
        }
        E::EndEntityUsedAsCa => {
            "it was issued by a certificate that is not a CA's: basicConstraints CA:TRUE is missing there"
        }
        E::UnsupportedCertVersion => {
            "it, or one between it and the CA, is an X.509 certificate of version 1, which cannot name \
             hosts; issue one of version 3, as `openssl x509 -req` does when it is given extensions: \
             -extfile with a file that says subjectAltName=DNS:HOST"
        }
        E::PathLenConstraintViolated => {
            "there are more CAs between it and the trusted one than that allows (pathlen)"
        }
        E::NameConstraintViolation => {
            "its CA may not issue certificates for its names (name constraints)"
        }
        E::UnsupportedCriticalExtension => CRITICAL_EXTENSION,
        E::BadDer | E::BadDerTime | E::TrailingData(_) => MALFORMED,
        E::InvalidCertValidity => "its validity ends before it begins",
        E::InvalidSerialNumber => "its serial number is longer than 20 bytes, or empty",
        E::SignatureAlgorithmMismatch => "it names two different algorithms of its signature",
        E::MalformedExtensions | E::ExtensionValueInvalid | E::EmptyEkuExtension => {
            "one of its extensions is malformed"
        }
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

/// A length of time in its largest unit.
struct Ago<'a>(&'a Option<Duration>, &'static str);

impl fmt::Display for Ago<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(time) = self.0 else { return Ok(()) };
        let seconds = time.as_secs();
        let (amount, unit) = match seconds {
            0..120 => (seconds, "s"),
            120..7_200 => (seconds / 60, "min"),
            7_200..172_800 => (seconds / 3_600, "h"),
            _ => (seconds / 86_400, "days"),
        };
        write!(f, ", {amount} {unit}{}", self.1)
    }
}

/// The name in a text of webpki, such as `DnsName("zk1.example.com")`.
fn plain(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, it)| it.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}

/// The names in a certificate: chosen by the server, so escaped, and possibly none.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        if self.0.is_empty() {
            return f.write_str(
                "no host at all: it has no subject alternative names, and a common name does not \
                 count",
            );
        }
        for (n, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{}", name.escape_debug())?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_their_largest_unit() {
        let text = |seconds| TlsError::Expired(Some(Duration::from_secs(seconds))).to_string();
        assert_eq!(text(5), "the server's certificate has expired, 5 s ago");
        assert!(text(86_400).ends_with("24 h ago"));
        assert!(text(864_000).ends_with("10 days ago"));
        assert!(TlsError::Expired(None).to_string().ends_with("has expired"));
    }

    #[test]
    fn a_name_cannot_forge_a_line_of_the_log() {
        let error = TlsError::WrongName {
            expected: "zk1".into(),
            presented: vec!["a\nb".into()],
        };
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn names_are_shown_as_they_are_written() {
        for (of_webpki, name) in [
            ("DnsName(\"zk1.example.com\")", "zk1.example.com"),
            ("IpAddress(10.0.0.1)", "10.0.0.1"),
            ("zk1", "zk1"),
        ] {
            assert_eq!(plain(of_webpki), name);
        }
    }

    #[test]
    fn an_alert_depends_on_the_certificate() {
        let alert = |identified| {
            let error = rustls::Error::AlertReceived(AlertDescription::BadCertificate);
            TlsError::explain(io::Error::other(error), identified).unwrap()
        };
        assert!(matches!(
            alert(false),
            TlsError::ClientCertificateRequired(_)
        ));
        assert!(matches!(alert(true), TlsError::ClientCertificateRefused(_)));
        assert!(TlsError::explain(io::Error::other("reset"), true).is_err());
    }
}
