//! A network of hosts on one bridge, each in a network namespace of its own, to be cut (Linux, root).
//!
//! The bridge is in a namespace of its own as well, so no address or name of it can collide with one
//! of this machine or of another run. Cuts are made with what every `ip` and every kernel has, which
//! are rules, routes and links; neither netfilter nor netem is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use crate::apt;
use crate::command;
use crate::error::{Error, Result};
use crate::namespace::Namespace;

/// Debian's package with `ip`.
const PACKAGE: &str = "iproute2";
/// Of the rules that drop packets: before that of the table with the host's own addresses, which the
/// kernel has first.
const DROP: u8 = 10;
const LOCAL: u8 = 100;

/// Hosts on one bridge.
#[derive(Debug)]
pub struct Network {
    bridge: Namespace,
    hosts: Vec<Arc<Host>>,
    cuts: Mutex<BTreeSet<Cut>>,
}

/// A host of a [`Network`]; dereferences to its namespace.
#[derive(Debug)]
pub struct Host {
    number: u8,
    namespace: Namespace,
}

/// What becomes of packets that do not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// They vanish. The sender learns nothing.
    Drop,
    /// The sender has no route: it is refused at once (`EHOSTUNREACH`), and an established connection
    /// stalls.
    Reject,
}

/// Something that is broken. Hosts are given by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Packets of one host do not arrive at another. The other direction is another cut.
    Path {
        /// The sender.
        from: u8,
        /// The receiver.
        to: u8,
        /// What becomes of them.
        loss: Loss,
    },
    /// The cable between a host and the bridge is unplugged; the host's interface has no carrier.
    Cable(u8),
    /// A host's interface is set down; the host has no route.
    Interface(u8),
}

/// Why this process cannot have a [`Network`].
#[derive(Debug)]
pub enum Unavailable {
    /// This system or the rights of this process do not allow it.
    Refused(Error),
    /// There is no `ip`, which could not be installed.
    NotInstalled(Error),
}

impl Unavailable {
    /// Whether it is for the machine to allow it, and not for a package to be installed.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(_) => "this machine allows no network namespaces with a bridge",
            Self::NotInstalled(_) => "there is no `ip`, which makes networks",
        })
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) | Self::NotInstalled(error) => Some(error),
        }
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Refused(error) | Unavailable::NotInstalled(error) => error,
        }
    }
}

/// Whether this process can have a [`Network`], by making one. Installs `ip` where it is missing and may
/// be installed.
///
/// # Errors
///
/// If it cannot; with the reason.
pub fn find_or_install() -> std::result::Result<(), Unavailable> {
    prepare()?;
    try_out().map_err(Unavailable::Refused)
}

/// Looks for what a network takes, and installs `ip`.
fn prepare() -> std::result::Result<(), Unavailable> {
    if !cfg!(target_os = "linux") {
        let error = unavailable("network namespaces exist on Linux only");
        return Err(Unavailable::Refused(error));
    }
    command::run(Command::new("unshare").args(["--net", "true"])).map_err(|error| {
        Unavailable::Refused(unavailable(&format!(
            "this process may not create them, which takes root: {error}"
        )))
    })?;
    if apt::on_path("ip").is_some() {
        return Ok(());
    }
    if apt::can_install() {
        return apt::install(&[PACKAGE]).map_err(Unavailable::NotInstalled);
    }
    let install = apt::command(&[PACKAGE]);
    let error = unavailable(&format!("there is no `ip`; run `{install}`"));
    Err(Unavailable::NotInstalled(error))
}

/// Makes and mends each kind of cut on a network with one host. Some systems allow namespaces and lack
/// bridges, virtual cables or policy rules.
fn try_out() -> Result<()> {
    let mut network = Network::start()?;
    let host = network.add_host()?.number();
    let other = host + 1;
    network.cut(&[
        Cut::Path {
            from: other,
            to: host,
            loss: Loss::Drop,
        },
        Cut::Path {
            from: host,
            to: other,
            loss: Loss::Reject,
        },
        Cut::Cable(host),
    ])?;
    network.heal()
}

fn unavailable(why: &str) -> Error {
    Error::Command {
        command: "create network namespaces".to_owned(),
        outcome: why.to_owned(),
    }
}

