//! One client's connection: bytes in, frames to the state machine, bytes out; and every fault that
//! can befall it on the way.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;
use zk_proto::jute::decode_frame;
use zk_proto::{Encode, ReplyHeader, RequestHeader, Zxid};

use crate::core::{ConnectionId, Output, Peer};
use crate::fault::{Action, Cut, Direction, Seen};
use crate::net::gate::Watched;
use crate::net::shared::{Inner, Shared, now};
use crate::net::stream::{Chunks, Stream};

/// A connection that says nothing for this long is closed, as on a real server.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The buffer of a connection that is idle, and of a busy one.
const SMALL: usize = 1024;
const LARGE: usize = 64 * 1024;
/// Once so many bytes wait to be sent, they are, before more requests are executed.
const BATCH: usize = 1024 * 1024;

/// Serves a connection until it ends.
pub(crate) async fn serve<S: Stream>(stream: S, shared: Arc<Shared>, member: usize, peer: Peer) {
    let Some(gate) = shared.gates.get(member).cloned() else {
        return;
    };
    let at_start = gate.get();
    let mut connection = Connection {
        stream,
        shared,
        member,
        gate,
        input: BytesMut::new(),
        hint: SMALL,
        received: 0,
        sent: 0,
        delayed: VecDeque::new(),
    };
    if at_start.slam {
        return;
    }
    let ended = if at_start.mute {
        connection.absorb().await
    } else {
        connection.run(peer).await
    };
    // How a client goes, by its own will or its network's, is no concern of a server's.
    drop(ended);
}

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// The client closed it, or its network did.
    Gone,
    /// The server closes it.
    Closed,
    /// It is to be left open and dead.
    HalfOpen,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

struct Connection<S> {
    stream: S,
    shared: Arc<Shared>,
    member: usize,
    gate: Arc<Watched>,
    input: BytesMut,
    /// How much to read at once; grows with what comes.
    hint: usize,
    /// Frames received, and frames sent.
    received: u64,
    sent: u64,
    delayed: VecDeque<(Instant, Output)>,
}

