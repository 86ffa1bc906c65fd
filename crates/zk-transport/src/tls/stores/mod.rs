//! Encrypted keys, and the key stores of Java and PKCS#12.

mod encryption;
pub(super) mod jks;
mod legacy_pem;
pub(super) mod pkcs12;
mod plain;
mod protector;
mod store;

pub(super) use encryption::decrypt_key;
pub(super) use legacy_pem::decrypt_section;
pub(super) use plain::Locked;
pub(super) use store::Store;
