//! Members of ours and a foreign one in the same double barriers: all enter before one is inside, and all
//! begin to leave before one has left. And what becomes of the others when members are lost.

use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use zk_client::Client;
use zk_recipes::{DoubleBarrier, Entered, Error};

use super::foreigner::Foreigner;
use super::mortal::Mortal;
use crate::common::{LONG_SESSION, beside, rounds, shared_server, soon, until};

/// How many barriers all members pass.
fn barriers() -> usize {
    rounds(150, 50)
}

const OURS: usize = 2;
const MEMBERS: usize = OURS + 1;

/// The session timeout of the foreign processes that are killed.
const VICTIM: Duration = Duration::from_secs(3);

/// A foreign process: it passes the barriers of `rounds`, enters the barrier `last`, reads a line there, and
/// leaves.
pub(crate) struct Passing {
    pub(crate) root: String,
    pub(crate) rounds: usize,
    pub(crate) members: usize,
    pub(crate) last: &'static str,
    pub(crate) session_timeout: Duration,
}

/// Starts foreign processes.
type Start<'a> = &'a dyn Fn(&Passing) -> Foreigner;

pub(crate) async fn pass(kazoo: bool, start: Start<'_>) {
    let hosts = shared_server().connect_string();
    let zk = crate::common::client_of(&hosts).await;
    for path in ["/entering", "/inside", "/leaving"] {
        zk.create(path, "").await.unwrap();
    }
    let mut foreigner = start(&Passing {
        root: format!("{hosts}{}", zk.root()),
        rounds: barriers(),
        members: MEMBERS,
        last: "/barrier-last",
        session_timeout: LONG_SESSION,
    });
    foreigner.receive("ready").await;
    foreigner.send("go").await;
    let mut ours = JoinSet::new();
    for name in 0..OURS {
        ours.spawn(member(beside(&zk, &hosts).await, name, kazoo));
    }
    while let Some(done) = soon("our members", ours.join_next()).await {
        done.unwrap();
    }
    lose_ours(&zk, kazoo, &mut foreigner).await;
    foreigner.receive("done").await;
    for number in 0..barriers() {
        // kazoo's last member may leave `ready` behind, which it creates after it has seen all members.
        let names = children(&zk, &format!("/barrier-{number}")).await;
        assert!(
            names.iter().all(|name| name == "ready"),
            "{number}: {names:?}"
        );
    }
    lose_theirs(&zk, kazoo, start).await;
}

/// The children, unless the server has removed the container.
async fn children(zk: &Client, path: &str) -> Vec<String> {
    match zk.children(path).await {
        Ok(names) => names.to_vec(),
        Err(_) => Vec::new(),
    }
}

async fn until_present(zk: &Client, path: &str, members: usize) {
    until(&format!("{members} are in {path}"), || async {
        let names = children(zk, path).await;
        names.iter().filter(|name| *name != "ready").count() == members
    })
    .await;
}

fn barrier(zk: &Client, path: &str, kazoo: bool) -> DoubleBarrier {
    let barrier = DoubleBarrier::new(zk, path, MEMBERS);
    match kazoo {
        true => barrier.kazoo_members(),
        false => barrier,
    }
}

fn entering(barrier: DoubleBarrier) -> JoinHandle<zk_recipes::Result<Entered>> {
    tokio::spawn(async move { barrier.enter().await })
}

async fn entered(entering: JoinHandle<zk_recipes::Result<Entered>>) -> Entered {
    soon("the members", entering).await.unwrap().unwrap()
}

/// A member of ours whose session ends inside is reported as lost, and the others leave without it.
async fn lose_ours(zk: &Client, kazoo: bool, foreigner: &mut Foreigner) {
    let mortal = Mortal::beside(zk).await;
    let lost = entering(barrier(&mortal.zk, "/barrier-last", kazoo));
    let stays = entering(barrier(zk, "/barrier-last", kazoo));
    let (lost, stays) = (entered(lost).await, entered(stays).await);
    foreigner.receive("inside").await;
    mortal.expire().await;
    assert!(lost.check().is_err());
    let left = soon("the refusal", lost.leave()).await;
    assert!(matches!(left, Err(Error::Lost(_))), "{left:?}");
    stays.check().unwrap();
    let leaving = tokio::spawn(stays.leave());
    foreigner.send("leave").await;
    soon("the leave", leaving).await.unwrap().unwrap();
}

/// A foreign member is killed before all have entered: the others wait for another one. That is killed
/// inside: the others leave without it. Meanwhile the session of a waiting member of ours ends.
async fn lose_theirs(zk: &Client, kazoo: bool, start: Start<'_>) {
    const PATH: &str = "/barrier-lost";
    let victim = || async {
        let mut victim = start(&Passing {
            root: format!("{}{}", shared_server().connect_string(), zk.root()),
            rounds: 0,
            members: MEMBERS,
            last: PATH,
            session_timeout: VICTIM,
        });
        victim.receive("ready").await;
        victim.send("go").await;
        victim
    };
    loop {
        let mut first = victim().await;
        tokio::select! {
            () = until_present(zk, PATH, 1) => {
                first.kill().await;
                break;
            }
            line = first.line() => assert_eq!(line, "", "its session has ended"),
        }
    }
    until_present(zk, PATH, 0).await;
    let mortal = Mortal::beside(zk).await;
    let ours = [&mortal.zk, zk].map(|zk| entering(barrier(zk, PATH, kazoo)));
    until_present(zk, PATH, OURS).await;
    mortal.expire().await;
    until_present(zk, PATH, OURS).await;
    assert!(ours.iter().all(|entering| !entering.is_finished()));
    let mut second = victim().await;
    while second.line().await != "inside" {
        // Its session has ended.
        second = victim().await;
    }
    let mut inside = Vec::new();
    for entering in ours {
        inside.push(entered(entering).await);
    }
    second.kill().await;
    let leaving = inside
        .into_iter()
        .map(|inside| tokio::spawn(inside.leave()));
    for leaving in leaving.collect::<Vec<_>>() {
        let left = soon("the leave", leaving).await.unwrap();
        // On a busy machine the short session may have ended by itself.
        assert!(matches!(left, Ok(()) | Err(Error::Lost(_))), "{left:?}");
    }
    until_present(zk, PATH, 0).await;
}

async fn member(zk: Client, name: usize, kazoo: bool) {
    for number in 0..barriers() {
        let barrier =
            barrier(&zk, &format!("/barrier-{number}"), kazoo).identifier(name.to_string());
        zk.create(&format!("/entering/{number}-{name}"), "")
            .await
            .unwrap();
        let inside = soon("the members", barrier.enter()).await.unwrap();
        together(&zk, "entering", number).await;
        zk.create(&format!("/inside/{number}-{name}"), "")
            .await
            .unwrap();
        // kazoo's member waits for ever if another one leaves before it has looked for `ready`.
        until("all are inside", || async {
            there(&zk, "inside", number).await == MEMBERS
        })
        .await;
        zk.create(&format!("/leaving/{number}-{name}"), "")
            .await
            .unwrap();
        soon("the leave", inside.leave()).await.unwrap();
        together(&zk, "leaving", number).await;
    }
    zk.close().await.unwrap();
}

async fn together(zk: &Client, step: &str, number: usize) {
    assert_eq!(there(zk, step, number).await, MEMBERS, "{step} {number}");
}

/// The number of members that have come so far in this round.
async fn there(zk: &Client, step: &str, number: usize) -> usize {
    let names = zk.children(&format!("/{step}")).await.unwrap();
    let prefix = format!("{number}-");
    names
        .iter()
        .filter(|name| name.starts_with(&prefix))
        .count()
}
