//! The options of `serve`, and what they make of the server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use zk_embedded::{Options, Pose, SaslUsers};
use zk_proto::digest_id;

use super::zoo_cfg::ZooCfg;
use crate::credentials;
use crate::failure::Failure;
use crate::size::size;
use crate::time::duration;

const PORT: u16 = 2181;

#[derive(Args, Default)]
pub(crate) struct Serve {
    /// The port to listen on, 2181 unless given; 0 for any that is free. Members of an ensemble take
    /// the ports after it
    #[arg(long)]
    port: Option<u16>,
    /// The address to listen on; 127.0.0.1 unless given
    #[arg(long)]
    host: Option<IpAddr>,
    /// The server to imitate: 3.4, 3.5, 3.6, 3.8 or 3.9 of Apache ZooKeeper, or keeper-old (22.8) or
    /// keeper-new (26.1) of ClickHouse
    #[arg(long, value_name = "NAME", default_value_t = Pose::V3_9)]
    pose: Pose,
    /// Do what a zoo.cfg says, as far as memory can: ports, timeouts, limits, the members of its
    /// server.N lines, all of them in this process. What has no effect is named. Other options come
    /// before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The number of members of an ensemble; 1 is a server alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    members: Option<u8>,
    /// How many of the members, the last ones, are observers
    #[arg(long, value_name = "N", requires = "members")]
    observers: Option<u8>,
    /// Let clients change the ensemble with reconfig, as the superuser
    #[arg(long)]
    reconfig: bool,
    /// The unit of session timeouts, which are granted from 2 to 20 of it; 2s unless given
    #[arg(long, value_name = "D", value_parser = positive)]
    tick: Option<Duration>,
    /// The shortest session timeout granted
    #[arg(long, value_name = "D", value_parser = positive)]
    min_session_timeout: Option<Duration>,
    /// The longest session timeout granted
    #[arg(long, value_name = "D", value_parser = positive)]
    max_session_timeout: Option<Duration>,
    /// How often containers and znodes with a time to live are looked at; 1m unless given
    #[arg(long, value_name = "D", value_parser = positive)]
    container_check: Option<Duration>,
    /// Hold every reply and event back this long
    #[arg(long, value_name = "D", default_value = "0", value_parser = duration)]
    delay: Duration,
    /// A file whose first line is user:password of the superuser; or put that into ZK_SUPER
    #[arg(long, value_name = "FILE")]
    super_file: Option<PathBuf>,
    /// A file with the users who can log in with SASL's DIGEST-MD5: user:password, one a line
    #[arg(long, value_name = "FILE")]
    sasl_users_file: Option<PathBuf>,
    /// Serve only clients that have proven an identity of one of these schemes, such as sasl,digest
    #[arg(long, value_name = "SCHEMES", value_delimiter = ',')]
    enforce_auth: Vec<String>,
    /// The names of the ensemble for clients that say which one they mean with the scheme ensemble
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    ensemble_name: Vec<String>,
    /// The four-letter words that are answered; all unless given
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    four_letter_words: Option<Vec<String>>,
    /// How many connections a member takes from one address; any number unless given
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// The largest request that is accepted, as the servers' jute.maxbuffer
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_frame: Option<usize>,
    /// Enforce hard quotas
    #[arg(long)]
    enforce_quota: bool,
    /// Where the server is to be unlike Apache's as it is shipped
    #[arg(long, value_enum, value_name = "QUIRKS", value_delimiter = ',')]
    quirks: Vec<Quirk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Quirk {
    /// The deletion of a child leaves its parent's pzxid as it was
    KeepPzxid,
    /// Znodes have no time to live
    NoTtl,
    /// A member without a quorum serves no client, instead of reads
    NoReadOnly,
}

/// What a server is started with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) options: Options,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) delay: Duration,
}

