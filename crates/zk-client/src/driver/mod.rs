//! The one task of a client: connect, pump, back off, again.

mod last_words;
mod quorum_search;
pub(crate) mod srv_discovery;
pub(crate) mod suspend_clock;

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tracing::{Instrument, debug, info, warn};
use zk_proto::HostPort;
use zk_transport::{Dial, Disconnect, Endpoint, FrameReader, Login, Mechanism, SaslError, pump};

use crate::driver::last_words::LastWords;
use crate::driver::quorum_search::seek;
use crate::driver::srv_discovery::{Discovery, discover};
use crate::session::Core;
use crate::session::wakers::KEEP_AT_REST;
use crate::shared::{Shared, now};
use crate::telemetry;

/// No server is given less than this to accept and to answer the handshake.
const LEAST_BUDGET: Duration = Duration::from_millis(200);
/// Nor more than this, however long the session is.
const MOST_BUDGET: Duration = Duration::from_secs(30);
/// A session shorter than any that servers grant by themselves is no reason to hurry.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// How many attempts a session has time for at least.
const LEAST_ATTEMPTS: u32 = 3;

/// What a driver is given.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) login: Option<Arc<dyn Login>>,
    pub(crate) frame_limit: usize,
    /// Whether read-only servers will do, until there is another.
    pub(crate) read_only: bool,
    /// Where the list of servers comes from, unless it was given.
    pub(crate) discovery: Option<Discovery>,
    pub(crate) seed: u64,
}

