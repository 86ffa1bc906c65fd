//! What is wrong with servers, by what they report.

use std::cmp::Ordering;

use zk_client::admin::ServerMode;

use super::quorum;
use super::report::{Report, Role, leader};
use crate::cli::status::Limits;

/// The state of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Healthy,
    /// Clients are served, and something is wrong.
    Degraded,
    /// No server serves.
    Critical,
    /// No server reports what it is, and some answer.
    Unknown,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Healthy => "healthy",
            Status::Degraded => "degraded",
            Status::Critical => "critical",
            Status::Unknown => "unknown",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Status::Healthy => 0,
            Status::Degraded => 1,
            Status::Critical => 2,
            Status::Unknown => 3,
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    /// What is wrong with each server, in the order of the reports.
    pub(crate) problems: Vec<Vec<String>>,
    /// What is wrong with all of them together.
    pub(crate) ensemble: Vec<String>,
}

impl Verdict {
    /// `lags` are those of the servers, in the order of the reports, as [`lag`] computes them.
    pub(crate) fn of(reports: &[Report], lags: &[Option<u64>], limits: Limits) -> Self {
        let lags = lags.iter().copied().chain(std::iter::repeat(None));
        let problems: Vec<_> = reports
            .iter()
            .zip(lags)
            .map(|(report, lag)| of_server(report, lag, reports, limits))
            .collect();
        let ensemble = of_ensemble(reports);
        let serves = |report: &Report| {
            use ServerMode::{Follower, Leader, Observer, Standalone};
            matches!(
                report.role,
                Some(Role::Mode(Leader | Follower | Observer | Standalone))
            )
        };
        let is_unknown = |report: &Report| report.role == Some(Role::Unknown);
        let status = if reports.iter().any(serves) {
            match ensemble.is_empty() && problems.iter().all(Vec::is_empty) {
                true => Status::Healthy,
                false => Status::Degraded,
            }
        } else if reports.iter().any(is_unknown) {
            Status::Unknown
        } else {
            Status::Critical
        };
        Verdict {
            status,
            problems,
            ensemble,
        }
    }
}

/// How many transactions a server is behind the leader, at least; `None` if one of them does not report its
/// last one, or the server's is of a later epoch.
///
/// A server whose last transaction is of an earlier epoch lacks those of this one: none after an election,
/// until a client writes.
pub(crate) fn lag(report: &Report, reports: &[Report]) -> Option<u64> {
    let (leader, own) = (leader(reports)?.zxid?, report.zxid?);
    match own.epoch().cmp(&leader.epoch()) {
        Ordering::Less => Some(leader.counter().into()),
        Ordering::Equal => Some(leader.counter().saturating_sub(own.counter()).into()),
        Ordering::Greater => None,
    }
}

fn of_server(report: &Report, lag: Option<u64>, reports: &[Report], limits: Limits) -> Vec<String> {
    let mut problems: Vec<String> = report.failure.iter().cloned().collect();
    match &report.role {
        Some(Role::Mode(ServerMode::ReadOnly)) => {
            problems.push("it has no quorum and serves reads only".to_owned());
        }
        Some(Role::Mode(ServerMode::Standalone)) if reports.len() > 1 => problems
            .push("it is standalone: writes to it do not reach the others of the list".to_owned()),
        Some(Role::Mode(ServerMode::Other(_)) | Role::Unknown) if report.failure.is_none() => {
            problems
                .push("it does not report a known role; its answer may be incomplete".to_owned());
        }
        _ => {}
    }
    if let (Some(leader), Some(own)) = (leader(reports).and_then(|leader| leader.zxid), report.zxid)
        && leader.epoch() < own.epoch()
    {
        problems.push(format!(
            "its last transaction is of epoch {:#x}, and the leader's of {:#x}",
            own.epoch(),
            leader.epoch()
        ));
    }
    if let Some(lag) = lag
        && lag > limits.max_lag
    {
        problems.push(format!("{lag} transactions behind the leader"));
    }
    if let Some(outstanding) = report.outstanding
        && outstanding > limits.max_outstanding
    {
        problems.push(format!("{outstanding} requests are not answered yet"));
    }
    if let Some(latency) = report.latency
        && latency.avg > limits.max_latency.as_secs_f64() * 1000.0
    {
        problems.push(format!("requests take {} ms on average", latency.avg));
    }
    if let Some((open, max)) = report.descriptors
        && open > max - max / 10
    {
        problems.push(format!("{open} of {max} file descriptors are open"));
    }
    problems
}

