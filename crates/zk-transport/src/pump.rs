//! The loop that moves bytes between a stream and an endpoint.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::yield_now;

use crate::error::Disconnect;
use crate::frame::FrameReader;

/// How many bytes are read before the tasks that get them run: several hundred small frames, which fit
/// the buffers of watches, or one large frame, which is decoded while it is in the cache.
const READ_AT_ONCE: usize = 32 * 1024;

/// How many bytes are offered to the stream at once: what is offered and then fails counts as possibly
/// sent, so this bounds how much of a long burst becomes unknown. As much as the TLS layer encrypts
/// before it writes.
const MAX_OFFERED: usize = 64 * 1024;

/// Output buffers that grew beyond this many bytes are freed once they are written.
const MAX_KEPT_OUTPUT: usize = 256 * 1024;

/// The state machine at this end of a connection, as the pump sees it.
///
/// All methods are called from one task. `now` is the time of tokio's clock, which tests can pause.
pub trait Endpoint {
    /// Moves output into `out`, if that is empty, and returns when
    /// [`handle_timeout`](Self::handle_timeout) has to be called. The endpoint wakes `waker` when it has
    /// more output, and when that time comes nearer; it registers the waker before it looks for output,
    /// so that output of another thread cannot be missed.
    fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) -> Instant;

    /// Bytes arrived. Takes all whole frames from `frames`.
    ///
    /// # Errors
    /// The connection must be dropped.
    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect>;

    /// The time that [`poll_output`](Self::poll_output) returned may have come.
    ///
    /// # Errors
    /// The connection must be dropped.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect>;
}

/// How a connection ended, and which output certainly did not leave.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Why.
    pub reason: Disconnect,
    /// The number of bytes that were offered to the stream, acknowledged or not. Any of them may have
    /// reached the server: a stream with a buffer, as TLS has, reports an error for a whole write of
    /// which it has already passed on a part.
    pub offered: u64,
    /// Output that was taken from the endpoint and never offered to the stream.
    pub rest: BytesMut,
}

/// Runs a connection until it ends. Reads before it looks at the clock, so that a process that was
/// stopped and continued handles what had arrived before it finds a read timeout.
///
/// # Cancel safety
/// Dropping the future leaves `stream` as it is, mostly in the middle of a frame: it cannot be used
/// again. Which output was sent is then not known.
pub async fn pump<S, E>(stream: S, endpoint: &mut E, frame_limit: usize) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Endpoint,
{
    let mut pump = Pump {
        stream,
        frames: FrameReader::new(frame_limit),
        out: BytesMut::new(),
        accepted: 0,
        offered: 0,
        unflushed: false,
    };
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    let reason = poll_fn(|cx| {
        loop {
            let received = match pump.poll_reads(cx, endpoint) {
                Ok(received) => received,
                Err(reason) => return Poll::Ready(reason),
            };
            let due = match pump.poll_write(cx, endpoint) {
                Ok(due) => due,
                Err(reason) => return Poll::Ready(reason),
            };
            let now = match received {
                // A busy connection does not touch the timer.
                Some(now) if now < due => {
                    // The tasks that were woken run before more is read for them, so that none of them
                    // falls behind through no fault of its own. Waking this task is not enough: a runtime
                    // of one thread polls its main future only every sixty turns.
                    let _ = pin!(yield_now()).poll(cx);
                    return Poll::Pending;
                }
                Some(now) => now,
                None => {
                    // Deadlines mostly move away; the timer is reset only when it has fired or the
                    // deadline comes nearer.
                    if timer.is_elapsed() || timer.deadline().into_std() > due {
                        timer.as_mut().reset(due.into());
                    }
                    ready!(timer.as_mut().poll(cx));
                    tokio::time::Instant::now().into_std()
                }
            };
            if now >= due {
                if let Err(reason) = endpoint.handle_timeout(now) {
                    return Poll::Ready(reason);
                }
                pump.shrink_idle();
            }
        }
    })
    .await;
    let rest = pump.out.split_off(pump.offered);
    Ended {
        reason,
        offered: pump.accepted + pump.offered as u64,
        rest,
    }
}

struct Pump<S> {
    stream: S,
    frames: FrameReader,
    out: BytesMut,
    /// Bytes that the stream has acknowledged, and which are no longer in `out`.
    accepted: u64,
    /// Bytes at the front of `out` that have been offered to the stream and not acknowledged.
    offered: usize,
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    /// Frees buffers that grew under load. Called when a deadline has come, mostly that of a ping, and
    /// so when the connection is idle.
    fn shrink_idle(&mut self) {
        self.frames.shrink_idle();
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
    }

