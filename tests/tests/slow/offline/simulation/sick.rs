//! One member at a time is stopped, or has lost its leader, while all others are well.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::world::World;

/// Lets members be sick, one after the other, until `end`.
pub(crate) async fn sicken(world: Arc<World>, mut rng: fastrand::Rng, end: Instant) {
    let timeout = world.settings.session_timeout;
    let server = &world.network.server;
    let recorder = &world.recorder;
    while Instant::now() < end {
        sleep(timeout.mul_f64(2.0 + rng.f64())).await;
        let lasts = timeout.mul_f64(0.3 + rng.f64() * 3.0);
        let follower = (server.leader() + rng.usize(1..world.members)) % world.members;
        match rng.u32(0..3) {
            0 => {
                recorder.fault("X13 server paused");
                server.member(follower).freeze();
                sleep(lasts).await;
                server.member(follower).thaw();
            }
            1 => {
                recorder.fault("X29 follower without its leader");
                server.isolate_from_leader(follower);
                sleep(lasts).await;
                server.rejoin_leader(follower);
            }
            _ => {
                if server.depose_leader(&[]) {
                    recorder.fault("X26 leader deposed");
                }
                sleep(lasts).await;
                server.heal();
            }
        }
    }
}
