//! Configurations: from a URL, the environment, or a file by way of serde.

mod options;
pub(crate) mod server_list;
#[cfg(test)]
mod tests;
mod tls_options;
pub(crate) mod url;

use std::collections::BTreeMap;
use std::fmt;

use self::options::{AUTH, OPTIONS, SERVERS, Setting};
use self::tls_options::TLS_OPTIONS;
use crate::builder::ClientBuilder;
use crate::config::server_list::ServerList;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};

/// The options of a client as texts: from a URL, the environment, or, with the feature `serde`, from a
/// file.
///
/// | name | value | [`ClientBuilder`] |
/// |---|---|---|
/// | `servers` | a connect string or, in a file, a list of servers | [`Client::builder`](crate::Client::builder) |
/// | `session_timeout` | such as `500ms`, `10s`, `5m`, `1h` | [`session_timeout`](ClientBuilder::session_timeout) |
/// | `connect_timeout` | a duration | [`connect_timeout`](ClientBuilder::connect_timeout) |
/// | `deadline` | a duration, or `none` | [`deadline`](ClientBuilder::deadline) |
/// | `close_timeout` | a duration | [`close_timeout`](ClientBuilder::close_timeout) |
/// | `session_policy` | `renew`, `close` | [`session_policy`](ClientBuilder::session_policy) |
/// | `order` | `shuffled`, `as_given`, `first_available`, `nearest` | [`order`](ClientBuilder::order) |
/// | `read_only` | `true`, `false` | [`read_only`](ClientBuilder::read_only) |
/// | `ensure_chroot` | `true`, `false` | [`ensure_chroot`](ClientBuilder::ensure_chroot) |
/// | `follow_config` | `true`, `false` | [`follow_config`](ClientBuilder::follow_config) |
/// | `fail_eagerly` | `true`, `false` | [`fail_eagerly`](ClientBuilder::fail_eagerly) |
/// | `detached` | `true`, `false` | [`detached`](ClientBuilder::detached) |
/// | `max_connect_attempts` | a number | [`max_connect_attempts`](ClientBuilder::max_connect_attempts) |
/// | `max_outage` | a duration | [`max_outage`](ClientBuilder::max_outage) |
/// | `srv_refresh`, `dns_refresh` | a duration | [`srv_refresh`](ClientBuilder::srv_refresh), [`dns_refresh`](ClientBuilder::dns_refresh) |
/// | `max_request_bytes`, `max_reply_bytes` | a number | [`max_request_bytes`](ClientBuilder::max_request_bytes), [`max_reply_bytes`](ClientBuilder::max_reply_bytes) |
/// | `max_outstanding`, `max_outstanding_bytes` | a number | [`max_outstanding`](ClientBuilder::max_outstanding), [`max_outstanding_bytes`](ClientBuilder::max_outstanding_bytes) |
/// | `max_watch_events`, `max_watch_bytes` | a number | [`max_watch_events`](ClientBuilder::max_watch_events), [`max_watch_bytes`](ClientBuilder::max_watch_bytes) |
/// | `tls_ca` | a file with the CAs: PEM, DER, or a key store | `TlsConfig::ca_file`, `ca_store` |
/// | `tls_ca_passphrase_file` | the file with the passphrase of that store | `TlsConfig::ca_store` |
/// | `tls_system_roots` | `true`, `false` | `TlsConfig::system_roots` |
/// | `tls_crl` | a file with revocation lists | `TlsConfig::crl_file` |
/// | `tls_pin` | SHA-256 of certificates, separated by commas | `TlsConfig::pin_sha256` |
/// | `tls_pin_file` | a file with a certificate | `TlsConfig::pin_file` |
/// | `tls_cert`, `tls_key` | the files of the client's certificate and key; the same if one is given | `TlsConfig::identity_files` |
/// | `tls_store`, `tls_alias` | the key store of both instead, and the name of the key | `TlsConfig::identity_store`, `identity_alias` |
/// | `tls_passphrase_file` | the file with the passphrase of `tls_key` or `tls_store` | `TlsConfig::key_passphrase`, `identity_store` |
/// | `tls_key_passphrase_file` | the same of the key in the store, if it has one of its own | `TlsConfig::key_passphrase` |
/// | `tls_server_name` | a name | `TlsConfig::server_name` |
/// | `tls_min_version` | `1.2`, `1.3` | `TlsConfig::only_tls13` |
/// | `auth` | `scheme:credentials`, or in a file a list of them; not in a URL | [`auth`](ClientBuilder::auth) |
///
/// An unknown name is an error that lists the known ones. `Debug` and errors show no value of an option.
///
/// The options of TLS need the feature `tls`; those of key stores and passphrases `tls-stores`, and
/// `tls_system_roots` `tls-native-roots`. Any of them, as `zks://`, has the client connect with TLS. A
/// passphrase is the first line of a file, and refused as a value. What turns verification off has no name
/// here: see `TlsConfig`.
///
/// # URLs
/// `zk://zk1:2181,zk2:2181/chroot?session_timeout=20s&order=as_given`, and `zks://` for TLS. `%XX` in the
/// chroot and in values is decoded. [`Client::builder`](crate::Client::builder) takes URLs, too.
///
/// # The environment
/// `ZK_SERVER` has the servers, and each other option is in a variable with `ZK_` in front of its name in
/// capitals: `ZK_SESSION_TIMEOUT`, `ZK_TLS_CA`, `ZK_AUTH`. A variable that is empty, or has another name,
/// is ignored, such as `ZK_TLS_PASSPHRASE`, which only the program `zkctl` reads.
///
/// # Files
/// With the feature `serde` it is `Deserialize`: a map from names to texts, numbers and booleans.
///
/// ```
/// # fn run() -> zk_client::Result<()> {
/// use zk_client::ClientConfig;
///
/// let config = ClientConfig::from_url("zk://zk1,zk2/app?order=first_available&deadline=5s")?;
/// let builder = config.builder()?;
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Default)]
pub struct ClientConfig {
    servers: Option<ServerList>,
    /// The values as texts, and what they stand for.
    settings: BTreeMap<&'static str, (String, Setting)>,
    auth: Vec<(String, String)>,
    tls: BTreeMap<&'static str, String>,
    secure: bool,
}

