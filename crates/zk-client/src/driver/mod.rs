//! The one task of a client: it keeps the session connected.
//!
//! The loop itself is [`zk_transport::reconnect`]; [`CoreEndpoint`] plugs the session into it. Beside
//! it run the search for a server with a quorum, while a read-only one serves; the search for a
//! preferred server, while another serves; and the lookups of names and of a service in the DNS.

mod address_lookup;
mod endpoint;
mod preferred_search;
mod probe;
mod quorum_search;
pub(crate) mod srv_discovery;
pub(crate) mod suspend_clock;

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tracing::Instrument;
use zk_transport::ReconnectOptions;
use zk_transport::reconnect::{connect, next_attempt};

use self::address_lookup::look_up_addresses;
use self::endpoint::CoreEndpoint;
use self::preferred_search::search_preferred;
use self::quorum_search::search_quorum;
use self::srv_discovery::{Discovery, discover};
use crate::shared::{Shared, now};
use crate::telemetry;

/// The options of the driver.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) connections: ReconnectOptions,
    /// Whether a read-only server may serve, until there is one with a quorum.
    pub(crate) read_only: bool,
    /// The service whose records are the list of servers, if the list is not given.
    pub(crate) discovery: Option<Discovery>,
    /// Whether some servers are preferred to others.
    pub(crate) prefers: bool,
    /// How often names are looked up while the client is connected; zero for never.
    pub(crate) dns_refresh: Duration,
    pub(crate) seed: u64,
}

/// Runs until the client has ended.
pub(crate) async fn drive(client: CloseOnDrop, options: Options) {
    let shared = &*client.0;
    let mut beside: Vec<Pin<Box<dyn Future<Output = Infallible> + Send + '_>>> = Vec::new();
    if options.read_only {
        let dial = &*options.connections.dial;
        beside.push(Box::pin(search_quorum(shared, dial, options.seed)));
    }
    if options.prefers {
        let dial = &*options.connections.dial;
        beside.push(Box::pin(search_preferred(shared, dial, options.seed)));
    }
    if !options.dns_refresh.is_zero() {
        let dial = &*options.connections.dial;
        beside.push(Box::pin(look_up_addresses(
            shared,
            dial,
            options.dns_refresh,
        )));
    }
    if let Some(discovery) = &options.discovery {
        beside.push(Box::pin(discover(shared, discovery, options.seed)));
    }
    let mut main = pin!(stay_connected(shared, &options.connections));
    poll_fn(|cx| {
        let turn = AssertUnwindSafe(|| {
            let over = main.as_mut().poll(cx);
            if over.is_pending() {
                for task in &mut beside {
                    // It never ends; its effects are in the core.
                    let _ = task.as_mut().poll(cx);
                }
            }
            over
        });
        // A runtime without I/O panics when a socket is opened, and a `Dial` or `Login` of the program's
        // may panic.
        match catch_unwind(turn) {
            Ok(over) => over,
            Err(panic) => {
                let text = panic_text(&*panic);
                shared.with(|core| core.handle_driver_panic(text));
                Poll::Ready(())
            }
        }
    })
    .await;
}

/// The message of a panic.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("see its output")
}

/// The loop, with a span around each attempt.
async fn stay_connected(shared: &Shared, options: &ReconnectOptions) {
    let mut endpoint = CoreEndpoint::new(shared);
    while let Some(attempt) = next_attempt(&mut endpoint).await {
        let span = telemetry::attempt(shared, &attempt.host);
        let connecting = connect(&mut endpoint, options, attempt);
        if connecting.instrument(span).await.is_none() {
            break;
        }
    }
}

/// Ends the client when the driver ends, for whatever reason: also when its runtime is shut down before
/// the driver ran.
pub(crate) struct CloseOnDrop(pub(crate) Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.with(|core| core.handle_driver_gone(now()));
    }
}
