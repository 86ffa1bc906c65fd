//! One client's connection: bytes in, frames to the state machine, bytes out; and the faults on the
//! way.
//!
//! `state` is what its task keeps, `requests` the way in, `output` the way out, `wait` the waiting.

mod output;
mod requests;
mod state;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::requests::{Batch, has_frame};
use self::state::{Connection, End, SMALL_READ};
use self::wait::{read, until};
pub(crate) use self::wait::{stopped, thawed};
use crate::core::{ConnectionId, Peer};
use crate::net::shared::{Shared, now};
use crate::net::stream::Stream;

/// A connection on which no handshake arrives for this long is closed, as on a real server.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a connection until it ends.
pub(crate) async fn serve<S: Stream>(stream: S, shared: Arc<Shared>, member: usize, peer: Peer) {
    let Some(gate) = shared.gates.get(member).cloned() else {
        return;
    };
    let at_start = gate.get();
    let mut connection = Connection::new(stream, shared, member, gate);
    if at_start.slam {
        return;
    }
    let ended = if at_start.mute {
        connection.absorb().await
    } else {
        connection.run(peer).await
    };
    // Neither a closed nor a broken connection is an error of the server.
    drop(ended);
}

impl<S: Stream> Connection<S> {
    async fn run(&mut self, peer: Peer) -> Result<(), End> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        while self.input.len() < 4 {
            tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.input, SMALL_READ) => { read?; }
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
        let open = CloseOnDrop {
            shared: self.shared.clone(),
            id,
        };
        // The member was stopped before there was a connection to disconnect.
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

    /// Moves frames in both directions until one side ends the connection.
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

    /// Gives the frames received to the state machine, and sends its output.
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

    /// Reads, discards and never answers, until the client closes the connection or the member stops.
    async fn absorb(&mut self) -> Result<(), End> {
        loop {
            self.input.clear();
            tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.input, SMALL_READ) => { read?; }
                () = stopped(&self.gate) => return Err(End::Closed),
            }
        }
    }
}

/// Removes the connection from the state machine when its task ends, for whatever reason.
struct CloseOnDrop {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.shared.close(self.id);
    }
}