impl<S: Stream> Connection<S> {
    async fn run(&mut self, peer: Peer) -> Result<(), End> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        while self.input.len() < 4 {
            tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.input, SMALL) => { read?; }
                () = tokio::time::sleep_until(deadline) => return Err(End::Closed),
                () = stopped(&self.gate) => return Err(End::Closed),
            }
        }
        thawed(&self.gate).await;
        if let Some(word) = self.input.first_chunk().copied()
            && let Some(answer) = self
                .shared
                .with(|inner| inner.state.four_letter_word(now(), self.member, peer, word))
        {
            self.stream.write_all(answer.as_bytes()).await?;
            self.stream.shutdown().await?;
            return Ok(());
        }
        let Some((id, woken)) = self.shared.open(self.member, peer) else {
            return Err(End::Closed);
        };
        let open = Open {
            shared: self.shared.clone(),
            id,
        };
        // Stopped meanwhile, and before there was a connection to disconnect.
        if !self.gate.get().running {
            return Err(End::Closed);
        }
        let ended = self.exchange(id, &woken, deadline).await;
        match ended {
            Err(End::HalfOpen) => {
                drop(open);
                self.absorb().await
            }
            Err(End::Closed) => {
                drop(open);
                self.stream.shutdown().await?;
                Ok(())
            }
            ended => ended,
        }
    }

    /// Frames in, frames out, until somebody has enough.
    async fn exchange(
        &mut self,
        id: ConnectionId,
        woken: &Notify,
        handshake: Instant,
    ) -> Result<(), End> {
        loop {
            thawed(&self.gate).await;
            self.process(id).await?;
            let due = self.delayed.front().map(|(due, _)| *due);
            let established = self.received > 0;
            tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.input, self.hint) => {
                    let count = read?;
                    self.adapt(count);
                }
                () = woken.notified() => {}
                () = until(due) => {}
                () = tokio::time::sleep_until(handshake), if !established => {
                    return Err(End::Closed);
                }
            }
        }
    }

    fn adapt(&mut self, count: usize) {
        self.hint = if count >= self.hint {
            (self.hint * 4).min(LARGE)
        } else {
            (self.hint / 2).max(SMALL)
        };
    }

    /// Hands what has come to the state machine, and sends what it has to say.
    async fn process(&mut self, id: ConnectionId) -> Result<(), End> {
        loop {
            let (batch, output, closing) = self.batch(id)?;
            if self.input.is_empty() {
                // An idle connection keeps no buffer.
                self.input = BytesMut::new();
            }
            match batch {
                Batch::Done => self.emit(output).await?,
                Batch::Faulted(faulted) => self.act(faulted, output).await?,
                Batch::Bad => {
                    self.emit(output).await?;
                    return Err(End::Closed);
                }
                Batch::Cut(cut) => {
                    self.emit(output).await?;
                    return self.end(cut);
                }
            }
            if closing {
                self.flush_delayed().await?;
                return Err(End::Closed);
            }
            if !has_frame(&self.input) {
                return Ok(());
            }
        }
    }

    /// Executes the requests that are there in full, up to the first on which the script has a say;
    /// what there is to send after that, and whether the connection is to be closed.
    fn batch(&mut self, id: ConnectionId) -> Result<(Batch, Output, bool), End> {
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
                let len = match frame_length(input, max) {
                    Length::Of(len) if input.len() >= 4 + len => len,
                    Length::Of(_) | Length::Unknown => break Batch::Done,
                    Length::Bad => break Batch::Bad,
                };
                input.advance(4);
                let frame = input.split_to(len).freeze();
                *received += 1;
                let Some(action) = decide(shared, inner, *member, id, &frame) else {
                    inner.state.handle_frame(now(), id, &frame);
                    if inner.state.pending_output(id) > BATCH {
                        break Batch::Done;
                    }
                    continue;
                };
                // What was answered before goes out as if nothing was the matter.
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

    /// Does to a request what the script says; `output` is what the state machine has to say after
    /// it.
    async fn act(&mut self, faulted: Faulted, output: Output) -> Result<(), End> {
        self.emit(faulted.before).await?;
        match faulted.action {
            Action::DropReply | Action::Close => Err(End::Closed),
            // Events that came with the reply are lost with it: there is no telling them apart from
            // a connection that lost both.
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

    /// Sends, now or, if replies are delayed, later.
    async fn emit(&mut self, output: Output) -> Result<(), End> {
        let delay = self.gate.get().delay;
        if !output.is_empty() && (!delay.is_zero() || !self.delayed.is_empty()) {
            self.delayed.push_back((Instant::now() + delay, output));
        } else if !output.is_empty() {
            self.transmit(output).await?;
        }
        while let Some((due, _)) = self.delayed.front()
            && *due <= Instant::now()
            && let Some((_, output)) = self.delayed.pop_front()
        {
            self.transmit(output).await?;
        }
        Ok(())
    }

    async fn flush_delayed(&mut self) -> Result<(), End> {
        while let Some((due, output)) = self.delayed.pop_front() {
            tokio::time::sleep_until(due).await;
            self.transmit(output).await?;
        }
        Ok(())
    }

    async fn emit_raw(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.sent += 1;
        self.stream.write_all(bytes).await?;
        Ok(())
    }

    /// Sends frames, up to the place where the script cuts.
    async fn transmit(&mut self, output: Output) -> Result<(), End> {
        let mut cut = None;
        let mut offset = 0;
        for (frame, len) in (self.sent..).zip(output.frames()) {
            let to_client = Direction::ToClient;
            cut = self
                .shared
                .consult(|s| s.cut(self.member, to_client, frame, usize::MAX));
            if let Some(cut) = cut {
                offset += cut.byte().min(*len);
                break;
            }
            offset += len;
        }
        self.sent += u64::try_from(output.frames().len()).unwrap_or_default();
        let mut chunks = output.into_chunks();
        if cut.is_some() {
            keep(&mut chunks, offset);
        }
        self.write(chunks).await?;
        match cut {
            Some(cut) => self.end(cut),
            None => Ok(()),
        }
    }

    async fn write(&mut self, chunks: VecDeque<Bytes>) -> Result<(), End> {
        thawed(&self.gate).await;
        let apart = self.gate.get().dribble;
        if apart.is_zero() {
            let Self { stream, gate, .. } = self;
            let mut chunks = Chunks(chunks);
            tokio::select! {
                biased;
                written = stream.write_all_buf(&mut chunks) => written?,
                () = stopped(gate) => return Err(End::Closed),
            }
        } else {
            for byte in chunks.iter().flatten() {
                self.stream.write_all(&[*byte]).await?;
                self.stream.flush().await?;
                tokio::time::sleep(apart).await;
            }
        }
        self.stream.flush().await?;
        Ok(())
    }

    fn end(&self, cut: Cut) -> Result<(), End> {
        if cut.is_reset() {
            self.stream.reset_on_close();
            return Err(End::Gone);
        }
        Err(End::Closed)
    }

    /// Reads and forgets, and never says a word, until the client has enough or the server stops.
    async fn absorb(&mut self) -> Result<(), End> {
        loop {
            self.input.clear();
            tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.input, SMALL) => { read?; }
                () = stopped(&self.gate) => return Err(End::Closed),
            }
        }
    }
}

