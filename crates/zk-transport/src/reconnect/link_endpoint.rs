//! An endpoint for programs that have no session of their own.

use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_proto::records::ConnectRequest;
use zk_proto::{HostPort, SessionId};

use super::endpoint::{Closed, Opening, Reconnect, Standby};
use super::standby::now;
use crate::error::Disconnect;
use crate::frame::FrameReader;
use crate::hosts::{Hosts, Timing};
use crate::link::{Link, Lost, Notification, Received};
use crate::pump::Endpoint;
use crate::sasl::SaslError;

/// What a [`LinkEndpoint`] sends, and what becomes of the replies.
pub trait LinkHandler {
    /// The token of a request.
    type Token;

    /// The handshake of the next connection.
    fn connect_request(&mut self) -> ConnectRequest;

    /// The server has answered the handshake, a request or a ping. Requests can be submitted to `link`
    /// from now on, here and in [`handle_notification`](Self::handle_notification).
    ///
    /// # Errors
    /// The connection must be dropped. [`Disconnect::SessionExpired`] if the answer to the handshake has
    /// a timeout of zero: the next handshake then has to be for a new session.
    fn handle_received(
        &mut self,
        now: Instant,
        link: &mut Link<Self::Token>,
        received: Received<Self::Token>,
    ) -> Result<(), Disconnect>;

    /// A watch has fired. By default nothing happens.
    fn handle_notification(
        &mut self,
        now: Instant,
        link: &mut Link<Self::Token>,
        event: Notification<'_>,
    ) {
        let _ = (now, link, event);
    }

    /// A connection has ended with these requests unanswered, or could not be made. False ends the loop;
    /// by default after [`Disconnect::Local`], which the handler itself has returned.
    fn handle_closed(
        &mut self,
        host: &HostPort,
        reason: &Disconnect,
        lost: Vec<Lost<Self::Token>>,
    ) -> bool {
        let _ = (host, lost);
        *reason != Disconnect::Local
    }
}

/// A [`Link`] for one connection after the other, without a login. With
/// [`ReconnectOptions::login`](super::ReconnectOptions::login) it fails closed: the loop ends with
/// [`Disconnect::LoginFailed`], and no request is sent.
#[derive(Debug)]
pub struct LinkEndpoint<H: LinkHandler> {
    handler: H,
    hosts: Hosts,
    link: Option<Link<H::Token>>,
    /// The session timeout that the last server has granted.
    granted: Option<Duration>,
    stop: bool,
}

impl<H: LinkHandler> LinkEndpoint<H> {
    /// An endpoint that connects to `hosts`.
    pub fn new(hosts: Hosts, handler: H) -> Self {
        LinkEndpoint {
            handler,
            hosts,
            link: None,
            granted: None,
            stop: false,
        }
    }

    /// The handler.
    pub fn into_handler(self) -> H {
        self.handler
    }
}

impl<H: LinkHandler> Endpoint for LinkEndpoint<H> {
    fn poll_output(&mut self, _: &Waker, out: &mut BytesMut) -> Instant {
        // Requests are submitted while input is handled, so there is no output that would need a waker.
        match &mut self.link {
            Some(link) => {
                if out.is_empty() {
                    link.poll_output(out);
                }
                link.poll_timeout()
            }
            None => now(),
        }
    }

    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        let link = self.link.as_mut().ok_or(Disconnect::Local)?;
        link.handle_received(now);
        while let Some(frame) = frames.next_frame()? {
            if let Some(event) = link.notification(&frame)? {
                self.handler.handle_notification(now, link, event);
            } else {
                let received = link.handle_frame(frame)?;
                if let Received::Connected(response) = &received {
                    let milliseconds = u64::try_from(response.timeout_ms).ok();
                    let granted = milliseconds.filter(|milliseconds| *milliseconds > 0);
                    self.granted = granted.map(Duration::from_millis);
                }
                self.handler.handle_received(now, link, received)?;
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        let link = self.link.as_mut().ok_or(Disconnect::Local)?;
        link.handle_timeout(now)
    }
}

impl<H: LinkHandler> Reconnect for LinkEndpoint<H> {
    fn with_hosts<R>(&mut self, f: impl FnOnce(&mut Hosts) -> R) -> R {
        f(&mut self.hosts)
    }

    fn timing(&mut self) -> Timing {
        let request = self.handler.connect_request();
        let milliseconds = u64::try_from(request.timeout_ms).unwrap_or_default();
        let timeout = Duration::from_millis(milliseconds);
        match request.session_id {
            SessionId::NONE => Timing::before_session(timeout),
            _ => Timing::of_session(self.granted.unwrap_or(timeout)),
        }
    }

    fn poll_standby(&mut self, _: Instant, _: &Waker) -> Standby {
        Standby {
            stop: self.stop,
            ..Standby::default()
        }
    }

    fn handle_dialled(&mut self, now: Instant, opening: Opening<'_>) -> bool {
        if opening.mechanism.is_some() {
            let reason = Disconnect::LoginFailed {
                mechanism: String::new(),
                cause: SaslError::Unusable("a LinkEndpoint does not log in".to_owned()),
            };
            self.handler
                .handle_closed(opening.host, &reason, Vec::new());
            return false;
        }
        let request = self.handler.connect_request();
        self.link = Some(Link::new(now, &request, opening.budget));
        true
    }

    fn is_established(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    fn handle_closed(&mut self, _: Instant, closed: Closed<'_>) {
        let link = self.link.take();
        let lost = link.map(|link| link.into_lost(closed.offered, &closed.rest).collect());
        let lost = lost.unwrap_or_default();
        self.stop = !self
            .handler
            .handle_closed(closed.host, &closed.reason, lost);
    }
}
