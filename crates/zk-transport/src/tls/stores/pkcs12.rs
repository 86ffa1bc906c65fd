//! Key stores in PKCS#12 (RFC 7292), as OpenSSL and Java write them.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::super::der::{Element, element, elements, number};
use super::encryption::{bmp_string, decrypt, derive, dotted, plausible};
use super::plain::{Locked, Plain};
use super::store::{Key, Store};

/// 1.2.840.113549.1, of RSA's standards.
const PKCS: [u8; 7] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
const DATA: [u8; 2] = [7, 1];
const ENCRYPTED_DATA: [u8; 2] = [7, 6];
const KEY_BAG: [u8; 4] = [12, 10, 1, 1];
const SHROUDED_KEY_BAG: [u8; 4] = [12, 10, 1, 2];
const CERTIFICATE_BAG: [u8; 4] = [12, 10, 1, 3];
const FRIENDLY_NAME: [u8; 2] = [9, 20];
const LOCAL_KEY_ID: [u8; 2] = [9, 21];
/// 1.3.14.3.2.26.
const SHA1: [u8; 5] = [0x2b, 0x0e, 3, 2, 0x1a];
/// 2.16.840.1.101.3.4.2, the prefix of SHA-2's functions.
const SHA2: [u8; 8] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];

/// The entries of a store, after its integrity has been verified. Without a passphrase it is not, and
/// only a store whose certificates are not encrypted can be read.
pub(in super::super) fn open(bytes: &[u8], passphrase: Option<&str>) -> Result<Store, Locked> {
    let outer = element(bytes).ok_or(Locked::Malformed)?;
    let mut parts = elements(outer.content);
    let (Some(_version), Some(safe), mac) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Locked::Malformed);
    };
    let (kind, content) = typed(safe.content).ok_or(Locked::Malformed)?;
    if kind.content.strip_prefix(&PKCS) != Some(&DATA) {
        return Err(Locked::Unsupported(
            "a public key in place of a passphrase".to_owned(),
        ));
    }
    let safes = element(content).ok_or(Locked::Malformed)?.content;
    if let (Some(mac), Some(passphrase)) = (mac, passphrase) {
        verify(mac, safes, passphrase)?;
    }
    let mut bags = Bags::default();
    let safes = element(safes).ok_or(Locked::Malformed)?;
    for safe in elements(safes.content) {
        let (kind, content) = typed(safe.content).ok_or(Locked::Malformed)?;
        match kind.content.strip_prefix(&PKCS) {
            Some(kind) if kind == DATA => {
                let plain = element(content).ok_or(Locked::Malformed)?;
                bags.read(plain.content)?;
            }
            Some(kind) if kind == ENCRYPTED_DATA => {
                let passphrase = passphrase.ok_or(Locked::WrongPassphrase)?;
                bags.read(&decrypt_safe(content, passphrase)?)?;
            }
            _ => {
                return Err(Locked::Unsupported(format!("the kind {}", dotted(&kind))));
            }
        }
    }
    Ok(bags.into_store())
}

/// An identifier and the content of the element `[0]` behind it.
fn typed(content: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let mut parts = elements(content);
    Some((parts.next()?, parts.next()?.content))
}

