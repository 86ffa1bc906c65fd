//! Wakers are replaced and collected under the lock, and woken after it is released.

use std::task::Waker;

/// What is kept room for while nothing happens.
pub(crate) const KEEP_AT_REST: usize = 16;

/// Puts `waker` in its place. One that was there before is woken, not dropped: dropping one can drop
/// a task and the request it holds, and that wants the lock.
#[inline]
pub(crate) fn register(place: &mut Option<Waker>, waker: &Waker, wakes: &mut Vec<Waker>) {
    match place {
        Some(known) if known.will_wake(waker) => {}
        Some(_) => wakes.extend(place.replace(waker.clone())),
        None => *place = Some(waker.clone()),
    }
}
