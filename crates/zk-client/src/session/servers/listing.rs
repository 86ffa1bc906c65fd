//! What the client knows of each of its servers.

use std::net::SocketAddr;
use std::time::Instant;

use zk_proto::HostPort;

use crate::session::Core;
use crate::session::servers::host_info::{AddressInfo, HostFailure, HostInfo};

impl Core {
    /// The servers in the order of the list, the fallback last.
    pub(crate) fn host_infos(&self, now: Instant) -> Vec<HostInfo> {
        let hosts = &self.relocation.hosts;
        let infos = hosts.iter().map(|host| self.host_info(now, host));
        infos.collect()
    }

    fn host_info(&self, now: Instant, host: &HostPort) -> HostInfo {
        let hosts = &self.relocation.hosts;
        let connected = self.server() == Some(host);
        let connected_to = self.server_address().filter(|_| connected);
        let failure = |address| {
            let failed = self.health.failure(host, address)?;
            Some(HostFailure::of(failed, now))
        };
        let several = hosts.addresses_of(host).filter(|of| of.known().len() > 1);
        let addresses = several.map(|of| {
            let info = |address: &SocketAddr| AddressInfo {
                address: *address,
                connected: connected_to == Some(*address),
                failure: failure(Some(*address)),
                put_back: (of.put_back_until(address))
                    .map(|until| until.saturating_duration_since(now))
                    .filter(|left| !left.is_zero()),
            };
            of.known().iter().map(info).collect()
        });
        let due = self.relocation.planned(host);
        HostInfo {
            host: host.clone(),
            connected,
            fallback: hosts.fallback().contains(host),
            addresses: addresses.unwrap_or_default(),
            failure: failure(None),
            next_attempt: due
                .filter(|_| !self.is_connected())
                .map(|due| due.saturating_duration_since(now)),
        }
    }
}
