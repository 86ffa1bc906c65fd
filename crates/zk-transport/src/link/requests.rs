//! Requests and credentials into the output buffer.

use std::time::Instant;

use bytes::BytesMut;
use zk_proto::records::AuthRequest;
use zk_proto::{Encode, OpCode, xid};

use super::state::{InFlight, Link};
use super::wire::framed;

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
        if size > limit {
            self.out.truncate(from);
            return Err(size);
        }
        // ZOOKEEPER-3253: after the largest xid comes 1; zero and below have other meanings.
        self.next_xid = xid.checked_add(1).unwrap_or(1);
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
