//! From the options to a client, and the wait for its first session.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::ConnectTarget;
#[cfg(feature = "tls")]
use zk_transport::Dial;
use zk_transport::{Hosts, ReconnectOptions};

use crate::builder::ClientBuilder;
use crate::client::Client;
use crate::driver::srv_discovery::Discovery;
use crate::driver::suspend_clock;
use crate::driver::{CloseOnDrop, Options, drive};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session::state::State;
use crate::session::token::SessionToken;
use crate::session::{Core, Limits};
use crate::shared::{Shared, now};
use crate::telemetry::observed;

/// Why a service in the DNS cannot be used with these TLS options.
const NAMES_FROM_DNS: &str = "dns-srv:// cannot be used with TLS like this: servers would be verified by \
     names from the DNS, whose answers are not authenticated, so that a forged answer could have the \
     credentials sent to any holder of a certificate of the CA; set TlsConfig::server_name to a name \
     that all servers' certificates are for, or list the servers in the connect string, or, if forged \
     answers are no concern, set TlsConfig::danger_trust_dns_names; a Dial of your own counts as TLS \
     unless its method authenticates_host returns false";

impl ClientBuilder {
    /// Makes the client without waiting for a session; requests wait for one. The client tries to
    /// connect until it is closed, however long no server can be reached.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`]: the connect string is invalid; a file that TLS needs cannot
    /// be read or used; or servers would be verified by names from the DNS (see `tls`).
    ///
    /// # Panics
    /// Outside a tokio runtime: the client's driver is a task of the current one. And in a runtime
    /// without timers (`enable_time`, or `enable_all`). In a runtime without I/O (`enable_io`) all
    /// requests that need a socket fail with [`ErrorKind::Closed`], and the error says so.
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
        // The protocol has milliseconds in an i32: almost 25 days.
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
        // Without timers in the runtime, this panics here and says why, instead of later in the driver.
        drop(tokio::time::sleep(Duration::ZERO));
        let suspended = match self.suspended.0 {
            Some(source) => suspend_clock::counted_from_now(source),
            None => suspend_clock::platform(),
        };
        let shared = Arc::new(Shared::new(core, runtime.clone(), suspended));
        let options = Options {
            connections: ReconnectOptions::shared(dial)
                .login(self.login)
                .frame_limit(self.max_reply),
            read_only: self.read_only,
            discovery,
            seed,
        };
        let driver = drive(CloseOnDrop(shared.clone()), options);
        let root = chroot.as_str().to_owned();
        runtime.spawn(observed(shared.clone(), root, driver));
        Ok(Client::new(shared, chroot, self.deadline, self.acl))
    }

    /// Makes the client and waits for its first session, for
    /// [`connect_timeout`](Self::connect_timeout) at most.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidArgument`]: those of [`start`](Self::start); or there is no tokio
    ///   runtime.
    /// - [`ErrorKind::AuthFailed`]: the server refused the credentials or the login.
    /// - [`ErrorKind::Untrusted`]: every server has failed for a reason that a retry does not mend:
    ///   its certificate or this client's is not valid, or only one side uses TLS. This error comes
    ///   as soon as each server has been tried.
    /// - [`ErrorKind::ConnectTimeout`]: no server could be reached in time. The error says what was
    ///   wrong with each. Until then a refused port shows only in the events of `tracing`.
    ///
    /// # Panics
    /// In a runtime without timers; see [`start`](Self::start).
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(self) -> Result<Client> {
        require_runtime()?;
        let limit = self.connect_timeout;
        let client = self.start()?;
        within(limit, &client, client.connected()).await?;
        Ok(client)
    }

    /// Makes the client and continues a session that another client has left by [`Client::detach`];
    /// its epoch is 1, its timeout the one it had.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); and [`ErrorKind::SessionExpired`] if the session has
    /// ended or the token is wrong: servers answer both alike.
    ///
    /// # Panics
    /// In a runtime without timers; see [`start`](Self::start).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session as it was.
    pub async fn resume(self, token: SessionToken) -> Result<Client> {
        require_runtime()?;
        let (limit, id) = (self.connect_timeout, token.session());
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
                                 answer both alike; its ephemeral znodes are gone or will be, \
                                 connect for a new session"
                            )));
                    }
                    Some(state) if state.is_connected() => return Ok(()),
                    Some(_) => {}
                    None => return client.connected().await,
                }
            }
        };
        let result = within(limit, &client, resumed).await;
        resuming.done = !matches!(
            result.as_ref().map_err(Error::kind),
            Err(ErrorKind::ConnectTimeout | ErrorKind::Untrusted)
        );
        result.map(|()| client)
    }
}

/// A client that has not resumed its session yet. Dropped before that, it leaves the session open.
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

/// `connect` and `resume` report what would be a panic in `start`.
fn require_runtime() -> Result<()> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::invalid_argument(
            "there is no tokio runtime here for the client's task; connect inside one, or use \
             zk_client::blocking",
        )
        .with_source(error)),
    }
}

/// Waits for the first session for at most `limit`.
async fn within(
    limit: Duration,
    client: &Client,
    connected: impl Future<Output = Result<()>>,
) -> Result<()> {
    match tokio::time::timeout(limit, client.fail_fast(connected)).await {
        Ok(connected) => connected,
        Err(_elapsed) => {
            let failures = client.connect_failures();
            let detail = if failures.is_empty() {
                format!(
                    "no session within {} ms: no server has answered or refused",
                    limit.as_millis()
                )
            } else {
                format!("no session within {} ms: {failures}", limit.as_millis())
            };
            Err(Error::new(ErrorKind::ConnectTimeout, Outcome::NotSent).with_detail(detail))
        }
    }
}

#[cfg(feature = "tls")]
fn over_tls(below: Arc<dyn Dial>, config: zk_transport::TlsConfig) -> Result<Arc<dyn Dial>> {
    match zk_transport::TlsDial::over(below, config) {
        Ok(dial) => Ok(Arc::new(dial)),
        // The text is the whole cause, so there is no source.
        Err(error) => Err(Error::invalid_argument(error.to_string())),
    }
}
