//! Leadership moves when the leader dies or is cut off, and two never lead at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::child::{self, Child, Said};
use crate::common::{Proxies, blocking, soon, then_always, unless_starved, until};
use zk_client::{Client, State};
use zk_recipes::{Election, GuardLost, Term};
use zk_tests::starvation::always;

const SESSION: Duration = Duration::from_secs(2);

async fn candidate(hosts: &str, root: &str, session: Duration) -> Client {
    let zk = crate::common::builder(hosts)
        .session_timeout(session)
        .backoff(crate::common::impatient())
        .connect()
        .await
        .unwrap();
    zk.chroot(root).unwrap()
}

/// Microseconds by a clock that all processes share.
fn micros() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros()
}

/// A candidate's process: leads when it can, and says at which times it still led.
async fn campaign(orders: &str) {
    let mut words = orders.split(' ');
    let mut word = || words.next().unwrap();
    let (hosts, root, name, session) = (word(), word(), word(), word().parse().unwrap());
    let zk = candidate(hosts, root, Duration::from_millis(session)).await;
    let election = Election::new(&zk, "/election").identifier(name);
    child::say("ready");
    let term = election.campaign().await.unwrap();
    let started = micros();
    let token = term.token();
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    loop {
        beat.tick().await;
        // Taken before the check: what holds after it has held then.
        let at = micros();
        if term.check().is_err() {
            return;
        }
        child::say(&format!("leads {token} from {started} to {at}"));
    }
}

/// What a candidate that led has said last: token, first and last moment.
fn reign(said: &[String]) -> Option<(i64, u128, u128)> {
    let last = said.iter().rfind(|line| line.starts_with("leads "))?;
    let words: Vec<_> = last.split(' ').collect();
    Some((
        words[1].parse().unwrap(),
        words[3].parse().unwrap(),
        words[5].parse().unwrap(),
    ))
}

/// What all candidates of a scene have said.
type Records = Arc<Mutex<Vec<Said>>>;

fn one_leads_at_a_time(records: &Records) {
    let records = records.lock().unwrap_or_else(PoisonError::into_inner);
    let reigns = records.iter().filter_map(|said| reign(&said.lines()));
    let mut reigns: Vec<_> = reigns.collect();
    // By their tokens, which grow.
    reigns.sort_unstable();
    for pair in reigns.windows(2) {
        let [(token, _, end), (next_token, start, _)] = pair else {
            unreachable!()
        };
        always(
            token < next_token && end < start,
            format_args!("two led at a time: {reigns:?}"),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_when_leader_is_killed() {
    if let Some(orders) = child::orders() {
        return campaign(&orders).await;
    }
    unless_starved(SESSION, leadership_passes_on).await;
}

async fn leadership_passes_on(session: Duration) {
    let records = Records::default();
    let scene = all_lead_in_turn(session, records.clone());
    then_always(scene, async || one_leads_at_a_time(&records)).await;
}

async fn all_lead_in_turn(session: Duration, records: Records) {
    let ensemble = blocking(crate::common::ensemble);
    let hosts = ensemble.connect_string();
    let zk = crate::common::client_of(&hosts).await;
    let election = Election::new(&zk, "/election");
    let mut candidates = Vec::new();
    for n in 0..4 {
        let session = session.as_millis();
        let orders = format!("{hosts} {} candidate-{n} {session}", zk.root());
        let test = "leadership_moves_when_leader_is_killed";
        let mut candidate = Child::start(module_path!(), test, &orders);
        records.lock().unwrap().push(candidate.record());
        candidate.receive("ready").await;
        candidates.push(candidate);
    }
    until("all stand for election", || async {
        election.candidates().await.unwrap().len() == 4
    })
    .await;

    let mut order = Vec::new();
    while order.len() < 4 {
        let leads = |(n, candidate): (usize, &Child)| {
            (!order.contains(&n) && reign(&candidate.said()).is_some()).then_some(n)
        };
        until("a candidate leads", || async {
            candidates.iter().enumerate().find_map(leads).is_some()
        })
        .await;
        let n = candidates.iter().enumerate().find_map(leads).unwrap();
        let (token, ..) = reign(&candidates[n].said()).unwrap();
        zk.sync("/").await.unwrap();
        let leader = election
            .leader()
            .await
            .unwrap()
            .expect("the one that says so");
        assert_eq!(leader.identifier, format!("candidate-{n}"));
        assert_eq!(leader.token.get(), token);
        candidates[n].kill();
        order.push(n);
    }
    until("no candidate leads", || async {
        election.leader().await.unwrap().is_none()
    })
    .await;
}

/// Guards: D6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_on_session_expiry() {
    unless_starved(SESSION, leadership_outlives_a_session).await;
}

async fn leadership_outlives_a_session(session: Duration) {
    let ensemble = blocking(crate::common::ensemble);
    let hosts = ensemble.connect_string();
    let admin = crate::common::client_of(&hosts).await;
    let root = admin.root().as_str();
    let proxies = [Proxies::start(&ensemble), Proxies::start(&ensemble)];
    let mut clients = Vec::new();
    for proxies in &proxies {
        clients.push(candidate(&proxies.connect_string(), root, session).await);
    }
    let elections = [0, 1].map(|n: usize| {
        Election::new(&clients[n], "/election").identifier(format!("candidate-{n}"))
    });

    let first = soon("the first term", elections[0].campaign()).await;
    let mut term = Arc::new(first.unwrap());
    for round in 0..4 {
        let (leading, waiting) = (round % 2, 1 - round % 2);
        let mut states = clients[leading].states();
        let successor = tokio::spawn({
            let election = elections[waiting].clone();
            let term = term.clone();
            async move {
                let next = election.campaign().await.unwrap();
                // The check does not depend on when this process learns of the end, `ended` does.
                always(term.check().is_err(), "two lead at a time");
                (Arc::new(next), Instant::now())
            }
        });
        until("the other stands, too", || async {
            elections[waiting].candidates().await.unwrap().len() == 2
        })
        .await;
        assert!(!successor.is_finished());
        term.check().unwrap();
        let leader = elections[waiting].leader().await.unwrap().unwrap();
        assert_eq!(leader.token, term.token());

        proxies[leading].stall(true);
        let lost = soon("the term to end", term.lost()).await;
        let ended = Instant::now();
        assert_eq!(lost, GuardLost::OutOfContact, "before any event");
        let (next, started) = soon("the next term", successor).await.unwrap();
        assert!(
            ended < started,
            "the two terms overlap by {:?}",
            ended - started
        );
        always(term.token() < next.token(), "the tokens grow");
        always(term.check() == Err(lost), "what is lost stays lost");
        next.check().unwrap();

        let expired = |state: &State| matches!(state, State::Expired { .. });
        crate::common::states_until(&mut states, "the session to expire", expired).await;
        proxies[leading].stall(false);
        let renewed = |state: &State| matches!(state, State::Connected { .. });
        crate::common::states_until(&mut states, "the next session", renewed).await;
        always(
            term.check().is_err(),
            "a new session does not bring it back",
        );
        drop(term);
        term = next;
    }
    let term: Term = Arc::into_inner(term).expect("one owner");
    term.resign().await.unwrap();
    assert_eq!(elections[0].leader().await.unwrap(), None);
}
