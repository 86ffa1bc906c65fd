//! Whose tickets are used, and for which server.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use zk_client::sasl::{Beginning, Login, Mechanism};
use zk_client::{HostPort, SaslError};

use crate::library;
use crate::plan::{Plan, Target};

/// A login with Kerberos, for [`ClientBuilder::sasl`](zk_client::ClientBuilder::sasl).
///
/// The [crate's documentation](crate) says where tickets come from and how a server is set up.
///
/// # Errors
/// The first connection fails, or a later one, with
/// [`Disconnect::LoginFailed`](zk_client::Disconnect::LoginFailed). [`SaslError::Unavailable`] is tried again, within
/// the time to connect or the session's: no ticket, an expired one, no KDC or one that cannot serve, clocks that
/// differ, an error of this machine such as too many open files. Every other error, as of a server's principal
/// that the KDC does not know, ends the client with [`ErrorKind::AuthFailed`](zk_client::ErrorKind::AuthFailed),
/// before any request was sent. All of them say what to do.
///
/// # Cancel safety
/// The library blocks while it waits for a KDC, on a thread of tokio's for blocking calls. A login that is dropped
/// or times out leaves that call to end by itself, and nothing else; the next login of this
/// value begins after it, so that there is one such call at a time.
#[derive(Clone)]
pub struct Gssapi {
    client: Option<String>,
    service: String,
    server_principal: Option<String>,
    exact_host_names: bool,
    /// One call into the library at a time.
    calls: Arc<Semaphore>,
}

impl Gssapi {
    /// Logs in as the default principal of the ticket cache or of the keytab, to the service `zookeeper`.
    pub fn new() -> Self {
        Gssapi {
            client: None,
            service: "zookeeper".to_owned(),
            server_principal: None,
            exact_host_names: false,
            calls: Arc::new(Semaphore::new(1)),
        }
    }

    /// Logs in as this principal: `app@EXAMPLE.COM`, or `app` in the default realm. It must have a ticket in the
    /// cache or a key in the keytab.
    #[must_use]
    pub fn principal(mut self, principal: impl Into<String>) -> Self {
        self.client = Some(principal.into());
        self
    }

    /// The first part of the servers' principals; `zookeeper` by default. It is what clients in Java set with
    /// `zookeeper.sasl.client.username`.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// Takes the host names of the servers' principals from the connect string as they are. Without it,
    /// `krb5.conf` decides whether the library replaces them by those of the DNS, which may be forged
    /// (`dns_canonicalize_hostname`, `rdns`). It is what clients in Java set with
    /// `zookeeper.sasl.client.canonicalize.hostname=false`.
    #[must_use]
    pub fn exact_host_names(mut self) -> Self {
        self.exact_host_names = true;
        self
    }

    /// The principal of all servers, `zookeeper/cluster.example.com@EXAMPLE.COM`, in place of the service and
    /// the host names. For servers with one principal behind several names, and where the host names are
    /// from a source that is not authenticated, such as the DNS (`dns-srv://`). It is what clients in Java set with
    /// `zookeeper.server.principal`.
    #[must_use]
    pub fn server_principal(mut self, principal: impl Into<String>) -> Self {
        self.server_principal = Some(principal.into());
        self
    }

    fn plan(&self, host: &HostPort) -> Plan {
        let service = &self.service;
        let host = &host.host;
        let target = match &self.server_principal {
            Some(principal) => Target::Principal(principal.clone()),
            // With an empty realm, krb5.conf and the KDC decide which one the host belongs to.
            None if self.exact_host_names => Target::Principal(format!("{service}/{host}@")),
            None => Target::Service(format!("{service}@{host}")),
        };
        Plan {
            client: self.client.clone(),
            target,
        }
    }
}

impl Default for Gssapi {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gssapi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gssapi")
            .field("principal", &self.client)
            .field("service", &self.service)
            .field("server_principal", &self.server_principal)
            .field("exact_host_names", &self.exact_host_names)
            .finish()
    }
}

impl Login for Gssapi {
    fn mechanism(&self) -> &str {
        "GSSAPI"
    }

    fn begin<'a>(&'a self, host: &'a HostPort) -> Beginning<'a> {
        Box::pin(async move {
            let ended = || SaslError::Unavailable("the runtime shuts down".to_owned());
            let permit = Arc::clone(&self.calls).acquire_owned().await;
            let permit = permit.map_err(|_closed| ended())?;
            let plan = self.plan(host);
            let call = spawn_blocking(move || {
                let begun = library::begin(plan);
                drop(permit);
                begun
            });
            let exchange = call.await.map_err(|_panicked| ended())??;
            Ok(Box::new(exchange) as Box<dyn Mechanism>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(login: &Gssapi) -> (Target, String) {
        let host = HostPort {
            host: "zk1.example.com".to_owned(),
            port: 2181,
        };
        let target = login.plan(&host).target;
        let shown = target.to_string();
        (target, shown)
    }

    #[test]
    fn the_servers_name_can_be_chosen() {
        let (target, shown) = planned(&Gssapi::new());
        assert_eq!(
            target,
            Target::Service("zookeeper@zk1.example.com".to_owned())
        );
        assert_eq!(shown, "zookeeper/zk1.example.com");
        let exact = Gssapi::new().service("zk").exact_host_names();
        let (target, shown) = planned(&exact);
        assert_eq!(target, Target::Principal("zk/zk1.example.com@".to_owned()));
        assert_eq!(shown, "zk/zk1.example.com");
        let whole = exact.server_principal("zookeeper/all@R");
        let (target, shown) = planned(&whole);
        assert_eq!(
            (target, &*shown),
            (Target::Principal(shown.clone()), "zookeeper/all@R")
        );
    }

    #[test]
    fn a_login_can_be_shown() {
        let text = format!("{:?}", Gssapi::new().principal("app@R"));
        assert!(
            text.contains("app@R") && text.contains("zookeeper"),
            "{text}"
        );
    }
}
