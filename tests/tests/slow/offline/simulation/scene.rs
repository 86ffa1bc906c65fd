//! What kind of world a seed has, and which faults belong to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::faults::{trouble_network, trouble_servers};
use super::guards::{Contender, Habits};
use super::load::{Load, load};
use super::rooted::{Taken, contend};
use super::sick::sicken;
use super::split::split_leader;
use super::suspended::suspend;
use super::workload::Actor;
use super::world::World;

/// What a seed's world is about. Most seeds have everything at once; what that drowns out has scenes
/// of its own, so that each is run often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scene {
    /// All faults of the network and of the servers.
    Chaos,
    /// Clients on both sides of a leader that has been deposed and does not know it.
    Split,
    /// No fault. Guards are held by clients that are idle, or whose writes are refused.
    Healthy,
    /// One member at a time is stopped, or has lost its leader; all others are well.
    Sick,
    /// The ensemble goes back to a backup while its clients are away.
    Restored,
    /// No fault. Locks are named by handles with different chroots.
    Rooted,
    /// No fault but that clients' machines are suspended, and their clocks stand still.
    Suspended,
}

impl Scene {
    pub(crate) const ALL: [Scene; 7] = [
        Scene::Chaos,
        Scene::Split,
        Scene::Healthy,
        Scene::Sick,
        Scene::Restored,
        Scene::Rooted,
        Scene::Suspended,
    ];

    /// The scene of this name, as it is printed.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scene| format!("{scene:?}") == name)
    }

    pub(crate) fn of(seed: u64) -> Self {
        match seed % 16 {
            0 => Scene::Restored,
            2 => Scene::Suspended,
            8 => Scene::Rooted,
            9 => Scene::Sick,
            3 | 11 => Scene::Split,
            7 | 15 => Scene::Healthy,
            _ => Scene::Chaos,
        }
    }
}

/// What goes wrong, and what is done meanwhile, each until `end`.
pub(crate) fn begin(
    world: &Arc<World>,
    rng: &mut fastrand::Rng,
    end: Instant,
) -> (JoinSet<()>, JoinSet<()>) {
    let (mut troubles, mut work) = (JoinSet::new(), JoinSet::new());
    let settings = world.settings;
    let taken = Taken::default();
    match settings.scene {
        Scene::Chaos => {
            troubles.spawn(trouble_network(world.clone(), rng.fork(), end));
            troubles.spawn(trouble_servers(world.clone(), rng.fork(), end));
        }
        Scene::Split => drop(troubles.spawn(split_leader(world.clone(), rng.fork(), end))),
        Scene::Sick => drop(troubles.spawn(sicken(world.clone(), rng.fork(), end))),
        Scene::Suspended => drop(troubles.spawn(suspend(world.clone(), rng.fork(), end))),
        Scene::Healthy | Scene::Restored | Scene::Rooted => drop(troubles.spawn(sleep_until(end))),
    }
    for seat in 0..settings.seats {
        let mut contender = |habits| Contender {
            world: world.clone(),
            seat,
            rng: rng.fork(),
            habits,
        };
        match settings.scene {
            Scene::Chaos => {
                let contender = contender(Habits::Busy);
                for _ in 0..2 {
                    let actor = Actor {
                        world: world.clone(),
                        seat,
                        rng: rng.fork(),
                    };
                    work.spawn(actor.run(end));
                }
                work.spawn(contender.run(end));
            }
            Scene::Split | Scene::Suspended => {
                work.spawn(contender(Habits::Patient).run(end));
                let kind = [Load::None, Load::None, Load::Good, Load::OpenLoop][rng.usize(0..4)];
                spawn_load(&mut work, world, seat, kind, rng, end);
            }
            Scene::Sick => {
                work.spawn(contender(Habits::Faithful("I25")).run(end));
                let kind = [Load::OpenLoop, Load::None, Load::Refused, Load::Good][seat % 4];
                spawn_load(&mut work, world, seat, kind, rng, end);
            }
            Scene::Healthy => {
                work.spawn(contender(Habits::Faithful("I24")).run(end));
                let kind = match rng.u32(0..8) {
                    0..4 => Load::None,
                    4..6 => Load::Refused,
                    6 => Load::TooLarge,
                    _ => Load::Good,
                };
                spawn_load(&mut work, world, seat, kind, rng, end);
            }
            Scene::Rooted => {
                for _ in 0..2 {
                    let (world, taken) = (world.clone(), taken.clone());
                    work.spawn(contend(world, seat, rng.fork(), taken, end));
                }
            }
            Scene::Restored => {}
        }
    }
    (troubles, work)
}

fn spawn_load(
    work: &mut JoinSet<()>,
    world: &Arc<World>,
    seat: usize,
    kind: Load,
    rng: &mut fastrand::Rng,
    end: Instant,
) {
    let timeout = world.settings.session_timeout;
    let most = u64::try_from(timeout.as_millis()).unwrap() / 8;
    let every = Duration::from_millis(rng.u64(20..=most));
    work.spawn(load(world.clone(), seat, kind, every, end));
}
