//! The ensemble goes back to a backup while its clients are away.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use zk_client::Client;

use super::followers::Followers;
use super::run::{admin, set_up};
use super::workload::close;
use super::world::World;

/// Longer than it takes a client to be granted a session again, when those of before have ended, and
/// a watch to be set again.
const SETTLED: Duration = Duration::from_secs(40);

/// What is written, by a client that comes back as any other does.
const WRITTEN: [&str; 5] = [
    "/app/h0",
    "/app/d0",
    "/app/d0/c0",
    "/app/d0/c1",
    "/app/d1/c0",
];

pub(crate) async fn restored(world: &Arc<World>) {
    let settings = world.settings;
    let mut rng = fastrand::Rng::with_seed(settings.seed);
    let server = &world.network.server;
    set_up(world).await;
    let clients: Vec<_> = (0..settings.seats)
        .map(|seat| world.start_client(seat))
        .collect();
    let followers: Vec<_> = clients
        .iter()
        .map(|incarnation| Followers::of(&incarnation.client))
        .collect();
    for round in 0..rng.u32(1..3) {
        let writer = admin(world).await;
        write(&writer, &mut rng).await;
        let backup = server.snapshot();
        write(&writer, &mut rng).await;
        // Each moves the epoch on, past the one with which the restored ensemble begins.
        for _ in 0..rng.u32(0..3) {
            server.change_leader();
            sleep(Duration::from_millis(rng.u64(0..2_000))).await;
        }
        drop(writer);
        let epochs: Vec<_> = clients.iter().map(|of| of.client.session().epoch).collect();
        world.recorder.fault("X31 restored");
        server.stop().await;
        sleep(settings.session_timeout.mul_f64(rng.f64() * 2.0)).await;
        server.restore_snapshot(&backup, false);
        server.start_again(true).await.unwrap();
        world.recorder.note(format_args!("restored, round {round}"));
        sleep(Duration::from_millis(rng.u64(0..5_000))).await;
        if rng.bool() {
            let writer = admin(world).await;
            write(&writer, &mut rng).await;
            drop(writer);
        }
        sleep(SETTLED).await;
        for (incarnation, before) in clients.iter().zip(epochs) {
            if incarnation.client.session().epoch == before {
                let finding = format!("I15: client {} has no new session", incarnation.id);
                world.recorder.finding(finding);
            }
        }
        for followers in &followers {
            followers.compare(world).await;
        }
    }
    for followers in followers {
        followers.end().await;
    }
    for incarnation in clients {
        close(world, &incarnation).await;
    }
}

/// Writes until something is different, for some time.
async fn write(client: &Client, rng: &mut fastrand::Rng) {
    for n in 0..rng.u32(0..12) {
        let path = WRITTEN[rng.usize(0..WRITTEN.len())];
        let done = match rng.u32(0..3) {
            0 => client.delete(path).await,
            1 => client.create(path, n.to_string()).await.map(drop),
            _ => client.set(path, n.to_string()).await.map(drop),
        };
        // A node that exists, or does not, has only another history.
        drop(done);
        sleep(Duration::from_millis(rng.u64(0..500))).await;
    }
}
