//! A client is made of its options, and waits for its first session.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::ConnectTarget;
#[cfg(feature = "tls")]
use zk_transport::Dial;
use zk_transport::Hosts;

use crate::builder::ClientBuilder;
use crate::client::Client;
use crate::driver::srv_discovery::Discovery;
use crate::driver::suspend_clock;
use crate::driver::{Gone, Options, drive};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session::state::State;
use crate::session::token::SessionToken;
use crate::session::{Core, Limits};
use crate::shared::{Shared, now};
use crate::telemetry::observed;

/// Why a service in the DNS and TLS do not go together as they are.
const NAMES_FROM_DNS: &str = "dns-srv:// cannot be used with TLS like this: servers would be verified by \
     names from the DNS, whose answers are not authenticated, so that a forged answer could have the \
     credentials sent to any holder of a certificate of the CA; set TlsConfig::server_name to a name \
     that all servers' certificates are for, or list the servers in the connect string, or, if forged \
     answers are no concern, set TlsConfig::danger_trust_dns_names; a Dial of your own is taken to use TLS \
     unless its method authenticates_host answers false";

impl ClientBuilder {
    /// Makes the client without waiting for a session; requests wait for one. It keeps trying until
    /// it is closed, however long there is no server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`]: the connect string is invalid; a file that TLS needs cannot be
    /// read or used; or servers would be verified by names from the DNS ([`tls`](Self::tls)).
    ///
    /// # Panics
    /// Outside a tokio runtime, for the client's driver is a task of the current one; and in a
    /// runtime without timers (`enable_time`, or `enable_all`). If the runtime has no I/O and sockets
    /// are needed, all requests fail with [`ErrorKind::Closed`], and the error says so.
    pub fn start(self) -> Result<Client> {
        self.start_with(None)
    }

    fn start_with(self, token: Option<SessionToken>) -> Result<Client> {
        let target: ConnectTarget = (self.hosts.0)
            .parse()
            .map_err(|e| Error::invalid_argument("the connect string is invalid").with_source(e))?;
        #[cfg(feature = "tls")]
        let secure = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let secure = false;
        #[cfg(feature = "tls")]
        let dial = match self.tls {
            Some(config) => over_tls(self.dial, config)?,
            None => self.dial,
        };
        #[cfg(not(feature = "tls"))]
        let dial = self.dial;
        if matches!(target, ConnectTarget::DnsSrv { .. }) && dial.authenticates_host() {
            return Err(Error::invalid_argument(NAMES_FROM_DNS));
        }
        let limits = Limits {
            outstanding: self.max_outstanding,
            request_bytes: self.max_request,
            outstanding_bytes: self.max_outstanding_bytes,
            mailbox: crate::session::watches::MailboxLimits {
                events: self.max_watch_events.max(1),
                bytes: self.max_watch_bytes,
            },
            close_timeout: self.close_timeout,
        };
        // What the wire can say: milliseconds in an i32, almost 25 days.
        let timeout = self
            .session_timeout
            .min(Duration::from_millis(i32::MAX.unsigned_abs().into()));
        let mut core = Core::new(now(), timeout, self.policy, self.read_only, limits);
        if let Some(token) = token {
            core.resume(now(), token);
        }
        for (scheme, secret) in self.credentials {
            core.preset_credential(scheme, secret.0);
        }
        if let Some(login) = &self.login {
            core.require_login(login.mechanism());
        }
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        if self.follow_config {
            core.preset_follow(secure);
        }
        let (hosts, chroot, discovery) = match target {
            ConnectTarget::Hosts(connect) => (connect.hosts, connect.chroot, None),
            ConnectTarget::DnsSrv { service, chroot } => {
                let discovery = Discovery {
                    service,
                    resolver: self.resolver,
                    refresh: self.srv_refresh,
                };
                (Vec::new(), chroot, Some(discovery))
            }
            _ => {
                return Err(Error::invalid_argument(
                    "unsupported kind of connect string",
                ));
            }
        };
        core.preset_hosts(Hosts::new(hosts, self.backoff, seed));
        let runtime = tokio::runtime::Handle::current();
        // Panics with the cause in a runtime without timers, and not later in the driver.
        drop(tokio::time::sleep(Duration::ZERO));
        let suspended = match self.suspended.0 {
            Some(source) => suspend_clock::counted_from_now(source),
            None => suspend_clock::platform(),
        };
        let shared = Arc::new(Shared::new(core, runtime.clone(), suspended));
        let options = Options {
            dial,
            login: self.login,
            frame_limit: self.max_reply,
            read_only: self.read_only,
            discovery,
            seed,
        };
        let driver = drive(Gone(shared.clone()), options);
        let root = chroot.as_str().to_owned();
        runtime.spawn(observed(shared.clone(), root, driver));
        Ok(Client::new(shared, chroot, self.deadline, self.acl))
    }

