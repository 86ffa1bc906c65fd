//! Recognises the format of a file without the expected PEM section, and says how to convert it.

use super::der::{Element, element, elements};
use super::sections::Section;

/// The kind of section that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Certificate,
    RevocationList,
    Key,
}

/// The format of a file, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Empty,
    /// JKS.
    JavaKeyStore,
    Jceks,
    /// Bouncy Castle's.
    Bcfks,
    Pkcs12,
    Pkcs7,
    DerCertificate,
    DerRevocationList,
    DerKey,
    DerEncryptedKey,
    /// PEM's base64 without the lines around it.
    Base64,
    Unknown,
}

const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
/// 1.2.840.113549.1.7.2, signed data, the form of certificates in PKCS#7.
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

impl Wanted {
    pub(super) fn name(self) -> &'static str {
        match self {
            Wanted::Certificate => "certificate",
            Wanted::RevocationList => "revocation list",
            Wanted::Key => "private key",
        }
    }

    /// Why a file with these bytes and sections has none of this kind, and what to do. `file` is its name
    /// in a command.
    pub(super) fn missing_in(self, bytes: &[u8], sections: &[Section], file: &str) -> String {
        let name = self.name();
        let other = sections
            .iter()
            .find_map(|section| self.instead(section, file));
        match other {
            Some(other) => format!("it holds no {name} in PEM but {other}"),
            None => match self.of_format(Format::of(bytes), file) {
                Some(what) => format!("it holds no {name} in PEM: {what}"),
                None => format!("it holds no {name} in PEM"),
            },
        }
    }

    /// Describes a section of another kind. The description quotes nothing of the file, which may contain
    /// secrets.
    fn instead(self, section: &Section, file: &str) -> Option<String> {
        Some(match &*section.label {
            _ if !section.whole => {
                return (self.takes(section))
                    .then(|| "one that is truncated: its line -----END is missing".to_owned());
            }
            "PKCS7" | "CMS" => format!(
                "certificates in PKCS#7; convert it with `openssl pkcs7 -print_certs -in {file} -out \
                 certs.pem`"
            ),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                "a certificate request; give the certificate that the CA made of it".to_owned()
            }
            "OPENSSH PRIVATE KEY" => format!(
                "a key of OpenSSH; convert a copy of it with `ssh-keygen -p -m PKCS8 -f {file}`"
            ),
            "DSA PRIVATE KEY" => "a DSA key, which TLS does not use any more".to_owned(),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key".to_owned(),
            "X509 CRL" => "a revocation list".to_owned(),
            _ if section.is_certificate() => "a certificate".to_owned(),
            _ if section.is_key() || section.is_encrypted() => "a private key".to_owned(),
            _ => return None,
        })
    }

    fn takes(self, section: &Section) -> bool {
        match self {
            Wanted::Certificate => section.is_certificate(),
            Wanted::RevocationList => section.label == "X509 CRL",
            Wanted::Key => section.is_key(),
        }
    }

    fn of_format(self, format: Format, file: &str) -> Option<String> {
        let of_key_store = |source: &str| match self {
            Wanted::Key => {
                format!("`openssl pkcs12 -in {source} -nocerts -nodes -out key.pem`")
            }
            _ => format!("`openssl pkcs12 -in {source} -nokeys -out certs.pem`"),
        };
        let as_store = match self {
            Wanted::Certificate => {
                ", or give it to TlsConfig::ca_store or identity_store (feature `tls-stores`)"
            }
            Wanted::Key => ", or give it to TlsConfig::identity_store (feature `tls-stores`)",
            Wanted::RevocationList => "",
        };
        Some(match (format, self) {
            (Format::Empty, _) => "it is empty".to_owned(),
            (Format::JavaKeyStore, Wanted::Key) => format!(
                "it is a Java key store (JKS); convert it with {}, and that with {}{as_store}",
                recoding(format, file),
                of_key_store("keys.p12")
            ),
            (Format::JavaKeyStore, _) => format!(
                "it is a Java key store (JKS); convert it with `keytool -list -rfc -keystore {file} > \
                 certs.pem`{as_store}"
            ),
            (Format::Jceks | Format::Bcfks, _) => format!(
                "it is {}; convert it with {}",
                format.store_name(),
                recoding(format, file)
            ),
            (Format::Pkcs12, _) => format!(
                "it is a key store in PKCS#12; convert it with {}{as_store}",
                of_key_store(file)
            ),
            (Format::Pkcs7, _) => format!(
                "it is PKCS#7 in DER; convert it with `openssl pkcs7 -inform DER -print_certs -in {file} \
                 -out certs.pem`"
            ),
            (Format::DerCertificate, _) => format!(
                "it is a certificate in DER; convert it with `openssl x509 -inform DER -in {file} -out \
                 cert.pem`"
            ),
            (Format::DerRevocationList, _) => format!(
                "it is a revocation list in DER; convert it with `openssl crl -inform DER -in {file} \
                 -out crl.pem`"
            ),
            (Format::DerKey | Format::DerEncryptedKey, _) => format!(
                "it is a private key in DER; convert it with `openssl pkey -inform DER -in {file} -out \
                 key.pem`"
            ),
            (Format::Base64, _) => format!(
                "it is base64 without the lines that belong around it, such as -----BEGIN \
                 CERTIFICATE-----; convert it with `base64 -d {file}` and what `openssl x509` or \
                 `openssl pkey` make of that with -inform DER"
            ),
            (Format::Unknown, _) => return None,
        })
    }
}

