//! Giving up a wait that loses one place in the queue after another.

use std::time::Instant;

use zk_client::Client;

use crate::error::{Error, Result};
use crate::guard::now;

/// The number of places that a wait may lose one after the other, each sooner than a session lasts,
/// before it gives up.
const MAX_LOST_PLACES: u32 = 10;

/// The places that a wait has lost with their sessions. When each is lost soon after the one before,
/// the requests of the wait itself are the likely cause: some servers end a session on a request
/// that they do not have.
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

    /// Counts a lost place, before another is taken.
    ///
    /// # Errors
    /// [`Error::PlacesLost`] if it was the last.
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
