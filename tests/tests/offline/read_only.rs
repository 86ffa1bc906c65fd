//! Servers without a quorum, on a paused clock: what a client may do there, and how it gets away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::members::Members;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_client::{
    Client, Dial, DialError, Dialing, ErrorKind, HostPort, LeaseLost, Outcome, State, StateStream,
};
use zk_recipes::Lock;
use zk_transport::Addresses;

const HOSTS: &str = "zk1,zk2,zk3";
const MINUTE: Duration = Duration::from_secs(60);

async fn next_of(states: &mut StateStream, what: &str, wanted: impl Fn(&State) -> bool) -> State {
    let found = tokio::time::timeout(10 * MINUTE, async {
        loop {
            let state = states.next().await.expect("the client is over");
            if wanted(&state) {
                return state;
            }
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("timed out waiting for {what}"))
}

fn read_only(state: &State) -> bool {
    matches!(state, State::ConnectedReadOnly { .. })
}

fn read_write(state: &State) -> bool {
    matches!(state, State::Connected { .. })
}

/// A client that makes do with a read-only server.
async fn reader(members: &Members) -> Client {
    let builder = members.client(HOSTS).read_only(true);
    builder.connect().await.unwrap()
}

/// Guards: A30, I17.
#[tokio::test(start_paused = true)]
async fn read_only_server_gives_no_session() {
    let members = Members::start(3).await;
    let writer = members.client(HOSTS).connect().await.unwrap();
    writer.create("/a", "1").await.unwrap();
    writer.close().await.unwrap();
    members.leave_only(2);
    let zk = reader(&members).await;
    assert_eq!(zk.state(), State::ConnectedReadOnly { epoch: 0 });
    assert_eq!(zk.server().unwrap().host, "zk2");
    assert!(zk.session().id.is_none());
    assert_eq!(zk.session().epoch, 0);
    assert_eq!(&*zk.get("/a").await.unwrap().0, b"1");
    for refused in [
        zk.set("/a", "2").await.unwrap_err(),
        zk.create("/e", "").ephemeral().await.unwrap_err(),
        zk.multi().delete("/a").commit().await.unwrap_err(),
        zk.sync("/a").await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        assert_eq!(refused.outcome(), Outcome::Rejected, "{refused}");
    }
    assert_eq!(zk.lease().check(), Err(LeaseLost::SessionEnded));
}

/// Guards: A30.
#[tokio::test(start_paused = true)]
async fn read_only_needs_the_option() {
    let members = Members::start(3).await;
    members.leave_only(2);
    let refused = members.client(HOSTS).connect().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectTimeout);
}

/// Guards: X15, A30.
#[tokio::test(start_paused = true)]
async fn returning_quorum_gives_first_session() {
    let members = Members::start(3).await;
    members.leave_only(2);
    let zk = reader(&members).await;
    let (_, _, watch) = zk.children("/").watch().await.unwrap();
    let mut states = zk.states();
    let lease = zk.lease();
    members.run_all();
    next_of(&mut states, "a quorum", read_write).await;
    let session = zk.session();
    assert!(!session.id.is_none());
    assert_eq!(session.epoch, 1);
    // A lease from before the session is none of it.
    assert_eq!(lease.check(), Err(LeaseLost::SessionEnded));
    assert_eq!(zk.lease().check(), Ok(()));
    zk.create("/e", "").ephemeral().await.unwrap();
    // The watch belongs to no session, for there was none, and stays armed.
    let other = members.client(HOSTS).connect().await.unwrap();
    other.create("/later", "").await.unwrap();
    let event = tokio::time::timeout(MINUTE, watch).await.unwrap();
    assert!(event.node().is_some(), "{event:?}");
    let nodes = members.server.sessions();
    assert!(nodes.iter().any(|s| s.id == session.id));
}

/// The partition: one member is cut off, with the client on it, and the others continue.
/// Guards: C5, B42.
#[tokio::test(start_paused = true)]
async fn search_finds_the_server_with_a_quorum() {
    let members = Members::start(3).await;
    members.server.partition(&[0]);
    for member in [1, 2] {
        members.server.member(member).refuse_connections(true).await;
    }
    let zk = reader(&members).await;
    assert_eq!(zk.server().unwrap().host, "zk1");
    let mut states = zk.states();
    assert!(read_only(&states.next().await.unwrap()));
    // The client's own server stays cut off: only a search can get it away.
    members.server.member(2).refuse_connections(false).await;
    next_of(&mut states, "the majority", read_write).await;
    assert_eq!(zk.server().unwrap().host, "zk3");
    zk.create("/a", "").await.unwrap();
}

/// One name for all members, each at an address of its own.
#[derive(Debug)]
struct OneName(Members);

impl Dial for OneName {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        self.0.dial(host)
    }

    fn dial_next<'a>(&'a self, _: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        Box::pin(async move {
            let address = |member| SocketAddr::from(([192, 0, 2, member], 2181));
            let order = addresses.begin([1, 2, 3].map(address).to_vec());
            for at in order.fresh.into_iter().chain(order.failed) {
                addresses.handle_tried(at);
                let member = (1..=3_u8).find(|member| address(*member) == at).unwrap();
                let host: HostPort = format!("zk{member}").parse().unwrap();
                if let Ok(stream) = self.0.connect(&host) {
                    addresses.handle_connected(at);
                    return Ok(Box::new(stream) as Box<dyn zk_client::Transport>);
                }
            }
            Err(DialError::NoAddresses)
        })
    }
}

