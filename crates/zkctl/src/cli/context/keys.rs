//! The keys of a context: the options of the command line without `--`, and a few more.

use clap::ValueEnum;
use zk_client::path;

use super::references::{CREDENTIALS, DIGEST_PASSWORD, Place, SASL, TLS, TLS_CA, TLS_KEY};
use crate::cli::duration::{duration, session_timeout};
use crate::cli::environment::{CA_PASSPHRASE, PASSPHRASE, SASL_PASSWORD};
use crate::cli::servers;
use crate::cli::size::size;
use crate::output::Format;

/// Options of which one that is given otherwise replaces all of a context's: what the context adds to the
/// servers that the command line trusts would be accepted as well, and a password belongs to one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Ca,
    Pins,
    Identity,
    Login,
    Credentials,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Servers,
    Chroot,
    Text,
    /// Several texts.
    Texts,
    /// The name of a file. A relative one is relative to the directory of the configuration.
    File,
    Switch,
    Duration,
    SessionTimeout,
    Size,
    Format,
    TlsVersion,
    Secret(Others),
}

/// The option with a file and the variable that replace a context's secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) option: Option<&'static str>,
    pub(crate) variable: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The name. Unless the key is of `zkctl context` alone, that of an option.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) group: Option<Group>,
    /// Whether the option with this name replaces the group.
    pub(crate) leads: bool,
}

const fn plain(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        group: None,
        leads: false,
    }
}

const fn leader(name: &'static str, kind: Kind, group: Group) -> Key {
    Key {
        name,
        kind,
        group: Some(group),
        leads: true,
    }
}

const fn member(name: &'static str, kind: Kind, group: Group) -> Key {
    Key {
        leads: false,
        ..leader(name, kind, group)
    }
}

const fn secret(
    name: &'static str,
    option: &'static str,
    variable: Option<&'static str>,
    group: Group,
) -> Key {
    let others = Others {
        option: Some(option),
        variable,
    };
    member(name, Kind::Secret(others), group)
}

const NO_OTHERS: Others = Others {
    option: None,
    variable: None,
};

pub(crate) const SERVER: &str = "server";
pub(crate) const CHROOT: &str = "chroot";
pub(crate) const PROTECTED: &str = "protected";
pub(crate) const DIGEST_USER: &str = "digest-user";

/// All keys, in the order of `zkctl context show`.
pub(crate) const KEYS: &[Key] = &[
    plain(SERVER, Kind::Servers),
    plain(CHROOT, Kind::Chroot),
    plain(PROTECTED, Kind::Switch),
    leader("tls-ca", Kind::File, Group::Ca),
    secret(
        TLS_CA,
        "tls-ca-passphrase-file",
        Some(CA_PASSPHRASE),
        Group::Ca,
    ),
    leader("tls-system-roots", Kind::Switch, Group::Ca),
    leader("tls-pin", Kind::Texts, Group::Pins),
    leader("tls-pin-file", Kind::File, Group::Pins),
    plain("tls-crl", Kind::File),
    plain("tls-min-version", Kind::TlsVersion),
    leader("tls-cert", Kind::File, Group::Identity),
    leader("tls-key", Kind::File, Group::Identity),
    leader("tls-store", Kind::File, Group::Identity),
    member("tls-alias", Kind::Text, Group::Identity),
    secret(
        TLS,
        "tls-passphrase-file",
        Some(PASSPHRASE),
        Group::Identity,
    ),
    secret(TLS_KEY, "tls-key-passphrase-file", None, Group::Identity),
    plain("tls-server-name", Kind::Text),
    plain("tls-insecure-any-host-name", Kind::Switch),
    plain("tls-insecure-any-certificate", Kind::Switch),
    plain("tls-insecure-trust-dns", Kind::Switch),
    leader("sasl-user", Kind::Text, Group::Login),
    secret(
        SASL,
        "sasl-password-file",
        Some(SASL_PASSWORD),
        Group::Login,
    ),
    member("sasl-realm", Kind::Text, Group::Login),
    leader("kerberos", Kind::Switch, Group::Login),
    member("kerberos-principal", Kind::Text, Group::Login),
    member("kerberos-keytab", Kind::File, Group::Login),
    member("kerberos-service", Kind::Text, Group::Login),
    member("kerberos-server-principal", Kind::Text, Group::Login),
    member("kerberos-exact-host-names", Kind::Switch, Group::Login),
    member(DIGEST_USER, Kind::Text, Group::Credentials),
    member(DIGEST_PASSWORD, Kind::Secret(NO_OTHERS), Group::Credentials),
    member(CREDENTIALS, Kind::Secret(NO_OTHERS), Group::Credentials),
    plain("session-timeout", Kind::SessionTimeout),
    plain("connect-timeout", Kind::Duration),
    plain("timeout", Kind::Duration),
    plain("max-reply-bytes", Kind::Size),
    plain("max-request-bytes", Kind::Size),
    plain("read-only", Kind::Switch),
    plain("output", Kind::Format),
];

