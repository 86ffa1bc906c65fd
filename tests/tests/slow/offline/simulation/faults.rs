//! What goes wrong, and when: drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zk_embedded::fault::{Action, on, on_any};
use zk_proto::{ErrorCode, OpCode};

use super::link::Link;
use super::network::{CutAt, DialFault};
use super::pipe::End;
use super::world::World;

/// The names of all faults; each is to be seen in a run of many seeds.
pub(crate) const NAMES: [&str; 49] = [
    "X1 one way dropped",
    "X1 both ways dropped",
    "X2 delay",
    "X3 reset inside a reply",
    "X3 reset inside a request",
    "X3 end inside a reply",
    "X3 broken before a write",
    "X3 broken inside a write",
    "X4 closed after apply",
    "X4 closed before apply",
    "X5 half-open, by the network",
    "X5 half-open, by the server",
    "X6 connect hangs",
    "X6 accepted and never answered",
    "X7 slow loris",
    "X8 split",
    "X9 crash and restart with sessions",
    "X9 crash and restart without sessions",
    "X9 member crash",
    "X9 refused",
    "X10 leader change",
    "X11 follower lag",
    "X12 expired",
    "X12 expired in the handshake",
    "X13 server paused",
    "X14 client cut off from servers",
    "X15 members without a quorum",
    "X16 not resolved",
    "X16 unreachable",
    "X18 credentials refused on reconnect",
    "X19 cancelled",
    "X20 slow consumer",
    "X21 foreign xid",
    "X22 notification from outside",
    "X23 zxid goes back",
    "X25 cut between batches",
    "X26 leader deposed",
    "X26 client on a deposed leader",
    "X27 write refused",
    "X27 write too large",
    "X28 write hung",
    "X29 follower without its leader",
    "X30 idle holder",
    "X31 restored",
    "X32 lock by another chroot",
    "X33 suspended, the clock stood still",
    "throttled",
    "reply delayed",
    "misreported",
];

/// Codes that do not say whether a request was executed.
const OPEN: [i32; 6] = [-1, -2, -4, -7, -122, -999];
const WRITES: [OpCode; 4] = [
    OpCode::Create2,
    OpCode::SetData,
    OpCode::Delete,
    OpCode::Multi,
];

/// Troubles the network until `end`.
pub(crate) async fn trouble_network(world: Arc<World>, mut rng: fastrand::Rng, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(20..1_500))).await;
        match rng.u32(0..20) {
            0..13 => trouble_link(&world, &mut rng),
            13..17 => trouble_dial(&world, &mut rng),
            _ => cut_off(&world, &mut rng).await,
        }
    }
}

fn some_link(world: &World, rng: &mut fastrand::Rng) -> Option<Arc<Link>> {
    let links = world.network.links();
    let links: Vec<_> = links
        .into_iter()
        .filter(|link| world.is_troubled(link.client))
        .collect();
    let index = rng.usize(0..links.len().max(1));
    links.get(index).cloned()
}

fn trouble_link(world: &World, rng: &mut fastrand::Rng) {
    let recorder = &world.recorder;
    let Some(link) = some_link(world, rng) else {
        return;
    };
    let later =
        |rng: &mut fastrand::Rng| Some(Instant::now() + Duration::from_millis(rng.u64(50..8_000)));
    match rng.u32(0..14) {
        0 => {
            let to_server = rng.bool();
            recorder.fault("X1 one way dropped");
            link.hold(to_server, !to_server, later(rng));
        }
        1 => {
            recorder.fault("X1 both ways dropped");
            link.hold(true, true, later(rng));
        }
        2 => {
            recorder.fault("X2 delay");
            // Most are short: a connection delayed by ten seconds does nothing else.
            let most = if rng.u32(0..4) == 0 { 10_000 } else { 300 };
            link.delay(rng.bool(), Duration::from_millis(rng.u64(0..most)));
        }
        3 | 4 => {
            let to_server = rng.bool();
            let name = if to_server {
                "X3 reset inside a request"
            } else {
                "X3 reset inside a reply"
            };
            let at = CutAt {
                bytes: rng.usize(0..200),
                how: End::Reset,
            };
            link.cut(to_server, at, name);
        }
        5 => {
            let at = CutAt {
                bytes: rng.usize(0..200),
                how: End::Fin,
            };
            link.cut(false, at, "X3 end inside a reply");
        }
        6 => {
            recorder.fault("X5 half-open, by the network");
            link.black_hole();
        }
        7 => {
            recorder.fault("X7 slow loris");
            link.split(rng.bool(), 1, rng.usize(1..12), Duration::from_secs(1));
        }
        8 => {
            recorder.fault("X8 split");
            link.split(rng.bool(), rng.usize(1..9), 2_000, Duration::ZERO);
        }
        9 => link.forge_notifications(rng.usize(1..4)),
        10 => link.forge_xid(),
        11 | 12 => link.break_write(rng.usize(0..200)),
        _ => {
            world.forge_zxid(link.client);
            link.forge_zxid();
        }
    }
}

fn trouble_dial(world: &World, rng: &mut fastrand::Rng) {
    let client = world.troubled_client(rng);
    let fault = match rng.u32(0..7) {
        0 => DialFault::Hang,
        1 => DialFault::Mute,
        2 => DialFault::Refused,
        3 => DialFault::Unresolved,
        4 => DialFault::Unreachable,
        _ => DialFault::Expire,
    };
    world.network.next_dials(client, fault, rng.usize(1..3));
    // A fault of the next connection is worth nothing without one.
    for link in world.network.links() {
        if link.client == client && rng.bool() {
            let at = CutAt {
                bytes: 0,
                how: End::Reset,
            };
            link.cut(false, at, "X3 reset inside a reply");
        }
    }
}

