//! Counting beside another client, while the connections of ours are cut and their sessions end, and a
//! process of the other client is killed.

use std::future::Future;

use tokio::task::JoinSet;
use zk_client::{Client, Outcome};
use zk_recipes::Result;

use super::foreigner::Foreigner;
use super::mortal::Mortal;
use crate::common::{beside, client_of, shared_server, soon, until};

/// How often our clients together change each number.
pub(crate) const ROUNDS: usize = 250;
/// Our clients cut all of their connections after this many rounds.
const CUT_AFTER: usize = 5;
/// The session of a client of ours ends in this round.
const EXPIRY: usize = ROUNDS / 6;
/// The foreign process that is killed: it sets `/victim` to the number of its rounds after each.
pub(crate) const VICTIM: &str = "victim";
/// It is killed after this many.
const VICTIMS_ROUNDS: i64 = 20;

/// Changes of a number.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) acknowledged: i64,
    pub(crate) unknown: i64,
}

impl Counted {
    pub(crate) fn note<T>(&mut self, result: Result<T>) {
        match result.map_err(|error| (error.outcome(), error)) {
            Ok(_) => self.acknowledged += 1,
            Err((Outcome::Unknown, _)) => self.unknown += 1,
            Err((Outcome::NotSent, _)) => {}
            Err((_, error)) => panic!("{error}"),
        }
    }

    /// Compares with the number that is stored, which all of these have changed.
    pub(crate) fn compare(what: &str, stored: i64, all: impl IntoIterator<Item = Counted>) {
        let mut sum = Counted::default();
        for one in all {
            sum.acknowledged += one.acknowledged;
            sum.unknown += one.unknown;
        }
        eprintln!("{what}: {stored}, {sum:?}");
        let most = sum.acknowledged + sum.unknown;
        assert!(
            (sum.acknowledged..=most).contains(&stored),
            "{what} is {stored}, and {sum:?}"
        );
    }
}

async fn rounds_of_victim(zk: &Client) -> i64 {
    let (rounds, _) = zk.get("/victim").await.unwrap();
    String::from_utf8(rounds.to_vec()).unwrap().parse().unwrap()
}

/// Runs `ROUNDS` rounds of ours, by two clients whose connections are cut and whose sessions end, beside a
/// foreigner that has `theirs` rounds and one that is killed. `start` is given the hosts, [`VICTIM`] or
/// another name, and the number of rounds. Returns a client of the same root, what each of ours has
/// returned, and the changes of the foreigners.
pub(crate) async fn count<T, Fut>(
    theirs: usize,
    start: impl Fn(&str, &str, usize) -> Foreigner,
    ours: impl Fn(Client, Rounds) -> Fut,
) -> (Client, Vec<T>, Counted)
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let hosts = shared_server().connect_string();
    let zk = client_of(&hosts).await;
    zk.create("/victim", "0").await.unwrap();
    let root = format!("{hosts}{}", zk.root());
    let mut victim = start(&root, VICTIM, usize::MAX >> 33);
    let mut foreigner = start(&root, "survivor", theirs);
    for process in [&mut victim, &mut foreigner] {
        process.receive("ready").await;
    }
    let mut work = JoinSet::new();
    for _ in 0..2 {
        let mortal = Mortal::beside(&zk).await;
        work.spawn(ours(mortal.zk.clone(), Rounds { mortal, done: 0 }));
    }
    victim.go();
    foreigner.go();
    let counted = until("the victim has counted", || async {
        rounds_of_victim(&zk).await >= VICTIMS_ROUNDS
    });
    tokio::select! {
        () = counted => {}
        // On a busy machine its short session may have ended.
        line = victim.line() => assert_eq!(line, "", "it has ended"),
    }
    victim.kill().await;
    let mut returned = Vec::new();
    while let Some(one) = soon("our clients", work.join_next()).await {
        returned.push(one.unwrap());
    }
    foreigner.receive("done").await;
    // The session of `zk` may be the only one that is left.
    let zk = beside(&zk, &hosts).await;
    let theirs = i64::try_from(theirs).unwrap();
    let theirs = Counted {
        acknowledged: theirs + rounds_of_victim(&zk).await,
        // The round in which the victim was killed.
        unknown: 1,
    };
    (zk, returned, theirs)
}

/// The rounds of one of our clients.
#[derive(Debug)]
pub(crate) struct Rounds {
    mortal: Mortal,
    done: usize,
}

impl Rounds {
    /// Whether there is another, half of `ROUNDS` for each client. Now and then it cuts the
    /// connections in the middle of the round, and once it ends the session.
    pub(crate) fn next(&mut self) -> bool {
        self.done += 1;
        let (mortal, polls) = (self.mortal.clone(), self.done / CUT_AFTER);
        if self.done == EXPIRY {
            tokio::spawn(async move { mortal.expire().await });
        } else if self.done.is_multiple_of(CUT_AFTER) {
            tokio::spawn(async move {
                for _ in 0..polls * polls {
                    tokio::task::yield_now().await;
                }
                mortal.proxy.cut_all();
            });
        }
        self.done <= ROUNDS / 2
    }
}