impl Key {
    /// The key with this name, or what to write in its place.
    pub(crate) fn named(name: &str) -> Result<&'static Key, String> {
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            return Ok(key);
        }
        let hyphens = name.replace('_', "-");
        let of_file = hyphens.strip_suffix("-file").unwrap_or(&hyphens);
        let secret = |key: &&Key| matches!(key.kind, Kind::Secret(_)) && key.name == of_file;
        if let Some(key) = KEYS.iter().find(secret).filter(|key| key.name != hyphens) {
            return Err(format!("write {} = \"file:PATH\"", key.name));
        }
        if let Some(key) = KEYS.iter().find(|key| key.name == hyphens) {
            return Err(format!("write {}", key.name));
        }
        let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        Err(format!("the keys are {}", names.join(", ")))
    }

    /// What is wrong with a value. The text does not repeat the value, which may be a secret by mistake.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        let plain = |text: &str| match text.is_empty() || text.trim() != text {
            true => Err("the value is empty, or has white space at an end".to_owned()),
            false => Ok(()),
        };
        match self.kind {
            Kind::Servers => servers::check(text),
            Kind::Chroot => match path::validate(text) {
                Ok(()) if text != "/" => Ok(()),
                Ok(()) => Err("the root is what there is without a chroot".to_owned()),
                Err(error) => Err(error.problem.to_string()),
            },
            Kind::Text | Kind::Texts | Kind::File => plain(text),
            Kind::Switch if matches!(text, "true" | "false") => Ok(()),
            Kind::Switch => Err("write true or false".to_owned()),
            Kind::Duration => duration(text).map(drop),
            Kind::SessionTimeout => session_timeout(text).map(drop),
            Kind::Size => size(text).map(drop),
            Kind::TlsVersion if matches!(text, "1.2" | "1.3") => Ok(()),
            Kind::TlsVersion => Err("write \"1.2\" or \"1.3\"".to_owned()),
            Kind::Format => match Format::from_str(text, false) {
                Ok(_) => Ok(()),
                Err(_) => Err("write \"plain\" or \"json\"".to_owned()),
            },
            Kind::Secret(_) => Place::parse(text).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    /// A key has the name of an option, and is written in the same way.
    #[cfg(all(feature = "tls", feature = "sasl"))]
    #[test]
    fn keys_are_options() {
        let command = Cli::command();
        let options: Vec<_> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .collect();
        for key in KEYS {
            let option = match key.kind {
                Kind::Secret(others) => others.option,
                _ => Some(key.name),
            };
            let own = [CHROOT, PROTECTED, DIGEST_USER];
            let Some(option) = option.filter(|name| !own.contains(name)) else {
                continue;
            };
            assert!(options.contains(&option), "{option}");
            if key.kind == Kind::TlsVersion {
                for version in ["1.2", "1.3", "1.4"] {
                    let parsed = Cli::try_parse_from(["zkctl", "--tls-min-version", version, "ls"]);
                    assert_eq!(parsed.is_ok(), key.check(version).is_ok());
                }
            }
        }
        // The other options are of one invocation, or name secrets.
        let others = options.iter().filter(|option| {
            !KEYS.iter().any(|key| key.name == **option)
                && !option.ends_with("-file")
                && !["help", "version"].contains(option)
        });
        assert_eq!(others.collect::<Vec<_>>(), [&"context", &"write", &"color"]);
    }

    #[test]
    fn an_unknown_key_is_corrected() {
        let problem = |name| Key::named(name).map(|key| key.name).unwrap_err();
        assert_eq!(problem("tls_ca"), "write tls-ca");
        let file = "write sasl-password = \"file:PATH\"";
        assert_eq!(problem("sasl-password-file"), file);
        assert_eq!(problem("sasl_password_file"), file);
        assert_eq!(problem("auth-file"), "write auth = \"file:PATH\"");
        assert!(problem("password").starts_with("the keys are server, chroot, "));
    }
}
