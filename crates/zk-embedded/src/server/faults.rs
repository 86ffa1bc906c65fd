//! The handle to everything that can go wrong.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{ErrorCode, SessionId};

use crate::fault::{Action, Cut, Matcher, Rule, on_any, on_connect};
use crate::net::gate::Gate;
use crate::net::listener;
use crate::net::shared::{Shared, now};

/// Faults of a server, or of one member of it.
///
/// What is set stays until it is unset or [cleared](Self::clear); [rules](Self::rule) go when they
/// have been applied as often as they say. Handles are cheap and can outlive the server.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
    members: Vec<usize>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>, members: Vec<usize>) -> Self {
        Self { shared, members }
    }

    fn gates(&self, set: impl Fn(&mut Gate)) {
        for &member in &self.members {
            if let Some(gate) = self.shared.gates.get(member) {
                gate.change(&set);
            }
        }
        self.shared.clock.notify_one();
    }

    /// Adds a line to the script. For each request the first line that matches decides.
    pub fn rule(&self, rule: Rule) {
        let members = self.members.clone();
        self.shared.edit_script(|script| script.add(members, rule));
    }

    /// Adds several lines to the script.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        for rule in rules {
            self.rule(rule);
        }
    }

    /// Rules and cuts that have not come to their end.
    pub fn pending(&self) -> usize {
        self.shared.edit_script(|script| script.pending())
    }

    /// Ends all faults except a [`stop`](Self::stop): the script is emptied, frozen members go on,
    /// ports are open.
    pub fn clear(&self) {
        self.shared.edit_script(crate::fault::Script::clear);
        self.gates(|gate| {
            *gate = Gate {
                running: gate.running,
                port: gate.port,
                ..Gate::OPEN
            };
        });
        self.throttle(0);
    }

    /// Ends a session as if its time were over; whether there was one. Without a quorum only the
    /// sessions of read-only members can end.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.shared
            .with(|inner| inner.state.expire_session(now(), session))
    }

    /// Executes the first request that matches, and closes the connection instead of answering.
    pub fn drop_reply_after_apply(&self, on: Matcher) {
        self.rule(on.then(Action::DropReply));
    }

    /// Executes the first request that matches, and answers it with this code instead of its result.
    /// A client that takes the code for a refusal is wrong about what the request did.
    pub fn misreport_after_apply(&self, on: Matcher, code: ErrorCode) {
        self.rule(on.then(Action::Misreport(code)));
    }

    /// Sends these bytes, whatever they are, in place of the reply to the first request that
    /// matches, which is not executed.
    pub fn respond_with(&self, on: Matcher, bytes: impl Into<Bytes>) {
        self.rule(on.then(Action::Respond(bytes.into())));
    }

    /// Sends these bytes in place of the answer to the next handshake.
    pub fn greet_with(&self, bytes: impl Into<Bytes>) {
        self.respond_with(on_connect(), bytes);
    }

    /// Cuts the first connection that gets that far.
    pub fn cut(&self, cut: Cut) {
        let members = self.members.clone();
        self.shared
            .edit_script(|script| script.add_cut(members, cut));
    }

    /// Closes the ports, or opens them again; open connections stay. Returns when it is done.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing but that nobody waits.
    pub async fn refuse_connections(&self, refuse: bool) {
        self.gates(|gate| gate.refuse = refuse);
        for &member in &self.members {
            let Some(gate) = self.shared.gates.get(member) else {
                continue;
            };
            if gate.get().port == crate::net::gate::Port::Lost {
                continue;
            }
            if refuse {
                listener::closed(gate).await;
            } else if self.shared.has_sockets() {
                // A port that cannot be had back is one that refuses.
                drop(listener::opened(gate).await);
            }
        }
    }

    /// Whether new connections are accepted and never answered.
    pub fn accept_and_never_answer(&self, mute: bool) {
        self.gates(|gate| gate.mute = mute);
    }

    /// Whether new connections are closed as soon as they are accepted.
    pub fn close_after_accept(&self, slam: bool) {
        self.gates(|gate| gate.slam = slam);
    }

    /// Stops in the middle of everything, as SIGSTOP does: ports accept, nothing is read or
    /// answered, no session expires.
    pub fn freeze(&self) {
        self.gates(|gate| gate.frozen = true);
    }

    /// Goes on after [`freeze`](Self::freeze). Sessions whose time was over meanwhile expire.
    pub fn thaw(&self) {
        self.gates(|gate| gate.frozen = false);
    }

    /// Holds every frame back this long; zero for not at all. Their order stays.
    pub fn delay_replies(&self, delay: Duration) {
        self.gates(|gate| gate.delay = delay);
    }

    /// Sends byte by byte, this far apart; zero for as usual.
    pub fn dribble(&self, apart: Duration) {
        self.gates(|gate| gate.dribble = apart);
    }

    /// Refuses the next `requests` requests of any member with `ThrottledOp`, unexecuted.
    pub fn throttle(&self, requests: u32) {
        self.shared.with(|inner| inner.state.throttle(requests));
    }

    /// Lets the connections of a session be dead without the client being told: what it sends is
    /// taken and forgotten, and to the server it is gone. How many connections that were.
    pub fn half_open(&self, session: SessionId) -> usize {
        self.shared.with(|inner| {
            let ids = inner.state.connections_of(session);
            for &id in &ids {
                inner.half_open.insert(id);
                inner.state.disconnect(id);
            }
            ids.len()
        })
    }

    /// Closes the connections of a session; the session stays. How many that were.
    pub fn disconnect(&self, session: SessionId) -> usize {
        self.shared.with(|inner| {
            let ids = inner.state.connections_of(session);
            for &id in &ids {
                inner.state.disconnect(id);
            }
            ids.len()
        })
    }

    /// Closes every connection; sessions stay.
    pub fn disconnect_all(&self) {
        self.shared.with(|inner| {
            for &member in &self.members {
                inner.state.disconnect_member(member);
            }
        });
    }

    /// Executes the next request, whatever it is, and loses the connection before the reply.
    pub fn lose_next_reply(&self) {
        self.drop_reply_after_apply(on_any());
    }

    /// Ends the process: the port is closed, and so is every connection. The other members of an
    /// ensemble go on without this one, with another leader if it led, if they still have a quorum.
    pub fn stop(&self) {
        // Before a frozen member goes on to its end: what it has not read it never executes.
        self.disconnect_all();
        self.gates(|gate| {
            gate.running = false;
            gate.frozen = false;
        });
        self.disconnect_all();
        self.shared.regroup();
    }

    /// Goes on after [`stop`](Self::stop), with sessions as they were.
    pub fn run(&self) {
        self.gates(|gate| gate.running = true);
        self.shared.regroup();
    }
}
