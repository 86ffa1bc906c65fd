//! A limited number of leases.

use std::time::{Duration, SystemTime};

use zk_client::{Client, Guid, path};

use super::non_blocking_lease::{NonBlockingLease, ObtainedLease, Standing};
use crate::error::Result;

/// A limited number of [`NonBlockingLease`]s for one task, of which a holder has one: the counterpart of
/// kazoo's `MultiNonBlockingLease`. For a task that should run on a few machines.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use std::time::Duration;
/// use zk_recipes::MultiNonBlockingLease;
///
/// let leases = MultiNonBlockingLease::new(&zk, 3, "/leases/mirror", Duration::from_secs(600), "host-1");
/// if let Some(obtained) = leases.try_obtain().await? {
///     println!("one of three machines until {:?}", obtained.end());
/// }
/// # Ok(()) }
/// ```
///
/// # Clocks
///
/// As a [`NonBlockingLease`].
///
/// # Znodes
///
/// Those of the leases at `path/0`, `path/1`, and so on, which are kazoo's. kazoo tries them in this
/// order; here a holder first renews the one that it has. With kazoo's order, a holder whose lease is
/// not the first takes a second one as soon as an earlier one is free. Curator has no counterpart.
///
/// # Cost
///
/// A sync and a read of each lease, one after the other, and then what one [`NonBlockingLease`] costs.
///
/// # Losing the session
///
/// As a [`NonBlockingLease`].
///
/// # After a crash
///
/// As a [`NonBlockingLease`].
///
/// # Cancel safety
///
/// As a [`NonBlockingLease`].
#[derive(Debug, Clone)]
pub struct MultiNonBlockingLease {
    leases: Vec<NonBlockingLease>,
}

impl MultiNonBlockingLease {
    /// At most `count` leases below `path`, for `duration` from each time that one is obtained. The
    /// identifier is the name of the holder; no two programs may have the same.
    pub fn new(
        client: &Client,
        count: usize,
        path: &str,
        duration: Duration,
        identifier: impl Into<String>,
    ) -> Self {
        let identifier = identifier.into();
        let lease = |number: usize| {
            let path = path::join(path, &number.to_string());
            NonBlockingLease::new(client, &path, duration, &identifier)
        };
        MultiNonBlockingLease {
            leases: (0..count).map(lease).collect(),
        }
    }

    /// The clock by which leases begin and end: see [`NonBlockingLease::clock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Clone + Send + Sync + 'static) -> Self {
        let leases = self.leases.into_iter();
        self.leases = leases.map(|lease| lease.clock(clock.clone())).collect();
        self
    }

    /// An id by which contenders of an earlier process are recognised: see
    /// [`NonBlockingLease::adopt_by`].
    #[must_use]
    pub fn adopt_by(mut self, id: Guid) -> Self {
        let leases = self.leases.into_iter();
        self.leases = leases.map(|lease| lease.adopt_by(id)).collect();
        self
    }

    /// Obtains one of the leases, or renews the one that this holder has, unless other holders have all
    /// of them.
    ///
    /// # Errors
    /// As [`NonBlockingLease::try_obtain`].
    ///
    /// # Cancel safety
    /// As [`NonBlockingLease::try_obtain`].
    pub async fn try_obtain(&self) -> Result<Option<ObtainedLease>> {
        let mut own = Vec::new();
        let mut free = Vec::new();
        for lease in &self.leases {
            match lease.standing().await? {
                Standing::Own => own.push(lease),
                Standing::Free => free.push(lease),
                Standing::Others => lease.leave_turn().await?,
            }
        }
        let mut rest = own.into_iter().chain(free);
        while let Some(lease) = rest.next() {
            if let Some(obtained) = lease.try_obtain().await? {
                leave_turns(rest).await;
                return Ok(Some(obtained));
            }
        }
        Ok(None)
    }
}

/// Leaves the contenders that an earlier process has left at leases that are not to be obtained.
async fn leave_turns(leases: impl Iterator<Item = &NonBlockingLease>) {
    for lease in leases {
        // A failed look is repeated by the next attempt.
        if let Err(error) = lease.leave_turn().await {
            tracing::debug!(%error, "cannot look for the contenders of an earlier process");
        }
    }
}
