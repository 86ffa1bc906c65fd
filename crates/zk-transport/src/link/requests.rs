//! Requests and credentials into the output buffer.

use std::time::Instant;

use bytes::BytesMut;
use zk_proto::records::AuthRequest;
use zk_proto::{Encode, OpCode, Xid, xid};

use super::state::{InFlight, Link};

impl<T> Link<T> {
    /// Writes a request into the output buffer; its reply will carry `token`.
    ///
    /// # Errors
    /// The request's size in bytes if it is larger than `limit`; then nothing has been written.
    #[inline]
    pub fn submit(
        &mut self,
        now: Instant,
        op: OpCode,
        token: T,
        limit: usize,
        record: impl FnOnce(&mut BytesMut),
    ) -> Result<(), usize> {
        debug_assert!(
            self.is_open(),
            "a request before the connect response (ZOOKEEPER-1702)"
        );
        let xid = self.next_xid;
        let from = self.out.len();
        framed(&mut self.out, xid, op, record);
        let size = self.out.len() - from - 4;
        if size > limit && !zk_proto::seeded_bug!("A17") {
            self.out.truncate(from);
            return Err(size);
        }
        // ZOOKEEPER-3253: after the largest xid comes 1; zero and below have other meanings.
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        if zk_proto::seeded_bug!("B16") {
            self.next_xid = xid.wrapping_add(1);
        }
        self.last_sent = now;
        let (start, end) = (self.taken + from as u64, self.taken + self.out.len() as u64);
        self.in_flight.push_back(InFlight {
            xid,
            op,
            token,
            sent_at: now,
            start,
            end,
        });
        Ok(())
    }

    /// Writes credentials into the output buffer. They are answered out of band, under an xid of
    /// their own, and servers do not count them as a sign of life: they neither put off the next
    /// ping nor prolong the session.
    pub fn submit_auth(&mut self, scheme: &str, auth: &[u8], token: T) {
        framed(&mut self.out, xid::AUTH, OpCode::Auth, |out| {
            AuthRequest {
                auth_type: 0,
                scheme,
                auth: Some(auth),
            }
            .encode(out);
        });
        self.auths.push_back(token);
    }
}

/// Appends a request, of which `record` appends what follows the header.
#[inline]
pub(super) fn framed(out: &mut BytesMut, xid: Xid, op: OpCode, record: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    let header = [[0; 4], xid.to_be_bytes(), op.code().to_be_bytes()];
    out.extend_from_slice(header.as_flattened());
    record(out);
    put_length(out, start);
}

/// Writes the length of the frame that begins at `start` into its first four bytes.
#[inline]
pub(super) fn put_length(out: &mut BytesMut, start: usize) {
    let Some((prefix, frame)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) else {
        return;
    };
    *prefix = i32::try_from(frame.len()).unwrap_or(i32::MAX).to_be_bytes();
}
