//! Decryption with a passphrase: PBES2 by the crate `pkcs5`, and the older schemes.

use std::fmt;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use md5::Md5;
use pkcs5::pbes2::Kdf;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::super::der::{Element, element, elements, number};
use super::plain::{Locked, Plain};
use super::protector;

/// 1.2.840.113549.1, of RSA's standards.
const PKCS: [u8; 7] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
/// More repetitions than any program writes, which would take minutes.
const MOST_ITERATIONS: u32 = 10_000_000;
/// Scrypt's N times r: half a gigabyte, 32 times what OpenSSL's command uses.
const MOST_SCRYPT_BLOCKS: u64 = 1 << 22;
const MOST_SCRYPT_LANES: u16 = 16;

/// The key in PKCS#8 of an encrypted one: `EncryptedPrivateKeyInfo`.
pub(in super::super) fn decrypt_key(encrypted: &[u8], passphrase: &str) -> Result<Plain, Locked> {
    let outer = element(encrypted)
        .filter(|outer| outer.tag == Element::SEQUENCE)
        .ok_or(Locked::Malformed)?;
    let mut parts = elements(outer.content);
    let (Some(algorithm), Some(data)) = (parts.next(), parts.next()) else {
        return Err(Locked::Malformed);
    };
    let plain = decrypt(algorithm, data.content, passphrase)?;
    // Padding is right by chance once in 256 times.
    match element(&plain) {
        Some(whole) if whole.tag == Element::SEQUENCE && whole.rest.is_empty() => Ok(plain),
        _ => Err(Locked::WrongPassphrase),
    }
}

/// Decrypts with an `AlgorithmIdentifier`.
pub(super) fn decrypt(
    algorithm: Element<'_>,
    data: &[u8],
    passphrase: &str,
) -> Result<Plain, Locked> {
    let mut parts = elements(algorithm.content);
    let (Some(id), parameters) = (parts.next(), parts.next()) else {
        return Err(Locked::Malformed);
    };
    if id.content == protector::ID {
        return protector::unprotect(data, passphrase);
    }
    let scheme = match id.content.strip_prefix(&PKCS) {
        Some([5, 13]) => return pbes2(algorithm.whole, data, passphrase),
        Some([standard @ (5 | 12), rest @ ..]) => (*standard, rest),
        _ => return Err(Locked::Unsupported(format!("the scheme {}", dotted(&id)))),
    };
    let parameters = parameters.ok_or(Locked::Malformed)?;
    let (salt, iterations) = salt_and_iterations(parameters)?;
    let old = Pbe {
        salt,
        iterations,
        data,
    };
    match scheme {
        (5, [3]) => old.pbes1::<Md5>(passphrase),
        (5, [10]) => old.pbes1::<Sha1>(passphrase),
        (12, [1, 3]) => old.pkcs12::<des::TdesEde3>(passphrase, 24),
        (12, [1, 4]) => old.pkcs12::<des::TdesEde2>(passphrase, 16),
        (12, [1, 5]) => old.pkcs12::<rc2::Rc2>(passphrase, 16),
        (12, [1, 6]) => old.pkcs12::<rc2::Rc2>(passphrase, 5),
        _ => Err(Locked::Unsupported(format!("the scheme {}", dotted(&id)))),
    }
}

fn pbes2(algorithm: &[u8], data: &[u8], passphrase: &str) -> Result<Plain, Locked> {
    let unsupported = |error: &dyn fmt::Display| Locked::Unsupported(format!("PBES2 ({error})"));
    let scheme = pkcs5::EncryptionScheme::try_from(algorithm).map_err(|e| unsupported(&e))?;
    if let Some(parameters) = scheme.pbes2() {
        bounded(&parameters.kdf)?;
    }
    match scheme.decrypt(passphrase, data) {
        Ok(plain) => Ok(Zeroizing::new(plain)),
        Err(pkcs5::Error::DecryptFailed) => Err(Locked::WrongPassphrase),
        Err(error) => Err(unsupported(&error)),
    }
}

