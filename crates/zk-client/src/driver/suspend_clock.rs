//! A clock of the time for which the machine was suspended.

use std::sync::Arc;
use std::time::Duration;

use crate::shared::SuspendedTime;

/// The clock `source`, counting from now.
pub(crate) fn counted_from_now(source: SuspendedTime) -> SuspendedTime {
    let before = source();
    Arc::new(move || source().saturating_sub(before))
}

/// The platform's clock; always zero where [`Instant`](std::time::Instant) counts suspensions or no clock does.
pub(crate) fn platform() -> SuspendedTime {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        let start = (std::time::Instant::now(), counting_clock());
        Arc::new(move || {
            let counted = counting_clock().saturating_sub(start.1);
            // Read second, so that a thread that is interrupted in between reports too little, and
            // not a suspension that did not happen; the next reading corrects it.
            counted.saturating_sub(start.0.elapsed())
        })
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        Arc::new(|| Duration::ZERO)
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn counting_clock() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(not(target_vendor = "apple"))]
    let clock = ClockId::Boottime;
    // On Apple's systems this clock counts while the machine sleeps; `Instant` uses another.
    #[cfg(target_vendor = "apple")]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_clocks_agree_while_awake() {
        let suspended = platform();
        let before = suspended();
        assert!(suspended() - before < Duration::from_secs(1));
    }
}