impl ClientConfig {
    /// A configuration without any option.
    pub fn new() -> Self {
        ClientConfig::default()
    }

    /// The configuration in a URL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`]: the URL is invalid, has credentials, or has an unknown option.
    pub fn from_url(url: &str) -> Result<Self> {
        let parts = url::parse(url)?;
        let mut config = ClientConfig::new();
        config.set(SERVERS, &parts.servers)?;
        config.secure = parts.secure;
        for (name, value) in parts.options {
            config.set(name, &value)?;
        }
        Ok(config)
    }

    /// The configuration in the variables of this process.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`]: a value is invalid, or not UTF-8.
    pub fn from_env() -> Result<Self> {
        Self::read_env(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::invalid_argument(format!("{name} is not UTF-8")))
            }
        })
    }

    fn read_env(variable: impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let mut config = ClientConfig::new();
        for name in names() {
            let from = match name {
                SERVERS => "ZK_SERVER".to_owned(),
                name => format!("ZK_{}", name.to_ascii_uppercase()),
            };
            match variable(&from)? {
                Some(value) if !value.is_empty() => config.set_from(&from, name, &value)?,
                _ => {}
            }
        }
        Ok(config)
    }

    /// Sets an option by its name. A second value replaces the first; credentials of `auth` are added.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`]: there is no such option, or the value is invalid.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.set_from(name, name, value)
    }

    /// The same for an option that was given as `from`.
    fn set_from(&mut self, from: &str, name: &str, value: &str) -> Result<()> {
        let invalid = |expected: &str| {
            Error::invalid_argument(format!("the option {from} has to be {expected}"))
        };
        if let Some((name, read)) = OPTIONS.iter().find(|(known, _)| *known == name) {
            let setting = read(value).map_err(invalid)?;
            self.settings.insert(name, (value.to_owned(), setting));
            return Ok(());
        }
        if let Some(name) = tls_options::check(from, name, value)? {
            self.tls.insert(name, value.to_owned());
            return Ok(());
        }
        match name {
            SERVERS => {
                let servers = ServerList::from(value);
                servers.target()?;
                self.servers = Some(servers);
            }
            AUTH => {
                let (scheme, secret) = value
                    .split_once(':')
                    .ok_or_else(|| invalid("scheme:credentials, such as digest:user:password"))?;
                self.auth.push((scheme.to_owned(), secret.to_owned()));
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// The value of an option, as it was given; `None` for `servers` and `auth`, and without a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let setting = self.settings.get(name).map(|(value, _)| value);
        setting.or_else(|| self.tls.get(name)).map(String::as_str)
    }

    /// Whether the client connects with TLS: because of `zks://`, or an option of TLS.
    pub fn is_secure(&self) -> bool {
        self.secure || !self.tls.is_empty()
    }

    /// Replaces the servers.
    #[must_use]
    pub fn with_servers(mut self, servers: impl Into<ServerList>) -> Self {
        self.servers = Some(servers.into());
        self
    }

    /// The options of a client with this configuration.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`]: there are no servers; TLS is demanded (`zks://`) and the feature
    /// `tls` is missing; or an option of TLS is given without the one that it belongs to.
    pub fn builder(self) -> Result<ClientBuilder> {
        let Some(servers) = self.servers.clone() else {
            return Err(Error::invalid_argument(
                "the configuration has no servers; give the option `servers`, or the variable ZK_SERVER",
            ));
        };
        self.apply(ClientBuilder::new(servers))
    }

    fn apply(self, mut builder: ClientBuilder) -> Result<ClientBuilder> {
        for (_, setting) in self.settings.values() {
            builder = setting(builder);
        }
        for (scheme, secret) in self.auth {
            builder = builder.auth(scheme, secret);
        }
        if !self.secure && self.tls.is_empty() {
            return Ok(builder);
        }
        #[cfg(not(feature = "tls-no-provider"))]
        return Err(Error::invalid_argument(
            "zks:// needs the feature `tls` of zk-client",
        ));
        #[cfg(feature = "tls-no-provider")]
        Ok(builder.tls(tls_options::config(&self.tls)?))
    }
}

/// The names of all options.
fn names() -> impl Iterator<Item = &'static str> {
    let options = OPTIONS.iter().map(|(name, _)| *name);
    let rest = TLS_OPTIONS.iter().map(|(name, ..)| *name);
    std::iter::once(SERVERS)
        .chain(options)
        .chain(rest)
        .chain([AUTH])
}

