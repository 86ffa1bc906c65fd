//! The session, as the reconnect loop sees it.

use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;
use tracing::{debug, info, warn};
use zk_proto::HostPort;
use zk_transport::reconnect::{Closed, Opening, Standby};
use zk_transport::{
    Attempt, Disconnect, Endpoint, FrameReader, Hosts, Mechanism, Reconnect, SaslError, Timing,
};

use crate::session::Core;
use crate::session::wakers::IDLE_CAPACITY;
use crate::shared::{Shared, now};

/// The core and, while there is a stream, what belongs to the connection and not under the lock.
pub(super) struct CoreEndpoint<'a> {
    shared: &'a Shared,
    /// The server, while a stream to it is open.
    host: Option<HostPort>,
    mechanism: Option<Box<dyn Mechanism>>,
    /// Whether the session has been established over this connection.
    established: bool,
    /// Kept for its capacity.
    wakes: Vec<Waker>,
    /// Whether several tasks have just been woken, which are likely to submit requests.
    expects_more: bool,
    /// Whether the output has waited for more once.
    has_waited: bool,
    /// The waker of the driver's task.
    waker: Option<Waker>,
    /// After input that left no output: when the core's next timeout is due. Until the driver is woken,
    /// this cannot have changed, so the next look for output does not take the lock.
    idle_until: Option<Instant>,
}

impl<'a> CoreEndpoint<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        CoreEndpoint {
            shared,
            host: None,
            mechanism: None,
            established: false,
            wakes: Vec::new(),
            expects_more: false,
            has_waited: false,
            waker: None,
            idle_until: None,
        }
    }

    /// Has the mechanism answer the server's challenges. It is the program's code, so it does not run
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

    /// Logs what a server was found not to support.
    fn log_missing(host: &HostPort, missing: Option<Box<str>>) {
        if let Some(missing) = missing {
            info!(server = %host, "{missing}; the client does without");
        }
    }
}

impl Endpoint for CoreEndpoint<'_> {
    fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) -> Instant {
        let is_known = (self.waker.as_ref()).is_some_and(|known| known.will_wake(waker));
        if let Some(due) = self.idle_until.take()
            && is_known
            && out.is_empty()
        {
            self.has_waited = false;
            return due;
        }
        if !is_known {
            self.waker = Some(waker.clone());
        }
        let may_wait = !self.has_waited && out.is_empty();
        let (due, waits) = self.shared.with(|core| {
            core.wakeups.register_driver(waker);
            let waits = may_wait && core.has_output() && (self.expects_more || core.awaits_reply());
            if out.is_empty() && !waits {
                core.poll_output(out);
            }
            (core.next_timeout().unwrap_or_else(now), waits)
        });
        self.has_waited = waits;
        if waits {
            // Runtimes run the task that was woken last at once, so this task runs after the first
            // submit of many. A request that is alone is then written at once, for its latency. When a
            // reply is awaited anyway, or several have just arrived, the task goes to the end of the
            // queue, once, so that what other tasks submit meanwhile is written together.
            self.expects_more = false;
            waker.wake_by_ref();
        }
        due
    }

    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        let waker = self.waker.as_ref().filter(|_| self.established);
        let (result, notice, missing) = self.shared.with_room(&mut self.wakes, |core| {
            let result = core.handle_input(now, frames);
            self.expects_more = core.wakeups.len() > 1;
            self.idle_until = waker.and_then(|waker| core.idle_until(waker));
            (result, core.take_config_notice(), core.take_missing_ops())
        });
        if let Some(host) = &self.host {
            if let Some(notice) = notice {
                warn!(server = %host, "{notice}");
            }
            Self::log_missing(host, missing);
        }
        if self.established {
            return result;
        }
        let result = result.and_then(|()| self.log_in());
        self.established = self.shared.with(|core| core.state().is_connected());
        result
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.wakes.shrink_to(IDLE_CAPACITY);
        self.idle_until = None;
        self.shared.with_suspension(|core| {
            core.handle_timeout(now);
            core.handle_link_timeout(now)
        })
    }
}

impl Reconnect for CoreEndpoint<'_> {
    fn with_hosts<R>(&mut self, f: impl FnOnce(&mut Hosts) -> R) -> R {
        self.shared.with(|core| f(&mut core.relocation.hosts))
    }

    fn timing(&mut self) -> Timing {
        self.shared.with(|core| timing(core, now()))
    }

    fn poll_standby(&mut self, now: Instant, waker: &Waker) -> Standby {
        self.shared.with(|core| {
            core.handle_timeout(now);
            core.wakeups.register_driver(waker);
            Standby {
                stop: core.is_over(),
                leave: core.is_moving(),
                due: core.poll_timeout(),
            }
        })
    }

    fn next_attempt(&mut self) -> Option<Attempt> {
        self.shared.with(|core| {
            let attempt = core.next_attempt()?;
            let now = now();
            core.relocation
                .plan(now.checked_add(timing(core, now).pause(attempt.delay)));
            Some(attempt)
        })
    }

    fn handle_login_failed(&mut self, host: &HostPort, _: &str, cause: SaslError) -> Disconnect {
        self.shared.with(|core| {
            core.note_server(host);
            core.handle_login_failed(cause)
        })
    }

    fn handle_dialled(&mut self, now: Instant, opening: Opening<'_>) -> bool {
        self.host = Some(opening.host.clone());
        self.mechanism = opening.mechanism;
        self.established = false;
        self.expects_more = false;
        self.has_waited = false;
        self.idle_until = None;
        self.shared.with(|core| core.begin(now, opening.budget))
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn handle_closed(&mut self, now: Instant, closed: Closed<'_>) {
        let Closed {
            host,
            reason,
            established,
            ..
        } = closed;
        self.mechanism = None;
        self.wakes = Vec::new();
        let (reason, missing) = self.shared.with(|core| {
            let reason = match reason {
                Disconnect::ClosedInHandshake => core.closed_unserved(),
                reason => reason,
            };
            if !established {
                core.note_failed_connection(&reason);
            }
            core.disconnected(now, &reason, closed.offered, &closed.rest);
            if !matches!(reason, Disconnect::SessionExpired) {
                core.note_failure(now, host, reason.clone());
            }
            core.check_unreachable();
            if !established && reason != Disconnect::Moving {
                core.check_outage(now);
            }
            (reason, core.take_missing_ops())
        });
        let had_stream = self.host.take().is_some();
        match &reason {
            Disconnect::Local if had_stream => debug!(server = %host, "connection closed"),
            Disconnect::Moving if had_stream => {
                info!(server = %host, %reason, "connection closed");
            }
            _ if established => warn!(server = %host, %reason, "connection lost"),
            _ => debug!(server = %host, %reason, "no connection"),
        }
        Self::log_missing(host, missing);
    }

    fn last_output(&mut self, now: Instant, written: u64) -> BytesMut {
        self.shared.with(|core| core.last_output(now, written))
    }
}

/// How long the session lives that the next connection is for.
pub(super) fn timing(core: &Core, now: Instant) -> Timing {
    let timeout = core.session.timeout();
    if !core.session.exists() {
        return Timing::before_session(timeout);
    }
    let timing = Timing::of_session(timeout);
    match core.session.time_left(now) {
        Some(left) => timing.expiring_in(left),
        None => timing,
    }
}