    /// Writes the endpoint's output, or as much of it as the stream takes; later output wakes the task.
    /// Returns when the endpoint's `handle_timeout` has to be called.
    fn poll_write<E: Endpoint>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &mut E,
    ) -> Result<Instant, Disconnect> {
        if self.out.is_empty() && self.out.capacity() > MAX_KEPT_OUTPUT {
            self.out = BytesMut::new();
        }
        let due = loop {
            // Output that came while earlier output was blocked has already woken the task, so it is
            // looked for as soon as the earlier output is written.
            let was_blocked = !self.out.is_empty();
            let due = endpoint.poll_output(cx.waker(), &mut self.out);
            self.poll_write_out(cx, endpoint)?;
            if !(was_blocked && self.out.is_empty()) {
                break due;
            }
        };
        if self.unflushed && self.out.is_empty() {
            match std::pin::Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(e)) => return Err(self.failed(cx, endpoint, e)),
                Poll::Pending => {}
            }
        }
        Ok(due)
    }

    /// Writes what has been taken from the endpoint, or as much of it as the stream takes.
    fn poll_write_out<E: Endpoint>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &mut E,
    ) -> Result<(), Disconnect> {
        while !self.out.is_empty() {
            let offer = self.out.get(..MAX_OFFERED).unwrap_or(&self.out);
            self.offered = self.offered.max(offer.len());
            match std::pin::Pin::new(&mut self.stream).poll_write(cx, offer) {
                Poll::Ready(Ok(0)) => return Err(Disconnect::ClosedByServer),
                Poll::Ready(Ok(n)) => {
                    // A stream of the program's own may count wrongly.
                    let n = n.min(offer.len());
                    self.out.advance(n);
                    self.accepted += n as u64;
                    self.offered = self.offered.saturating_sub(n);
                    self.unflushed = true;
                }
                Poll::Ready(Err(e)) => return Err(self.failed(cx, endpoint, e)),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// A write failed. Reads what the server sent before it closed the connection: the answer for an
    /// expired session, or replies without which the outcome of writes would be unknown
    /// (ZOOKEEPER-1702).
    fn failed<E: Endpoint>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &mut E,
        error: std::io::Error,
    ) -> Disconnect {
        loop {
            match self.poll_read(cx, endpoint) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(reason))
                    if !matches!(
                        reason,
                        Disconnect::ClosedByServer | Disconnect::Reset(_) | Disconnect::Io(_)
                    ) =>
                {
                    return reason;
                }
                _ => return Disconnect::of_stream(&error),
            }
        }
    }

    /// Reads what has arrived. Returns the time if it stopped at [`READ_AT_ONCE`], and there may be more.
    fn poll_reads<E: Endpoint>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &mut E,
    ) -> Result<Option<Instant>, Disconnect> {
        let mut left = READ_AT_ONCE;
        while let Poll::Ready(read) = self.poll_read(cx, endpoint) {
            let (now, bytes) = read?;
            left = left.saturating_sub(bytes);
            if left == 0 {
                return Ok(Some(now));
            }
        }
        Ok(None)
    }

    /// Reads once. Ready with the time and the number of bytes, if there were any.
    fn poll_read<E: Endpoint>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &mut E,
    ) -> Poll<Result<(Instant, usize), Disconnect>> {
        match ready!(pin!(self.stream.read_buf(self.frames.space())).poll(cx)) {
            Ok(0) => Poll::Ready(Err(Disconnect::ClosedByServer)),
            Ok(bytes) => {
                let now = tokio::time::Instant::now().into_std();
                let handled = endpoint.handle_input(now, &mut self.frames);
                Poll::Ready(handled.map(|()| (now, bytes)))
            }
            Err(e) => Poll::Ready(Err(Disconnect::of_stream(&e))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::pin::Pin;

    use tokio::io::ReadBuf;

    use super::*;

    /// Sends one buffer after the other, and wakes the pump as long as there are more.
    struct Sender(VecDeque<&'static [u8]>);

    impl Endpoint for Sender {
        fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) -> Instant {
            if out.is_empty()
                && let Some(next) = self.0.pop_front()
            {
                out.extend_from_slice(next);
                if !self.0.is_empty() {
                    waker.wake_by_ref();
                }
            }
            tokio::time::Instant::now().into_std() + Duration::from_secs(3600)
        }

        fn handle_input(&mut self, _: Instant, _: &mut FrameReader) -> Result<(), Disconnect> {
            Ok(())
        }

        fn handle_timeout(&mut self, _: Instant) -> Result<(), Disconnect> {
            Ok(())
        }
    }

    /// The first bytes that arrive over a stream which takes 64 bytes at a time.
    async fn arrived<const N: usize>(output: [&'static [u8]; 2]) -> [u8; N] {
        let (near, mut far) = tokio::io::duplex(64);
        let mut sender = Sender(output.into());
        let pumping = tokio::spawn(async move { pump(near, &mut sender, 64).await });
        let mut arrived = [0; N];
        let read =
            tokio::time::timeout(Duration::from_secs(60), far.read_exact(&mut arrived)).await;
        assert_eq!(read.expect("it was not sent").unwrap(), N);
        drop(far);
        assert_eq!(pumping.await.unwrap().reason, Disconnect::ClosedByServer);
        arrived
    }

    /// Guards: B39.
    #[tokio::test(start_paused = true)]
    async fn output_that_comes_late_is_sent() {
        assert_eq!(arrived(["".as_bytes(), b"late"]).await, *b"late");
    }

    #[tokio::test(start_paused = true)]
    async fn output_behind_a_blocked_write_is_sent() {
        let bytes: [u8; 200] = arrived([&[1; 100], &[2; 100]]).await;
        assert_eq!((bytes[99], bytes[100]), (1, 2));
    }

    /// Its deadline has come, and bytes arrive all the time.
    struct Flooded {
        due: Instant,
        reads: u32,
    }

    impl Endpoint for Flooded {
        fn poll_output(&mut self, _: &Waker, _: &mut BytesMut) -> Instant {
            self.due
        }

        fn handle_input(&mut self, _: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
            self.reads += 1;
            while frames.next_frame()?.is_some() {}
            match self.reads {
                1000 => Err(Disconnect::ClosedByServer),
                _ => Ok(()),
            }
        }

        fn handle_timeout(&mut self, _: Instant) -> Result<(), Disconnect> {
            Err(Disconnect::GivenUp)
        }
    }

    #[tokio::test]
    async fn a_deadline_is_met_under_a_flood() {
        let flood = tokio::io::join(tokio::io::repeat(0), tokio::io::sink());
        let mut flooded = Flooded {
            due: tokio::time::Instant::now().into_std(),
            reads: 0,
        };
        let ended = pump(flood, &mut flooded, 64).await;
        assert_eq!(ended.reason, Disconnect::GivenUp);
    }

    /// How a [`Layer`] ends.
    #[derive(Debug, Clone, Copy)]
    enum Failure {
        Error,
        Nothing,
        /// The write is never acknowledged, and the peer closes.
        Pending,
        /// The writes are acknowledged, and the flush fails.
        Flush,
    }

    /// A stream with a buffer: it passes on `left` bytes, and acknowledges no byte of a failed write.
    struct Layer {
        left: usize,
        passed: Vec<u8>,
        failure: Failure,
        blocked: bool,
    }

    impl AsyncRead for Layer {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.failure {
                Failure::Pending if self.blocked => Poll::Ready(Ok(())),
                _ => Poll::Pending,
            }
        }
    }

    impl AsyncWrite for Layer {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let passed = self.left.min(buf.len());
            self.left -= passed;
            self.passed.extend_from_slice(&buf[..passed]);
            match self.failure {
                Failure::Flush => Poll::Ready(Ok(buf.len())),
                _ if passed == buf.len() => Poll::Ready(Ok(passed)),
                Failure::Error => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Failure::Nothing => Poll::Ready(Ok(0)),
                Failure::Pending => {
                    self.blocked = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.failure {
                Failure::Flush => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                _ => Poll::Ready(Ok(())),
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Guards: H2.
    #[tokio::test(start_paused = true)]
    async fn what_was_offered_may_have_been_sent() {
        static OUTPUT: [u8; 3 * MAX_OFFERED] = [7; 3 * MAX_OFFERED];
        let failures = [
            Failure::Error,
            Failure::Nothing,
            Failure::Pending,
            Failure::Flush,
        ];
        for failure in failures {
            for left in (0..OUTPUT.len()).step_by(8 * 1024 + 1) {
                let mut layer = Layer {
                    left,
                    passed: Vec::new(),
                    failure,
                    blocked: false,
                };
                let mut sender = Sender([&OUTPUT[..]].into());
                let ended = pump(&mut layer, &mut sender, 64).await;
                let (offered, rest) = (usize::try_from(ended.offered).unwrap(), ended.rest.len());
                assert_eq!(offered + rest, OUTPUT.len(), "{failure:?} at {left}");
                assert!(layer.passed.len() <= offered, "{failure:?} at {left}");
                // What was never offered was certainly not sent.
                let least = match failure {
                    Failure::Flush => 0,
                    _ => OUTPUT.len().saturating_sub(left + MAX_OFFERED),
                };
                assert!(rest >= least, "{failure:?} at {left}: {rest}");
            }
        }
    }
}
