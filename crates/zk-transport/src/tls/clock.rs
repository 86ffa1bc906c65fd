//! The wall clock, which decides whether certificates are valid. Nothing else uses it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::time_provider::{DefaultTimeProvider, TimeProvider};

/// A clock that returns no time before 1970, where rustls panics: machines without a battery start
/// there.
pub(super) struct AfterEpoch {
    inner: Arc<dyn TimeProvider>,
    /// The time since 1970 by the system's clock; `None` before 1970.
    elapsed: fn() -> Option<Duration>,
}

impl AfterEpoch {
    /// The time of `inner`, if the system's clock is plausible.
    pub(super) fn over(inner: Arc<dyn TimeProvider>) -> Self {
        AfterEpoch {
            inner,
            elapsed: || UNIX_EPOCH.elapsed().ok(),
        }
    }
}

impl Default for AfterEpoch {
    fn default() -> Self {
        AfterEpoch::over(Arc::new(DefaultTimeProvider))
    }
}

impl fmt::Debug for AfterEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AfterEpoch").field(&self.inner).finish()
    }
}

impl TimeProvider for AfterEpoch {
    fn current_time(&self) -> Option<UnixTime> {
        (self.elapsed)()?;
        self.inner.current_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: P64.
    #[test]
    fn there_is_no_time_before_1970() {
        let at = |elapsed| AfterEpoch {
            elapsed,
            ..AfterEpoch::default()
        };
        assert_eq!(at(|| None).current_time(), None);
        assert!(at(|| Some(Duration::ZERO)).current_time().is_some());
        assert!(AfterEpoch::default().current_time().is_some());
    }
}
