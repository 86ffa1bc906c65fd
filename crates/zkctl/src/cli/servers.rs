//! What `--server` and `ZK_SERVER` name: a connect string, or a URL with options.

use std::time::Duration;

use zk_client::{Client, ClientBuilder, ClientConfig};
use zk_proto::ConnectTarget;
use zk_proto::connect_string::ConnectStringProblem;

use super::duration::duration;
use super::environment;
use super::global::Global;
use super::size::size;
use crate::output::failure::Failure;

const CREDENTIALS: &str = "credentials do not belong here; give them with ZK_AUTH or --auth";

/// The longest time that the command line takes for a duration, in place of none.
const NO_DEADLINE: &str = "36500d";

/// The servers, and the options of their URL.
pub(crate) struct Servers {
    text: String,
    /// Empty unless the text is a URL.
    options: ClientConfig,
}

impl Servers {
    /// Reads the text here and not in clap, whose error would show a password that a user put there by
    /// mistake, for example in the place of the port.
    pub(crate) fn read(text: &str, given: bool) -> Result<Self, Failure> {
        let options = match is_url(text) {
            true => options(text),
            false => check_hosts(text).map(|()| ClientConfig::new()),
        };
        let options = options.map_err(|problem| {
            let source = match given {
                true => "--server",
                false => environment::SERVER,
            };
            Failure::Usage(format!("{source}: {problem}"))
        })?;
        Ok(Servers {
            text: text.to_owned(),
            options,
        })
    }

    /// Fills the options that the command line leaves open.
    pub(crate) fn complete(&self, global: &mut Global) -> Result<(), Failure> {
        let limit = |name: &str| self.duration(name);
        global.session_timeout = global.session_timeout.or(limit("session_timeout")?);
        global.connect_timeout = global.connect_timeout.or(limit("connect_timeout")?);
        global.close_timeout = limit("close_timeout")?;
        global.timeout = global.timeout.or(limit("deadline")?);
        let bytes = |name: &str| self.options.get(name).and_then(|it| size(it).ok());
        global.max_reply_bytes = global.max_reply_bytes.or(bytes("max_reply_bytes"));
        global.max_request_bytes = global.max_request_bytes.or(bytes("max_request_bytes"));
        global.read_only |= self.options.get("read_only") == Some("true");
        global.security.complete(&self.options)
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let value = match self.options.get(name) {
            Some("none") => Some(NO_DEADLINE),
            value => value,
        };
        let read = value.map(duration).transpose();
        read.map_err(|problem| Failure::Usage(format!("{name} of the servers' URL: {problem}")))
    }

    /// A builder with the options of the URL.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(&self.text)
    }
}

pub(crate) fn is_url(text: &str) -> bool {
    ["zk://", "zks://"]
        .iter()
        .any(|scheme| text.trim().starts_with(scheme))
}

/// What is wrong with a connect string or a URL. The text does not repeat it, as it may hold a password.
pub(crate) fn check(text: &str) -> Result<(), String> {
    match is_url(text) {
        true => options(text).map(drop),
        false => check_hosts(text),
    }
}

fn options(url: &str) -> Result<ClientConfig, String> {
    ClientConfig::from_url(url).map_err(|error| {
        let text = error.to_string();
        if text.contains("has credentials") {
            return CREDENTIALS.to_owned();
        }
        match std::error::Error::source(&error) {
            Some(cause) => format!("{text}: {cause}"),
            None => text,
        }
    })
}

fn check_hosts(connect_string: &str) -> Result<(), String> {
    match connect_string.parse::<ConnectTarget>() {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.problem {
            ConnectStringProblem::Credentials => CREDENTIALS.to_owned(),
            _ => error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn completed(url: &str, options: &[&str]) -> Global {
        let arguments = [&["zkctl", "ls"], options].concat();
        let mut cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
        let Ok(servers) = Servers::read(url, true) else {
            panic!("{url} is refused")
        };
        assert!(servers.complete(&mut cli.global).is_ok());
        cli.global
    }

    #[test]
    fn a_url_fills_what_is_left_open() {
        let url = "zk://zk1/app?session_timeout=20s&deadline=3m&connect_timeout=100ms&read_only=true&\
                   max_reply_bytes=4096";
        let second = Duration::from_secs(1);
        let global = completed(url, &[]);
        assert_eq!(global.session_timeout(), 20 * second);
        assert_eq!(global.timeout(), 180 * second);
        assert_eq!(global.connect_timeout, Some(second / 10));
        assert_eq!(
            (global.max_reply_bytes, global.read_only),
            (Some(4096), true)
        );
        let global = completed(url, &["--session-timeout", "7s", "--timeout", "8s"]);
        assert_eq!(global.session_timeout(), 7 * second);
        assert_eq!(global.timeout(), 8 * second);
        let global = completed("zk://zk1?deadline=none", &[]);
        assert!(global.timeout() > 1_000_000_000 * second);
        let global = completed("zk1", &[]);
        assert_eq!(
            (global.session_timeout(), global.timeout()),
            (10 * second, 10 * second)
        );
    }
}