fn of_ensemble(reports: &[Report]) -> Vec<String> {
    let mut problems = Vec::new();
    if reports.is_empty() {
        problems.push("the list of servers is empty".to_owned());
    }
    let of_mode = |mode: ServerMode| reports.iter().filter(move |report| report.is(&mode));
    let names = |reports: Vec<&Report>| {
        let names: Vec<_> = reports.iter().map(|report| &*report.server).collect();
        names.join(", ")
    };
    let leaders: Vec<_> = of_mode(ServerMode::Leader).collect();
    if leaders.len() > 1 {
        problems.push(format!(
            "several leaders: {}; the list names servers of several ensembles, or the answers are from \
             before and after an election",
            names(leaders.clone())
        ));
    }
    problems.extend(quorum::problem(reports));
    let followers = of_mode(ServerMode::Follower).count();
    if let [leader] = leaders[..]
        && leader.voters.is_none()
        && let Some(synced) = leader.synced_followers
        && synced < u64::try_from(followers).unwrap_or(u64::MAX)
    {
        problems.push(format!("{synced} of {followers} followers are in sync"));
    }
    let serving = followers + of_mode(ServerMode::Observer).count();
    if leaders.is_empty() && serving > 0 && reports.len() > serving {
        problems.push(
            "none of the servers that answer is the leader: writes wait until a new one is elected, unless the \
             list does not name it"
                .to_owned(),
        );
    }
    let mut versions: Vec<_> = reports
        .iter()
        .filter_map(|report| report.version.as_deref())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        problems.push(format!("different versions: {}", versions.join(", ")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::commands::health::metrics::Metrics;

    const LIMITS: Limits = Limits {
        max_lag: 10,
        max_outstanding: 10,
        max_latency: Duration::from_millis(50),
    };

    fn server(mode: &str, zxid: &str) -> Report {
        let mut report = Report::default();
        report.read_srvr(&format!(
            "Zookeeper version: 3.9.5-x, built on y\nLatency min/avg/max: 0/0.5/40\nReceived: 7\n\
             Sent: 6\nConnections: 3\nOutstanding: 0\nZxid: {zxid}\nMode: {mode}\nNode count: 5\n"
        ));
        report
    }

    fn metrics(mntr: &str) -> Metrics {
        Metrics::of_mntr(mntr).unwrap()
    }

    fn text(reports: &[Report]) -> (Status, String) {
        let lags: Vec<_> = reports.iter().map(|one| lag(one, reports)).collect();
        let verdict = Verdict::of(reports, &lags, LIMITS);
        let problems = verdict.problems.concat().join("|");
        (
            verdict.status,
            format!("{problems}#{}", verdict.ensemble.join("|")),
        )
    }

    #[test]
    fn an_ensemble_without_problems_is_healthy() {
        let mut leader = server("leader", "0x200000020");
        leader.read_metrics(&metrics(
            "zk_version\t3.9.5\nzk_synced_followers\t2.0\nzk_watch_count\t9\n",
        ));
        let behind = server("follower", "0x200000016");
        let reports = [leader, behind, server("follower", "0x200000021")];
        assert_eq!(text(&reports), (Status::Healthy, "#".to_owned()));
        let lags: Vec<_> = reports.iter().map(|one| lag(one, &reports)).collect();
        // The third was asked later than the leader.
        assert_eq!(lags, [Some(0), Some(10), Some(0)]);
        assert_eq!(reports[0].watches, Some(9));
        // Apache's followers keep their zxid at an election, until a client writes.
        let elected = [
            server("leader", "0x300000000"),
            server("follower", "0x200000016"),
        ];
        assert_eq!(text(&elected), (Status::Healthy, "#".to_owned()));
        assert_eq!(lag(&elected[1], &elected), Some(0));
        let alone = [server("standalone", "0x5")];
        assert_eq!(text(&alone), (Status::Healthy, "#".to_owned()));
        // A list may name the servers of one place, without the leader.
        let followers = [
            server("follower", "0x200000016"),
            server("observer", "0x200000016"),
        ];
        assert_eq!(text(&followers), (Status::Healthy, "#".to_owned()));
    }

    /// As Apache 3.8.0 after an election, until the first write.
    #[test]
    fn a_new_epoch_is_no_problem() {
        let reports = [
            server("leader", "0x200000000"),
            server("follower", "0x100000007"),
        ];
        assert_eq!(text(&reports), (Status::Healthy, "#".to_owned()));
        assert_eq!(lag(&reports[1], &reports), Some(0));
    }

    #[test]
    fn each_problem_is_named() {
        let leader = || server("leader", "0x200000020");
        let mut busy = server("follower", "0x200000020");
        busy.outstanding = Some(11);
        busy.latency.as_mut().unwrap().avg = 50.5;
        busy.read_metrics(&metrics(
            "zk_open_file_descriptor_count\t91\nzk_max_file_descriptor_count\t100\n",
        ));
        let mut unsynced = leader();
        unsynced.read_metrics(&metrics("zk_synced_followers\t0\n"));
        let mut older = server("follower", "0x200000020");
        older.version = Some("3.8.0".to_owned());
        let down = || Report {
            failure: Some("refused".to_owned()),
            ..Report::default()
        };
        for (reports, words) in [
            (
                vec![leader(), server("follower", "0x200000015")],
                &["11 transactions behind"][..],
            ),
            (
                vec![leader(), server("follower", "0x100000040")],
                &["32 transactions behind"],
            ),
            (
                vec![leader(), server("follower", "0x300000001")],
                &["epoch 0x3, and the leader's of 0x2"],
            ),
            (
                vec![leader(), busy],
                &["11 requests", "50.5 ms", "91 of 100 file"],
            ),
            (
                vec![unsynced, server("follower", "0x200000020")],
                &["0 of 1 followers"],
            ),
            (vec![leader(), older], &["different versions: 3.8.0, 3.9.5"]),
            (vec![leader(), leader()], &["several leaders"]),
            (
                vec![leader(), server("read-only", "0x200000020")],
                &["no quorum"],
            ),
            (
                vec![leader(), server("standalone", "0x200000020")],
                &["standalone"],
            ),
            (vec![leader(), down()], &["refused"]),
            (
                vec![server("follower", "0x5"), down()],
                &["refused", "none of the servers"],
            ),
        ] {
            let (status, text) = text(&reports);
            assert_eq!(status, Status::Degraded, "{text}");
            for word in words {
                assert!(text.contains(word), "no {word:?} in {text}");
            }
        }
    }

    /// A server without a role is not healthy, although it answers.
    #[test]
    fn an_unknown_role_is_a_problem() {
        let mut cut = Report::default();
        cut.read_srvr("Zookeeper version: 3.9.5-x, built on y\nConnections: 3\n");
        assert_eq!((&cut.role, &cut.failure), (&Some(Role::Unknown), &None));
        for (report, alone) in [
            (cut, Status::Unknown),
            (server("witness", "0x5"), Status::Critical),
        ] {
            let problem = "it does not report a known role; its answer may be incomplete";
            assert_eq!(
                text(std::slice::from_ref(&report)),
                (alone, format!("{problem}#"))
            );
            let reports = [server("leader", "0x5"), report];
            assert_eq!(text(&reports), (Status::Degraded, format!("{problem}#")));
        }
    }

    #[test]
    fn an_ensemble_without_service_is_critical() {
        let says = |answer: &str| {
            let mut report = Report::default();
            report.read_srvr(answer);
            report
        };
        let starting = "This ZooKeeper instance is not currently serving requests";
        let refused = "srvr is not executed because it is not in the whitelist.";
        for (reports, status) in [
            (
                vec![says(starting), server("read-only", "0x5")],
                Status::Critical,
            ),
            (vec![Report::default()], Status::Critical),
            (vec![], Status::Critical),
            (vec![says(refused), says(starting)], Status::Unknown),
            (
                vec![says(refused), server("leader", "0x5")],
                Status::Degraded,
            ),
        ] {
            assert_eq!(text(&reports).0, status, "{reports:?}");
        }
    }
}