/// Takes the connection off the state machine, however its task ends.
struct Open {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.close(self.id);
    }
}

enum Batch {
    /// All that was there is done.
    Done,
    /// The script has something to do.
    Faulted(Faulted),
    /// The script cuts the connection here.
    Cut(Cut),
    /// What comes next is no frame.
    Bad,
}

struct Faulted {
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
        // A request for an operation nobody knows is left to the state machine.
        Some(_) => Some(decode_frame::<RequestHeader>(frame, 0).ok()?.op_code()?),
    };
    let seen = Seen { op, session, frame };
    shared.consult(|script| script.decide(member, &seen))
}

enum Length {
    Of(usize),
    /// Not all of it has come.
    Unknown,
    /// Negative, or over the limit: the connection is closed without a word, as on a real server.
    Bad,
}

fn frame_length(input: &BytesMut, max: usize) -> Length {
    let Some(prefix) = input.first_chunk() else {
        return Length::Unknown;
    };
    match usize::try_from(i32::from_be_bytes(*prefix)) {
        Ok(len) if len <= max => Length::Of(len),
        _ => Length::Bad,
    }
}

/// Whether there is something to do before more is read.
fn has_frame(input: &BytesMut) -> bool {
    match frame_length(input, usize::MAX) {
        Length::Of(len) => input.len() - 4 >= len,
        Length::Unknown => false,
        Length::Bad => true,
    }
}

/// Keeps the first `len` bytes.
fn keep(chunks: &mut VecDeque<Bytes>, mut len: usize) {
    chunks.retain_mut(|chunk| {
        chunk.truncate(len);
        len -= chunk.len();
        !chunk.is_empty()
    });
}

/// Reads some bytes; how many. The end of the stream is an error.
async fn read<S: Stream>(stream: &mut S, input: &mut BytesMut, limit: usize) -> Result<usize, End> {
    input.reserve(limit);
    match stream.read_buf(input).await? {
        0 => Err(End::Gone),
        count => Ok(count),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Waits while the member is frozen.
async fn thawed(gate: &Watched) {
    if gate.get().frozen {
        gate.wait_for(|gate| !gate.frozen).await;
    }
}

/// Waits for the end of the member.
async fn stopped(gate: &Watched) {
    gate.wait_for(|gate| !gate.running).await;
}
