//! From bytes to the state machine, and what the script does to requests on the way.

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use zk_proto::jute::{decode_frame, frame_len, split_frame};
use zk_proto::{Encode, ReplyHeader, RequestHeader, Zxid};

use super::state::{Connection, End};
use crate::core::{ConnectionId, Output};
use crate::fault::{Action, Cut, Direction, RequestView};
use crate::net::shared::{Inner, Shared, now};
use crate::net::stream::Stream;

/// Once so many bytes wait to be sent, they are sent before more requests are executed.
const BATCH: usize = 1024 * 1024;

impl<S: Stream> Connection<S> {
    /// Executes the requests received whole, up to the first that a rule matches. Returns what to send
    /// afterwards, and whether to close the connection.
    pub(super) fn batch(&mut self, id: ConnectionId) -> Result<(Batch, Output, bool), End> {
        let Self {
            shared,
            input,
            received,
            member,
            ..
        } = self;
        shared.with(|inner| {
            if inner.half_open.contains(&id) {
                return Err(End::HalfOpen);
            }
            let max = inner.state.options.max_frame;
            let batch = loop {
                let cut = shared.consult(|script| {
                    script.cut(*member, Direction::ToServer, *received, input.len())
                });
                if let Some(cut) = cut {
                    break Batch::Cut(cut);
                }
                let frame = match split_frame(input, max) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break Batch::Done,
                    Err(_) => break Batch::Bad,
                };
                *received += 1;
                let Some(action) = decide(shared, inner, *member, id, &frame) else {
                    inner.state.handle_frame(now(), id, &frame);
                    if inner.state.pending_output(id) > BATCH {
                        break Batch::Done;
                    }
                    continue;
                };
                // Earlier replies are sent unaltered.
                let (before, _) = inner.state.take_output(id);
                let executes = matches!(
                    action,
                    Action::DropReply
                        | Action::Swallow
                        | Action::Misreport(_)
                        | Action::Delay(_)
                        | Action::Repeat(_)
                );
                if executes {
                    inner.state.handle_frame(now(), id, &frame);
                }
                break Batch::Faulted(Faulted {
                    action,
                    before,
                    xid: decode_frame::<RequestHeader>(&frame, 0).map_or(0, |header| header.xid),
                    zxid: inner.state.zxid(),
                });
            };
            let (output, closing) = inner.state.take_output(id);
            Ok((batch, output, closing))
        })
    }

    /// Does to a request what its rule says. `output` is the state machine's output after the request.
    pub(super) async fn act(&mut self, faulted: Faulted, output: Output) -> Result<(), End> {
        self.emit(faulted.before).await?;
        match faulted.action {
            Action::DropReply | Action::Close => Err(End::Closed),
            // Events in the same output are lost with the reply, as on a connection that lost both.
            Action::Swallow => Ok(()),
            Action::Refuse(code) => {
                let header = ReplyHeader {
                    xid: faulted.xid,
                    zxid: faulted.zxid,
                    err: code.code(),
                };
                let mut bytes = BytesMut::with_capacity(4 + ReplyHeader::LEN);
                bytes.extend_from_slice(&[0, 0, 0, 16]);
                header.encode(&mut bytes);
                self.emit_raw(&bytes).await?;
                self.emit(output).await
            }
            Action::Misreport(code) => self.emit(output.misreported(faulted.xid, code)).await,
            Action::Delay(by) => {
                self.delayed.push_back((Instant::now() + by, output));
                Ok(())
            }
            Action::Respond(bytes) => {
                self.emit_raw(&bytes).await?;
                self.emit(output).await
            }
            Action::RespondAndClose(bytes) => {
                self.emit_raw(&bytes).await?;
                Err(End::Closed)
            }
            Action::Repeat(times) => {
                let chunks = output.into_chunks();
                for _ in 0..times {
                    self.sent += 1;
                    self.write(chunks.clone()).await?;
                }
                Ok(())
            }
            Action::HalfOpen => Err(End::HalfOpen),
        }
    }
}

pub(super) enum Batch {
    /// Every whole frame was executed.
    Done,
    /// A rule matches this request.
    Faulted(Faulted),
    /// The script cuts the connection here.
    Cut(Cut),
    /// The length of the next frame is negative or above the limit. The connection closes without a
    /// reply, as on a real server.
    Bad,
}

pub(super) struct Faulted {
    action: Action,
    /// Replies to the requests before this one.
    before: Output,
    xid: i32,
    zxid: Zxid,
}

fn decide(
    shared: &Shared,
    inner: &Inner,
    member: usize,
    id: ConnectionId,
    frame: &Bytes,
) -> Option<Action> {
    let session = inner.state.session_of(id);
    let op = match session {
        None => None,
        // The state machine handles requests for unknown operations.
        Some(_) => Some(decode_frame::<RequestHeader>(frame, 0).ok()?.op_code()?),
    };
    let seen = RequestView { op, session, frame };
    shared.consult(|script| script.decide(member, &seen))
}

/// Whether there is something to do before more is read. A length that cannot be accepted counts.
pub(super) fn has_frame(input: &BytesMut) -> bool {
    match frame_len(input, usize::MAX) {
        Ok(Some(len)) => input.len() - 4 >= len,
        Ok(None) => false,
        Err(_) => true,
    }
}
