//! The options of TLS, by their names.

#[cfg(feature = "tls-no-provider")]
use std::collections::BTreeMap;

#[cfg(feature = "tls-no-provider")]
use zk_transport::TlsConfig;
#[cfg(feature = "tls-stores")]
use zk_transport::tls::Passphrase;

use crate::error::{Error, Result};

/// Checks a value. The error says what to write instead, and does not repeat the value.
type Check = fn(&str) -> Result<(), &'static str>;

/// The names of the options, the feature of this crate that each needs, and what its value has to be.
pub(super) const TLS_OPTIONS: &[(&str, Needs, Check)] = &[
    ("tls_ca", Needs::Tls, text),
    ("tls_ca_passphrase_file", Needs::Stores, text),
    ("tls_system_roots", Needs::NativeRoots, flag),
    ("tls_crl", Needs::Tls, text),
    ("tls_pin", Needs::Tls, text),
    ("tls_pin_file", Needs::Tls, text),
    ("tls_cert", Needs::Tls, text),
    ("tls_key", Needs::Tls, text),
    ("tls_store", Needs::Stores, text),
    ("tls_alias", Needs::Stores, text),
    ("tls_passphrase_file", Needs::Stores, text),
    ("tls_key_passphrase_file", Needs::Stores, text),
    ("tls_server_name", Needs::Tls, text),
    ("tls_min_version", Needs::Tls, version),
];

/// Options that have several values in one, separated by commas. A file may have a list instead.
#[cfg(feature = "serde")]
pub(super) const LISTS: &[&str] = &["tls_pin"];

/// Names under which a passphrase itself may be given by mistake.
const PASSPHRASES: &[&str] = &[
    "passphrase",
    "tls_passphrase",
    "tls_ca_passphrase",
    "tls_key_passphrase",
    "tls_store_passphrase",
    "tls_password",
    "tls_key_password",
    "tls_store_password",
];

/// The feature of this crate that an option needs.
#[derive(Clone, Copy)]
pub(super) enum Needs {
    Tls,
    Stores,
    NativeRoots,
}

impl Needs {
    fn feature(self) -> &'static str {
        match self {
            Needs::Tls => "tls",
            Needs::Stores => "tls-stores",
            Needs::NativeRoots => "tls-native-roots",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Needs::Tls => cfg!(feature = "tls-no-provider"),
            Needs::Stores => cfg!(feature = "tls-stores"),
            Needs::NativeRoots => cfg!(feature = "tls-native-roots"),
        }
    }
}

/// The full name of an option of TLS, if it is one. `from` is what the caller calls it.
pub(super) fn check(from: &str, name: &str, value: &str) -> Result<Option<&'static str>> {
    if PASSPHRASES.contains(&name) {
        return Err(Error::invalid_argument(format!(
            "the option {from} is a passphrase itself, which does not belong in a URL or a configuration, as \
             these are logged and copied; write it into a file, and give the name of the file as \
             tls_passphrase_file or, for the CAs' key store, as tls_ca_passphrase_file"
        )));
    }
    let Some((name, needs, check)) = TLS_OPTIONS.iter().find(|(known, ..)| *known == name) else {
        return Ok(None);
    };
    if !needs.is_there() {
        let feature = needs.feature();
        return Err(Error::invalid_argument(format!(
            "the option {from} needs the feature `{feature}` of zk-client"
        )));
    }
    check(value).map_err(|expected| {
        Error::invalid_argument(format!("the option {from} has to be {expected}"))
    })?;
    Ok(Some(name))
}

fn text(value: &str) -> Result<(), &'static str> {
    match value.is_empty() {
        true => Err("a text that is not empty"),
        false => Ok(()),
    }
}

fn flag(value: &str) -> Result<(), &'static str> {
    match value {
        "true" | "false" => Ok(()),
        _ => Err("true or false"),
    }
}

fn version(value: &str) -> Result<(), &'static str> {
    match value {
        "1.2" | "1.3" => Ok(()),
        _ => Err("1.2 or 1.3"),
    }
}

/// The configuration of these options.
#[cfg(feature = "tls-no-provider")]
pub(super) fn config(options: &BTreeMap<&'static str, String>) -> Result<TlsConfig> {
    let option = |name: &str| options.get(name).map(String::as_str);
    for (given, needed) in [
        ("tls_key", &["tls_cert"][..]),
        ("tls_alias", &["tls_store"]),
        ("tls_ca_passphrase_file", &["tls_ca"]),
        ("tls_passphrase_file", &["tls_cert", "tls_store"]),
        ("tls_key_passphrase_file", &["tls_cert", "tls_store"]),
    ] {
        if option(given).is_some() && needed.iter().all(|name| option(name).is_none()) {
            let needed = needed.join(" or ");
            return Err(Error::invalid_argument(format!(
                "the option {given} is given without {needed}"
            )));
        }
    }
    if option("tls_cert").is_some() && option("tls_store").is_some() {
        return Err(Error::invalid_argument(
            "the options tls_cert and tls_store are both given, and a client has one certificate",
        ));
    }
    let mut tls = trust(option);
    if let Some(cert) = option("tls_cert") {
        tls = tls.identity_files(cert, option("tls_key").unwrap_or(cert));
    }
    #[cfg(feature = "tls-stores")]
    {
        tls = stored_identity(tls, option);
    }
    if let Some(name) = option("tls_server_name") {
        tls = tls.server_name(name);
    }
    if option("tls_min_version") == Some("1.3") {
        tls = tls.only_tls13();
    }
    Ok(tls)
}

/// Which servers are trusted.
#[cfg(feature = "tls-no-provider")]
fn trust<'a>(option: impl Fn(&str) -> Option<&'a str>) -> TlsConfig {
    let mut tls = TlsConfig::new();
    if let Some(ca) = option("tls_ca") {
        #[cfg(feature = "tls-stores")]
        {
            let passphrase = option("tls_ca_passphrase_file").map(Passphrase::file);
            tls = tls.ca_store(ca, passphrase);
        }
        #[cfg(not(feature = "tls-stores"))]
        {
            tls = tls.ca_file(ca);
        }
    }
    #[cfg(feature = "tls-native-roots")]
    if option("tls_system_roots") == Some("true") {
        tls = tls.system_roots();
    }
    if let Some(list) = option("tls_crl") {
        tls = tls.crl_file(list);
    }
    for pin in option("tls_pin").into_iter().flat_map(|it| it.split(',')) {
        tls = tls.pin_sha256(pin.trim());
    }
    if let Some(certificate) = option("tls_pin_file") {
        tls = tls.pin_file(certificate);
    }
    tls
}

/// The key store of this client, and the passphrases.
#[cfg(feature = "tls-stores")]
fn stored_identity<'a>(mut tls: TlsConfig, option: impl Fn(&str) -> Option<&'a str>) -> TlsConfig {
    let of_key = option("tls_key_passphrase_file");
    let passphrase = option("tls_passphrase_file");
    let key_passphrase = match option("tls_store") {
        Some(store) => {
            let passphrase = passphrase.map_or_else(|| Passphrase::new(""), Passphrase::file);
            tls = tls.identity_store(store, passphrase);
            if let Some(alias) = option("tls_alias") {
                tls = tls.identity_alias(alias);
            }
            of_key
        }
        None => of_key.or(passphrase),
    };
    match key_passphrase {
        Some(file) => tls.key_passphrase(Passphrase::file(file)),
        None => tls,
    }
}
