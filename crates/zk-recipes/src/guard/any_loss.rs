//! The loss of any of several guards.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use zk_client::Lease;

use super::Guard;
use super::loss::LossSignal;

/// Waits for the loss of any of some guards of one session, without a watch: for the end of the session's
/// lease, and for what a renewal or another method of a guard has reported.
#[derive(Debug, Default)]
pub(crate) struct AnyLoss {
    /// Of one of the guards: the leases of a session end together.
    lease: Option<Arc<Lease>>,
    signals: Vec<Arc<LossSignal>>,
}

impl AnyLoss {
    pub(crate) fn of<'a>(guards: impl Iterator<Item = &'a Guard>) -> Self {
        let mut any = AnyLoss::default();
        for guard in guards {
            any.lease = any.lease.or_else(|| guard.lease.clone());
            any.signals.push(guard.loss.clone());
        }
        any
    }

    /// Waits until a guard is lost; without a guard, for ever.
    pub(crate) async fn wait(&self) {
        let signals = self.signals.iter();
        let mut signals: Vec<Pin<Box<_>>> = signals.map(|signal| Box::pin(signal.wait())).collect();
        let mut lease = pin!(async {
            match &self.lease {
                Some(lease) => drop(lease.lost().await),
                None => std::future::pending().await,
            }
        });
        std::future::poll_fn(|cx| {
            let is_lost = signals
                .iter_mut()
                .any(|signal| signal.as_mut().poll(cx).is_ready());
            if is_lost {
                return Poll::Ready(());
            }
            lease.as_mut().poll(cx)
        })
        .await;
    }
}
