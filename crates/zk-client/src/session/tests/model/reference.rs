//! What the session machine should be: a second one, without bytes, futures and buffers.
//!
//! Times are milliseconds since the start.

use std::collections::VecDeque;

use crate::session::tests::model::vocabulary::{
    At, BUDGET, CLOSE_TIMEOUT, Grant, REQUESTED, Reported, Sent, Step,
};

#[derive(Debug, Clone)]
pub(super) struct Link {
    begun: u64,
    pub(super) open: bool,
    /// Without a quorum: it may serve a session, and keeps none alive.
    read_only: bool,
    timeout: u64,
    sent: u64,
    received: u64,
    answered: u64,
    acked: u64,
    pub(super) queue: VecDeque<(Sent, u64)>,
    pub(super) auths: usize,
    pings: VecDeque<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: i64,
    epoch: u64,
    timeout: u64,
    /// The least that was granted.
    least: u64,
    last_received: u64,
    acked: u64,
}

impl Session {
    pub(super) fn expires(&self) -> u64 {
        self.last_received + self.timeout * 4 / 3
    }

    pub(super) fn lease(&self) -> u64 {
        (self.acked * 12 + self.least * 11) / 12
    }
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) renews: bool,
    pub(super) may_read_only: bool,
    pub(super) credentials: usize,
    pub(super) session: Option<Session>,
    /// As last negotiated.
    timeout: u64,
    pub(super) link: Option<Link>,
    pub(super) watch: bool,
    pub(super) parked: usize,
    pub(super) over: bool,
    pub(super) closing: Option<u64>,
    pub(super) state: Reported,
    epoch: u64,
    /// The epoch of the last session that was reported as connected.
    announced: u64,
    /// What the last step wrote and reported, and the transitions it took.
    pub(super) out: Vec<Sent>,
    pub(super) reported: Vec<Reported>,
    pub(super) edges: Vec<(At, At)>,
}

impl Model {
    pub(super) fn new(renews: bool, may_read_only: bool, credentials: usize) -> Self {
        Model {
            now: 0,
            renews,
            may_read_only,
            credentials,
            session: None,
            timeout: REQUESTED,
            link: None,
            watch: false,
            parked: 0,
            over: false,
            closing: None,
            state: Reported::Connecting,
            epoch: 0,
            announced: 0,
            out: Vec::new(),
            reported: Vec::new(),
            edges: Vec::new(),
        }
    }

    pub(super) fn at(&self) -> At {
        match (&self.link, self.state) {
            (_, Reported::AuthFailed) => At::AuthFailed,
            (_, Reported::Closed) => At::Closed,
            (Some(link), _) if !link.open => At::Handshaking,
            (Some(link), _) if link.auths > 0 => At::Authenticating,
            (Some(link), _) if link.queue.iter().any(|(sent, _)| *sent == Sent::Rearm) => {
                At::Rearming
            }
            (Some(link), _) if link.read_only => At::ReadOnly,
            (Some(_), _) => At::Connected,
            (None, _) if self.session.is_some() => At::Suspended,
            (None, _) if self.epoch > 0 => At::Expired,
            (None, _) => At::Never,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.open)
    }

