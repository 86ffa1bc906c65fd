//! When clients were out of reach of their servers, and whether their sessions ended too early.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zk_client::{Client, State};
use zk_tests::starvation::Window;

use crate::{Run, SESSION};

/// The states of one client.
type States = Arc<Mutex<Vec<(Instant, State)>>>;

/// The states of all clients, with the time at which each was read.
#[derive(Default)]
pub struct Outages {
    clients: Vec<States>,
}

impl Outages {
    /// Notes the states of this client until it is over.
    pub fn follow(&mut self, zk: &Client) {
        let states = States::default();
        self.clients.push(states.clone());
        let mut reading = zk.states();
        tokio::spawn(async move {
            while let Some(state) = reading.next().await {
                states.lock().unwrap().push((Instant::now(), state));
            }
        });
    }

    /// A session that ended although nothing kept its client from its servers for two thirds of its
    /// time is a violation. `faults` are the times at which something was broken, `lags` those at
    /// which this machine did not let us run.
    pub async fn judge(&self, run: &Run, faults: &[Window], lags: &[Window]) -> Recovery {
        let mut recovery = Recovery::default();
        for client in &self.clients {
            let states = client.lock().unwrap().clone();
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
                        let disturbed = disturbed(at, lost, faults, lags);
                        if disturbed < SESSION * 2 / 3 {
                            run.violation(format!(
                                "a session ended after a disturbance of {disturbed:?}"
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
fn disturbed(end: Instant, lost: Option<Instant>, faults: &[Window], lags: &[Window]) -> Duration {
    let start = end.checked_sub(2 * SESSION).unwrap();
    let mut windows: Vec<Window> = faults
        .iter()
        .chain(lags)
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
    fn disturbances_count_once_and_only_what_is_recent() {
        let start = Instant::now();
        let at = |tenths: u32| start + SESSION * tenths / 10;
        let end = at(40);
        assert_eq!(disturbed(end, None, &[], &[]), Duration::ZERO);
        assert_eq!(disturbed(end, Some(at(35)), &[], &[]), SESSION / 2);
        let faults = [(at(0), at(10)), (at(36), at(38)), (at(34), at(37))];
        assert_eq!(disturbed(end, Some(at(35)), &faults, &[]), SESSION * 6 / 10);
        let lags = [(at(18), at(21)), (at(22), at(23))];
        assert_eq!(disturbed(end, None, &[], &lags), SESSION * 2 / 10);
    }
}
