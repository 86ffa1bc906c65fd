//! Which servers are tried, in which order, and for how long.

use std::time::Duration;

use zk_proto::HostPort;
use zk_transport::HostOrder;

use crate::builder::ClientBuilder;
#[cfg(doc)]
use crate::client::Client;
#[cfg(doc)]
use crate::error::ErrorKind;

impl ClientBuilder {
    /// The order in which servers are tried; [`HostOrder::Shuffled`] by default.
    ///
    /// With an order that prefers some servers, a client that is connected to another one queries the
    /// preferred ones (`isro`, else `srvr`; a server must allow one of these words), first after some 2 s
    /// and then at intervals that grow to a minute. It moves to the best that has a quorum, as described
    /// at [`Client::update_hosts`], but stays if its server does not answer the requests in flight within a
    /// third of the session's timeout: no request is lost. A preferred server that has accepted connections
    /// and not served, or that [`Client::leave_server`] has left, is not returned to for a while.
    /// [`HostOrder::Nearest`] queries all servers, to measure how long each takes to answer.
    #[doc(alias = "randomize_hosts")]
    #[doc(alias = "shuffleDnsResponse")]
    #[doc(alias = "zoo_deterministic_conn_order")]
    #[doc(alias = "HostProvider")]
    pub fn order(mut self, order: HostOrder) -> Self {
        self.order = order;
        self
    }

    /// Prefers the servers for which `rank` returns a lower number, such as those in the zone of the
    /// client; servers of equal rank are shuffled. See [`order`](Self::order).
    ///
    /// `rank` is called once for each server of a list, by the client's task, and must not block.
    ///
    /// ```no_run
    /// # async fn run() -> zk_client::Result<()> {
    /// use zk_client::Client;
    ///
    /// let zk = Client::builder("zk1.eu:2181,zk2.eu:2181,zk3.us:2181")
    ///     .prefer(|server| u32::from(!server.host.ends_with(".eu")))
    ///     .connect()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn prefer(self, rank: impl Fn(&HostPort) -> u32 + Send + Sync + 'static) -> Self {
        self.order(HostOrder::ranked(rank))
    }

    /// Whether [`connect`](Self::connect) fails with [`ErrorKind::Unreachable`] once every address of
    /// every server has failed once; false by default. Otherwise it tries again until
    /// [`connect_timeout`](Self::connect_timeout).
    pub fn fail_eagerly(mut self, eager: bool) -> Self {
        self.fail_eagerly = eager;
        self
    }

    /// How many attempts to connect in a row may fail; no limit by default. After so many, at its start or
    /// after a lost connection, the client ends: its state is [`State::Closed`](crate::State::Closed),
    /// requests fail with [`ErrorKind::Closed`], and [`Client::connected`] with
    /// [`ErrorKind::Unreachable`]. The session, if there is one, ends with its timeout.
    ///
    /// An attempt tries all addresses of one name until one accepts. An answer that the session has expired is no
    /// failure, nor is a move to another server. Zero is the same as one.
    #[doc(alias = "connection_retry")]
    pub fn max_connect_attempts(mut self, attempts: u32) -> Self {
        self.max_connect_attempts = Some(attempts);
        self
    }

    /// How long the client may be without a connection, at its start or after a lost one; no limit by
    /// default. After that it ends, as after [`max_connect_attempts`](Self::max_connect_attempts).
    #[doc(alias = "connection_retry")]
    pub fn max_outage(mut self, limit: Duration) -> Self {
        self.max_outage = Some(limit);
        self
    }

    /// How often the names of the servers are looked up while the client lives; zero, the default, for
    /// never. For a name whose addresses change, such as that of a headless service that is scaled: the
    /// clients then move such that each address gets an equal share of them, by the rule of
    /// [`Client::update_hosts`]. An address counts as removed once three lookups in a row have not returned it,
    /// as a resolver may return a part of them; and a client stays if its server does not answer the requests
    /// in flight within a third of the session's timeout. Without it, a name is looked up for every attempt to connect.
    pub fn dns_refresh(mut self, interval: Duration) -> Self {
        self.dns_refresh = interval;
        self
    }
}
