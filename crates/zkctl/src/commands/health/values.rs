//! The values that `srvr` does not have: those of `mntr`, or of the AdminServer where a server does not allow that.

use std::time::Duration;

use zk_client::Client;
use zk_client::admin::AdminError;

use super::admin_server;
use super::metrics::Metrics;
use crate::commands::servers::Target;
use crate::output::explain::of_question;

/// Why there are no values, of a server without an AdminServer.
pub(crate) const REFUSED: &str = "mntr is not in its 4lw.commands.whitelist";
/// How long an AdminServer may take, at most.
const ADMIN_LIMIT: Duration = Duration::from_secs(2);

/// Where values come from that `srvr` does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Mntr,
    AdminServer,
    /// There are none, for this reason, which is empty if the server does not answer at all.
    Nothing(String),
}

impl Source {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Source::Mntr => "mntr",
            Source::AdminServer => "admin server",
            Source::Nothing(_) => "srvr",
        }
    }

    /// Why there are no values.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            Source::Nothing(reason) if !reason.is_empty() => Some(reason),
            _ => None,
        }
    }
}

/// The values of a server, from its AdminServer on this port if it does not allow `mntr`.
pub(crate) async fn values(
    client: &Client,
    target: &Target,
    limit: Duration,
    admin_port: Option<u16>,
) -> (Metrics, Source) {
    let found = match (mntr(client, target, limit).await, admin_port) {
        (Ok(Some(metrics)), _) => Ok((metrics, Source::Mntr)),
        (Ok(None), None) => Err(REFUSED.to_owned()),
        (Ok(None), Some(port)) => admin_server(target, port, limit.min(ADMIN_LIMIT)).await,
        (Err(reason), _) => Err(reason),
    };
    found.unwrap_or_else(|reason| (Metrics::default(), Source::Nothing(reason)))
}

/// `None` if the server does not allow `mntr`.
///
/// # Errors
/// Why there is no answer, or none that can be read.
pub(crate) async fn mntr(
    client: &Client,
    target: &Target,
    limit: Duration,
) -> Result<Option<Metrics>, String> {
    let answer = target.ask(client, "mntr", limit).await;
    match Metrics::of_mntr(&answer.map_err(|error| of_question(&error))?) {
        Ok(metrics) => Ok(Some(metrics)),
        Err(AdminError::NotAllowed | AdminError::Empty) => Ok(None),
        // `srvr` has the same answer.
        Err(AdminError::NotServing) => Err(String::new()),
        Err(error) => Err(format!("mntr: {error}")),
    }
}

/// Of a server that does not allow `mntr`.
///
/// # Errors
/// Why there are no values.
pub(crate) async fn admin_server(
    target: &Target,
    port: u16,
    limit: Duration,
) -> Result<(Metrics, Source), String> {
    let Target { server, address } = target;
    match admin_server::monitor(server, *address, port, limit).await {
        Ok(metrics) => Ok((metrics, Source::AdminServer)),
        Err(error) => Err(format!("{REFUSED}; {error}")),
    }
}
