//! The settings of the server, from the command line and a `zoo.cfg`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tracing::warn;
use zk_embedded::{Options, SaslUsers};
use zk_proto::digest_id;

use super::zoo_cfg::ZooCfg;
use crate::cli::credentials;
use crate::cli::serve::{Quirk, Serve};
use crate::output::failure::Failure;

const PORT: u16 = 2181;

/// The settings that a server is started with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) options: Options,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) delay: Duration,
}

impl Settings {
    pub(super) fn new(serve: &Serve) -> Result<Settings, Failure> {
        let file = match &serve.config {
            Some(path) => ZooCfg::read(path)?,
            None => ZooCfg::default(),
        };
        let mut options = file.options.clone();
        if let Some(members) = serve.members {
            options.servers.clear();
            options.members = members.into();
            options.observers = serve.observers.unwrap_or(0).into();
        }
        options.pose = serve.pose;
        let count = options.servers.len().max(options.members);
        options.reconfig_enabled |= serve.reconfig;
        options.enforce_quota |= serve.enforce_quota;
        set(&mut options.tick, serve.tick);
        set(&mut options.container_check_interval, serve.container_check);
        set(&mut options.max_frame, serve.max_frame);
        set(&mut options.max_client_connections, serve.max_connections);
        options.min_session_timeout = serve.min_session_timeout.or(options.min_session_timeout);
        options.max_session_timeout = serve.max_session_timeout.or(options.max_session_timeout);
        if let Some(words) = &serve.four_letter_words {
            options.four_letter_words = Some(words.clone());
        }
        if !serve.enforce_auth.is_empty() {
            options.enforce_auth.clone_from(&serve.enforce_auth);
        }
        if !serve.ensemble_name.is_empty() {
            options.ensemble_names = Some(serve.ensemble_name.clone());
        }
        if let Some((user, password)) = credentials::superuser(serve.super_file.as_deref())? {
            options.super_digest = Some(digest_id(&user, &password));
        }
        if let Some(file) = &serve.sasl_users_file {
            let users = credentials::users(file, "--sasl-users-file")?;
            options.sasl_users = Some(SaslUsers::new(users));
        }
        for quirk in &serve.quirks {
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
            listen: listen(serve, &file, count)?,
            options,
            delay: serve.delay,
        })
    }
}

/// The addresses of the members.
fn listen(serve: &Serve, file: &ZooCfg, count: usize) -> Result<Vec<SocketAddr>, Failure> {
    let host = serve.host.or(file.host);
    let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let port = serve.port.or(file.port).unwrap_or(PORT);
    let first = SocketAddr::new(host, port);
    if serve.port.is_some() || serve.members.is_some() {
        return (0..count).map(|member| after(first, member)).collect();
    }
    let named = |member| match file.client_address(member)? {
        Some((named, port)) => Ok(SocketAddr::new(serve.host.or(named).unwrap_or(host), port)),
        None => after(first, member),
    };
    let named: Vec<_> = (0..count).map(named).collect::<Result<_, _>>()?;
    let Some(&first) = named.first().filter(|_| clash(&named)) else {
        return Ok(named);
    };
    // The file was written for members on hosts of their own.
    let numbered = (0..count).map(|member| after(first, member));
    let numbered: Vec<_> = numbered.collect::<Result<_, _>>()?;
    let addresses: Vec<_> = numbered.iter().map(ToString::to_string).collect();
    warn!(
        "the members have the same client port, which one process cannot listen on twice; they listen \
         on {}",
        addresses.join(",")
    );
    Ok(numbered)
}

/// The address of a member, counted from 0: the ports follow one another.
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
fn clash(addresses: &[SocketAddr]) -> bool {
    addresses.iter().enumerate().any(|(index, one)| {
        addresses.iter().skip(index + 1).any(|other| {
            let hosts = [one.ip(), other.ip()];
            let shared = hosts[0] == hosts[1] || hosts.iter().any(IpAddr::is_unspecified);
            shared && one.port() == other.port() && one.port() != 0
        })
    })
}

/// Refuses to enforce a scheme that no client can authenticate with, as Apache's server does.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(serve: &Serve) -> Settings {
        let settings = Settings::new(serve);
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
    fn members_listen_on_ports_in_a_row() {
        let mut serve = Serve::default();
        assert_eq!(listen(&serve), ["127.0.0.1:2181"]);
        serve.members = Some(3);
        serve.host = Some(IpAddr::from([0, 0, 0, 0]));
        let all = ["0.0.0.0:2181", "0.0.0.0:2182", "0.0.0.0:2183"];
        assert_eq!(listen(&serve), all);
        serve.port = Some(0);
        assert_eq!(listen(&serve), ["0.0.0.0:0"; 3]);
        serve.port = Some(65_534);
        assert!(matches!(Settings::new(&serve), Err(Failure::Usage(_))));
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
        // With --port, the hosts of the lines are not resolved.
        serve.port = Some(31);
        assert_eq!(with([";no-such-host.invalid:31", "", ""], &serve), numbered);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_scheme_without_provider_is_refused() {
        let mut serve = Serve::default();
        for (scheme, fits) in [("sasl", false), ("digest", true), ("", false), ("x", false)] {
            serve.enforce_auth = vec![scheme.to_owned()];
            assert_eq!(Settings::new(&serve).is_ok(), fits, "{scheme}");
        }
        serve.enforce_auth = vec!["ensemble".to_owned()];
        serve.ensemble_name = vec!["a".to_owned()];
        assert_eq!(settings(&serve).options.enforce_auth, ["ensemble"]);
    }
}
