//! Sun's encryption of the keys in JKS.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::plain::{Locked, Plain};

/// 1.3.6.1.4.1.42.2.17.1.1, Sun's encryption of keys.
pub(super) const ID: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x2a, 2, 0x11, 1, 1];

const HASH: usize = 20;

/// Decrypts a key: its bytes are combined with a chain of hashes, and a hash verifies it.
pub(super) fn unprotect(data: &[u8], passphrase: &str) -> Result<Plain, Locked> {
    let password = utf16(passphrase);
    let parts = data.split_at_checked(HASH).and_then(|(salt, rest)| {
        let (encrypted, hash) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
        Some((salt, encrypted, hash))
    });
    let (salt, encrypted, hash) = parts.ok_or(Locked::Malformed)?;
    let mut plain = Zeroizing::new(encrypted.to_vec());
    let mut last = salt.to_vec();
    for chunk in plain.chunks_mut(HASH) {
        let digest = Sha1::new().chain_update(&*password).chain_update(&last);
        last = digest.finalize().to_vec();
        for (byte, key) in chunk.iter_mut().zip(&last) {
            *byte ^= key;
        }
    }
    let found = Sha1::new()
        .chain_update(&*password)
        .chain_update(&*plain)
        .finalize();
    if found[..] != *hash {
        return Err(Locked::WrongPassphrase);
    }
    Ok(plain)
}

/// A passphrase as Java hashes it.
pub(super) fn utf16(passphrase: &str) -> Plain {
    let units = passphrase.encode_utf16();
    Zeroizing::new(units.flat_map(u16::to_be_bytes).collect())
}
