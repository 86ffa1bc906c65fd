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

/// A client that is away for less than this part of its session's timeout comes back in time.
const GOES_ON: f64 = 0.5;

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
        let epochs = || clients.iter().map(|of| of.client.session().epoch);
        let saved: Vec<_> = epochs().collect();
        let backup = server.snapshot();
        write(&writer, &mut rng).await;
        // Each moves the epoch on, past the one with which the restored ensemble begins.
        let elections = rng.u32(0..3);
        for _ in 0..elections {
            server.change_leader();
            sleep(Duration::from_millis(rng.u64(0..2_000))).await;
        }
        drop(writer);
        let epochs: Vec<_> = epochs().collect();
        world.recorder.fault("X31 restored");
        server.stop().await;
        let away = rng.f64() * 2.0;
        sleep(settings.session_timeout.mul_f64(away)).await;
        let keep_sessions = rng.bool();
        server.restore_snapshot(&backup, keep_sessions);
        server.start_again(true).await.unwrap();
        world.recorder.note(format_args!("restored, round {round}"));
        sleep(Duration::from_millis(rng.u64(0..5_000))).await;
        if rng.bool() {
            let writer = admin(world).await;
            write(&writer, &mut rng).await;
            drop(writer);
        }
        sleep(SETTLED).await;
        for ((incarnation, saved), before) in clients.iter().zip(saved).zip(epochs) {
            let goes_on = incarnation.client.session().epoch == before;
            // What a client has seen keeps it from a restored server alone, and from an ensemble if
            // that was in a later epoch.
            let reachable = elections == 0 && server.member_count() > 1;
            let is_saved = saved == before && saved > 0;
            let finding = match (goes_on, keep_sessions) {
                (true, false) => "has no new session",
                (false, true) if is_saved && reachable && away < GOES_ON => "has lost its session",
                _ => continue,
            };
            let finding = format!("I15: client {} {finding}", incarnation.id);
            world.recorder.finding(finding);
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
