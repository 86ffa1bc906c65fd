//! Changes for which a consumer or a put waits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use zk_client::Watch;

use crate::connections::Connections;

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    // Curator reads a signed number.
    let most = i64::MAX.unsigned_abs();
    u64::try_from(millis).map_or(most, |millis| millis.min(most))
}

/// Ready when something may have changed: a watch has an event, the client is connected again, or an
/// item is due.
pub(super) struct Change<'a> {
    connections: &'a mut Connections,
    watches: [Option<Watch>; 2],
    due: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        connections: &'a mut Connections,
        watches: [Option<Watch>; 2],
        due: Option<Duration>,
    ) -> Self {
        Change {
            connections,
            watches,
            due: due.map(|due| Box::pin(tokio::time::sleep(due))),
        }
    }
}

impl Future for Change<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.connections.poll_restored(cx).is_ready() {
            return Poll::Ready(());
        }
        for watch in this.watches.iter_mut().flatten() {
            if Pin::new(watch).poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        match &mut this.due {
            Some(due) => due.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