impl Serve {
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let file = match &self.config {
            Some(path) => ZooCfg::read(path)?,
            None => ZooCfg::default(),
        };
        let mut options = file.options.clone();
        if let Some(members) = self.members {
            options.servers.clear();
            options.members = members.into();
            options.observers = self.observers.unwrap_or(0).into();
        }
        options.pose = self.pose;
        let count = options.servers.len().max(options.members);
        options.reconfig_enabled |= self.reconfig;
        options.enforce_quota |= self.enforce_quota;
        set(&mut options.tick, self.tick);
        set(&mut options.container_check_interval, self.container_check);
        set(&mut options.max_frame, self.max_frame);
        set(&mut options.max_client_connections, self.max_connections);
        options.min_session_timeout = self.min_session_timeout.or(options.min_session_timeout);
        options.max_session_timeout = self.max_session_timeout.or(options.max_session_timeout);
        if let Some(words) = &self.four_letter_words {
            options.four_letter_words = Some(words.clone());
        }
        if !self.enforce_auth.is_empty() {
            options.enforce_auth.clone_from(&self.enforce_auth);
        }
        if !self.ensemble_name.is_empty() {
            options.ensemble_names = Some(self.ensemble_name.clone());
        }
        if let Some((user, password)) = credentials::superuser(self.super_file.as_deref())? {
            options.super_digest = Some(digest_id(&user, &password));
        }
        if let Some(file) = &self.sasl_users_file {
            let users = credentials::users(file, "--sasl-users-file")?;
            options.sasl_users = Some(SaslUsers::new(users));
        }
        for quirk in &self.quirks {
            match quirk {
                Quirk::KeepPzxid => options.keeps_pzxid = true,
                Quirk::NoTtl => options.extended_types = false,
                Quirk::NoReadOnly => options.read_only_mode = false,
            }
        }
        Ok(Settings {
            listen: self.listen(&file, count)?,
            options,
            delay: self.delay,
        })
    }

    fn listen(&self, file: &ZooCfg, count: usize) -> Result<Vec<SocketAddr>, Failure> {
        let named = file.client_addresses()?;
        let host = self.host.or(file.host);
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let first = self.port.or(file.port).unwrap_or(PORT);
        let address = |member: usize| {
            let of_line = named.get(member).copied().flatten();
            if let (Some((host, port)), None, None) = (of_line, self.port, self.members) {
                let host = self.host.or(host).or(file.host);
                return Ok((host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port).into());
            }
            let offset = if first == 0 { 0 } else { member };
            let port = u16::try_from(offset)
                .ok()
                .and_then(|offset| first.checked_add(offset));
            let port = port.ok_or_else(|| {
                Failure::Usage(format!("{count} members do not fit above port {first}"))
            })?;
            Ok(SocketAddr::new(host, port))
        };
        (0..count).map(address).collect()
    }
}

fn set<T>(option: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *option = given;
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be at least 1 ms".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(serve: &Serve) -> Settings {
        let settings = serve.settings();
        settings.unwrap_or_else(|failure| match failure {
            Failure::Usage(text) | Failure::Failed(text) => panic!("{text}"),
            _ => panic!("another failure"),
        })
    }

    fn listen(serve: &Serve) -> Vec<String> {
        let listen = settings(serve).listen;
        listen.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn members_listen_on_one_port_after_the_other() {
        let mut serve = Serve::default();
        assert_eq!(listen(&serve), ["127.0.0.1:2181"]);
        serve.members = Some(3);
        serve.host = Some(IpAddr::from([0, 0, 0, 0]));
        let all = ["0.0.0.0:2181", "0.0.0.0:2182", "0.0.0.0:2183"];
        assert_eq!(listen(&serve), all);
        serve.port = Some(0);
        assert_eq!(listen(&serve), ["0.0.0.0:0"; 3]);
        serve.port = Some(65_534);
        assert!(matches!(serve.settings(), Err(Failure::Usage(_))));
    }
}