/// Guards: P29.
#[tokio::test(start_paused = true)]
async fn the_search_asks_all_addresses_of_a_name() {
    let members = Members::start(3).await;
    members.server.partition(&[0]);
    for member in [1, 2] {
        members.server.member(member).refuse_connections(true).await;
    }
    let builder = members.client("zk").read_only(true);
    let zk = builder
        .dial(OneName(members.clone()))
        .connect()
        .await
        .unwrap();
    let mut states = zk.states();
    assert!(read_only(&states.next().await.unwrap()));
    members.server.member(2).refuse_connections(false).await;
    let majority = next_of(&mut states, "the majority", |state| {
        assert!(!read_only(state), "it went to the cut-off member again");
        read_write(state)
    });
    majority.await;
    zk.create("/a", "").await.unwrap();
}

/// Guards: B42.
#[tokio::test(start_paused = true)]
async fn search_slows_to_a_round_a_minute() {
    let members = Members::start(3).await;
    members.leave_only(2);
    let zk = reader(&members).await;
    let asked = || members.dialled("zk1") + members.dialled("zk3");
    let before = asked();
    tokio::time::sleep(10 * MINUTE).await;
    let in_ten_minutes = asked() - before;
    // Both, in rounds after 0.1, 0.2, … 51.2 s and then every minute, less up to a half by lot.
    assert!((20..=60).contains(&in_ten_minutes), "{in_ten_minutes}");
    assert!(members.dialled("zk1").abs_diff(members.dialled("zk3")) <= 2);
    // It has stayed where it was.
    assert_eq!(members.dialled("zk2"), 1);
    assert!(zk.state().is_connected());
}

/// Closes the connection over `isro`, as a load balancer or an older server may do.
#[derive(Debug)]
struct WithoutIsro(Members);

impl Dial for WithoutIsro {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let mut member = self.0.connect(host).map_err(DialError::Other)?;
            let (near, mut far) = tokio::io::duplex(4096);
            tokio::spawn(async move {
                let mut word = [0; 4];
                if far.read_exact(&mut word).await.is_err() || &word == b"isro" {
                    return;
                }
                member.write_all(&word).await.unwrap();
                // Ends with either side.
                let _ = tokio::io::copy_bidirectional(&mut far, &mut member).await;
            });
            Ok(Box::new(near) as Box<dyn zk_client::Transport>)
        })
    }
}

/// Guards: A30.
#[tokio::test(start_paused = true)]
async fn an_empty_answer_to_isro_leads_to_srvr() {
    let members = Members::start(3).await;
    members.server.partition(&[0]);
    for member in [1, 2] {
        members.server.member(member).refuse_connections(true).await;
    }
    let builder = members.client(HOSTS).read_only(true);
    let dial = WithoutIsro(members.clone());
    let zk = builder.dial(dial).connect().await.unwrap();
    let mut states = zk.states();
    assert!(read_only(&states.next().await.unwrap()));
    members.server.member(2).refuse_connections(false).await;
    next_of(&mut states, "the majority", read_write).await;
}

/// Says of `zk1` that it has a quorum, which does not take the client.
#[derive(Debug)]
struct Lure(Members);