/// Refuses a key derivation whose costs, which the file chooses, take minutes or gigabytes.
fn bounded(derivation: &Kdf) -> Result<(), Locked> {
    match derivation {
        Kdf::Pbkdf2(pbkdf2) => plausible(Some(pbkdf2.iteration_count)).map(drop),
        Kdf::Scrypt(scrypt) => {
            let (n, r, p) = (
                scrypt.cost_parameter,
                scrypt.block_size,
                scrypt.parallelization,
            );
            // RFC 7914, 2 and 6. `pkcs5` panics without a cost.
            if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
                return Err(Locked::Malformed);
            }
            if n.saturating_mul(r.into()) > MOST_SCRYPT_BLOCKS || p > MOST_SCRYPT_LANES {
                return Err(Locked::Unsupported(format!(
                    "scrypt at the costs N = {n}, r = {r} and p = {p}"
                )));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The salt and the number of repetitions, the parameters of the older schemes and of PKCS#12's MAC.
fn salt_and_iterations(parameters: Element<'_>) -> Result<(&[u8], u32), Locked> {
    let mut parts = elements(parameters.content);
    let (Some(salt), Some(iterations)) = (parts.next(), parts.next()) else {
        return Err(Locked::Malformed);
    };
    Ok((salt.content, plausible(number(iterations))?))
}

/// A number of repetitions that ends soon.
pub(super) fn plausible(iterations: Option<u32>) -> Result<u32, Locked> {
    match iterations {
        None | Some(0) => Err(Locked::Malformed),
        Some(many) if many > MOST_ITERATIONS => Err(Locked::Unsupported(format!(
            "{many} repetitions of its key derivation"
        ))),
        Some(many) => Ok(many),
    }
}

/// Data encrypted with one of the older schemes.
struct Pbe<'a> {
    salt: &'a [u8],
    iterations: u32,
    data: &'a [u8],
}

impl Pbe<'_> {
    /// RFC 8018, 6.1: DES with a key from repeated hashing.
    fn pbes1<D: Digest>(&self, passphrase: &str) -> Result<Plain, Locked> {
        let mut key = D::new()
            .chain_update(passphrase)
            .chain_update(self.salt)
            .finalize();
        for _ in 1..self.iterations {
            key = D::digest(&key);
        }
        let key = Zeroizing::new(key.to_vec());
        let (Some(key), Some(iv)) = (key.get(..8), key.get(8..16)) else {
            return Err(Locked::Malformed);
        };
        unpad::<des::Des>(key, iv, self.data)
    }

    /// RFC 7292, appendix C.
    fn pkcs12<C: KeyInit + BlockCipherDecrypt>(
        &self,
        passphrase: &str,
        key_length: usize,
    ) -> Result<Plain, Locked> {
        let password = bmp_string(passphrase);
        let derived = |purpose, length| {
            derive::<Sha1>(64, purpose, &password, self.salt, self.iterations, length)
        };
        let (key, iv) = (derived(1, key_length), derived(2, 8));
        unpad::<C>(&key, &iv, self.data)
    }
}

/// Decrypts in CBC mode and removes the padding.
pub(super) fn unpad<C: KeyInit + BlockCipherDecrypt>(
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Result<Plain, Locked> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(|_| Locked::Malformed)?;
    let mut buffer = Zeroizing::new(data.to_vec());
    let length = cipher
        .decrypt_padded::<Pkcs7>(&mut buffer)
        .map_err(|_| Locked::WrongPassphrase)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// A passphrase as PKCS#12 hashes it: in UTF-16, with a zero at the end.
pub(super) fn bmp_string(passphrase: &str) -> Plain {
    let units = passphrase.encode_utf16().chain([0]);
    Zeroizing::new(units.flat_map(u16::to_be_bytes).collect())
}

/// RFC 7292, appendix B.2. `block` is the block length of the hash function in bytes.
pub(super) fn derive<D: Digest>(
    block: usize,
    purpose: u8,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    length: usize,
) -> Plain {
    let whole_blocks = |bytes: &[u8]| {
        let length = bytes.len().next_multiple_of(block);
        bytes
            .iter()
            .copied()
            .cycle()
            .take(length)
            .collect::<Vec<_>>()
    };
    let mut input = Zeroizing::new([whole_blocks(salt), whole_blocks(password)].concat());
    let mut output = Zeroizing::new(Vec::new());
    loop {
        let mut hash = D::new()
            .chain_update(vec![purpose; block])
            .chain_update(&*input)
            .finalize();
        for _ in 1..iterations {
            hash = D::digest(&hash);
        }
        output.extend_from_slice(&hash);
        if output.len() >= length {
            output.truncate(length);
            return output;
        }
        let added: Vec<u8> = hash.iter().copied().cycle().take(block).collect();
        for part in input.chunks_exact_mut(block) {
            // Adds one more than `added`, as numbers of `block` bytes.
            let mut carry = 1;
            for (digit, added) in part.iter_mut().zip(&added).rev() {
                let [over, low] = (u16::from(*digit) + u16::from(*added) + carry).to_be_bytes();
                *digit = low;
                carry = u16::from(over);
            }
        }
    }
}

/// An object identifier in figures.
pub(super) fn dotted(id: &Element<'_>) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    for byte in id.content {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    let Some((first, others)) = arcs.split_first() else {
        return String::new();
    };
    let top = (first / 40).min(2);
    let mut text = format!("{top}.{}", first - 40 * top);
    for arc in others {
        text.push_str(&format!(".{arc}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_shown_in_figures() {
        let shown = |bytes: &[u8]| dotted(&element(bytes).unwrap());
        assert_eq!(
            shown(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13]),
            "1.2.840.113549.1.5.13"
        );
        assert_eq!(shown(&[6, 3, 0x55, 0x1d, 0x25]), "2.5.29.37");
        assert_eq!(shown(&[6, 0]), "");
    }

    /// The example of RFC 7292's key derivation that other implementations use as well.
    #[test]
    fn keys_are_derived_as_pkcs12_says() {
        let salt = [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f];
        let key = derive::<Sha1>(64, 1, &bmp_string("smeg"), &salt, 1, 24);
        let expected = [
            0x8a, 0xaa, 0xe6, 0x29, 0x7b, 0x6c, 0xb0, 0x46, 0x42, 0xab, 0x5b, 0x07, 0x78, 0x51,
            0x28, 0x4e, 0xb7, 0x12, 0x8f, 0x1a, 0x2a, 0x7f, 0xbc, 0xa3,
        ];
        assert_eq!(key[..], expected);
    }

    #[test]
    fn absurd_repetitions_are_refused() {
        assert_eq!(plausible(Some(0)), Err(Locked::Malformed));
        assert_eq!(plausible(None), Err(Locked::Malformed));
        assert_eq!(plausible(Some(10_000_000)), Ok(10_000_000));
        assert!(matches!(
            plausible(Some(u32::MAX)),
            Err(Locked::Unsupported(_))
        ));
    }

    /// An element of DER with a short content.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], content].concat()
    }

    /// The outcome for a key in PBES2 with this key derivation, of which the parameters follow the salt.
    fn of_pbes2(derivation: &[u8], numbers: &[u64]) -> Result<Plain, Locked> {
        let mut parameters = der(4, b"saltsalt");
        for number in numbers {
            let bytes = [&[0][..], &number.to_be_bytes()].concat();
            let pairs = bytes.windows(2);
            let zeros = pairs.take_while(|pair| pair[0] == 0 && pair[1] < 0x80);
            parameters.extend(der(2, &bytes[zeros.count()..]));
        }
        let derivation = [der(6, derivation), der(0x30, &parameters)].concat();
        let aes_256_cbc = der(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42]);
        let cipher = [aes_256_cbc, der(4, &[0; 16])].concat();
        let scheme = [der(0x30, &derivation), der(0x30, &cipher)].concat();
        let id = der(6, &[&PKCS[..], &[5, 13]].concat());
        let algorithm = der(0x30, &[id, der(0x30, &scheme)].concat());
        let key = der(0x30, &[algorithm, der(4, &[0; 16])].concat());
        decrypt_key(&key, "x")
    }

    #[test]
    fn absurd_costs_of_a_key_are_refused() {
        /// 1.3.6.1.4.1.11591.4.11.
        const SCRYPT: [u8; 9] = [0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
        let scrypt = |costs: [u64; 3]| of_pbes2(&SCRYPT, &costs);
        assert_eq!(scrypt([2, 1, 1]), Err(Locked::WrongPassphrase));
        for costs in [[0, 8, 1], [1, 8, 1], [3, 8, 1], [2, 0, 1], [2, 8, 0]] {
            assert_eq!(scrypt(costs), Err(Locked::Malformed), "{costs:?}");
        }
        for costs in [[1 << 30, 8, 1], [1 << 63, 65_535, 1], [2, 8, 17]] {
            let error = scrypt(costs).unwrap_err().to_string();
            let said = format!("N = {}, r = {}", costs[0], costs[1]);
            assert!(error.contains(&said), "{error}");
        }
        let pbkdf2 = |iterations| of_pbes2(&[&PKCS[..], &[5, 12]].concat(), &[iterations]);
        assert_eq!(pbkdf2(1), Err(Locked::WrongPassphrase));
        assert_eq!(pbkdf2(0), Err(Locked::Malformed));
        let error = pbkdf2(4_000_000_000).unwrap_err().to_string();
        assert!(error.contains("4000000000 repetitions"), "{error}");
    }

    #[test]
    fn garbage_is_not_decrypted() {
        for bytes in [&b""[..], b"\x30\x00", b"\x30\x04\x30\x00\x04\x00", b"\xff"] {
            assert_eq!(decrypt_key(bytes, "x"), Err(Locked::Malformed));
        }
        let unknown = b"\x30\x0b\x30\x05\x06\x03\x55\x1d\x25\x04\x02ab";
        assert!(
            matches!(decrypt_key(unknown, "x"), Err(Locked::Unsupported(name)) if name.contains("2.5.29.37"))
        );
    }
}
