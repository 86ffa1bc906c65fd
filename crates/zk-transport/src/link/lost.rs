//! The requests that a lost connection leaves without a reply.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use zk_proto::OpCode;

use super::state::Link;
use super::wire::PREAMBLE;

/// A request that was in flight, or in the output buffer, when the connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost<T> {
    /// The token it was submitted with.
    pub token: T,
    /// Its operation.
    pub op: OpCode,
    /// When it was submitted.
    pub submitted: Instant,
    /// How much of it may have left this process.
    pub sent: Sent,
}

/// How much of a request may have left this process when the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// All of it was offered to the stream; whether the server executed it is unknown.
    All,
    /// A part of it, and certainly not its last bytes, without which no server can execute it.
    Part,
    /// Not a byte of it; here is its record, to send it again.
    Nothing(Bytes),
}

impl<T> Link<T> {
    /// Ends the link and returns what was in flight, oldest first.
    ///
    /// `offered` is the number of bytes of the output that may have left this process, acknowledged
    /// or not: all that were offered to the stream. `rest` is output that was taken and never
    /// offered. If that is not known, pass [`taken`](Self::taken) and an empty `rest`.
    pub fn into_lost(self, offered: u64, rest: &[u8]) -> impl Iterator<Item = Lost<T>> {
        let mut unsent = BytesMut::with_capacity(rest.len() + self.out.len());
        unsent.extend_from_slice(rest);
        unsent.extend_from_slice(&self.out);
        let unsent = unsent.freeze();
        self.in_flight.into_iter().map(move |request| {
            let sent = if request.end <= offered {
                Sent::All
            } else {
                let at = |offset: u64| usize::try_from(offset.checked_sub(offered)?).ok();
                match (at(request.start), at(request.end)) {
                    (Some(start), Some(end)) if end <= unsent.len() => {
                        Sent::Nothing(unsent.slice(start + PREAMBLE..end))
                    }
                    _ => Sent::Part,
                }
            };
            Lost {
                token: request.token,
                op: request.op,
                submitted: request.sent_at,
                sent,
            }
        })
    }
}
