//! What a second was like, for the machine and for a process tree.

use std::time::Duration;

/// What a process tree may ask for in a second and count as idle: pings, ticks and polls take less
/// in unoptimised builds.
pub const IDLE_DEMAND: Duration = Duration::from_millis(250);

const MOST_LATENESS: Duration = Duration::from_millis(250);

/// By how much the limits grow where only the clock can be read.
pub const BLIND_FACTOR: u32 = 6;

/// What a process tree used and asked for between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Processor time used.
    pub used: Duration,
    /// Time during which its threads could have run while others did.
    pub waited: Duration,
    /// Whether a thread waits for a disk.
    pub disk: bool,
}

/// What a second was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// How much later than it should the watchdog was woken.
    pub late: Duration,
    /// What the processes used and asked for; `None` where the system does not say.
    pub demand: Option<Demand>,
}

impl Second {
    /// Whether nothing happened in it, although it could have.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let idle = self
            .demand
            .is_none_or(|demand| !demand.disk && demand.used + demand.waited < IDLE_DEMAND);
        self.late < MOST_LATENESS && idle
    }

    /// A limit in quiet seconds, longer where the seconds say little.
    #[must_use]
    pub fn scaled(&self, limit: u32) -> u32 {
        match self.demand {
            Some(_) => limit,
            None => limit * BLIND_FACTOR,
        }
    }
}