/// The MAC over the content, with a key derived from the passphrase.
fn verify(mac: Element<'_>, content: &[u8], passphrase: &str) -> Result<(), Locked> {
    let mut parts = elements(mac.content);
    let (Some(info), Some(salt), iterations) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Locked::Malformed);
    };
    let mut info = elements(info.content);
    let (Some(algorithm), Some(expected)) = (info.next(), info.next()) else {
        return Err(Locked::Malformed);
    };
    let algorithm = element(algorithm.content).ok_or(Locked::Malformed)?;
    let iterations = plausible(iterations.map_or(Some(1), number))?;
    let verify = |password: &[u8]| {
        let check = Check {
            password,
            salt: salt.content,
            iterations,
            content,
            expected: expected.content,
        };
        match algorithm.content {
            id if id == SHA1 => Ok(check.is_right::<Sha1, Hmac<Sha1>>(64, 20)),
            id => match id.strip_prefix(&SHA2) {
                Some([1]) => Ok(check.is_right::<Sha256, Hmac<Sha256>>(64, 32)),
                Some([2]) => Ok(check.is_right::<Sha384, Hmac<Sha384>>(128, 48)),
                Some([3]) => Ok(check.is_right::<Sha512, Hmac<Sha512>>(128, 64)),
                Some([4]) => Ok(check.is_right::<Sha224, Hmac<Sha224>>(64, 28)),
                _ => Err(Locked::Unsupported(format!(
                    "the MAC {}",
                    dotted(&algorithm)
                ))),
            },
        }
    };
    // Programs differ in what an empty passphrase is.
    if verify(&bmp_string(passphrase))? || (passphrase.is_empty() && verify(b"")?) {
        Ok(())
    } else {
        Err(Locked::WrongPassphrase)
    }
}

/// What a MAC is computed from, and its expected value.
struct Check<'a> {
    password: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
    content: &'a [u8],
    expected: &'a [u8],
}

impl Check<'_> {
    fn is_right<D: Digest, M: Mac + KeyInit>(&self, block: usize, length: usize) -> bool {
        let key = derive::<D>(block, 3, self.password, self.salt, self.iterations, length);
        let Ok(mac) = <M as KeyInit>::new_from_slice(&key) else {
            return false;
        };
        mac.chain_update(self.content)
            .verify_slice(self.expected)
            .is_ok()
    }
}

/// Decrypts `EncryptedData`.
fn decrypt_safe(content: &[u8], passphrase: &str) -> Result<Plain, Locked> {
    let encrypted = element(content).ok_or(Locked::Malformed)?;
    // After the version.
    let info = elements(encrypted.content)
        .nth(1)
        .ok_or(Locked::Malformed)?;
    let mut parts = elements(info.content).skip(1);
    let (Some(algorithm), Some(data)) = (parts.next(), parts.next()) else {
        return Err(Locked::Malformed);
    };
    if data.tag == 0x80 {
        return decrypt(algorithm, data.content, passphrase);
    }
    // Written in pieces.
    let pieces: Vec<u8> = elements(data.content)
        .flat_map(|piece| piece.content.iter().copied())
        .collect();
    decrypt(algorithm, &pieces, passphrase)
}

/// The entries of all safes, before certificates are assigned to keys.
#[derive(Default)]
struct Bags {
    keys: Vec<Bag>,
    certificates: Vec<Bag>,
}

struct Bag {
    content: Plain,
    is_encrypted: bool,
    alias: Option<String>,
    local_id: Option<Vec<u8>>,
}

impl Bags {
    fn read(&mut self, safe: &[u8]) -> Result<(), Locked> {
        let safe = element(safe).ok_or(Locked::WrongPassphrase)?;
        for bag in elements(safe.content) {
            let (kind, content) = typed(bag.content).ok_or(Locked::Malformed)?;
            let attributes = elements(bag.content).nth(2);
            let attribute = |id: [u8; 2]| {
                let attributes = elements(attributes?.content);
                let mut values = attributes.filter_map(|attribute| typed(attribute.content));
                let (_, value) =
                    values.find(|(kind, _)| kind.content.strip_prefix(&PKCS) == Some(&id))?;
                element(value).map(|value| value.content)
            };
            let bag = |content: &[u8], is_encrypted| Bag {
                content: Zeroizing::new(content.to_vec()),
                is_encrypted,
                alias: attribute(FRIENDLY_NAME).map(utf16),
                local_id: attribute(LOCAL_KEY_ID).map(<[u8]>::to_vec),
            };
            match kind.content.strip_prefix(&PKCS) {
                Some(kind) if kind == KEY_BAG => self.keys.push(bag(content, false)),
                Some(kind) if kind == SHROUDED_KEY_BAG => self.keys.push(bag(content, true)),
                Some(kind) if kind == CERTIFICATE_BAG => {
                    let inner = element(content).and_then(|inner| typed(inner.content));
                    let certificate = inner.and_then(|(_, value)| element(value));
                    let certificate = certificate.ok_or(Locked::Malformed)?;
                    self.certificates.push(bag(certificate.content, false));
                }
                // Revocation lists, secrets, nested safes.
                _ => {}
            }
        }
        Ok(())
    }