impl Dial for Lure {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        if host.host != "zk1" {
            return self.0.dial(host);
        }
        Box::pin(async move {
            let _refused = self.0.connect(host);
            let (near, mut far) = tokio::io::duplex(64);
            tokio::spawn(async move {
                let mut word = [0; 4];
                if far.read_exact(&mut word).await.is_ok() && &word == b"isro" {
                    far.write_all(b"rw").await.unwrap();
                }
            });
            Ok(Box::new(near) as Box<dyn zk_client::Transport>)
        })
    }
}

/// Guards: B42.
#[tokio::test(start_paused = true)]
async fn false_quorum_claim_causes_no_flapping() {
    let members = Members::start(3).await;
    members.leave_only(2);
    let builder = members.client(HOSTS).read_only(true);
    let zk = builder.dial(Lure(members.clone())).connect().await.unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    let moves = members.dialled("zk2");
    assert!((2..=40).contains(&moves), "{moves}");
    let mut states = zk.states();
    next_of(&mut states, "the read-only server", read_only).await;
}

/// A session that the quorum keeps is not given up for a read-only server without that session.
/// Guards: A30.
#[tokio::test(start_paused = true)]
async fn live_session_is_kept_over_read_only() {
    let members = Members::start(3).await;
    let zk = members
        .client("zk2,zk3")
        .read_only(true)
        .connect()
        .await
        .unwrap();
    let session = zk.session();
    zk.create("/e", "").ephemeral().await.unwrap();
    let mut states = zk.states();
    let at = zk.server().unwrap().host;
    let cut_off = if at == "zk2" { 1 } else { 2 };
    members.server.partition(&[cut_off]);
    next_of(&mut states, "the loss", |s| {
        matches!(s, State::Suspended { .. })
    })
    .await;
    let state = next_of(&mut states, "the majority", |s| s.is_connected()).await;
    assert!(read_write(&state), "{state}");
    assert_eq!(zk.session(), session);
    assert!(zk.exists("/e").await.unwrap().is_some());
}

/// Guards: A30.
#[tokio::test(start_paused = true)]
async fn reads_follow_expiry_without_quorum() {
    let members = Members::start(3).await;
    let zk = reader(&members).await;
    zk.create("/a", "").await.unwrap();
    let mut states = zk.states();
    members.leave_only(1);
    let over = |s: &State| matches!(s, State::Expired { .. }) || read_only(s);
    let state = next_of(&mut states, "the expiry", over).await;
    assert_eq!(state, State::Expired { epoch: 1 });
    let state = next_of(&mut states, "a read-only server", over).await;
    assert_eq!(state, State::ConnectedReadOnly { epoch: 0 });
    assert!(zk.exists("/a").await.unwrap().is_some());
    members.run_all();
    let state = next_of(&mut states, "a quorum", |s| {
        assert!(!matches!(s, State::Expired { .. }), "a second expiry");
        read_write(s)
    });
    assert!(matches!(state.await, State::Connected { epoch: 2, .. }));
}

/// Guards: A30.
#[tokio::test(start_paused = true)]
async fn close_on_a_read_only_server_ends() {
    let members = Members::start(3).await;
    members.leave_only(2);
    let zk = reader(&members).await;
    tokio::time::timeout(MINUTE, zk.close())
        .await
        .unwrap()
        .unwrap();
}

/// A lock that outlives sessions is let go of on a read-only server: by its drop, or its release.
/// Guards: G8, G11.
#[tokio::test(start_paused = true)]
async fn a_release_waits_for_a_quorum() {
    for dropped in [true, false] {
        let members = Members::start(3).await;
        let zk = reader(&members).await;
        let lock = Lock::new(&zk, "/lock").persistent();
        let held = lock.acquire().await.unwrap();
        let path = held.path().to_owned();
        let mut states = zk.states();
        members.leave_only(2);
        next_of(&mut states, "a read-only server", read_only).await;
        let ended = match dropped {
            true => {
                drop(held);
                None
            }
            false => Some(tokio::spawn(held.release())),
        };
        tokio::time::sleep(Duration::from_millis(500)).await;
        members.run_all();
        next_of(&mut states, "a quorum", read_write).await;
        let gone = async {
            while zk.exists(&path).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(MINUTE, gone).await.unwrap();
        if let Some(ended) = ended {
            ended.await.unwrap().unwrap();
        }
    }
}
