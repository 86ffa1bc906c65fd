//! Samples in, what follows from them out.

use std::fmt::Write as _;
use std::time::Duration;

use zk_client::HostPort;

use super::super::sample::Sample;
use super::Model;
use super::server::Longest;
use crate::cli::status::Limits;
use crate::commands::health::metrics::Metrics;
use crate::commands::health::quorum::Quorum;
use crate::commands::health::report::Report;
use crate::commands::health::values::Source;
use crate::commands::health::verdict::Status;
use crate::commands::servers::Target;

const LIMITS: Limits = Limits {
    max_lag: 1000,
    max_outstanding: 1000,
    max_latency: Duration::from_secs(1),
};

pub(crate) const ALWAYS: Duration = Duration::MAX;

pub(crate) fn target(port: u16) -> Target {
    Target {
        server: HostPort {
            host: "zk".to_owned(),
            port,
        },
        address: None,
    }
}

pub(crate) fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a server answers.
pub(crate) struct Answers {
    mode: &'static str,
    zxid: &'static str,
    packets: (u64, u64),
    max: i64,
    mntr: Vec<(&'static str, String)>,
}

pub(crate) fn answers(mode: &'static str) -> Answers {
    Answers {
        mode,
        zxid: "0x500000010",
        packets: (100, 90),
        max: 12,
        mntr: Vec::new(),
    }
}

impl Answers {
    pub(crate) fn packets(mut self, received: u64, sent: u64) -> Self {
        self.packets = (received, sent);
        self
    }

    pub(crate) fn zxid(mut self, zxid: &'static str) -> Self {
        self.zxid = zxid;
        self
    }

    pub(crate) fn max(mut self, max: i64) -> Self {
        self.max = max;
        self
    }

    pub(crate) fn value(mut self, key: &'static str, value: impl ToString) -> Self {
        self.mntr.push((key, value.to_string()));
        self
    }

    /// As a server since 3.6 counts the latencies of reads and updates.
    pub(crate) fn latencies(self, reads: (u64, u64), updates: (u64, u64)) -> Self {
        self.value("zk_sum_readlatency", reads.0)
            .value("zk_cnt_readlatency", reads.1)
            .value("zk_sum_updatelatency", updates.0)
            .value("zk_cnt_updatelatency", updates.1)
    }

