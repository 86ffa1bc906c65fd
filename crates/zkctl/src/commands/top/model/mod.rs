//! What is known of the ensemble: samples go in, rates, histories and verdicts come out. There is no clock in
//! here; a time is the time since the program began.
//!
//! - [`rates`], [`history`]: what follows from two samples, and from many.
//! - [`server`]: one server.
//! - [`overview`]: the ensemble as a whole.

pub(super) mod history;
pub(super) mod overview;
pub(super) mod rates;
pub(super) mod server;

#[cfg(test)]
pub(super) mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::sample::Sample;
use crate::cli::status::Limits;
use crate::commands::health::report::{self, Report};
use crate::commands::health::verdict::{self, Status, Verdict};
use crate::commands::servers::Target;
use rates::Reset;
use server::Server;

const LOST: &str = "does not answer any more";

/// How many events are kept.
const EVENTS: usize = 64;

/// Something that has happened to the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) text: String,
}

/// The ensemble. The servers are in the order of their names.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) servers: Vec<Server>,
    /// The latest last.
    pub(super) events: VecDeque<Event>,
    limits: Limits,
    leader: Option<String>,
    reports: Vec<Report>,
    verdict: Option<Verdict>,
}

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        Model {
            servers: Vec::new(),
            events: VecDeque::new(),
            limits,
            leader: None,
            reports: Vec::new(),
            verdict: None,
        }
    }

    /// The servers are these from now on; those that were there before keep their history.
    pub(super) fn set_targets(&mut self, mut targets: Vec<Target>, now: Duration) {
        targets.sort_by(|a, b| a.order().cmp(&b.order()));
        targets.dedup();
        let known = self.servers.len();
        self.servers
            .retain(|server| targets.contains(&server.target));
        for target in targets {
            if !self.servers.iter().any(|server| server.target == target) {
                self.servers.push(Server::new(target));
            }
        }
        let order = |a: &Server, b: &Server| a.target.order().cmp(&b.target.order());
        self.servers.sort_by(order);
        if known > 0 && known != self.servers.len() {
            let text = format!("{} servers, {known} before", self.servers.len());
            self.note(now, text);
        }
        self.judge(now, Duration::MAX);
    }

    /// The question of a round goes to a server.
    pub(super) fn asked(&mut self, target: &Target, round: u64, now: Duration) {
        if let Some(server) = self.server(target) {
            server.asked = Some((round, now));
        }
    }

    /// A server has answered, or has failed to.
    pub(super) fn answered(&mut self, target: &Target, round: u64, now: Duration, sample: Sample) {
        let Some(server) = self.server(target) else {
            return;
        };
        let before = server.sample.as_ref().map(|_| server.is_up());
        let reset = server.answer(round, now, sample);
        let (after, name) = (server.is_up(), target.to_string());
        let text = match (before, after, reset) {
            (Some(true), false, _) => Some(LOST),
            (Some(false), true, _) => Some("answers again"),
            (_, _, Some(Reset::Restart)) => Some("was started again"),
            (_, _, Some(Reset::Statistics)) => Some("has new statistics: a restart or srst"),
            _ => None,
        };
        if let Some(text) = text {
            self.note(now, format!("{name} {text}"));
        }
        self.compare(round);
    }

    /// Takes servers that have not answered for `limit` as down, and decides what is wrong.
    pub(super) fn judge(&mut self, now: Duration, limit: Duration) {
        let mut gone = Vec::new();
        for server in &mut self.servers {
            let Some((_, began)) = server.asked else {
                continue;
            };
            let waiting = now.saturating_sub(began);
            if waiting >= limit {
                if server.is_up() {
                    gone.push(format!("{} {LOST}", server.target));
                }
                server.down_since = server.down_since.or(Some(began));
                server.sample = Some(server.unanswered(now));
                (server.rates, server.changes) = (rates::Rates::default(), Vec::new());
                server.lag = None;
            }
        }
        for text in gone {
            self.note(now, text);
        }
        self.reports = self.servers.iter().map(report).collect();
        let lags: Vec<_> = self.servers.iter().map(|server| server.lag).collect();
        // Before the names of the servers are resolved, there are none.
        let is_complete =
            !self.servers.is_empty() && self.servers.iter().all(|server| server.sample.is_some());
        self.verdict = is_complete.then(|| Verdict::of(&self.reports, &lags, self.limits));
        self.follow_leader(now);
    }

    /// Forgets the highest values.
    pub(super) fn reset_maxima(&mut self) {
        self.servers.iter_mut().for_each(Server::reset_maxima);
    }

    /// The state of the ensemble; `None` until each server has answered or failed.
    pub(super) fn status(&self) -> Option<Status> {
        self.verdict.as_ref().map(|verdict| verdict.status)
    }

    /// What is wrong with the ensemble as a whole.
    pub(super) fn problems(&self) -> &[String] {
        match &self.verdict {
            Some(verdict) => &verdict.ensemble,
            None => &[],
        }
    }

    /// What is wrong with a server, by its place.
    pub(super) fn problems_of(&self, index: usize) -> &[String] {
        match &self.verdict {
            Some(verdict) => verdict.problems.get(index).map_or(&[], |it| &**it),
            // Others have not answered yet.
            None => self
                .reports
                .get(index)
                .map_or(&[], |report| report.failure.as_slice()),
        }
    }

    /// Whether each server has answered this round, or has failed to.
    pub(super) fn is_answered(&self, round: u64) -> bool {
        let answered = |server: &Server| server.answered.is_some_and(|(last, _)| last >= round);
        self.servers.iter().all(answered)
    }

    fn server(&mut self, target: &Target) -> Option<&mut Server> {
        let mut servers = self.servers.iter_mut();
        servers.find(|server| server.target == *target)
    }

    fn note(&mut self, at: Duration, text: String) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, text });
    }

    /// Compares the servers that have answered this round with its leader. Reports of different rounds have no
    /// lag: on a busy ensemble, a thousand transactions may be between them.
    fn compare(&mut self, round: u64) {
        let of_round: Vec<_> = (0..)
            .zip(&self.servers)
            .filter(|(_, server)| server.answered.is_some_and(|(last, _)| last == round))
            .map(|(index, server)| (index, report(server)))
            .collect();
        let (places, reports): (Vec<usize>, Vec<_>) = of_round.into_iter().unzip();
        let has_leader = report::leader(&reports).is_some();
        for (place, report) in places.into_iter().zip(&reports) {
            let Some(server) = self.servers.get_mut(place) else {
                continue;
            };
            if has_leader || report.zxid.is_none() {
                server.lag = verdict::lag(report, &reports);
            }
        }
    }

    fn follow_leader(&mut self, now: Duration) {
        let Some(leader) = report::leader(&self.reports) else {
            return;
        };
        let name = leader.name();
        match self.leader.replace(name.clone()) {
            Some(before) if before != name => {
                self.note(now, format!("{name} leads, {before} before"));
            }
            _ => {}
        }
    }
}

/// The report of a server, which is empty before the first answer.
fn report(server: &Server) -> Report {
    match &server.sample {
        Some(sample) => sample.report.clone(),
        None => Report::without_answer(&server.target),
    }
}
