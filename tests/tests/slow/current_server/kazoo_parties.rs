//! kazoo's parties beside ours, on the same znodes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use zk_client::Client;
use zk_recipes::{Membership, Party, ShallowParty};

use crate::common::{blocking, client_of, shared_server, soon, until};
use crate::mixed_fleets::foreigner::{Foreigner, kazoo_script};
use crate::mixed_fleets::mortal::Mortal;

/// The fewest rounds of each side: it joins, lists and leaves two parties.
const ROUNDS: usize = 125;
/// So often, at least, a listing of ours has a member of kazoo's.
const SEEN: usize = 100;
/// After so many rounds of ours something happens to one of the members.
const PERIOD: usize = 20;
/// The session timeout, in seconds, of the process that is killed.
const VICTIM: &str = "4";

/// Both kinds of party, for one client.
struct Parties {
    party: Party,
    shallow: ShallowParty,
}

impl Parties {
    fn of(zk: &Client, identifier: &str) -> Self {
        Parties {
            party: Party::new(zk, "/party").identifier(identifier),
            shallow: ShallowParty::new(zk, "/shallow").identifier(identifier),
        }
    }

    async fn join(&self) -> [Membership; 2] {
        [
            self.party.join().await.unwrap(),
            self.shallow.join().await.unwrap(),
        ]
    }

    async fn members(&self) -> [Vec<String>; 2] {
        [
            self.party.members().await.unwrap(),
            self.shallow.members().await.unwrap(),
        ]
    }

    /// Waits until each party has this number of members whose names begin with `prefix`.
    async fn until_listed(&self, prefix: &str, count: usize) {
        until(&format!("{count} {prefix} are listed"), || async {
            let listed = self.members().await;
            let count_of = |members: &Vec<String>| {
                let own = members.iter().filter(|name| name.starts_with(prefix));
                own.count()
            };
            listed.iter().all(|members| count_of(members) == count)
        })
        .await;
    }

    /// One round of ours. Returns how many members of kazoo's are listed.
    async fn round(&self) -> usize {
        let passing = self.join().await;
        let mut seen = 0;
        for members in &self.members().await {
            assert!(members.iter().any(|name| name == "rust"), "{members:?}");
            let of = |process: &str| {
                let own = members.iter().filter(|name| name.starts_with(process));
                own.count()
            };
            // Each process joins a party again when it has left it.
            let counts = [of("python-"), of("victim-")];
            assert!(counts.iter().all(|count| *count <= 1), "{members:?}");
            seen += counts[0] + counts[1];
        }
        for membership in passing {
            membership.leave().await.unwrap();
        }
        seen
    }
}

async fn kazoo(root: &str, name: &str, timeout: &str) -> Foreigner {
    let mut process = kazoo_script("parties.py", &[root, name, &ROUNDS.to_string(), timeout]);
    process.receive("ready").await;
    process.send("go").await;
    process
}

/// Members of both sides join and leave; meanwhile znodes of ours are deleted, a session of ours ends, and a
/// process of kazoo's is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_and_ours_are_in_one_party() {
    let hosts = blocking(|| shared_server().connect_string());
    let zk = client_of(&hosts).await;
    let root = format!("{hosts}{}", zk.root());
    let witness = Client::connect(&root).await.unwrap();
    let mortal = Mortal::beside(&zk).await;
    let ours = Parties::of(&zk, "rust");
    let stays = ours.join().await;
    let fragile = Parties::of(&mortal.zk, "mortal").join().await;
    let mut theirs = kazoo(&root, "python", "60").await;
    let mut victim = Some(kazoo(&root, "victim", VICTIM).await);
    let (mut seen, mut rounds) = (0, 0);
    while rounds < ROUNDS || seen < SEEN {
        seen += soon("a round", ours.round()).await;
        rounds += 1;
        match rounds / PERIOD {
            _ if !rounds.is_multiple_of(PERIOD) => {}
            event @ (1 | 3) => {
                let path = stays[event / 2].node().path().unwrap();
                witness.delete(&path).await.unwrap();
                ours.until_listed("rust", 1).await;
            }
            2 => {
                mortal.expire().await;
                // Never twice, once the znodes of the old session are gone.
                ours.until_listed("mortal", 1).await;
            }
            4 => {
                victim.take().unwrap().kill().await;
                ours.until_listed("victim-", 0).await;
            }
            _ => {}
        }
    }
    assert!(victim.is_none(), "after {rounds} rounds");
    theirs.end_input();
    theirs.receive("done").await;
    for membership in stays.into_iter().chain(fragile) {
        membership.leave().await.unwrap();
    }
    for path in ["/party", "/shallow"] {
        let left = witness.children(path).await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