async fn cut_off(world: &World, rng: &mut fastrand::Rng) {
    let client = world.troubled_client(rng);
    world.recorder.fault("X14 client cut off from servers");
    for member in 0..world.members {
        if rng.u32(0..3) > 0 {
            world.network.block(client, member);
        }
    }
    sleep(Duration::from_millis(rng.u64(100..6_000))).await;
    world.network.heal();
}

/// Troubles the servers until `end`.
pub(crate) async fn trouble_servers(world: Arc<World>, mut rng: fastrand::Rng, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(100..2_500))).await;
        trouble_server(&world, &mut rng).await;
    }
}

async fn trouble_server(world: &World, rng: &mut fastrand::Rng) {
    let server = &world.network.server;
    let recorder = &world.recorder;
    let member = rng.usize(0..world.members);
    let short = Duration::from_millis(rng.u64(50..3_000));
    let session = world.troubled_session(rng);
    match rng.u32(0..20) {
        0 => {
            let keep = rng.u32(0..3) > 0;
            recorder.fault(if keep {
                "X9 crash and restart with sessions"
            } else {
                "X9 crash and restart without sessions"
            });
            server.stop().await;
            if !keep {
                for session in server.sessions() {
                    recorder.with(|history| history.ended_early.insert(session.id.0));
                }
            }
            sleep(short / 2).await;
            server.start_again(keep).await.unwrap();
        }
        1 | 2 => {
            recorder.fault("X9 member crash");
            server.member(member).stop();
            sleep(short).await;
            server.member(member).run();
        }
        3 => {
            recorder.fault("X10 leader change");
            server.change_leader();
        }
        4 | 5 => {
            recorder.fault("X11 follower lag");
            server.set_lag(member, true);
            sleep(short).await;
            server.set_lag(member, false);
        }
        6 => {
            if let Some(session) = session
                && world.network.expire(session)
            {
                recorder.fault("X12 expired");
            }
        }
        7 => {
            recorder.fault("X13 server paused");
            server.member(member).freeze();
            sleep(short * 2).await;
            server.member(member).thaw();
        }
        8 => {
            recorder.fault("X15 members without a quorum");
            server.partition(&[member]);
            sleep(short).await;
            if rng.bool() && world.members > 2 {
                server.partition(&[(member + 1) % world.members]);
                sleep(short).await;
            }
            server.partition(&[]);
        }
        9 => {
            if let Some(session) = session
                && server.faults().half_open(session) > 0
            {
                recorder.fault("X5 half-open, by the server");
            }
        }
        10 => {
            server.faults().throttle(rng.u32(1..4));
            recorder.fault("throttled");
        }
        11 => {
            cut_between_batches(world, rng);
        }
        12 => {
            for link in world.network.links() {
                if world.has_credentials(link.client) && rng.u32(0..3) == 0 {
                    let refuse = on(OpCode::Auth).then(Action::Refuse(ErrorCode::AuthFailed));
                    scripted(
                        world,
                        "X18 credentials refused on reconnect",
                        refuse,
                        || {
                            let at = CutAt {
                                bytes: 0,
                                how: End::Reset,
                            };
                            link.cut(false, at, "X3 reset inside a reply");
                        },
                    )
                    .await;
                    return;
                }
            }
        }
        13 => {
            let rule = on_any().after(rng.u32(0..6)).then(Action::Close);
            scripted(world, "X4 closed before apply", rule, || {}).await;
        }
        14 | 15 => {
            let code = ErrorCode::from_i32(OPEN[rng.usize(0..OPEN.len())]).unwrap();
            // What does not pass by itself ends a recipe that reads, as it should.
            let matcher = match code.is_timeout() {
                true => on_any(),
                false => on(WRITES[rng.usize(0..WRITES.len())]),
            };
            let rule = matcher.after(rng.u32(0..6)).then(Action::Misreport(code));
            scripted(world, "misreported", rule, || {}).await;
        }
        16 => {
            let by = Duration::from_millis(rng.u64(1..4_000));
            let rule = on_any().after(rng.u32(0..6)).then(Action::Delay(by));
            scripted(world, "reply delayed", rule, || {}).await;
        }
        17 => {
            let follower = rng.usize(0..world.members);
            if server.depose_leader(&[follower]) || server.depose_leader(&[]) {
                recorder.fault("X26 leader deposed");
                sleep(short).await;
                server.heal();
            }
        }
        _ => {
            let rule = on_any().after(rng.u32(0..6)).then(Action::DropReply);
            scripted(world, "X4 closed after apply", rule, || {}).await;
        }
    }
}

/// Sets up a rule, and counts it if it has been applied within two seconds.
async fn scripted(
    world: &World,
    name: &'static str,
    rule: zk_embedded::fault::Rule,
    then: impl FnOnce(),
) {
    let server = &world.network.server;
    server.faults().rule(rule);
    then();
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        if server.faults().pending() == 0 {
            world.recorder.fault(name);
            return;
        }
    }
    world.clear_script();
}

/// Lets a client with many long watches reconnect, and cuts it when the first batch is answered.
fn cut_between_batches(world: &World, rng: &mut fastrand::Rng) {
    let Some(client) = world.client_with_long_watches() else {
        return;
    };
    let times = rng.usize(1..3);
    world
        .network
        .next_dials(client, DialFault::CutBetweenRearms, times);
    for link in world.network.links() {
        if link.client == client {
            let at = CutAt {
                bytes: 0,
                how: End::Reset,
            };
            link.cut(false, at, "X3 reset inside a reply");
        }
    }
}
