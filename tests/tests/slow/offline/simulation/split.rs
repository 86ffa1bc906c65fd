//! A leader is deposed and does not know it, and clients are on both sides.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::network::CutAt;
use super::pipe::End;
use super::world::World;

/// Splits the ensemble and its clients, again and again, until `end`.
pub(crate) async fn split_leader(world: Arc<World>, mut rng: fastrand::Rng, end: Instant) {
    let timeout = world.settings.session_timeout;
    let part = |rng: &mut fastrand::Rng, least: f64, most: f64| {
        timeout.mul_f64(least + rng.f64() * (most - least))
    };
    while Instant::now() < end {
        sleep(part(&mut rng, 0.3, 1.5)).await;
        let until = Instant::now() + part(&mut rng, 0.5, 2.5);
        if split(&world, &mut rng) {
            while Instant::now() < until {
                let next = (Instant::now() + part(&mut rng, 0.05, 0.6)).min(until);
                sleep_until(next).await;
                cut_one(&world, &mut rng);
            }
            heal(&world, &mut rng, part).await;
        }
    }
}

/// Cuts the leader, perhaps a follower, and some of the clients off from all others.
fn split(world: &World, rng: &mut fastrand::Rng) -> bool {
    let server = &world.network.server;
    let leader = server.leader();
    let mut side = vec![leader];
    // Of five, the leader and one follower are still no majority.
    if world.members > 4 && rng.bool() {
        side.push((leader + rng.usize(1..world.members)) % world.members);
    }
    if !server.depose_leader(&side[1..]) {
        return false;
    }
    world.recorder.fault("X26 leader deposed");
    for incarnation in world.seated() {
        let with_leader = rng.bool();
        for member in 0..world.members {
            if side.contains(&member) != with_leader {
                world.network.block(incarnation.id, member);
            }
        }
    }
    true
}

/// Cuts a connection, so that its client resumes its session with whatever server it reaches.
fn cut_one(world: &World, rng: &mut fastrand::Rng) {
    let links = world.network.links();
    if let Some(link) = links.get(rng.usize(0..links.len().max(1))) {
        let at = CutAt {
            bytes: 0,
            how: End::Reset,
        };
        link.cut(false, at, "X3 reset inside a reply");
    }
}

async fn heal(
    world: &World,
    rng: &mut fastrand::Rng,
    part: impl Fn(&mut fastrand::Rng, f64, f64) -> Duration,
) {
    match rng.u32(0..3) {
        0 => world.network.heal(),
        1 => world.network.server.heal(),
        _ => {}
    }
    sleep(part(rng, 0.0, 0.5)).await;
    world.network.heal();
    world.network.server.heal();
}