impl Network {
    /// A bridge without hosts.
    ///
    /// # Errors
    ///
    /// As [`find_or_install`], and if the system has no bridges.
    pub fn start() -> Result<Self> {
        prepare()?;
        let bridge = Namespace::create()?;
        bridge.shell(&[
            "ip link add bridge type bridge".to_owned(),
            "ip link set bridge up".to_owned(),
        ])?;
        Ok(Self {
            bridge,
            hosts: Vec::new(),
            cuts: Mutex::default(),
        })
    }

    /// Adds a host.
    ///
    /// # Errors
    ///
    /// If there are 254 already, or the system refuses.
    pub fn add_host(&mut self) -> Result<Arc<Host>> {
        let number = u8::try_from(self.hosts.len() + 1).ok();
        let number = number.filter(|number| *number < 255).ok_or_else(|| {
            unavailable("a network has at most 254 hosts, and this one has them all")
        })?;
        let namespace = Namespace::create()?;
        let port = port(number);
        let holder = namespace.holder_id();
        self.bridge.shell(&[
            format!("ip link add {port} type veth peer name eth0 netns {holder}"),
            format!("ip link set {port} master bridge up"),
        ])?;
        namespace.shell(&[
            format!("ip addr add {}/24 dev eth0", address(number)),
            "ip link set eth0 up".to_owned(),
            format!("ip rule add pref {LOCAL} lookup local"),
            "ip rule del pref 0".to_owned(),
        ])?;
        let host = Arc::new(Host { number, namespace });
        self.hosts.push(host.clone());
        Ok(host)
    }

    /// Breaks all of this; what is broken already stays so.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn cut(&self, cuts: &[Cut]) -> Result<()> {
        let mut all = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = cuts.iter().filter(|cut| all.insert(**cut));
        let new: Vec<_> = new.copied().collect();
        self.change(&new, true)
    }

    /// Mends those of these that are broken.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn mend(&self, cuts: &[Cut]) -> Result<()> {
        let mut all = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let old = cuts.iter().filter(|cut| all.remove(cut));
        let old: Vec<_> = old.copied().collect();
        self.change(&old, false)
    }

    /// Mends all that is broken.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn heal(&self) -> Result<()> {
        let mut all = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let old: Vec<_> = std::mem::take(&mut *all).into_iter().collect();
        self.change(&old, false)
    }

    /// One shell for each namespace that changes.
    fn change(&self, cuts: &[Cut], is_made: bool) -> Result<()> {
        let mut lines: BTreeMap<Option<u8>, Vec<String>> = BTreeMap::new();
        for cut in cuts {
            let (place, line) = cut.command(is_made);
            lines.entry(place).or_default().push(line);
        }
        for (place, lines) in lines {
            let host = place.and_then(|number| self.hosts.get(usize::from(number) - 1));
            match (place, host) {
                (None, _) => self.bridge.shell(&lines)?,
                (Some(_), Some(host)) => host.shell(&lines)?,
                (Some(number), None) => {
                    return Err(unavailable(&format!("there is no host {number}")));
                }
            }
        }
        Ok(())
    }
}

impl Cut {
    /// Both directions between two hosts.
    #[must_use]
    pub fn between(one: u8, other: u8, loss: Loss) -> [Self; 2] {
        [(one, other), (other, one)].map(|(from, to)| Self::Path { from, to, loss })
    }

    /// What makes or mends it, and the host where that is run; the bridge, if none.
    fn command(self, is_made: bool) -> (Option<u8>, String) {
        let link = if is_made { "down" } else { "up" };
        let verb = if is_made { "add" } else { "del" };
        match self {
            // A route of the sender's own would report the cut to the sender.
            Self::Path {
                from,
                to,
                loss: Loss::Drop,
            } => {
                let from = address(from);
                let line = format!("ip rule {verb} pref {DROP} from {from} blackhole");
                (Some(to), line)
            }
            Self::Path {
                from,
                to,
                loss: Loss::Reject,
            } => {
                let line = format!("ip route {verb} unreachable {}", address(to));
                (Some(from), line)
            }
            Self::Cable(host) => (None, format!("ip link set {} {link}", port(host))),
            Self::Interface(host) => (Some(host), format!("ip link set eth0 {link}")),
        }
    }
}

impl Host {
    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        address(self.number)
    }
}

impl Deref for Host {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

/// Of a range that is set aside for documentation, so that no message can be taken for one about a
/// real network.
fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, host)
}

/// The bridge's end of a host's cable.
fn port(host: u8) -> String {
    format!("port{host}")
}

#[cfg(test)]
mod namespace_tests;
