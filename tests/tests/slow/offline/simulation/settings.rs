//! What a seed decides about a run.

use std::time::Duration;

use zk_embedded::Pose;

use super::scene::Scene;

/// How many requests a client may have outstanding in a run of all faults.
const OUTSTANDING: usize = 12;

/// What a seed decides about a run as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) scene: Scene,
    /// How many requests a client may have outstanding.
    pub(crate) outstanding: usize,
    /// After how many ticks a deposed leader notices.
    pub(crate) sync_limit: u32,
    pub(crate) members: usize,
    pub(crate) seats: usize,
    pub(crate) session_timeout: Duration,
    pub(crate) pose: Pose,
    /// Whether the first client holds watches on paths too long for one batch.
    pub(crate) long: bool,
    pub(crate) chaos: Duration,
}

impl Settings {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let scene = Scene::of(seed);
        let chaos = Self {
            seed,
            scene,
            outstanding: OUTSTANDING,
            sync_limit: 5,
            members: [1, 3, 3, 3, 5][rng.usize(0..5)],
            seats: rng.usize(3..6),
            session_timeout: Duration::from_millis(rng.u64(2_000..6_000)),
            pose: if rng.u32(0..8) == 0 {
                Pose::V3_8
            } else {
                Pose::V3_9
            },
            long: rng.u32(0..10) == 0,
            chaos: Duration::from_millis(rng.u64(15_000..35_000)),
        };
        if scene == Scene::Chaos {
            return chaos;
        }
        let members = match scene {
            Scene::Split | Scene::Sick => [3, 3, 5][rng.usize(0..3)],
            _ => chaos.members,
        };
        Self {
            members,
            outstanding: 4096,
            // From one session timeout down to a fraction of it, and up to several.
            sync_limit: rng.u32(4..60),
            session_timeout: Duration::from_millis(rng.u64(2_000..12_000)),
            long: false,
            chaos: chaos.session_timeout * rng.u32(8..16),
            ..chaos
        }
    }
}
