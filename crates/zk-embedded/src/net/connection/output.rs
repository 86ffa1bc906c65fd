//! From the state machine to the client: delays, dribbles and cuts.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::state::{Connection, End};
use super::wait::{stopped, thawed};
use crate::core::Output;
use crate::fault::{Cut, Direction};
use crate::net::stream::{Chunks, Stream};

impl<S: Stream> Connection<S> {
    /// Sends now, or later while replies are delayed.
    pub(super) async fn emit(&mut self, output: Output) -> Result<(), End> {
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

    pub(super) async fn flush_delayed(&mut self) -> Result<(), End> {
        while let Some((due, output)) = self.delayed.pop_front() {
            tokio::time::sleep_until(due).await;
            self.transmit(output).await?;
        }
        Ok(())
    }

    pub(super) async fn emit_raw(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.sent += 1;
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Sends frames, up to the byte at which the script cuts the connection.
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

    pub(super) async fn write(&mut self, chunks: VecDeque<Bytes>) -> Result<(), End> {
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

    pub(super) fn end(&self, cut: Cut) -> Result<(), End> {
        if cut.is_reset() {
            self.stream.reset_on_close();
            return Err(End::Gone);
        }
        Err(End::Closed)
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