    fn sample(&self, target: &Target) -> Sample {
        let (received, sent) = self.packets;
        let mut report = Report {
            server: target.server.to_string(),
            ..Report::default()
        };
        report.read_srvr(&format!(
            "Zookeeper version: 3.8.0-x, built on y\nLatency min/avg/max: 0/0.5/{}\nReceived: {received}\n\
             Sent: {sent}\nConnections: 3\nOutstanding: 0\nZxid: {}\nMode: {}\nNode count: 5\n",
            self.max, self.zxid, self.mode
        ));
        let text = self
            .mntr
            .iter()
            .fold(String::new(), |mut text, (key, value)| {
                let _ = writeln!(text, "{key}\t{value}");
                text
            });
        let (metrics, source) = match Metrics::of_mntr(&text) {
            Ok(metrics) => (metrics, Source::Mntr),
            Err(_) => (Metrics::default(), Source::Nothing("refused".to_owned())),
        };
        report.read_metrics(&metrics);
        Sample {
            report,
            metrics,
            source,
            took: Duration::from_millis(3),
        }
    }
}

pub(crate) fn down(target: &Target) -> Sample {
    let report = Report {
        server: target.server.to_string(),
        failure: Some(format!("{} did not answer srvr: refused", target.server)),
        ..Report::default()
    };
    Sample {
        report,
        metrics: Metrics::default(),
        source: Source::Nothing(String::new()),
        took: Duration::ZERO,
    }
}

/// A model with servers on these ports.
pub(crate) fn model(ports: &[u16]) -> Model {
    let mut model = Model::new(LIMITS);
    model.set_targets(ports.iter().map(|&port| target(port)).collect(), at(0));
    model
}

/// The servers answer a round, in this order.
pub(crate) fn round(model: &mut Model, round: u64, now: Duration, answers: &[(u16, Answers)]) {
    for (port, _) in answers {
        model.asked(&target(*port), round, now);
    }
    for (port, answers) in answers {
        model.answered(&target(*port), round, now, answers.sample(&target(*port)));
    }
    model.judge(now, ALWAYS);
}

fn events(model: &Model) -> Vec<&str> {
    model.events.iter().map(|event| &*event.text).collect()
}

#[test]
fn rates_follow_from_two_samples() {
    let mut model = model(&[1]);
    let first = answers("standalone").latencies((10, 10), (100, 10));
    round(&mut model, 1, at(0), &[(1, first)]);
    assert_eq!(model.servers[0].rates, Default::default());
    let second = answers("standalone")
        .packets(300, 190)
        .latencies((40, 20), (190, 20));
    round(&mut model, 2, at(2), &[(1, second)]);
    let server = &model.servers[0];
    assert_eq!(
        (server.rates.received, server.rates.sent),
        (Some(100.0), Some(50.0))
    );
    // 30 ms for 10 reads, and 90 ms for 10 updates.
    assert_eq!(server.rates.latency, Some(6.0));
    assert_eq!(
        server.changes,
        [Some(15.0), Some(5.0), Some(45.0), Some(5.0)]
    );
    // No requests: no latency.
    let third = answers("standalone")
        .packets(300, 190)
        .latencies((40, 20), (190, 20));
    round(&mut model, 3, at(4), &[(1, third)]);
    let server = &model.servers[0];
    assert_eq!(
        (server.rates.received, server.rates.latency),
        (Some(0.0), None)
    );
    assert_eq!(
        (server.peaks.received, server.peaks.latency),
        (Some(100.0), Some(6.0))
    );
    let rates = server.history.latest(9, |point| point.rates.received);
    assert_eq!(rates, [None, Some(100.0), Some(0.0)]);
}

#[test]
fn a_restart_is_no_negative_rate() {
    let mut model = model(&[1]);
    let before = answers("standalone")
        .packets(1000, 900)
        .value("zk_uptime", 500_000);
    round(&mut model, 1, at(0), &[(1, before)]);
    // More packets than before, but the server is another process.
    let after = answers("standalone")
        .packets(2000, 1900)
        .value("zk_uptime", 1_000);
    round(&mut model, 2, at(2), &[(1, after)]);
    let server = &model.servers[0];
    assert_eq!((server.rates.received, server.peaks.received), (None, None));
    assert_eq!(server.restarted(at(12)), Some(at(10)));
    assert_eq!(server.restarted(at(62)), None);
    assert_eq!(events(&model), ["zk:1 was started again"]);
    // Without an uptime, a lower counter may also be srst.
    let mut model = self::model(&[1]);
    round(&mut model, 1, at(0), &[(1, answers("standalone"))]);
    round(
        &mut model,
        2,
        at(2),
        &[(1, answers("standalone").packets(5, 5))],
    );
    assert_eq!(model.servers[0].rates.received, None);
    assert_eq!(model.servers[0].restarted(at(2)), None);
    assert_eq!(
        events(&model),
        ["zk:1 has new statistics: a restart or srst"]
    );
    round(
        &mut model,
        3,
        at(4),
        &[(1, answers("standalone").packets(7, 5))],
    );
    assert_eq!(model.servers[0].rates.received, Some(1.0));
}

#[test]
fn missing_values_stay_unknown() {
    let mut model = model(&[1]);
    // mntr is refused: only srvr.
    round(&mut model, 1, at(0), &[(1, answers("standalone"))]);
    round(
        &mut model,
        2,
        at(2),
        &[(1, answers("standalone").packets(110, 90))],
    );
    let server = &model.servers[0];
    assert_eq!(
        (server.rates.received, server.rates.latency),
        (Some(5.0), None)
    );
    assert_eq!((server.uptime(), server.has_latencies()), (None, false));
    assert_eq!(server.lacks(), Some("refused"));
    let overview = model.overview();
    assert_eq!((overview.watches, overview.znodes), (None, Some(5)));
    // As 3.4: no sums of latencies.
    let old = answers("standalone")
        .packets(120, 90)
        .value("zk_avg_latency", 0);
    round(&mut model, 3, at(4), &[(1, old)]);
    assert!(!model.servers[0].has_latencies());
    assert_eq!(model.servers[0].rates.received, Some(5.0));
    assert_eq!(model.servers[0].lacks(), None);
}

#[test]
fn lag_is_that_of_one_round() {
    let mut model = model(&[1, 2]);
    let leader = || answers("leader").zxid("0x500000020");
    round(
        &mut model,
        1,
        at(0),
        &[(1, leader()), (2, answers("follower"))],
    );
    let lags = |model: &Model| model.servers.iter().map(|it| it.lag).collect::<Vec<_>>();
    assert_eq!(lags(&model), [Some(0), Some(16)]);
    // The leader is ahead by a round: the lag stays that of the last common one.
    let ahead = answers("leader").zxid("0x500009999");
    round(&mut model, 2, at(2), &[(1, ahead)]);
    assert_eq!(lags(&model), [Some(0), Some(16)]);
    assert_eq!(model.status(), Some(Status::Healthy));
    let behind = answers("follower").zxid("0x500000020");
    round(
        &mut model,
        3,
        at(4),
        &[(1, answers("leader").zxid("0x500009999")), (2, behind)],
    );
    assert_eq!(lags(&model)[1], Some(0x9979));
    assert_eq!(model.status(), Some(Status::Degraded));
    assert!(model.problems_of(1)[0].contains("behind the leader"));
}

#[test]
fn a_new_leader_is_an_event() {
    let mut model = model(&[1, 2, 3]);
    let all = |modes: [&'static str; 3]| {
        let [one, two, three] = modes;
        [(1, answers(one)), (2, answers(two)), (3, answers(three))]
    };
    round(
        &mut model,
        1,
        at(0),
        &all(["leader", "follower", "follower"]),
    );
    assert_eq!(model.overview().leader.as_deref(), Some("zk:1"));
    // During the election there is none.
    round(
        &mut model,
        2,
        at(2),
        &all(["follower", "follower", "follower"]),
    );
    assert_eq!(model.overview().leader, None);
    round(
        &mut model,
        3,
        at(4),
        &all(["follower", "follower", "leader"]),
    );
    assert_eq!(events(&model), ["zk:3 leads, zk:1 before"]);
    assert_eq!(model.overview().epoch, Some(5));
}

#[test]
fn a_slow_server_delays_no_other() {
    let mut model = model(&[1, 2]);
    let both = [(1, answers("leader")), (2, answers("follower"))];
    round(&mut model, 1, at(0), &both);
    assert!(model.is_answered(1));
    model.asked(&target(1), 2, at(2));
    model.asked(&target(2), 2, at(2));
    model.answered(
        &target(2),
        2,
        at(2),
        answers("follower").packets(102, 90).sample(&target(2)),
    );
    model.judge(at(3), at(2));
    assert!(model.servers[0].is_up() && !model.is_answered(2));
    assert_eq!(model.servers[1].rates.received, Some(1.0));
    model.judge(at(4), at(2));
    assert!(!model.servers[0].is_up());
    assert_eq!(model.problems_of(0), ["no answer for 2 s"]);
    assert_eq!(model.status(), Some(Status::Degraded));
    assert_eq!(events(&model), ["zk:1 does not answer any more"]);
    // The answer comes late. The counters are those of a longer time.
    model.answered(&target(1), 2, at(9), answers("leader").sample(&target(1)));
    model.judge(at(9), at(2));
    assert!(model.servers[0].is_up() && model.is_answered(2));
    assert_eq!(model.servers[0].rates.received, None);
    assert_eq!(events(&model)[1], "zk:1 answers again");
}

#[test]
fn no_servers_are_no_critical_state() {
    let mut model = model(&[]);
    model.judge(at(0), ALWAYS);
    assert_eq!(model.status(), None);
    assert!(model.problems().is_empty());
}

#[test]
fn a_server_that_is_down_stays() {
    let mut model = model(&[1, 2]);
    assert_eq!(model.status(), None);
    model.asked(&target(1), 1, at(0));
    model.answered(&target(1), 1, at(0), down(&target(1)));
    model.judge(at(0), ALWAYS);
    // The other has not answered yet.
    assert_eq!(model.status(), None);
    round(&mut model, 1, at(0), &[(2, answers("follower"))]);
    assert_eq!(model.status(), Some(Status::Degraded));
    assert_eq!(model.problems_of(0), ["zk:1 did not answer srvr: refused"]);
    assert_eq!(model.servers[0].down_since, Some(at(0)));
    let roles = model.overview().roles;
    assert_eq!(roles, [("follower".to_owned(), 1), ("down".to_owned(), 1)]);
    round(
        &mut model,
        2,
        at(2),
        &[(1, answers("leader")), (2, answers("follower"))],
    );
    assert_eq!(model.servers[0].down_since, None);
    assert_eq!(events(&model), ["zk:1 answers again"]);
}

#[test]
fn reset_maxima_are_not_shown_again() {
    let mut model = model(&[1]);
    round(&mut model, 1, at(0), &[(1, answers("standalone").max(440))]);
    round(
        &mut model,
        2,
        at(1),
        &[(1, answers("standalone").max(440).packets(150, 90))],
    );
    assert_eq!(model.servers[0].longest(), Some(Longest::Exactly(440)));
    assert_eq!(model.servers[0].peaks.received, Some(50.0));
    model.reset_maxima();
    assert_eq!(model.servers[0].longest(), Some(Longest::AtMost(440)));
    assert_eq!(model.servers[0].peaks.received, None);
    round(
        &mut model,
        3,
        at(2),
        &[(1, answers("standalone").max(441).packets(160, 90))],
    );
    assert_eq!(model.servers[0].longest(), Some(Longest::Exactly(441)));
    assert_eq!(model.servers[0].peaks.received, Some(10.0));
}

#[test]
fn the_quorum_is_what_the_leader_says() {
    let mut model = model(&[1, 2]);
    let leader = answers("leader")
        .value("zk_synced_followers", "3.0")
        .value("zk_synced_non_voting_followers", 1)
        .value("zk_quorum_size", 5);
    round(
        &mut model,
        1,
        at(0),
        &[(1, leader), (2, answers("follower"))],
    );
    let quorum = Quorum {
        in_sync: 3,
        voters: Some(5),
    };
    assert_eq!(model.overview().quorum, Some(quorum));
    assert_eq!(quorum.majority(), Some(3));
    // Before 3.6.
    let leader = answers("leader").value("zk_synced_followers", 1);
    round(
        &mut model,
        2,
        at(2),
        &[(1, leader), (2, answers("follower"))],
    );
    assert_eq!(
        model.overview().quorum.map(|it| (it.in_sync, it.voters)),
        Some((2, None))
    );
}

#[test]
fn other_servers_keep_their_history() {
    let mut model = model(&[1, 2]);
    round(
        &mut model,
        1,
        at(0),
        &[(1, answers("leader")), (2, answers("follower"))],
    );
    round(
        &mut model,
        2,
        at(2),
        &[(2, answers("follower").packets(104, 90))],
    );
    model.set_targets(vec![target(3), target(2)], at(3));
    let names: Vec<_> = model
        .servers
        .iter()
        .map(|it| it.target.to_string())
        .collect();
    assert_eq!(names, ["zk:2", "zk:3"]);
    assert_eq!(model.servers[0].rates.received, Some(2.0));
    // A sample of a server that is gone.
    model.answered(&target(1), 3, at(4), answers("leader").sample(&target(1)));
    assert_eq!(model.servers.len(), 2);
    // Rounds without an answer are a gap in the graphs.
    round(
        &mut model,
        5,
        at(8),
        &[(2, answers("follower").packets(110, 90))],
    );
    let rates = model.servers[0]
        .history
        .latest(9, |point| point.rates.received);
    assert_eq!(rates, [None, Some(2.0), None, None, Some(1.0)]);
}