    fn into_store(self) -> Store {
        let Bags { keys, certificates } = self;
        let named = |(number, bag): (usize, &Bag)| {
            let name = match &bag.alias {
                Some(alias) => format!("certificate {alias:?}"),
                None => format!("certificate {}", number + 1),
            };
            (name, bag.content.to_vec())
        };
        Store {
            keys: keys
                .iter()
                .map(|key| Key {
                    alias: key.alias.clone().unwrap_or_default(),
                    is_encrypted: key.is_encrypted,
                    content: key.content.clone(),
                    chain: chain(key, &certificates),
                })
                .collect(),
            certificates: certificates.iter().enumerate().map(named).collect(),
        }
    }
}

/// The certificate of a key, and from there each certificate's issuer.
fn chain(key: &Bag, certificates: &[Bag]) -> Vec<Vec<u8>> {
    let own = certificates
        .iter()
        .position(|bag| bag.local_id.is_some() && bag.local_id == key.local_id)
        // Without an identifier, the first is the key's: so OpenSSL writes them.
        .or((!certificates.is_empty()).then_some(0));
    let mut left: Vec<&Bag> = certificates.iter().collect();
    let mut next = own;
    let mut found: Vec<Vec<u8>> = Vec::new();
    while let Some(at) = next {
        let bag = left.remove(at);
        let issuer = names(&bag.content).map(|(issuer, _)| issuer.to_vec());
        found.push(bag.content.to_vec());
        next = left.iter().position(|other| {
            let subject = names(&other.content).map(|(_, subject)| subject);
            subject.is_some() && subject == issuer.as_deref()
        });
    }
    found
}

/// The issuer and the subject of a certificate.
fn names(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let content = element(element(certificate)?.content)?.content;
    // The version may be missing; then follow the serial number, the algorithm, the issuer, the validity.
    let mut parts = elements(content).skip_while(|part| part.tag != Element::INTEGER);
    Some((parts.nth(2)?.whole, parts.nth(1)?.whole))
}

/// A `BMPString`.
fn utf16(bytes: &[u8]) -> String {
    let pairs = bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok());
    let decoded = char::decode_utf16(pairs.map(u16::from_be_bytes));
    decoded
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &[u8] = include_bytes!("../../../tests/inputs/tls/store.p12");

    #[test]
    fn the_passphrase_opens_the_store() {
        let store = open(STORE, Some("changeit")).unwrap();
        assert_eq!(store.certificates.len(), 1);
        let (key, chain) = store.identity(None, Some("changeit")).unwrap();
        assert_eq!(key[0], Element::SEQUENCE);
        assert_eq!(chain.len(), 1);
        assert!(store.identity(Some("SERVER"), Some("changeit")).is_ok());
        let other = store.identity(Some("other"), Some("changeit"));
        assert!(other.unwrap_err().contains("\"server\""));
        for wrong in [Some("wrong"), Some(""), None] {
            assert_eq!(open(STORE, wrong).err(), Some(Locked::WrongPassphrase));
        }
    }

    #[test]
    fn a_damaged_store_is_no_panic() {
        for end in 0..STORE.len() {
            assert!(open(&STORE[..end], Some("changeit")).is_err(), "{end}");
        }
        let mut bytes = STORE.to_vec();
        for at in 0..bytes.len().min(200) {
            bytes[at] ^= 0x81;
            let _ = open(&bytes, Some("changeit"));
            bytes[at] ^= 0x81;
        }
    }
}
