//! Clients of an embedded server over connections that stay inside the process, so that the clock can
//! be paused.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of this")]

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_client::{
    BackoffPolicy, Client, ClientBuilder, Dial, DialError, Dialing, HostPort, State, Transport,
};
use zk_embedded::Server;

/// A way to the members of a server, `0` to its first, which can be blocked.
#[derive(Clone, Debug)]
pub struct Wire {
    pub server: Arc<Server>,
    away: Arc<AtomicBool>,
}

impl Wire {
    /// To a server of one member.
    pub async fn new() -> Self {
        Wire::to(Server::builder().in_memory().start().await.unwrap())
    }

    pub fn to(server: Server) -> Self {
        Wire {
            server: Arc::new(server),
            away: Arc::default(),
        }
    }

    /// Another way to the same server, blocked or not by itself.
    pub fn beside(&self) -> Self {
        Wire {
            server: self.server.clone(),
            away: Arc::default(),
        }
    }

    /// Lets no new connection through, or does.
    pub fn block(&self, blocked: bool) {
        self.away.store(blocked, Ordering::Relaxed);
    }

    /// Options for a client that comes back soon. Its hosts are `member:N`.
    pub fn builder(&self) -> ClientBuilder {
        let hosts: Vec<_> = (0..self.server.member_count())
            .map(|member| format!("member:{}", member + 1))
            .collect();
        let impatient = BackoffPolicy::new(Duration::from_millis(1), Duration::from_millis(50));
        Client::builder(hosts.join(","))
            .session_timeout(Duration::from_secs(30))
            .backoff(impatient)
            .dial(self.clone())
    }

    pub async fn client(&self) -> Client {
        self.builder().connect().await.unwrap()
    }

    /// Ends the connection of this client.
    pub fn disconnect(&self, zk: &Client) {
        let ended = self.server.faults().disconnect(zk.session().id);
        assert_eq!(ended, 1, "it was not connected");
    }

    /// Cuts this client off and returns when it knows.
    pub async fn cut_off(&self, zk: &Client) {
        let mut states = zk.states();
        self.block(true);
        self.disconnect(zk);
        while !matches!(states.next().await, Some(State::Suspended { .. })) {}
    }

    /// Lets the connection come back, after the server has sent its events.
    pub async fn reconnect(&self, zk: &Client) {
        self.block(false);
        zk.sync("/").await.unwrap();
    }
}

/// What there is without waiting.
pub fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

impl Dial for Wire {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            if self.away.load(Ordering::Relaxed) {
                return Err(DialError::Other(io::ErrorKind::ConnectionRefused.into()));
            }
            let member = usize::from(host.port) - 1;
            let stream = self.server.connect_in_memory_to(member);
            Ok(Box::new(stream.map_err(DialError::Other)?) as Box<dyn Transport>)
        })
    }
}
