//! [`Faults`], the handle to the faults of a server.

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
/// A fault stays until it is unset or [cleared](Self::clear). A [rule](Self::rule) is removed when it has
/// been applied as often as it says. Handles are cheap and can outlive the server.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::builder().members(3).start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// let faults = server.faults();
/// faults.lose_next_reply(); // the next write takes effect, and its reply is lost
/// assert!(zk.create("/a", "").await.is_err());
/// assert!(server.node("/a").is_some());
///
/// faults.expire_session(zk.session().id);
/// faults.disconnect_all();
/// server.member(0).stop(); // one member; the others have a quorum
/// zk.get("/a").await?;
/// # Ok(())
/// # }
/// ```
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

    /// Adds a rule to the script. The first rule that matches a request applies to it.
    pub fn rule(&self, rule: Rule) {
        let members = self.members.clone();
        self.shared.edit_script(|script| script.add(members, rule));
    }

    /// Adds several rules to the script.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        for rule in rules {
            self.rule(rule);
        }
    }

    /// Number of rules and cuts that are still in the script.
    pub fn pending(&self) -> usize {
        self.shared.edit_script(|script| script.pending())
    }

    /// Ends all faults except a [`stop`](Self::stop): empties the script, thaws members, opens ports.
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

    /// Ends a session as if its timeout were over. False if there is no such session. Without a quorum
    /// only the sessions of read-only members can end.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.shared
            .with(|inner| inner.state.expire_session(now(), session))
    }

    /// Executes the first request that matches, and closes the connection instead of answering.
    pub fn drop_reply_after_apply(&self, on: Matcher) {
        self.rule(on.then(Action::DropReply));
    }

    /// Executes the first request that matches, and answers it with this code instead of its result.
    /// A client that concludes from the code that the request was refused is wrong.
    pub fn misreport_after_apply(&self, on: Matcher, code: ErrorCode) {
        self.rule(on.then(Action::Misreport(code)));
    }

    /// Sends these bytes instead of the reply to the first request that matches, which is not executed.
    /// The bytes need not be a frame.
    pub fn respond_with(&self, on: Matcher, bytes: impl Into<Bytes>) {
        self.rule(on.then(Action::Respond(bytes.into())));
    }

    /// Sends these bytes instead of the response to the next handshake.
    pub fn greet_with(&self, bytes: impl Into<Bytes>) {
        self.respond_with(on_connect(), bytes);
    }

    /// Cuts the first connection that reaches the place of the cut.
    pub fn cut(&self, cut: Cut) {
        let members = self.members.clone();
        self.shared
            .edit_script(|script| script.add_cut(members, cut));
    }

    /// Closes the ports, or opens them again; open connections stay. Returns when the ports are closed
    /// or open.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the change.
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
                // If another program has taken the port, it stays closed.
                drop(listener::opened(gate).await);
            }
        }
    }

    /// Sets whether new connections are accepted and never answered.
    pub fn accept_and_never_answer(&self, mute: bool) {
        self.gates(|gate| gate.mute = mute);
    }

    /// Sets whether new connections are closed as soon as they are accepted.
    pub fn close_after_accept(&self, slam: bool) {
        self.gates(|gate| gate.slam = slam);
    }

    /// Suspends the members, as SIGSTOP does: ports accept connections, nothing is read or answered, no
    /// session expires.
    pub fn freeze(&self) {
        self.gates(|gate| gate.frozen = true);
    }

    /// Ends [`freeze`](Self::freeze). Sessions whose timeout was over meanwhile expire.
    pub fn thaw(&self) {
        self.gates(|gate| gate.frozen = false);
    }

    /// Delays every frame by this time, in order; zero ends it.
    pub fn delay_replies(&self, delay: Duration) {
        self.gates(|gate| gate.delay = delay);
    }

    /// Sends byte by byte, with this time between two bytes; zero ends it.
    pub fn dribble(&self, apart: Duration) {
        self.gates(|gate| gate.dribble = apart);
    }

    /// Refuses the next `requests` requests, to any member, with `ThrottledOp`, without executing them.
    pub fn throttle(&self, requests: u32) {
        self.shared.with(|inner| inner.state.throttle(requests));
    }

    /// Makes the connections of a session half-open: the server treats them as closed, and discards what
    /// the client sends without closing its side. Returns their number.
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

    /// Closes the connections of a session; the session stays. Returns their number.
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

    /// Executes the next request and closes the connection before the reply. Pings and `auth` pass.
    pub fn lose_next_reply(&self) {
        self.drop_reply_after_apply(on_any());
    }

    /// Stops the members: their ports and connections are closed. The other members of an ensemble
    /// continue if they have a quorum, with another leader if a stopped one led.
    pub fn stop(&self) {
        // Disconnected before it is thawed, so that a frozen member executes nothing it has not read.
        self.disconnect_all();
        self.gates(|gate| {
            gate.running = false;
            gate.frozen = false;
        });
        self.disconnect_all();
        self.shared.regroup();
    }

    /// Starts members after [`stop`](Self::stop), with the sessions as they were.
    pub fn run(&self) {
        self.gates(|gate| gate.running = true);
        self.shared.regroup();
    }
}
