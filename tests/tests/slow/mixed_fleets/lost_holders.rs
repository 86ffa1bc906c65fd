//! Holders that are killed, and holders whose sessions end: another contender gets its turn, on both sides.

use zk_client::{Client, ErrorKind};
use zk_recipes::{Guard, Layout, LeaderLatch, Semaphore, WriteLock};

use super::foreigner::Foreigner;
use super::mortal::Mortal;
use super::{Kind, MAX_LEASES};
use crate::common::{soon, until};

/// The name of a foreign contender that is killed, which has a short session.
const VICTIM: &str = "victim";
/// It is killed in the section after so many.
const SECTIONS: usize = 5;

/// All that there is to hold, so that no other contender is inside.
type Held = Vec<Box<dyn AsRef<Guard> + Send + Sync>>;

async fn hold(zk: &Client, kind: Kind, layout: Layout) -> zk_recipes::Result<Held> {
    Ok(match kind {
        // A contender for two locks waits for this one, too.
        Kind::Lock | Kind::WriteLock | Kind::Multi => {
            let lock = kind.lock(zk, layout);
            vec![Box::new(lock.acquire().await?)]
        }
        Kind::ReadWrite => {
            let lock = WriteLock::new(zk, "/shared").layout(layout);
            vec![Box::new(lock.acquire().await?)]
        }
        Kind::Semaphore | Kind::Count => {
            let semaphore = match kind {
                Kind::Count => Semaphore::limit_at(zk, "/shared", "/limit"),
                _ => Semaphore::new(zk, "/shared", MAX_LEASES),
            };
            let leases = semaphore.layout(layout).acquire_many(MAX_LEASES).await?;
            leases
                .into_iter()
                .map(|lease| Box::new(lease) as _)
                .collect()
        }
        Kind::Election | Kind::Support => {
            let election = kind.election(zk, layout);
            vec![Box::new(election.campaign().await?)]
        }
        Kind::Latch => vec![Box::new(
            LeaderLatch::new(zk, "/shared").leadership().await?,
        )],
    })
}

fn is_held(held: &Held) -> bool {
    held.iter().all(|guard| (**guard).as_ref().check().is_ok())
}

async fn count(zk: &Client, path: &str) -> usize {
    match zk.children(path).await {
        Ok(names) => names.len(),
        Err(error) if error.kind() == ErrorKind::NoNode => 0,
        Err(error) => panic!("{error}"),
    }
}

async fn counter(zk: &Client) -> usize {
    let (count, _) = zk.get("/counter").await.unwrap();
    String::from_utf8(count.to_vec()).unwrap().parse().unwrap()
}

/// A foreign contender is killed, and then one of ours gets its turn. The session of that one ends, and then
/// a foreign one gets its turn. `line` is where the contenders wait.
pub(super) async fn lose_holders(
    zk: &Client,
    kind: Kind,
    layout: Layout,
    line: &str,
    start: impl Fn(&str, usize) -> Foreigner,
) {
    let (notes, counted) = (count(zk, "/log").await, counter(zk).await);
    let (mut victim, mut heir) = (start(VICTIM, usize::MAX >> 33), start("heir", 1));
    for foreigner in [&mut victim, &mut heir] {
        foreigner.receive("ready").await;
    }
    victim.send("go").await;
    let served = until("the victim has been served", || async {
        count(zk, "/log").await >= notes + SECTIONS
    });
    tokio::select! {
        () = served => {}
        // On a busy machine its session may have ended before.
        ended = victim.line() => assert_eq!(ended, "", "its session has ended"),
    }
    victim.kill().await;

    let mortal = Mortal::beside(zk).await;
    let held = loop {
        let held = soon("our turn", hold(&mortal.zk, kind, layout))
            .await
            .unwrap();
        if is_held(&held) {
            break held;
        }
    };
    assert_eq!(
        count(zk, "/inside").await,
        0,
        "the victim's session is over"
    );
    // The victim may have been killed while it wrote.
    zk.set("/writing", "no").await.unwrap();
    let noted = count(zk, "/log").await;
    let additions = counter(zk).await - counted;
    if kind.is_exclusive() {
        let served = noted - notes;
        assert!(
            (served..=served + 1).contains(&additions),
            "{additions} and {served}"
        );
    }

    let waiting = count(zk, line).await;
    heir.send("go").await;
    until("the heir waits", || async {
        count(zk, line).await > waiting
    })
    .await;
    let now = count(zk, "/log").await;
    // On a busy machine the session may have ended before.
    assert!(now == noted || !is_held(&held), "the heir waits");
    mortal.expire().await;
    assert!(held.iter().all(|guard| (**guard).as_ref().check().is_err()));
    heir.receive("done").await;
    assert_eq!(count(zk, "/log").await, noted + 1);
}