    /// What a request is refused with.
    pub(super) fn refusal(&self) -> Option<Reported> {
        match self.state {
            Reported::AuthFailed => Some(Reported::AuthFailed),
            Reported::Expired { epoch } if !self.renews => Some(Reported::Expired { epoch }),
            _ if self.closing.is_some() || self.over => Some(Reported::Closed),
            _ => None,
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        self.out.clear();
        self.reported.clear();
        self.edges.clear();
        match *step {
            Step::Pass(ms) => self.pass(ms),
            _ => self.going(|model| model.take(step)),
        }
    }

    /// Notes where it went.
    fn going(&mut self, go: impl FnOnce(&mut Self)) {
        let from = self.at();
        go(self);
        if self.at() != from {
            self.edges.push((from, self.at()));
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Begin => self.begin(),
            Step::Grant(grant, timeout) => self.grant(grant, timeout),
            Step::Cut => self.cut(),
            Step::Close => self.close(),
            Step::Get if self.refusal().is_some() => {}
            Step::Get if self.is_open() => self.send(Sent::Get),
            Step::Get => self.parked += 1,
            Step::Watch => {
                self.send(Sent::Watch);
                self.receive(|link| link.queue.pop_front().map(|(_, at)| at));
                self.watch = true;
            }
            Step::AddAuth if self.refusal().is_some() => {}
            Step::AddAuth => {
                self.credentials += 1;
                if self.is_open() {
                    self.send(Sent::Auth);
                }
            }
            Step::AcceptAuth => {
                self.receive(|link| {
                    link.auths -= 1;
                    None
                });
                self.announce();
            }
            Step::RefuseAuth => self.finish(Reported::AuthFailed),
            Step::Answer | Step::Refuse => self.answer(matches!(step, Step::Refuse)),
            Step::Pong => self.receive(|link| link.pings.pop_front()),
            Step::Notify => self.receive(|_| None),
            Step::Pass(_) => {}
        }
    }

    fn begin(&mut self) {
        let session = self.session.as_ref().map_or(0, |session| session.id);
        self.out.push(Sent::Connect { session });
        let now = self.now;
        self.link = Some(Link {
            begun: now,
            open: false,
            read_only: false,
            timeout: 0,
            sent: now,
            received: now,
            answered: now,
            acked: now,
            queue: VecDeque::new(),
            auths: 0,
            pings: VecDeque::new(),
        });
    }

    fn grant(&mut self, grant: Grant, timeout: u64) {
        let before = self.session.clone();
        let refused = match grant {
            Grant::Served { read_only } => read_only && !self.may_read_only,
            Grant::Expired => before.is_none(),
            Grant::Replaced => false,
        };
        let Some(mut link) = self.link.take().filter(|_| !refused) else {
            return;
        };
        let renewed = before.is_some() && !matches!(grant, Grant::Served { .. });
        if renewed {
            self.session = None;
            self.ended(self.epoch);
        }
        if self.over || (grant == Grant::Expired) {
            return;
        }
        let kept = before.filter(|_| !renewed);
        link.open = true;
        link.received = self.now;
        link.acked = link.begun;
        link.read_only = matches!(grant, Grant::Served { read_only: true });
        link.timeout = timeout;
        // What a read-only server grants makes no session of the ensemble's longer.
        self.timeout = match &kept {
            Some(kept) if link.read_only => timeout.min(kept.timeout),
            _ => timeout,
        };
        self.session = match (kept, link.read_only) {
            (None, true) => None,
            (Some(kept), true) => Some(Session {
                timeout: self.timeout,
                least: self.timeout.min(kept.least),
                last_received: self.now,
                ..kept
            }),
            (kept, false) => {
                self.epoch += u64::from(kept.is_none());
                Some(Session {
                    least: kept
                        .as_ref()
                        .map_or(timeout, |kept| timeout.min(kept.least)),
                    id: kept.map_or(i64::try_from(self.epoch).unwrap(), |kept| kept.id),
                    epoch: self.epoch,
                    timeout,
                    last_received: self.now,
                    acked: link.begun,
                })
            }
        };
        self.link = Some(link);
        for _ in 0..self.credentials {
            self.send(Sent::Auth);
        }
        if self.watch {
            self.send(Sent::Rearm);
        }
        for _ in 0..std::mem::take(&mut self.parked) {
            self.send(Sent::Get);
        }
        if self.closing.is_some() {
            self.send(Sent::Close);
        }
        self.announce();
    }

    fn send(&mut self, sent: Sent) {
        let (now, out) = (self.now, &mut self.out);
        let Some(link) = &mut self.link else { return };
        out.push(sent);
        if sent == Sent::Auth {
            // Servers do not count it as a sign of life, in either direction.
            link.auths += 1;
            return;
        }
        link.sent = now;
        match sent {
            Sent::Ping => link.pings.push_back(now),
            _ => link.queue.push_back((sent, now)),
        }
    }

    /// The server said something: the answer to what was sent then, if to anything.
    fn receive(&mut self, answered: impl FnOnce(&mut Link) -> Option<u64>) {
        let Some(link) = &mut self.link else { return };
        link.received = self.now;
        let requests = link.queue.len();
        if let Some(at) = answered(link) {
            link.acked = link.acked.max(at);
        }
        if link.queue.len() < requests {
            link.answered = self.now;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        session.last_received = self.now;
        if !link.read_only {
            session.acked = session.acked.max(link.acked);
        }
    }

    fn answer(&mut self, refused: bool) {
        let mut sent = None;
        self.receive(|link| {
            let (what, at) = link.queue.pop_front()?;
            sent = Some(what);
            Some(at)
        });
        match sent {
            Some(Sent::Close) if refused && self.link.as_ref().is_some_and(|l| l.read_only) => {
                self.cut();
            }
            Some(Sent::Close) => self.finish(Reported::Closed),
            Some(Sent::Rearm) if refused => self.cut(),
            _ => {}
        }
    }

    fn announce(&mut self) {
        let Some(link) = &self.link else { return };
        if link.auths > 0 || self.state.is_connected() {
            return;
        }
        let epoch = self.epoch;
        self.announced = epoch;
        let session = self.session.as_ref().map_or(0, |session| session.id);
        self.report(match (link.read_only, session) {
            (true, 0) => Reported::ReadOnly { epoch: 0 },
            (true, _) => Reported::ReadOnly { epoch },
            (false, _) => Reported::Connected { session, epoch },
        });
    }

    fn report(&mut self, state: Reported) {
        if self.state != state {
            self.state = state;
            self.reported.push(state);
        }
    }

    fn cut(&mut self) {
        let Some(link) = self.link.take().filter(|link| link.open) else {
            return;
        };
        let gets = link.queue.iter().filter(|(sent, _)| *sent == Sent::Get);
        self.parked += gets.count();
        match &self.session {
            Some(session) if self.announced == session.epoch => {
                let until = session.expires();
                self.report(Reported::Suspended { until });
            }
            Some(_) => {}
            None if self.closing.is_none() => self.report(Reported::Connecting),
            None => self.finish(Reported::Closed),
        }
    }

    fn ended(&mut self, epoch: u64) {
        self.watch = false;
        if self.announced == epoch {
            self.report(Reported::Expired { epoch });
        }
        if self.closing.is_some() {
            self.finish(Reported::Closed);
        } else if !self.renews {
            self.finish(Reported::Expired { epoch });
        }
    }

    fn finish(&mut self, state: Reported) {
        self.watch = false;
        self.parked = 0;
        self.link = None;
        self.over = true;
        self.report(state);
    }

    fn close(&mut self) {
        if self.over || self.closing.is_some() {
            return;
        }
        if self.session.is_none() && !self.is_open() {
            self.finish(Reported::Closed);
        } else {
            self.closing = Some(self.now + CLOSE_TIMEOUT.min(self.timeout));
            if self.is_open() {
                self.send(Sent::Close);
            }
        }
    }

    /// When the next timeout is due.
    pub(super) fn due(&self) -> Option<u64> {
        if self.over {
            return None;
        }
        let session = self.session.as_ref();
        let expiry = session.filter(|_| !self.is_open()).map(Session::expires);
        let link = self.link.as_ref().map(|link| match link.open {
            true => (link.received + link.timeout * 2 / 3).min(link.sent + link.timeout / 12),
            false => link.begun + BUDGET,
        });
        [expiry, link, self.closing].into_iter().flatten().min()
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(due) = self.due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.going(Self::session_due);
            self.going(Self::link_due);
        }
        self.now = end;
    }

    fn session_due(&mut self) {
        let open = self.is_open();
        if let Some(session) = &self.session
            && !open
            && session.expires() <= self.now
        {
            self.link = None;
            self.session = None;
            self.ended(self.epoch);
        }
        if self.closing.is_some_and(|deadline| deadline <= self.now) && !self.over {
            self.finish(Reported::Closed);
        }
    }

    fn link_due(&mut self) {
        let now = self.now;
        let Some(link) = &self.link else { return };
        if !link.open {
            if now >= link.begun + BUDGET {
                self.cut();
            }
            return;
        }
        let timeout = link.timeout;
        let request = link.queue.front().map(|(_, at)| (*at).max(link.answered));
        let unanswered = request.into_iter().chain(link.pings.front().copied()).min();
        if now >= link.received + timeout * 2 / 3
            || unanswered.is_some_and(|at| now >= at + 10 * timeout)
        {
            self.cut();
        } else if now >= link.sent + timeout / 12 {
            self.send(Sent::Ping);
        }
    }
}
