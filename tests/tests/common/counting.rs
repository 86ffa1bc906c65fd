//! For tests that count what the process holds.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// While this lives, no other test of this program runs.
#[must_use]
pub(crate) struct Alone(#[expect(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

/// One test counts at a time.
pub(crate) fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs it on a clock that passes over what is waited for.
pub(crate) fn virtually<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}
