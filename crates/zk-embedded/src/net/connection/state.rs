//! What the task of a connection keeps.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::core::Output;
use crate::net::gate::Watched;
use crate::net::shared::Shared;

/// Bytes that an idle connection reads at once.
pub(super) const SMALL_READ: usize = 1024;
/// Bytes that a busy connection reads at once.
pub(super) const LARGE_READ: usize = 64 * 1024;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed it, or the network did.
    Gone,
    /// The server closes it.
    Closed,
    /// A fault leaves it open and unserved.
    HalfOpen,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

pub(super) struct Connection<S> {
    pub(super) stream: S,
    pub(super) shared: Arc<Shared>,
    pub(super) member: usize,
    pub(super) gate: Arc<Watched>,
    pub(super) input: BytesMut,
    /// How many bytes to read at once; grows with what arrives.
    pub(super) hint: usize,
    /// Frames received.
    pub(super) received: u64,
    /// Frames sent.
    pub(super) sent: u64,
    pub(super) delayed: VecDeque<(Instant, Output)>,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, shared: Arc<Shared>, member: usize, gate: Arc<Watched>) -> Self {
        Self {
            stream,
            shared,
            member,
            gate,
            input: BytesMut::new(),
            hint: SMALL_READ,
            received: 0,
            sent: 0,
            delayed: VecDeque::new(),
        }
    }

    pub(super) fn adapt(&mut self, count: usize) {
        self.hint = if count >= self.hint {
            (self.hint * 4).min(LARGE_READ)
        } else {
            (self.hint / 2).max(SMALL_READ)
        };
    }
}
