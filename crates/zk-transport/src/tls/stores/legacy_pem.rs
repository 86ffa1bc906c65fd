//! OpenSSL's own encryption of PEM: `Proc-Type: 4,ENCRYPTED`.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::super::der::{Element, element};
use super::encryption::unpad;
use super::plain::{Locked, Plain};

/// Decrypts the bytes of a section with these header lines: the key in PKCS#1 or SEC 1.
pub(in super::super) fn decrypt_section(
    text: &str,
    encrypted: &[u8],
    passphrase: &str,
) -> Result<Plain, Locked> {
    let mut lines = text.lines();
    let settings = lines.find_map(|line| line.strip_prefix("DEK-Info:"));
    let (cipher, iv) = settings
        .and_then(|settings| settings.trim().split_once(','))
        .ok_or(Locked::Malformed)?;
    let iv = hexadecimal(iv.trim()).ok_or(Locked::Malformed)?;
    let salt = iv.get(..8).ok_or(Locked::Malformed)?;
    let key = |length| derive(passphrase, salt, length);
    let plain = match cipher.trim() {
        "AES-128-CBC" => unpad::<aes::Aes128>(&key(16), &iv, encrypted),
        "AES-192-CBC" => unpad::<aes::Aes192>(&key(24), &iv, encrypted),
        "AES-256-CBC" => unpad::<aes::Aes256>(&key(32), &iv, encrypted),
        "DES-EDE3-CBC" => unpad::<des::TdesEde3>(&key(24), &iv, encrypted),
        "DES-CBC" => unpad::<des::Des>(&key(8), &iv, encrypted),
        // The name is in the clear, and comes from the file.
        other => {
            let name: String = other
                .chars()
                .filter(char::is_ascii_graphic)
                .take(40)
                .collect();
            Err(Locked::Unsupported(name))
        }
    }?;
    match element(&plain) {
        Some(whole) if whole.tag == Element::SEQUENCE && whole.rest.is_empty() => Ok(plain),
        _ => Err(Locked::WrongPassphrase),
    }
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and no repetition.
fn derive(passphrase: &str, salt: &[u8], length: usize) -> Plain {
    let mut key = Zeroizing::new(Vec::new());
    let mut last = Vec::new();
    while key.len() < length {
        let hash = Md5::new()
            .chain_update(&last)
            .chain_update(passphrase)
            .chain_update(salt);
        last = hash.finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_required() {
        let decrypt = |text| decrypt_section(text, &[0; 16], "x").unwrap_err();
        assert_eq!(decrypt(""), Locked::Malformed);
        assert_eq!(decrypt("DEK-Info: AES-128-CBC"), Locked::Malformed);
        assert_eq!(decrypt("DEK-Info: AES-128-CBC,xy"), Locked::Malformed);
        assert_eq!(decrypt("DEK-Info: AES-128-CBC,00"), Locked::Malformed);
        let unknown = "DEK-Info: CAMELLIA-128-CBC,0001020304050607";
        assert_eq!(
            decrypt(unknown),
            Locked::Unsupported("CAMELLIA-128-CBC".to_owned())
        );
        let wrong = "DEK-Info: AES-128-CBC,00010203040506070001020304050607";
        assert_eq!(decrypt(wrong), Locked::WrongPassphrase);
    }
}