fn unknown(name: &str) -> Error {
    // Anything else may be a part of a password.
    let is_name = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let which = match is_name {
        true => format!("there is no option {name:?}"),
        false => "there is an option with an unknown name".to_owned(),
    };
    let known: Vec<_> = names().collect();
    Error::invalid_argument(format!("{which}; the options are {}", known.join(", ")))
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<_> = self.auth.iter().map(|(scheme, _)| scheme).collect();
        f.debug_struct("ClientConfig")
            .field("servers", &self.servers)
            .field("options", &self.settings.keys())
            .field("tls", &self.tls.keys())
            .field("auth", &schemes)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// The builder for a text that may be a URL. What is wrong with a URL is an error of
    /// [`start`](Self::start).
    pub(crate) fn of_list(servers: ServerList) -> Self {
        let Some(text) = servers.text().filter(|text| url::scheme(text).is_some()) else {
            return ClientBuilder::new(servers);
        };
        match ClientConfig::from_url(text).and_then(ClientConfig::builder) {
            Ok(builder) => builder,
            Err(error) => {
                let source = std::error::Error::source(&error);
                let why = match source {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                ClientBuilder::new(ServerList::refused(why))
            }
        }
    }
}

/// The value of an option in a file.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ClientConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use self::tls_options::LISTS;
        use serde::de::Error as _;
        let options = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let mut config = ClientConfig::new();
        for (name, value) in options {
            let values = match value {
                Value::Flag(flag) => vec![flag.to_string()],
                Value::Number(number) => vec![number.to_string()],
                Value::Text(text) => vec![text],
                Value::List(texts) if name == SERVERS || LISTS.contains(&name.as_str()) => {
                    vec![texts.join(",")]
                }
                Value::List(texts) => texts,
            };
            for value in values {
                config.set(&name, &value).map_err(|error| {
                    let source = std::error::Error::source(&error);
                    let cause = source.map(|it| format!(": {it}")).unwrap_or_default();
                    D::Error::custom(format!("{error}{cause}"))
                })?;
            }
        }
        Ok(config)
    }
}
