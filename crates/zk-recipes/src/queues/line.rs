//! The line of those that wait for a change of the queue, of which only the first watches it.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use zk_client::Client;

use crate::error::{Error, Result};
use crate::guard::LeaseBasis;
use crate::locks::{Lock, LockGuard};

/// The time after which those behind the first read the queue as well, within a quarter of it. The first may
/// have stopped without the end of its session: its future is not polled, for example.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// A place in the line. Dropping it leaves the line, in the background.
pub(crate) struct Line {
    lock: Lock,
    place: Place,
}

/// Where in the line.
enum Place {
    Outside,
    Behind(Pin<Box<dyn Future<Output = Result<LockGuard>> + Send>>),
    First(LockGuard),
}

impl Line {
    /// A line with its znodes in this directory.
    pub(crate) fn new(client: &Client, directory: &str) -> Self {
        // Two that are the first at one time do no harm.
        let lock = Lock::new(client, directory).lease_basis(LeaseBasis::Server);
        Line {
            lock,
            place: Place::Outside,
        }
    }

    /// Whether the place is the first.
    pub(crate) fn is_first(&self) -> bool {
        matches!(&self.place, Place::First(guard) if guard.check().is_ok())
    }

    /// Enters the line, unless that is done, and waits until the place is the first, or until it is time to
    /// read the queue again. When one place after another is lost, it waits for that time without a place.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line.
    pub(crate) async fn advance(&mut self) -> Result<()> {
        let mut place = match std::mem::replace(&mut self.place, Place::Outside) {
            Place::Behind(place) => place,
            Place::Outside | Place::First(_) => {
                let lock = self.lock.clone();
                Box::pin(async move { lock.acquire().await })
            }
        };
        let until = Instant::now() + READ_AGAIN.mul_f64(0.75 + fastrand::f64() / 2.0);
        self.place = match timeout_at(until, &mut place).await {
            Ok(Err(Error::PlacesLost { .. })) => {
                sleep_until(until).await;
                Place::Outside
            }
            Ok(guard) => Place::First(guard?),
            Err(_) => Place::Behind(place),
        };
        Ok(())
    }

    /// Leaves the line, so that the next place is the first.
    pub(crate) fn leave(&mut self) {
        self.place = Place::Outside;
    }
}
