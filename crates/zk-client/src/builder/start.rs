//! From the options to a client, and the wait for its first session.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::ConnectTarget;
#[cfg(feature = "tls-no-provider")]
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
use crate::tls::NAMES_FROM_DNS;
#[cfg(feature = "tls-no-provider")]
use crate::tls::Tls;

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
        let target = self.hosts.target()?;
        let names_from_dns = matches!(target, ConnectTarget::DnsSrv { .. });
        #[cfg(feature = "tls-no-provider")]
        let tls = match self.tls {
            Some(config) => Some(Tls::over(self.dial.clone(), config, names_from_dns)?),
            None => None,
        };
        #[cfg(feature = "tls-no-provider")]
        let (secure, dial) = match &tls {
            Some(tls) => (true, Arc::new(tls.dial.clone()) as Arc<dyn Dial>),
            None => (false, self.dial),
        };
        #[cfg(not(feature = "tls-no-provider"))]
        let (secure, dial) = (false, self.dial);
        if names_from_dns && dial.authenticates_host() {
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
        let prefers = self.order.prefers();
        core.preset_hosts(Hosts::ordered(hosts, self.order, self.backoff, seed));
        core.preset_outage(self.max_connect_attempts, self.max_outage);
        if self.fail_eagerly {
            core.preset_eager();
        }
        let runtime = tokio::runtime::Handle::current();
        // Without timers in the runtime, this panics here and says why, instead of later in the driver.
        drop(tokio::time::sleep(Duration::ZERO));
        let suspended = match self.suspended.0 {
            Some(source) => suspend_clock::counted_from_now(source),
            None => suspend_clock::platform(),
        };
        #[cfg(feature = "tls-no-provider")]
        let shared = Shared::new(core, runtime.clone(), suspended, self.name).secured(tls);
        #[cfg(not(feature = "tls-no-provider"))]
        let shared = Shared::new(core, runtime.clone(), suspended, self.name);
        let shared = Arc::new(shared);
        let options = Options {
            connections: ReconnectOptions::shared(dial.clone())
                .login(self.login)
                .frame_limit(self.max_reply),
            read_only: self.read_only,
            discovery,
            prefers,
            dns_refresh: self.dns_refresh,
            seed,
        };
        let driver = drive(CloseOnDrop(shared.clone()), options);
        let root = chroot.as_str().to_owned();
        runtime.spawn(observed(shared.clone(), root, driver));
        Ok(Client::new(
            shared,
            chroot,
            self.deadline,
            self.acl,
            self.retry,
            self.detached,
            dial,
        ))
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
    /// - [`ErrorKind::Unreachable`]: every server has failed once, with
    ///   [`fail_eagerly`](Self::fail_eagerly); or the client has given up, with
    ///   [`max_connect_attempts`](Self::max_connect_attempts) or [`max_outage`](Self::max_outage).
    /// - [`ErrorKind::ConnectTimeout`]: no server could be reached in time. The error says what was
    ///   wrong with each. Until then a refused port shows only in the events of `tracing`.
    /// - Those of [`Client::ensure_path`], with [`ensure_chroot`](Self::ensure_chroot).
    ///
    /// # Panics
    /// In a runtime without timers; see [`start`](Self::start).
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(self) -> Result<Client> {
        require_runtime()?;
        let limit = self.connect_timeout;
        let ensures_chroot = self.ensure_chroot;
        let client = self.start()?;
        let ready = async {
            client.connected().await?;
            if ensures_chroot && !client.root().is_none() {
                client.ensure_path("/").await?;
            }
            Ok(())
        };
        within(limit, &client, ready).await?;
        Ok(client)
    }

    /// Makes the client and continues the session of another client, which has left it by
    /// [`Client::detach`], or has crashed after its [`Client::session_token`] was saved, or is of
    /// another library ([`SessionToken::new`]). The epoch is 1, the timeout the one that the token
    /// has. [`restore`](Self::restore) does all of that with a file.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); and [`ErrorKind::SessionExpired`] if the session has
    /// ended or the token is wrong: servers answer both alike. [`ErrorKind::InvalidArgument`] if the
    /// token's id is 0, which is no session's. After any error but `SessionExpired` the session is as it
    /// was.
    ///
    /// # Panics
    /// In a runtime without timers; see [`start`](Self::start).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session as it was.
    pub async fn resume(self, token: SessionToken) -> Result<Client> {
        require_runtime()?;
        let (limit, id) = (self.connect_timeout, token.session());
        if id.is_none() {
            return Err(Error::invalid_argument("no session has the id 0"));
        }
        let client = self.start_with(Some(token))?;
        let mut leaving = LeaveOnDrop::new(&client, true);
        let mut states = client.states();
        let resumed = async {
            loop {
                let Some(state) = states.next().await else {
                    return client.connected().await;
                };
                match is_resumed(state) {
                    Some(true) => return Ok(()),
                    Some(false) => {
                        return Err(Error::new(ErrorKind::SessionExpired, Outcome::NotSent)
                            .with_detail(format!(
                                "session {id} has ended, or the token's password is wrong: servers \
                                 answer both alike; its ephemeral znodes are gone or will be, \
                                 connect for a new session"
                            )));
                    }
                    None => {}
                }
            }
        };
        let result = within(limit, &client, resumed).await;
        // After any other error the session may be alive, and closing the client could end it.
        let is_known = matches!(
            result.as_ref().map_err(Error::kind),
            Ok(()) | Err(ErrorKind::SessionExpired)
        );
        if is_known {
            leaving.disarm();
        }
        result.map(|()| client)
    }
}

/// Whether a client that was to resume a session has it now, or has lost it; `None` while that is open.
/// The session resumed has the epoch 1; a later one has replaced it, even if the reader of the states
/// came too late for the expiry.
fn is_resumed(state: State) -> Option<bool> {
    match state {
        State::Connected { epoch, .. } | State::ConnectedReadOnly { epoch } => Some(epoch == 1),
        State::Expired { .. } => Some(false),
        _ => None,
    }
}

/// A client of a session that may have to stay. Dropped while armed, it leaves the session open.
pub(super) struct LeaveOnDrop {
    client: Client,
    armed: bool,
}

impl LeaveOnDrop {
    pub(super) fn new(client: &Client, armed: bool) -> Self {
        LeaveOnDrop {
            client: client.clone(),
            armed,
        }
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        if self.armed {
            drop(self.client.clone().detach());
        }
    }
}

/// `connect`, `resume` and `restore` report what would be a panic in `start`.
pub(super) fn require_runtime() -> Result<()> {
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

#[cfg(test)]
mod tests {
    use zk_proto::SessionId;

    use super::*;

    #[test]
    fn only_the_first_epoch_is_resumed() {
        let connected = |epoch| State::Connected {
            session: SessionId(7),
            epoch,
        };
        assert_eq!(is_resumed(connected(1)), Some(true));
        assert_eq!(is_resumed(connected(2)), Some(false));
        let read_only = |epoch| State::ConnectedReadOnly { epoch };
        assert_eq!(is_resumed(read_only(1)), Some(true));
        assert_eq!(is_resumed(read_only(0)), Some(false));
        assert_eq!(is_resumed(State::Expired { epoch: 1 }), Some(false));
        assert_eq!(is_resumed(State::Connecting), None);
        assert_eq!(is_resumed(State::Closed), None);
    }
}