/// The command that makes a store in PKCS#12, as every current program reads it, of another store.
pub(super) fn recoding(format: Format, file: &str) -> String {
    let convert = |kind: &str, after: &str| {
        format!(
            "`keytool -importkeystore -srckeystore {file}{kind} -destkeystore keys.p12 -deststoretype \
             PKCS12{after}`"
        )
    };
    match format {
        Format::Jceks => convert(" -srcstoretype JCEKS", ""),
        Format::Bcfks => convert(
            " -srcstoretype BCFKS",
            " -providerclass org.bouncycastle.jcajce.provider.BouncyCastleFipsProvider -providerpath \
             bc-fips.jar",
        ),
        Format::Pkcs12 => convert(" -srcstoretype PKCS12", ""),
        _ => convert("", ""),
    }
}

impl Format {
    /// Whether it is a key store that the feature `tls-stores` reads.
    #[cfg(feature = "tls-stores")]
    pub(super) fn is_store(self) -> bool {
        matches!(self, Format::JavaKeyStore | Format::Pkcs12)
    }

    fn store_name(self) -> &'static str {
        match self {
            Format::Jceks => "a Java key store of the kind JCEKS",
            Format::Bcfks => "a key store of Bouncy Castle (BCFKS)",
            _ => "a key store",
        }
    }

    /// The format of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Format::Empty;
        }
        if bytes.starts_with(&JKS) {
            return Format::JavaKeyStore;
        }
        if bytes.starts_with(&JCEKS) {
            return Format::Jceks;
        }
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
        // DER's outermost element, in base64.
        if bytes.starts_with(b"MI") && bytes.iter().all(is_base64) {
            return Format::Base64;
        }
        // A truncated file is recognised by its start as well.
        let Some(outer) = element(bytes).or_else(|| truncated(bytes)) else {
            return Format::Unknown;
        };
        if outer.tag != Element::SEQUENCE {
            return Format::Unknown;
        }
        Format::of_sequence(outer.content)
    }

    fn of_sequence(content: &[u8]) -> Self {
        let first = element(content).or_else(|| truncated(content));
        let Some(first) = first else {
            return Format::Unknown;
        };
        match (first.tag, first.content) {
            (Element::INTEGER, [3]) => Format::Pkcs12,
            // The version of PKCS#8 and PKCS#1, and that of SEC 1.
            (Element::INTEGER, [0 | 1]) => Format::DerKey,
            (6, id) if id == SIGNED_DATA => Format::Pkcs7,
            (Element::SEQUENCE, inner) => match element(inner).map(|inner| inner.tag) {
                // An algorithm, followed by the octets of the key.
                Some(6) => Format::DerEncryptedKey,
                // The version, or the serial number of a certificate of version 1; a revocation list
                // begins with its version and an algorithm, or with that alone.
                Some(0xa0) => Format::DerCertificate,
                Some(Element::INTEGER) => {
                    let after = elements(inner).skip(1).map(|after| after.tag);
                    let tags: Vec<_> = after.take(3).collect();
                    match tags[..] {
                        [Element::SEQUENCE, Element::SEQUENCE, 0x17 | 0x18] => {
                            Format::DerRevocationList
                        }
                        _ => Format::DerCertificate,
                    }
                }
                // An encrypted store, its algorithm followed by its octets.
                Some(Element::SEQUENCE)
                    if elements(inner).nth(1).map(|after| after.tag)
                        == Some(Element::OCTET_STRING) =>
                {
                    Format::Bcfks
                }
                Some(Element::SEQUENCE) => Format::DerRevocationList,
                _ => Format::Unknown,
            },
            _ => Format::Unknown,
        }
    }
}

/// The element at the start of truncated bytes.
fn truncated(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, after) = bytes.split_first()?;
    let (&length, _) = after.split_first()?;
    let digits = match length {
        0x81..=0x84 => usize::from(length & 0x0f),
        _ => return None,
    };
    Some(Element {
        tag,
        content: after.get(1 + digits..)?,
        whole: bytes,
        rest: &[],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_that_are_not_read_are_named() {
        let bcfks = b"\x30\x0f\x30\x0b\x30\x05\x06\x03\x55\x1d\x25\x04\x02ab\x30\x01";
        let jceks = b"\xce\xce\xce\xce\x00\x00";
        for (bytes, name, option) in [
            (&bcfks[..], "BCFKS", "-srcstoretype BCFKS"),
            (jceks, "JCEKS", "-srcstoretype JCEKS"),
        ] {
            for wanted in [Wanted::Certificate, Wanted::Key, Wanted::RevocationList] {
                let why = wanted.missing_in(bytes, &[], "a.store");
                assert!(why.contains(name) && why.contains(option), "{why}");
                assert!(
                    why.contains("keytool -importkeystore -srckeystore a.store"),
                    "{why}"
                );
            }
        }
    }
}
