//! When clients were out of reach of their servers, and whether their sessions ended too early.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zk_client::{Client, State};
use zk_tests::starvation::Window;

use crate::apache::chaos::{Run, SESSION};

/// The states of one client.
type States = Arc<Mutex<Vec<(Instant, State)>>>;

/// When something was broken.
#[derive(Clone, Debug)]
pub struct Fault {
    pub window: Window,
    /// The clients that it concerned, by their order in [`Outages`]; all, if none is named.
    pub clients: Vec<usize>,
}

impl From<Window> for Fault {
    fn from(window: Window) -> Self {
        let clients = Vec::new();
        Fault { window, clients }
    }
}

impl Fault {
    fn concerns(&self, client: usize) -> bool {
        self.clients.is_empty() || self.clients.contains(&client)
    }
}

/// The states of all clients, with the time at which each was read.
#[derive(Default)]
pub struct Outages {
    /// With the time of their sessions.
    clients: Vec<(Duration, States)>,
}

impl Outages {
    /// Notes the states of this client until it is over. Its sessions have this time.
    pub fn follow(&mut self, zk: &Client, session: Duration) {
        let states = States::default();
        self.clients.push((session, states.clone()));
        let mut reading = zk.states();
        tokio::spawn(async move {
            while let Some(state) = reading.next().await {
                states.lock().unwrap().push((Instant::now(), state));
            }
        });
    }

    /// A session that ended although nothing kept its client from its servers for two thirds of its
    /// time is a violation. `lags` are the times at which this machine did not let us run.
    pub fn judge(&self, run: &Run, faults: &[Fault], lags: &[Window]) -> Recovery {
        let mut recovery = Recovery::default();
        for (n, (session, states)) in self.clients.iter().enumerate() {
            let own = faults.iter().filter(|fault| fault.concerns(n));
            let own: Vec<_> = own
                .map(|fault| fault.window)
                .chain(lags.iter().copied())
                .collect();
            let states = states.lock().unwrap().clone();
            let mut lost: Option<Instant> = None;
            for (at, state) in states {
                match state {
                    State::Suspended { .. } => lost = Some(lost.unwrap_or(at)),
                    State::Connected { .. } => {
                        if let Some(lost) = lost.take() {
                            recovery.outages.push(at - lost);
                        }
                    }
                    State::Expired { .. } => {
                        recovery.expiries += 1;
                        let disturbed = disturbed(at, *session, lost, &own);
                        if disturbed < *session * 2 / 3 {
                            run.violation(format!(
                                "a session of client {n} ended after a disturbance of {disturbed:?}"
                            ));
                        }
                    }
                    _ => {}
                }
            }
        }
        recovery.outages.sort_unstable();
        recovery
    }
}

/// For how much of the last two session times before `end` a session could not be sure of its
/// servers.
fn disturbed(
    end: Instant,
    session: Duration,
    lost: Option<Instant>,
    disturbances: &[Window],
) -> Duration {
    let start = end.checked_sub(2 * session).unwrap();
    let mut windows: Vec<Window> = disturbances
        .iter()
        .copied()
        .chain(lost.map(|lost| (lost, end)))
        .map(|(from, to)| (from.max(start), to.min(end)))
        .filter(|(from, to)| from < to)
        .collect();
    windows.sort_unstable();
    let mut total = Duration::ZERO;
    let mut covered = start;
    for (from, to) in windows {
        let from = from.max(covered);
        if from < to {
            total += to - from;
            covered = to;
        }
    }
    total
}

/// How long clients needed to find their way back within their session.
#[derive(Debug, Default)]
pub struct Recovery {
    outages: Vec<Duration>,
    expiries: usize,
}

impl Recovery {
    fn percentile(&self, percent: usize) -> Duration {
        let last = self.outages.len().saturating_sub(1);
        let at = (self.outages.len() * percent / 100).min(last);
        self.outages.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.outages.partition_point(|time| *time < SESSION * 2 / 3);
        write!(
            f,
            "sessions: {} outages, {short} of them short, recovery p50 {:?} p99 {:?}; {} expiries",
            self.outages.len(),
            self.percentile(50),
            self.percentile(99),
            self.expiries
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_disturbances_count_once() {
        let start = Instant::now();
        let at = |tenths: u32| start + SESSION * tenths / 10;
        let end = at(40);
        let disturbed = |lost, windows: &[Window]| disturbed(end, SESSION, lost, windows);
        assert_eq!(disturbed(None, &[]), Duration::ZERO);
        assert_eq!(disturbed(Some(at(35)), &[]), SESSION / 2);
        let faults = [(at(0), at(10)), (at(36), at(38)), (at(34), at(37))];
        assert_eq!(disturbed(Some(at(35)), &faults), SESSION * 6 / 10);
        let lags = [(at(18), at(21)), (at(22), at(23))];
        assert_eq!(disturbed(None, &lags), SESSION * 2 / 10);
    }

    /// What clients that were not cut off lose is not excused by those that were.
    #[test]
    fn a_fault_excuses_only_its_clients() {
        let start = Instant::now();
        let at = |tenths: u32| start + SESSION * tenths / 10;
        let expired = State::Expired { epoch: 1 };
        let judge = |clients: &[usize]| {
            let states = || States::new(Mutex::new(vec![(at(40), expired)]));
            let outages = Outages {
                clients: vec![(SESSION, states()), (SESSION, states())],
            };
            let fault = Fault {
                window: (at(30), at(40)),
                clients: clients.to_vec(),
            };
            let run = Run::default();
            let recovery = outages.judge(&run, &[fault], &[]);
            assert_eq!(recovery.expiries, 2);
            run.violations()
        };
        assert!(judge(&[]).is_empty());
        let violations = judge(&[1]);
        assert_eq!(violations.len(), 1);
        assert!(violations[0].contains("client 0"), "{violations:?}");
    }
}
