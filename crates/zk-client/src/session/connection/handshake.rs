//! The answer to the handshake, and the announcement of the session that follows.

use std::time::Instant;

use zk_proto::records::ConnectResponse;
use zk_proto::{OpCode, SessionPassword};
use zk_transport::{Addresses, Disconnect};

use crate::session::Core;
use crate::session::abilities::server_history::ServerId;
use crate::session::identity::Established;
use crate::session::state::State;

impl Core {
    /// A server has answered the handshake.
    pub(in crate::session) fn handle_connected(
        &mut self,
        now: Instant,
        response: &ConnectResponse,
    ) -> Result<(), Disconnect> {
        let link = self.connection.link.as_ref().ok_or(Disconnect::Local)?;
        let (asked, is_short) = (link.acknowledged(), link.is_short_handshake());
        let (epoch, lease) = (self.session.epoch(), self.session.quorum_lease_until());
        let established = self.session.handle_connected(now, asked, response);
        self.abilities.handle_established(now, lease, established);
        match established {
            Established::New => self.counters.traffic_mut().sessions += 1,
            Established::Resumed => self.counters.traffic_mut().resumptions += 1,
            Established::WithoutSession => {}
            Established::NotKnownHere => {
                self.connection.link = None;
                return Err(Disconnect::WithoutQuorum);
            }
            Established::Refused => {
                self.connection.link = None;
                return Err(Disconnect::NotZooKeeper(
                    "it refused a new session".to_owned(),
                ));
            }
            Established::Expired { replaced } => {
                // A link that was never open for requests carries none.
                let link = self.connection.link.take();
                // A new session in its place proves nothing: Keeper resumes none, and lets the old one
                // time out.
                self.after_expiry(epoch, !replaced);
                if !replaced || self.is_over() {
                    return Err(Disconnect::SessionExpired);
                }
                self.connection.link = link;
                self.counters.traffic_mut().sessions += 1;
            }
        }
        self.counters.traffic_mut().connections += 1;
        self.connection.is_read_only = response.read_only;
        // ClickHouse Keeper leaves out the last byte of its answer, and its passwords are zeros.
        let is_keeper = is_short && response.password == SessionPassword::zero();
        self.begin_abilities(is_keeper);
        if let Some(login) = &mut self.auth.login {
            login.begin();
            return Ok(());
        }
        self.begin_requests(now);
        self.announce();
        Ok(())
    }

    /// The server that has answered the handshake takes requests.
    fn begin_abilities(&mut self, is_keeper: bool) {
        let server = self.health.server();
        let addresses = server.and_then(|host| self.relocation.hosts.addresses_of(host));
        let server = ServerId::of(server, addresses.and_then(Addresses::current));
        self.abilities.handle_connected(server, is_keeper);
        self.abilities_changed();
        if is_keeper {
            self.registry.set_nameless();
        }
    }

    /// What is known of the server's operations may have changed.
    pub(in crate::session) fn abilities_changed(&mut self) {
        self.registry
            .set_cannot_remove(self.lacks(OpCode::RemoveWatches));
    }

    /// Announces that the session is served, once the server has accepted all credentials.
    pub(in crate::session) fn announce(&mut self) {
        if self.connection.awaits_auth() || self.state().is_connected() {
            return;
        }
        self.health.handle_served(&self.relocation.hosts);
        self.outage.end();
        let (session, epoch) = (self.session.id(), self.session.epoch());
        self.state.set_announced(epoch);
        self.set_state(match self.connection.is_read_only {
            false => State::Connected { session, epoch },
            true if session.is_none() => State::ConnectedReadOnly { epoch: 0 },
            true => State::ConnectedReadOnly { epoch },
        });
    }
}