/// Runs until the client is over.
pub(crate) async fn drive(gone: Gone, options: Options) {
    let shared = &*gone.0;
    let mut aside: Vec<Pin<Box<dyn Future<Output = Infallible> + Send + '_>>> = Vec::new();
    if options.read_only {
        aside.push(Box::pin(seek(shared, &*options.dial, options.seed)));
    }
    if let Some(discovery) = &options.discovery {
        aside.push(Box::pin(discover(shared, discovery, options.seed)));
    }
    let mut main = pin!(stay_connected(shared, &options));
    poll_fn(|cx| {
        let turn = AssertUnwindSafe(|| {
            let over = main.as_mut().poll(cx);
            if over.is_pending() {
                for task in &mut aside {
                    // What it does shows in the core.
                    let _ = task.as_mut().poll(cx);
                }
            }
            over
        });
        // A runtime without I/O panics when a socket is opened, and a user's dial or login may.
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

/// What a panic says.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("see its output")
}

async fn stay_connected(shared: &Shared, options: &Options) {
    while shared.meanwhile(shared.known_hosts()).await.is_some() {
        let Some(attempt) = shared.with(Core::next_attempt) else {
            break;
        };
        // A session that may live must not be slept away.
        let (most, budget) = shared.with(|core| {
            let timeout = core.session.timeout();
            let most = core
                .session
                .exists()
                .then(|| (timeout / 8).max(LEAST_PATIENCE));
            (most.unwrap_or(Duration::MAX), budget(core))
        });
        let pause = pause(attempt.delay.min(most));
        match shared.meanwhile(shared.unless_moving(pause)).await {
            Some(Some(())) => {}
            Some(None) => continue,
            None => break,
        }
        let span = telemetry::attempt(shared, &attempt.host);
        let connecting = connect(shared, options, &attempt.host, budget);
        let Some(ended) = connecting.instrument(span).await else {
            break;
        };
        shared.with(|core| {
            core.hosts.handle_disconnected(now());
            match ended {
                Disconnect::Moving => {}
                Disconnect::SessionExpired => core.hosts.handle_expired(),
                reason => {
                    core.hosts.handle_failed();
                    core.note_failure(&attempt.host, reason);
                }
            }
            core.judge();
        });
    }
}

/// Waits so long. A timer takes its millisecond even for no time at all, so there is none then.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// How long a server is given to accept a connection and answer the handshake: one that does not
/// must leave time for others, or for itself at a second try.
pub(crate) fn budget(core: &Core) -> Duration {
    let attempts = u32::try_from(core.hosts.attempts_in_session())
        .unwrap_or(u32::MAX)
        .max(LEAST_ATTEMPTS);
    let attempts = match zk_proto::seeded_bug!("B45") {
        true => 1,
        false => attempts,
    };
    (core.session.timeout() / attempts).clamp(LEAST_BUDGET, MOST_BUDGET)
}

/// One connection, from dialling to its end, and why it ended. `None` if the client was over before
/// it was open.
async fn connect(
    shared: &Shared,
    options: &Options,
    host: &HostPort,
    budget: Duration,
) -> Option<Disconnect> {
    // Not a part of the budget: a slow ticket is no slow server (ZOOKEEPER-4275).
    let mechanism = match prepare(shared, options.login.as_deref(), host).await? {
        Ok(mechanism) => mechanism,
        Err(reason) => {
            shared.with(|core| core.note_failed_connection(&reason));
            debug!(server = %host, %reason, "no connection");
            return Some(reason);
        }
    };
    let started = now();
    let mut addresses = shared.with(|core| core.hosts.begin_dialling(budget));
    let dialling = options.dial.dial_next(host, &mut addresses);
    let dialling = tokio::time::timeout(budget, dialling);
    let dialled = shared.meanwhile(shared.unless_moving(dialling)).await?;
    let accepted = addresses.current().is_some();
    shared.with(|core| core.hosts.handle_dialled(addresses));
    let failed = match dialled {
        None => Disconnect::Moving,
        Some(Ok(Ok(stream))) => {
            let left = (started + budget)
                .saturating_duration_since(now())
                .max(LEAST_BUDGET);
            if !shared.with(|core| core.begin(now(), left)) {
                return None;
            }
            let mut endpoint = CoreEndpoint {
                shared,
                host,
                mechanism,
                opened: false,
                wakes: Vec::new(),
                expects_more: false,
                has_waited: false,
            };
            let mut stream = LastWords::new(stream, shared);
            let ended = pump(&mut stream, &mut endpoint, options.frame_limit).await;
            stream.end();
            let opened = endpoint.opened;
            let reason = match ended.reason {
                Disconnect::ClosedByServer | Disconnect::Reset(_) if !opened => {
                    shared.with(|core| core.closed_unserved())
                }
                reason => reason,
            };
            let learnt = shared.with(|core| {
                if !opened {
                    core.note_failed_connection(&reason);
                }
                core.disconnected(now(), &reason, ended.offered, &ended.rest);
                core.take_learnt()
            });
            match (&reason, opened) {
                (Disconnect::Local, _) => debug!(server = %host, "connection closed"),
                (Disconnect::Moving, _) => info!(server = %host, %reason, "connection closed"),
                (_, true) => warn!(server = %host, %reason, "connection lost"),
                (_, false) => debug!(server = %host, %reason, "no connection"),
            }
            tell_learnt(host, learnt);
            return Some(reason);
        }
        Some(Ok(Err(error))) => Disconnect::from(error),
        // What comes after it, as TLS does, is part of dialling.
        Some(Err(_elapsed)) if accepted => Disconnect::HandshakeTimeout(budget),
        Some(Err(_elapsed)) => {
            Disconnect::Dial(format!("cannot connect within {} ms", budget.as_millis()))
        }
    };
    shared.with(|core| core.note_failed_connection(&failed));
    debug!(server = %host, reason = %failed, "no connection");
    Some(failed)
}

/// Says once what a server was found to lack.
fn tell_learnt(host: &HostPort, learnt: Option<Box<str>>) {
    if let Some(learnt) = learnt {
        info!(server = %host, "{learnt}; the client does without");
    }
}

/// Has the login prepare for a connection, if there is to be one. `None` once the client is over.
async fn prepare(
    shared: &Shared,
    login: Option<&dyn Login>,
    host: &HostPort,
) -> Option<Result<Option<Box<dyn Mechanism>>, Disconnect>> {
    let Some(login) = login else {
        return Some(Ok(None));
    };
    let begun = tokio::time::timeout(MOST_BUDGET, login.begin(host));
    let cause = match shared.meanwhile(begun).await? {
        Ok(Ok(mechanism)) => return Some(Ok(Some(mechanism))),
        Ok(Err(cause)) => cause,
        Err(_elapsed) => SaslError::Unavailable(format!(
            "the mechanism was not ready within {} ms",
            MOST_BUDGET.as_millis()
        )),
    };
    Some(Err(shared.with(|core| {
        core.note_server(host);
        core.handle_login_failed(cause)
    })))
}

/// Ends the client if the driver ends for any reason, its runtime's shutdown among them, be it before
/// the driver ran.
pub(crate) struct Gone(pub(crate) Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.with(|core| core.handle_driver_gone(now()));
    }
}

impl Shared {
    /// Waits for `future` while deadlines and expiries go on. `None` once the client is over.
    async fn meanwhile<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            loop {
                let (over, due) = self.with(|core| {
                    core.handle_timeout(now());
                    core.register_driver(cx.waker());
                    (core.is_over(), core.poll_timeout())
                });
                if over {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(value) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(value));
                }
                let Some(due) = due else { return Poll::Pending };
                timer.as_mut().reset(due.into());
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Shared {
    /// Waits until there are servers to try.
    async fn known_hosts(&self) {
        poll_fn(|_| {
            // The driver is woken when there are.
            match self.with(|core| core.hosts.is_empty()) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Waits for `future`, unless it turns out that another server is to be tried: then `None`.
    async fn unless_moving<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.with(|core| core.is_moving()) {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

/// The core, as the pump sees it.
struct CoreEndpoint<'a> {
    shared: &'a Shared,
    host: &'a HostPort,
    mechanism: Option<Box<dyn Mechanism>>,
    /// Whether the session has been established over this connection.
    opened: bool,
    /// Room for wakers.
    wakes: Vec<Waker>,
    /// Whether several tasks have just been woken, which are likely to submit.
    expects_more: bool,
    /// Whether what is to be sent has been let wait for more.
    has_waited: bool,
}

impl CoreEndpoint<'_> {
    /// Has the mechanism answer what the server wants to know. It is the user's, so it does not run
    /// under the lock.
    fn log_in(&mut self) -> Result<(), Disconnect> {
        while let Some(challenge) = self.shared.with(|core| core.next_challenge()) {
            let step = match &mut self.mechanism {
                Some(mechanism) => mechanism.step(challenge.as_deref()),
                None => Err(SaslError::Unusable("there is no mechanism".to_owned())),
            };
            self.shared
                .with(|core| core.handle_login_step(now(), step))?;
        }
        Ok(())
    }
}

impl Endpoint for CoreEndpoint<'_> {
    fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) -> Instant {
        let may_wait = !self.has_waited && out.is_empty();
        let (due, waits) = self.shared.with(|core| {
            core.register_driver(waker);
            let waits = may_wait && core.has_output() && (self.expects_more || core.awaits_reply());
            if out.is_empty() && !waits {
                core.poll_output(out);
            }
            let link = core.poll_link_timeout().unwrap_or_else(now);
            let due = core.poll_timeout().map_or(link, |due| due.min(link));
            (due, waits)
        });
        self.has_waited = waits;
        if waits {
            // Runtimes run the task that was woken last at once, and so this one after the first
            // submit of many. A request that is alone is written then, for its latency. When an
            // answer is awaited anyway, or several have just come, this goes to the end of the queue,
            // once, that what others submit meanwhile may be written together.
            self.expects_more = false;
            waker.wake_by_ref();
        }
        due
    }

    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        let (result, notice, learnt, woken) = self.shared.with_room(&mut self.wakes, |core| {
            let result = core.handle_input(now, frames);
            let (notice, learnt) = (core.take_notice(), core.take_learnt());
            (result, notice, learnt, core.wakes.len())
        });
        self.expects_more = woken > 1;
        if let Some(notice) = notice {
            warn!(server = %self.host, "{notice}");
        }
        tell_learnt(self.host, learnt);
        if self.opened {
            return result;
        }
        let result = result.and_then(|()| self.log_in());
        self.opened = self.shared.with(|core| {
            let connected = core.state().is_connected();
            if connected {
                core.hosts.handle_connected(now);
            }
            connected
        });
        result
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.wakes.shrink_to(KEEP_AT_REST);
        self.shared.with_suspension(|core| {
            core.handle_timeout(now);
            core.handle_link_timeout(now)
        })
    }
}
