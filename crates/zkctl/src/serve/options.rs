//! The options of `serve`, and what they make of the server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tracing::warn;
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
        for scheme in &options.enforce_auth {
            check_provider(scheme, &options)?;
        }
        Ok(Settings {
            listen: self.listen(&file, count)?,
            options,
            delay: self.delay,
        })
    }

    fn listen(&self, file: &ZooCfg, count: usize) -> Result<Vec<SocketAddr>, Failure> {
        let host = self.host.or(file.host);
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = self.port.or(file.port).unwrap_or(PORT);
        let first = SocketAddr::new(host, port);
        if self.port.is_some() || self.members.is_some() {
            return (0..count).map(|member| after(first, member)).collect();
        }
        let named = |member| match file.client_address(member)? {
            Some((named, port)) => Ok(SocketAddr::new(self.host.or(named).unwrap_or(host), port)),
            None => after(first, member),
        };
        let named: Vec<_> = (0..count).map(named).collect::<Result<_, _>>()?;
        let Some(&first) = named.first().filter(|_| clash(&named)) else {
            return Ok(named);
        };
        // Each member was to have a host of its own.
        let numbered = (0..count).map(|member| after(first, member));
        let numbered: Vec<_> = numbered.collect::<Result<_, _>>()?;
        let places: Vec<_> = numbered.iter().map(ToString::to_string).collect();
        warn!(
            "the members have the same client port, and cannot in one process; they listen on {}",
            places.join(",")
        );
        Ok(numbered)
    }
}

/// The address of a member, counted from 0, which has the port after that of the one before.
fn after(first: SocketAddr, member: usize) -> Result<SocketAddr, Failure> {
    let offset = if first.port() == 0 { 0 } else { member };
    let port = u16::try_from(offset)
        .ok()
        .and_then(|offset| first.port().checked_add(offset));
    let port = port.ok_or_else(|| {
        let text = format!("the members do not fit above port {}", first.port());
        Failure::Usage(text)
    })?;
    Ok(SocketAddr::new(first.ip(), port))
}

/// Whether two members cannot listen at the same time.
fn clash(places: &[SocketAddr]) -> bool {
    places.iter().enumerate().any(|(index, one)| {
        places.iter().skip(index + 1).any(|other| {
            let hosts = [one.ip(), other.ip()];
            let shared = hosts[0] == hosts[1] || hosts.iter().any(IpAddr::is_unspecified);
            shared && one.port() == other.port() && one.port() != 0
        })
    })
}

/// Refuses to enforce what no client can prove, as Apache's server does.
fn check_provider(scheme: &str, options: &Options) -> Result<(), Failure> {
    let needs = match scheme {
        "digest" | "ip" => return Ok(()),
        "sasl" if options.sasl_users.is_some() => return Ok(()),
        "ensemble" if options.ensemble_names.is_some() => return Ok(()),
        "sasl" => "give --sasl-users-file",
        "ensemble" => "give --ensemble-name",
        _ => "this server has digest, ip, sasl and ensemble",
    };
    Err(Failure::Usage(format!(
        "authentication with the scheme {scheme:?} is enforced, but not available: {needs}"
    )))
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

    #[test]
    fn members_of_a_file_share_no_port() {
        let path = std::env::temp_dir().join(format!("zkctl-ports-{}", std::process::id()));
        let mut serve = Serve {
            config: Some(path.clone()),
            ..Serve::default()
        };
        let with = |clients: [&str; 3], serve: &Serve| {
            let line = |(client, id)| format!("server.{id}=zk{id}:2888:3888{client}\n");
            let text: String = clients.into_iter().zip(1..).map(line).collect();
            std::fs::write(&path, text).unwrap();
            listen(serve)
        };
        let numbered = ["127.0.0.1:31", "127.0.0.1:32", "127.0.0.1:33"];
        assert_eq!(with([";31"; 3], &serve), numbered);
        assert_eq!(with([";31", ";127.0.0.1:31", ";33"], &serve), numbered);
        assert_eq!(with([";31", ";0.0.0.0:31", ";33"], &serve), numbered);
        assert_eq!(with([";2182", "", ";31"], &serve)[1], "127.0.0.1:2183");
        let own = [";127.0.0.1:31", ";127.0.0.2:31", ";127.0.0.1:33"];
        let hosts = ["127.0.0.1:31", "127.0.0.2:31", "127.0.0.1:33"];
        assert_eq!(with(own, &serve), hosts);
        // What a line names is not looked up in vain.
        serve.port = Some(31);
        assert_eq!(with([";no-such-host.invalid:31", "", ""], &serve), numbered);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_none_can_prove_is_not_enforced() {
        let mut serve = Serve::default();
        for (scheme, fits) in [("sasl", false), ("digest", true), ("", false), ("x", false)] {
            serve.enforce_auth = vec![scheme.to_owned()];
            assert_eq!(serve.settings().is_ok(), fits, "{scheme}");
        }
        serve.enforce_auth = vec!["ensemble".to_owned()];
        serve.ensemble_name = vec!["a".to_owned()];
        assert_eq!(settings(&serve).options.enforce_auth, ["ensemble"]);
    }
}
