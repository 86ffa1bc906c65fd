//! A client's machine is suspended while its clock stands still.
//!
//! All clients and servers share one clock here, and time has to pass for the others while it stands still
//! for the suspended client. So the shared clock does not advance during a suspension; its time is added
//! twice: at the server, as time without a packet of that client, and in the client's source of suspended
//! time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::world::World;

/// Suspends one client at a time until `end`.
pub(crate) async fn suspend(world: Arc<World>, mut rng: fastrand::Rng, end: Instant) {
    let timeout = world.settings.session_timeout;
    while Instant::now() < end {
        sleep(timeout.mul_f64(0.1 + rng.f64())).await;
        let incarnation = world.client(rng.usize(0..world.settings.seats));
        let by = timeout.mul_f64(rng.f64() * 1.5);
        let session = incarnation.client.session().id;
        // Before the server counts it: what holds the session's locks next does so later.
        let millis = u64::try_from(by.as_millis()).unwrap();
        incarnation.suspended.fetch_add(millis, Ordering::Relaxed);
        if world.network.server.age_session(session, by) {
            world.recorder.fault("X33 suspended, the clock stood still");
        }
    }
}
