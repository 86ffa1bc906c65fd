//! The wall clock, by which certificates are valid or not.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::time_provider::{DefaultTimeProvider, TimeProvider};

/// A clock that has no time before 1970, where that of rustls panics: machines without a battery start
/// there.
#[derive(Debug)]
pub(super) struct AfterEpoch {
    inner: Arc<dyn TimeProvider>,
    system: fn() -> SystemTime,
}

impl AfterEpoch {
    /// The time of `inner`, if the system's clock is one to be believed.
    pub(super) fn over(inner: Arc<dyn TimeProvider>) -> Self {
        AfterEpoch {
            inner,
            system: SystemTime::now,
        }
    }
}

impl Default for AfterEpoch {
    fn default() -> Self {
        AfterEpoch::over(Arc::new(DefaultTimeProvider))
    }
}

impl TimeProvider for AfterEpoch {
    fn current_time(&self) -> Option<UnixTime> {
        if (self.system)() < SystemTime::UNIX_EPOCH {
            return None;
        }
        self.inner.current_time()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Guards: P64.
    #[test]
    fn there_is_no_time_before_1970() {
        let at = |system| AfterEpoch {
            system,
            ..AfterEpoch::default()
        };
        let before = || SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(at(before).current_time(), None);
        assert!(at(|| SystemTime::UNIX_EPOCH).current_time().is_some());
        assert!(AfterEpoch::default().current_time().is_some());
    }
}
