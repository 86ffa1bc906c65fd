//! Attempts at what failed for a reason that may pass, and the pauses between them.

use std::time::Instant;

use zk_client::{Client, Repetition};

use crate::error::{Error, Result};
use crate::renewal::now;

/// So many places in a line are lost one after the other, each sooner than a session lasts, before a
/// wait gives up.
const MAX_LOST_PLACES: u32 = 10;

/// A sequence of attempts.
pub(crate) fn pause() -> Repetition {
    Repetition::default()
}

/// The places in a line that a wait has lost with their sessions. When one follows the other, the
/// requests of the wait itself are taken for the cause: there are servers that end a session on a
/// request which they do not know.
#[derive(Debug)]
pub(crate) struct LostPlaces {
    count: u32,
    since: Instant,
}

impl LostPlaces {
    pub(crate) fn new() -> Self {
        LostPlaces {
            count: 0,
            since: now(),
        }
    }

    /// A place was lost, and another is to be taken.
    ///
    /// # Errors
    /// It was the last.
    pub(crate) fn lose(&mut self, client: &Client) -> Result<()> {
        let lasted = now().saturating_duration_since(self.since);
        self.since = now();
        self.count = match lasted > client.session().timeout {
            true => 1,
            false => self.count + 1,
        };
        match self.count < MAX_LOST_PLACES {
            true => Ok(()),
            false => Err(Error::PlacesLost { count: self.count }),
        }
    }
}
