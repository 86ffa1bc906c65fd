//! A `zoo.cfg`, as far as a server in memory can apply it.

use std::fs;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tracing::warn;
use zk_embedded::{Options, SaslUsers};
use zk_proto::config::Server;

use crate::output::failure::Failure;

/// The settings of a file.
#[derive(Debug, Default)]
pub(super) struct ZooCfg {
    pub(super) options: Options,
    pub(super) port: Option<u16>,
    pub(super) host: Option<IpAddr>,
    enforces_auth: bool,
    requires_sasl: bool,
    schemes: Vec<String>,
    dynamic: Option<PathBuf>,
    /// A warning for each line without effect.
    ignored: Vec<String>,
}

/// The client address of a member; without a host if its line has only a port.
pub(super) type ClientAddress = (Option<IpAddr>, u16);

/// Why a line is not valid. The text does not repeat the value, which may be a secret.
type Problem = &'static str;

impl ZooCfg {
    /// Reads a file and the file of its `dynamicConfigFile`, and shows a warning for each line without
    /// effect.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut cfg = Self::default();
        cfg.read_file(path)?;
        if let Some(dynamic) = cfg.dynamic.take() {
            cfg.read_file(&dynamic)?;
        }
        let enforced = cfg.enforced_schemes();
        let shown = path.display();
        cfg.options.enforce_auth =
            enforced.map_err(|problem| Failure::Usage(format!("{shown}: {problem}")))?;
        for ignored in &cfg.ignored {
            warn!("{ignored}");
        }
        Ok(cfg)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), Failure> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::io(&format!("read the configuration {shown}"), error))?;
        for (line, number) in text.lines().zip(1_usize..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let pair = line.split_once('=').ok_or("the line is not key=value");
            let applied = pair.and_then(|(key, value)| {
                let (key, value) = (key.trim(), value.trim());
                // As system properties, the same settings have a prefix.
                let key = key.strip_prefix("zookeeper.").unwrap_or(key);
                Ok((key, self.set(key, value)?))
            });
            match applied {
                Ok((_, None)) => {}
                Ok((key, Some(why))) => self.ignored.push(format!(
                    "{shown}, line {number}: {key} has no effect: {why}"
                )),
                Err(problem) => {
                    let text = format!("{shown}, line {number}: {problem}");
                    return Err(Failure::Usage(text));
                }
            }
        }
        Ok(())
    }

    /// Applies one setting. Returns why the setting has no effect, if it has none.
    fn set(&mut self, key: &str, value: &str) -> Result<Option<&'static str>, Problem> {
        let options = &mut self.options;
        match key {
            "clientPort" => self.port = Some(number(value)?),
            "clientPortAddress" => self.host = Some(host(value)?),
            "tickTime" => options.tick = milliseconds(value)?,
            "syncLimit" => options.sync_limit = number(value)?,
            "minSessionTimeout" => options.min_session_timeout = limit(value)?,
            "maxSessionTimeout" => options.max_session_timeout = limit(value)?,
            "maxClientCnxns" => options.max_client_connections = number(value)?,
            "jute.maxbuffer" => options.max_frame = number(value)?,
            "4lw.commands.whitelist" => options.four_letter_words = Some(list(value)),
            "reconfigEnabled" => options.reconfig_enabled = boolean(value)?,
            "standaloneEnabled" => options.standalone_enabled = boolean(value)?,
            "extendedTypesEnabled" => options.extended_types = boolean(value)?,
            "enforceQuota" => options.enforce_quota = boolean(value)?,
            "readonlymode.enabled" => options.read_only_mode = boolean(value)?,
            "znode.container.checkIntervalMs" => {
                options.container_check_interval = milliseconds(value)?;
            }
            "znode.container.maxNeverUsedIntervalMs" => {
                options.container_max_never_used = limit(value)?;
            }
            "DigestAuthenticationProvider.superDigest" => {
                options.super_digest = Some(value.to_owned());
            }
            "skipACL" => options.skip_acl = value == "yes",
            "ensembleAuthName" => options.ensemble_names = Some(list(value)),
            "enforce.auth.enabled" => self.enforces_auth = boolean(value)?,
            "enforce.auth.schemes" => self.schemes = list(value),
            "sessionRequireClientSASLAuth" => self.requires_sasl = boolean(value)?,
            "dynamicConfigFile" => self.dynamic = Some(value.into()),
            _ if key.starts_with("authProvider") => return Ok(self.provider(value)),
            _ if key.starts_with("server.") => {
                let server = format!("{key}={value}");
                let server = server.parse::<Server>().map_err(|_| {
                    "write server.ID=host:quorumPort:electionPort[:role][;[address:]clientPort]"
                })?;
                self.join(server)?;
            }
            "dataDir" | "dataLogDir" => return Ok(Some("everything is kept in memory")),
            _ => return Ok(Some("this server has no such setting")),
        }
        Ok(None)
    }

    /// The schemes that a client must authenticate with, independent of the order of the lines; empty
    /// if every client is served. The setting for SASL overrides the others, as in Apache's
    /// `AuthenticationHelper`.
    fn enforced_schemes(&self) -> Result<Vec<String>, Problem> {
        match (self.requires_sasl, self.enforces_auth) {
            (true, _) => Ok(vec!["sasl".to_owned()]),
            (false, true) if self.schemes.is_empty() => {
                Err("enforce.auth.enabled=true needs enforce.auth.schemes")
            }
            (false, true) => Ok(self.schemes.clone()),
            (false, false) => Ok(Vec::new()),
        }
    }

    fn provider(&mut self, class: &str) -> Option<&'static str> {
        match class.rsplit('.').next() {
            Some("SASLAuthenticationProvider") => {
                self.options
                    .sasl_users
                    .get_or_insert_with(SaslUsers::default);
                None
            }
            Some("EnsembleAuthenticationProvider") => {
                self.options.ensemble_names.get_or_insert_with(Vec::new);
                None
            }
            _ => Some("this server has no such provider"),
        }
    }

    fn join(&mut self, server: Server) -> Result<(), Problem> {
        let servers = &mut self.options.servers;
        if !(1..=255).contains(&server.id) {
            return Err("a server's number is from 1 to 255");
        }
        if servers.iter().any(|other| other.id == server.id) {
            return Err("there is another server with this number");
        }
        servers.push(server);
        Ok(())
    }

    /// The client address of a member, counted from 0, if its line has one.
    pub(super) fn client_address(&self, member: usize) -> Result<Option<ClientAddress>, Failure> {
        let server = self.options.servers.get(member);
        let named = server.and_then(|server| Some((server.id, server.client.as_ref()?)));
        let Some((id, client)) = named else {
            return Ok(None);
        };
        let host = client.host.as_deref().map(host).transpose();
        let host = host.map_err(|problem| Failure::Usage(format!("server.{id}: {problem}")))?;
        Ok(Some((host, client.port)))
    }
}

