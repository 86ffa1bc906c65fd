//! Looks the list of servers up in the DNS, and again every `srv_refresh`.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use zk_transport::{Backoff, BackoffPolicy, Resolve};

use crate::shared::{Shared, now};

/// How long a lookup may take, all name servers together.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A service whose SRV records are the list of servers.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) service: String,
    pub(crate) resolver: Arc<dyn Resolve>,
    /// Zero to look them up only once.
    pub(crate) refresh: Duration,
}

/// Updates the list of servers whenever the records change. A lookup that fails, finds no server, or
/// finds the same servers as the one before changes nothing, even if the program has set another list
/// since.
///
/// Polled by the driver.
pub(crate) async fn discover(shared: &Shared, discovery: &Discovery, seed: u64) -> Infallible {
    let Discovery {
        service,
        resolver,
        refresh,
    } = discovery;
    let mut backoff = Backoff::new(BackoffPolicy::default(), seed);
    let mut found_before = HashSet::new();
    loop {
        let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, resolver.servers(service));
        let problem = match lookup.await {
            Ok(Ok(servers)) if servers.is_empty() => "it has no servers".to_owned(),
            Ok(Ok(servers)) => {
                let found: HashSet<_> = servers.iter().cloned().collect();
                if found == found_before {
                    debug!(service, "the list of servers is the same");
                } else {
                    found_before = found;
                    // The list is not empty, so it cannot be refused.
                    let _ = shared.with(|core| core.update_hosts(now(), servers));
                    info!(service, "the list of servers has changed");
                }
                String::new()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs()),
        };
        if !problem.is_empty() {
            warn!(service, problem, "cannot look up the servers");
        }
        let found = shared.with(|core| {
            core.note_lookup(service, problem);
            !core.relocation.hosts.is_empty()
        });
        let delay = match found {
            false => backoff.next_delay(),
            true if refresh.is_zero() => pending().await,
            true => *refresh,
        };
        tokio::time::sleep(delay).await;
    }
}