    /// Makes the client and waits for its first session.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    ///
    /// # Errors
    /// The connect string is invalid; the server refused the credentials or the login; or no server could be
    /// reached in time, and then the error says what was wrong with each. If the reason is one that
    /// trying again does not mend, and it is so at every server, the error comes as soon as each has
    /// been tried: [`ErrorKind::Untrusted`], for a server's certificate that is not good, or this
    /// client's, or TLS on one side only.
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(self) -> Result<Client> {
        let patience = self.connect_timeout;
        let client = self.start()?;
        within(patience, &client, client.connected()).await?;
        Ok(client)
    }

    /// Makes the client and goes on with a session that another has left by
    /// [`Client::detach`]; its epoch is 1. The session timeout is the one it had.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); and [`ErrorKind::SessionExpired`] if the session has
    /// ended, or if the token is wrong, for servers do not tell which.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session, as it was left before.
    pub async fn resume(self, token: SessionToken) -> Result<Client> {
        let (patience, id) = (self.connect_timeout, token.session());
        let client = self.start_with(Some(token))?;
        let mut resuming = Resuming {
            client: client.clone(),
            done: false,
        };
        let mut states = client.states();
        let resumed = async {
            loop {
                match states.next().await {
                    Some(State::Expired { .. }) => {
                        return Err(Error::new(ErrorKind::SessionExpired, Outcome::NotSent)
                            .with_detail(format!(
                                "session {id} has ended, or the token's password is wrong: servers \
                                 do not tell which; its ephemeral znodes are gone or will be, \
                                 connect for a new session"
                            )));
                    }
                    Some(state) if state.is_connected() => return Ok(()),
                    Some(_) => {}
                    None => return client.connected().await,
                }
            }
        };
        let result = within(patience, &client, resumed).await;
        resuming.done = !matches!(
            result.as_ref().map_err(Error::kind),
            Err(ErrorKind::ConnectTimeout | ErrorKind::Untrusted)
        );
        result.map(|()| client)
    }
}

/// A client that has not resumed its session yet. Should it never, the session is left alone.
struct Resuming {
    client: Client,
    done: bool,
}

impl Drop for Resuming {
    fn drop(&mut self) {
        if !self.done {
            drop(self.client.clone().detach());
        }
    }
}

/// Waits for the first session, and no longer.
async fn within(
    patience: Duration,
    client: &Client,
    connected: impl Future<Output = Result<()>>,
) -> Result<()> {
    match tokio::time::timeout(patience, client.unless_hopeless(connected)).await {
        Ok(connected) => connected,
        Err(_elapsed) => {
            let failures = client.connect_failures();
            let detail = if failures.is_empty() {
                format!(
                    "no session within {} ms: no server has answered or refused",
                    patience.as_millis()
                )
            } else {
                format!("no session within {} ms: {failures}", patience.as_millis())
            };
            Err(Error::new(ErrorKind::ConnectTimeout, Outcome::NotSent).with_detail(detail))
        }
    }
}

#[cfg(feature = "tls")]
fn over_tls(below: Arc<dyn Dial>, config: zk_transport::TlsConfig) -> Result<Arc<dyn Dial>> {
    match zk_transport::TlsDial::over(below, config) {
        Ok(dial) => Ok(Arc::new(dial)),
        // All there is to say, so not a source as well.
        Err(error) => Err(Error::invalid_argument(error.to_string())),
    }
}
