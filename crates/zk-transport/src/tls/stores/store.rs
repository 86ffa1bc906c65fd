//! The entries of a key store, whatever its format.

use zeroize::Zeroizing;

use super::encryption::decrypt_key;
use super::plain::{Locked, Plain};

/// The entries of a key store. Keys are still encrypted.
#[derive(Default)]
pub(in super::super) struct Store {
    pub(super) keys: Vec<Key>,
    /// All certificates, each with its name in messages.
    pub(in super::super) certificates: Vec<(String, Vec<u8>)>,
}

/// A private key and its certificates.
pub(super) struct Key {
    pub(super) alias: String,
    pub(super) is_encrypted: bool,
    pub(super) content: Zeroizing<Vec<u8>>,
    /// The certificate of the key first.
    pub(super) chain: Vec<Vec<u8>>,
}

impl Store {
    /// The key in PKCS#8 of the entry with this alias, or of the only entry with a key, and its
    /// certificates. Aliases are compared as Java does, without regard to case.
    ///
    /// # Errors
    /// Why there is none.
    pub(in super::super) fn identity(
        &self,
        alias: Option<&str>,
        passphrase: Option<&str>,
    ) -> Result<(Plain, &[Vec<u8>]), String> {
        let named =
            |key: &&Key| alias.is_none_or(|alias| alias.to_lowercase() == key.alias.to_lowercase());
        let mut found = self.keys.iter().filter(named);
        let aliases = || {
            let aliases = self.keys.iter().map(|key| format!("{:?}", key.alias));
            aliases.collect::<Vec<_>>().join(", ")
        };
        let key = match (found.next(), found.next(), alias) {
            (Some(key), None, _) => key,
            (None, ..) if self.keys.is_empty() => {
                return Err("it holds no private key, only certificates".to_owned());
            }
            (None, ..) => return Err(format!("it has keys under the aliases {}", aliases())),
            (Some(_), Some(_), _) => {
                return Err(format!(
                    "it has several keys; choose one of the aliases {}",
                    aliases()
                ));
            }
        };
        if !key.is_encrypted {
            return Ok((key.content.clone(), &key.chain));
        }
        let Some(passphrase) = passphrase else {
            return Err("its key is encrypted, and no passphrase was given".to_owned());
        };
        match decrypt_key(&key.content, passphrase) {
            Ok(plain) => Ok((plain, &key.chain)),
            Err(Locked::WrongPassphrase) => Err(format!(
                "the passphrase is not that of the key {:?}; if the key has one of its own, give that \
                 with TlsConfig::key_passphrase",
                key.alias
            )),
            Err(error) => Err(format!("the key {:?}: {error}", key.alias)),
        }
    }
}
