//! Where a server runs.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use crate::error::Result;
use crate::network::Host;

/// Where one server runs, and the ports it listens on.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// None is this process's own network, by its loopback.
    pub(crate) host: Option<Arc<Host>>,
    pub(crate) client: u16,
    pub(crate) secure: u16,
}

impl Site {
    /// This one with this port.
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        let loopback = Ipv4Addr::LOCALHOST;
        let ip = self.host.as_ref().map_or(loopback, |host| host.address());
        (ip, port).into()
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.host {
            Some(host) => host.command(program),
            None => Command::new(program),
        }
    }

    /// Runs `f` there, where the server can be reached whatever is cut.
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        match &self.host {
            Some(host) => host.run(f),
            None => Ok(f()),
        }
    }
}
