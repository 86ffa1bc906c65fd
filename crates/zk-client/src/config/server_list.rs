//! Where a client is given its servers.

use std::borrow::Cow;
use std::fmt;

use zk_proto::{Chroot, ConnectString, ConnectTarget, HostPort};

use crate::error::{Error, Result};

/// The servers of a client: a connect string, a URL, or a list. Everything that
/// [`Client::builder`](crate::Client::builder) and [`Client::update_hosts`](crate::Client::update_hosts)
/// take converts into it.
///
/// ```
/// use zk_client::{Client, HostPort};
///
/// let from_text = Client::builder("zk1:2181,zk2:2181/app");
/// let from_url = Client::builder("zk://zk1,zk2/app?session_timeout=20s");
/// let servers: Vec<HostPort> = vec!["zk1:2181".parse()?, "zk2:2181".parse()?];
/// let from_list = Client::builder(servers);
/// let from_names = Client::builder(["zk1", "zk2:2182"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` shows a text only if it is a valid connect string, as another may contain a password.
#[derive(Clone)]
pub struct ServerList(Given);

#[derive(Clone)]
enum Given {
    Text(String),
    Hosts(ConnectString),
    /// The text was a URL, which cannot be used because of this.
    Refused(String),
}

impl ServerList {
    /// A list that cannot be used, and why.
    pub(crate) fn refused(why: String) -> Self {
        ServerList(Given::Refused(why))
    }

    /// The text, if the list was given as one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.0 {
            Given::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The servers, or the service that stands for them.
    pub(crate) fn target(&self) -> Result<ConnectTarget> {
        let hosts = match &self.0 {
            Given::Text(text) => {
                return text.parse().map_err(|e| {
                    Error::invalid_argument("the connect string is invalid").with_source(e)
                });
            }
            Given::Refused(why) => return Err(Error::invalid_argument(why.clone())),
            Given::Hosts(hosts) => hosts,
        };
        if hosts.hosts.is_empty() {
            return Err(Error::invalid_argument("the list of servers is empty"));
        }
        Ok(ConnectTarget::Hosts(hosts.clone()))
    }

    /// The servers themselves.
    pub(crate) fn hosts(&self) -> Result<ConnectString> {
        match (&self.0, self.target()) {
            (Given::Text(text), _) => text.parse().map_err(|e| {
                Error::invalid_argument("the list of servers is no connect string").with_source(e)
            }),
            (_, Ok(ConnectTarget::Hosts(hosts))) => Ok(hosts),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(Error::invalid_argument("the list has no servers")),
        }
    }
}

impl fmt::Debug for ServerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target() {
            Ok(target) => write!(f, "\"{target}\""),
            Err(_) => f.write_str("[invalid]"),
        }
    }
}

impl From<String> for ServerList {
    fn from(text: String) -> Self {
        ServerList(Given::Text(text))
    }
}

impl From<&str> for ServerList {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for ServerList {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

impl From<Box<str>> for ServerList {
    fn from(text: Box<str>) -> Self {
        String::from(text).into()
    }
}

impl From<Cow<'_, str>> for ServerList {
    fn from(text: Cow<'_, str>) -> Self {
        text.into_owned().into()
    }
}

impl From<ConnectString> for ServerList {
    fn from(hosts: ConnectString) -> Self {
        ServerList(Given::Hosts(hosts))
    }
}

impl From<&ConnectString> for ServerList {
    fn from(hosts: &ConnectString) -> Self {
        hosts.clone().into()
    }
}

impl From<HostPort> for ServerList {
    fn from(host: HostPort) -> Self {
        [host].into_iter().collect()
    }
}

impl From<Vec<HostPort>> for ServerList {
    fn from(hosts: Vec<HostPort>) -> Self {
        let chroot = Chroot::none();
        ConnectString { hosts, chroot }.into()
    }
}

impl From<&[HostPort]> for ServerList {
    fn from(hosts: &[HostPort]) -> Self {
        hosts.to_vec().into()
    }
}

impl<const N: usize> From<[HostPort; N]> for ServerList {
    fn from(hosts: [HostPort; N]) -> Self {
        hosts.into_iter().collect()
    }
}

/// Texts of one server each.
impl From<Vec<String>> for ServerList {
    fn from(hosts: Vec<String>) -> Self {
        hosts.join(",").into()
    }
}

/// Texts of one server each.
impl From<&[&str]> for ServerList {
    fn from(hosts: &[&str]) -> Self {
        hosts.join(",").into()
    }
}

/// Texts of one server each.
impl<const N: usize> From<[&str; N]> for ServerList {
    fn from(hosts: [&str; N]) -> Self {
        hosts.join(",").into()
    }
}

impl FromIterator<HostPort> for ServerList {
    fn from_iter<I: IntoIterator<Item = HostPort>>(hosts: I) -> Self {
        hosts.into_iter().collect::<Vec<_>>().into()
    }
}
