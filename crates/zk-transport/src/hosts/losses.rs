//! Servers that serve a session and then lose the client, again and again.

use std::time::Instant;

use zk_proto::HostPort;

use super::addresses::penalty_after;
use super::list::Hosts;
use super::loss::Loss;

impl Hosts {
    /// The connection to the current server has served a session and is lost.
    ///
    /// Where each round begins with the first server, one that serves for a moment each time would keep the
    /// others from being tried. So a server whose connections are lost repeatedly is tried last for a while,
    /// as one whose handshakes fail.
    pub(super) fn handle_lost(&mut self, now: Instant) {
        let Some(host) = self.current.clone().filter(|_| self.order.begins_anew()) else {
            return;
        };
        let several = (self.addresses.get(&host)).filter(|it| it.known().len() > 1);
        let address = several.and_then(|it| it.current());
        self.losses.retain(|loss| loss.is_recent(now));
        let known =
            (self.losses.iter_mut()).find(|loss| loss.host == host && loss.address == address);
        let Some(loss) = known else {
            self.losses.push(Loss {
                host,
                address,
                repeated: 0,
                until: now,
            });
            return;
        };
        loss.until = now + penalty_after(loss.repeated);
        loss.repeated = loss.repeated.saturating_add(1);
        let until = loss.until;
        if let (Some(address), Some(addresses)) = (address, self.addresses.get_mut(&host)) {
            addresses.put_back_for_losses(address, until);
        }
    }

    /// Whether the only address of this server is tried last, because connections to it were lost
    /// repeatedly.
    pub(super) fn has_lost_repeatedly(&self, host: &HostPort) -> bool {
        let mut of_host =
            (self.losses.iter()).filter(|loss| loss.host == *host && loss.address.is_none());
        of_host.any(|loss| self.now.is_some_and(|now| now < loss.until))
    }
}