fn number<T: FromStr>(value: &str) -> Result<T, Problem> {
    value
        .parse()
        .map_err(|_| "the value is not a number in its range")
}

/// A positive number of milliseconds in 31 bits, as Apache's server parses it.
fn milliseconds(value: &str) -> Result<Duration, Problem> {
    let ms: i32 = number(value)?;
    match u64::try_from(ms) {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err("the value must be at least 1 ms"),
    }
}

/// A limit in milliseconds. A negative number or zero means no limit.
fn limit(value: &str) -> Result<Option<Duration>, Problem> {
    let ms: i64 = number(value)?;
    Ok(u64::try_from(ms)
        .ok()
        .filter(|&ms| ms > 0)
        .map(Duration::from_millis))
}

fn boolean(value: &str) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("the value is neither true nor false"),
    }
}

fn list(value: &str) -> Vec<String> {
    let parts = value.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn host(value: &str) -> Result<IpAddr, Problem> {
    let mut found = (value, 0).to_socket_addrs().ok().into_iter().flatten();
    let first = found.next().ok_or("the host has no address")?;
    Ok(first.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cfg(text: &str) -> Result<ZooCfg, Problem> {
        let mut cfg = ZooCfg::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            if cfg.set(key, value)?.is_some() {
                cfg.ignored.push(key.to_owned());
            }
        }
        Ok(cfg)
    }

    #[test]
    fn settings_are_applied() {
        let text = "tickTime=500\ninitLimit=10\nsyncLimit=3\ndataDir=/tmp/x\nclientPort=12181\n\
                    clientPortAddress=127.0.0.2\nmaxClientCnxns=7\nminSessionTimeout=-1\n\
                    maxSessionTimeout=9000\n4lw.commands.whitelist=ruok, srvr\n\
                    reconfigEnabled=true\nextendedTypesEnabled=False";
        let cfg = cfg(text).unwrap();
        let options = &cfg.options;
        assert_eq!(options.tick, Duration::from_millis(500));
        assert_eq!((options.sync_limit, options.max_client_connections), (3, 7));
        assert_eq!(options.min_session_timeout, None);
        assert_eq!(options.max_session_timeout, Some(Duration::from_secs(9)));
        let words = ["ruok".to_owned(), "srvr".to_owned()];
        assert_eq!(options.four_letter_words.as_deref(), Some(&words[..]));
        assert!(options.reconfig_enabled && !options.extended_types);
        assert_eq!(cfg.port, Some(12_181));
        assert_eq!(cfg.host, Some(IpAddr::from([127, 0, 0, 2])));
        assert_eq!(cfg.ignored, ["initLimit", "dataDir"]);
    }

    #[test]
    fn server_lines_are_members() {
        let text = "server.3=127.0.0.1:1:2:observer;127.0.0.1:31\nserver.1=zk1:1:2;21\n\
                    server.2=zk2:1:2";
        let cfg = cfg(text).unwrap();
        let ids: Vec<_> = cfg.options.servers.iter().map(|server| server.id).collect();
        assert_eq!(ids, [3, 1, 2]);
        let addresses = [0, 1, 2, 3].map(|member| cfg.client_address(member).ok().unwrap());
        let local = IpAddr::from([127, 0, 0, 1]);
        let named = [Some((Some(local), 31)), Some((None, 21)), None, None];
        assert_eq!(addresses, named);
        assert!(cfg_fails("server.1=zk1:1:2\nserver.1=zk2:1:2"));
        assert!(cfg_fails("server.256=zk1:1:2") && cfg_fails("server.1=zk1"));
    }

    fn cfg_fails(text: &str) -> bool {
        cfg(text).is_err()
    }

    #[test]
    fn sasl_overrides_other_enforced_schemes() {
        let enforced = |text: &str| cfg(text).unwrap().enforced_schemes();
        let (on, schemes) = (
            "enforce.auth.enabled=true",
            "enforce.auth.schemes=digest,ip",
        );
        let sasl = "sessionRequireClientSASLAuth=true";
        for text in [on, &format!("{on}\nenforce.auth.schemes=")] {
            assert!(enforced(text).is_err(), "{text}");
        }
        let both = format!("{on}\n{schemes}");
        assert_eq!(enforced(&both).unwrap(), ["digest", "ip"]);
        assert!(enforced(schemes).unwrap().is_empty());
        for text in [
            format!("{sasl}\n{both}"),
            format!("{both}\n{sasl}"),
            format!("{sasl}\n{schemes}"),
            format!("{sasl}\nenforce.auth.enabled=false"),
        ] {
            assert_eq!(enforced(&text).unwrap(), ["sasl"], "{text}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for line in [
            "tickTime=0",
            "tickTime=soon",
            "tickTime=2147483648",
            "clientPort=70000",
            "reconfigEnabled=maybe",
            "clientPortAddress=no such host",
        ] {
            assert!(cfg_fails(line), "{line}");
        }
    }
}
