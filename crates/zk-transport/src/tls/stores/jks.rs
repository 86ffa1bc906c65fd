//! Java's own format of key stores (JKS), which `keytool` wrote until Java 8.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::plain::Locked;
use super::protector::utf16;
use super::store::{Key, Store};

const HASH: usize = 20;
const KEY: u32 = 1;
const CERTIFICATE: u32 = 2;

/// The entries of a store. Without a passphrase, its integrity is not verified.
pub(in super::super) fn open(bytes: &[u8], passphrase: Option<&str>) -> Result<Store, Locked> {
    let (signed, hash) = bytes
        .len()
        .checked_sub(HASH)
        .and_then(|end| bytes.split_at_checked(end))
        .ok_or(Locked::Malformed)?;
    if let Some(passphrase) = passphrase {
        let found = Sha1::new()
            .chain_update(&*utf16(passphrase))
            .chain_update("Mighty Aphrodite")
            .chain_update(signed)
            .finalize();
        if found[..] != *hash {
            return Err(Locked::WrongPassphrase);
        }
    }
    entries(signed).ok_or(Locked::Malformed)
}

fn entries(signed: &[u8]) -> Option<Store> {
    // After the four bytes by which the format is recognised.
    let mut input = Input(signed.get(4..)?);
    let version = input.number()?;
    let count = input.number()?;
    let mut store = Store::default();
    for _ in 0..count {
        let kind = input.number()?;
        let alias = input.text()?;
        let _created = input.take(8)?;
        match kind {
            KEY => {
                let encrypted = input.sized()?.to_vec();
                let mut chain = Vec::new();
                for number in 1..=input.number()? {
                    let certificate = input.certificate(version)?;
                    store.certificates.push((
                        format!("certificate {number} of {alias:?}"),
                        certificate.clone(),
                    ));
                    chain.push(certificate);
                }
                store.keys.push(Key {
                    alias,
                    is_encrypted: true,
                    content: Zeroizing::new(encrypted),
                    chain,
                });
            }
            CERTIFICATE => {
                let certificate = input.certificate(version)?;
                store
                    .certificates
                    .push((format!("certificate {alias:?}"), certificate));
            }
            _ => return None,
        }
    }
    Some(store)
}

/// The unread part of a store.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.take(2)?.try_into().ok().map(u16::from_be_bytes)?;
        let text = self.take(length.into())?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn certificate(&mut self, version: u32) -> Option<Vec<u8>> {
        if version > 1 {
            let _type = self.text()?;
        }
        self.sized().map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &[u8] = include_bytes!("../../../tests/inputs/tls/store.jks");

    #[test]
    fn the_passphrase_verifies_the_store() {
        let store = open(STORE, Some("changeit")).unwrap();
        assert_eq!(store.keys.len(), 1);
        assert_eq!(store.keys[0].chain.len(), 1);
        assert_eq!(store.certificates.len(), 1);
        assert_eq!(
            open(STORE, Some("wrong")).err(),
            Some(Locked::WrongPassphrase)
        );
        assert!(open(STORE, None).is_ok());
    }

    #[test]
    fn a_truncated_store_is_malformed() {
        for end in 0..STORE.len() {
            assert!(open(&STORE[..end], Some("changeit")).is_err());
            // Without its last bytes, the certificate is incomplete.
            assert_eq!(
                open(&STORE[..end], None).err(),
                Some(Locked::Malformed),
                "{end}"
            );
        }
    }
}
