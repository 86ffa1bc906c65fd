//! Four-letter words: a server's plain-text commands.

use std::future::{Future, poll_fn};
use std::io;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_proto::HostPort;

use crate::dial::{Dial, DialError, Transport};
use crate::hosts::Addresses;

/// The longest answer in bytes, 64 MiB: the list of some 300,000 clients' connections or watches.
pub const MAX_ANSWER: usize = 64 << 20;

/// How long the first byte of the answer may take before the word is sent once more. Servers begin to
/// answer within milliseconds.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_millis(500);

/// The answer to a four-letter word.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// What the server wrote, up to the end of the connection.
    pub text: String,
    /// The failure that ended the connection, if the server did not close it properly. Some servers reset
    /// it after a whole answer, so `text` may be complete or not.
    pub interrupted: Option<io::Error>,
}

impl Deref for Answer {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The connection could not be opened. The server has not seen the word.
    #[error("{0}")]
    Dial(DialError),
    /// The connection was lost before a byte of the answer was read. The server may have executed the
    /// word.
    #[error("the connection was lost before the answer: {0}")]
    Lost(io::Error),
    /// The answer is longer than [`MAX_ANSWER`].
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
}

/// Opens a connection, as for a session, sends the word, and returns the answer.
///
/// The server ends the answer by closing the connection. If no byte arrives within half a second, the
/// word is also sent with a line feed, over a second connection: proxies that pass on only whole lines
/// need it, and servers that do not expect it may reset the connection because of it. The first answer
/// counts. The caller limits how long it takes.
///
/// # Errors
/// See [`AskError`].
///
/// # Cancel safety
/// Dropping the future closes the connections and leaves nothing behind.
pub async fn ask(dial: &dyn Dial, host: &HostPort, word: &str) -> Result<Answer, AskError> {
    ask_next(dial, host, &mut Addresses::default(), word).await
}

/// Queries the next of the addresses of `host`; otherwise as [`ask`].
///
/// # Errors
/// As [`ask`].
///
/// # Cancel safety
/// As [`ask`].
pub async fn ask_next(
    dial: &dyn Dial,
    host: &HostPort,
    addresses: &mut Addresses,
    word: &str,
) -> Result<Answer, AskError> {
    let mut stream = open(dial, host, addresses, word).await?;
    let mut answer = Vec::new();
    // Reading is cancel-safe.
    match tokio::time::timeout(FIRST_BYTE_TIMEOUT, stream.read_buf(&mut answer)).await {
        Ok(Ok(0)) => finish(answer, None),
        Ok(Ok(_)) => read(stream, answer).await,
        Ok(Err(error)) => finish(answer, Some(error)),
        Err(_elapsed) => {
            let line = format!("{word}\n");
            if let Some(address) = addresses.current() {
                addresses.prefer(address);
            }
            let again = async {
                let stream = open(dial, host, addresses, &line).await?;
                read(stream, Vec::new()).await
            };
            first_answer(read(stream, answer), again).await
        }
    }
}

async fn open(
    dial: &dyn Dial,
    host: &HostPort,
    addresses: &mut Addresses,
    text: &str,
) -> Result<Box<dyn Transport>, AskError> {
    let dialled = dial.dial_next(host, addresses).await;
    let mut stream = dialled.map_err(AskError::Dial)?;
    let written = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    written.await.map_err(AskError::Lost)?;
    Ok(stream)
}

/// The rest of the answer.
async fn read(mut stream: Box<dyn Transport>, mut answer: Vec<u8>) -> Result<Answer, AskError> {
    loop {
        match stream.read_buf(&mut answer).await {
            Ok(0) => return finish(answer, None),
            Ok(_) if answer.len() > MAX_ANSWER => return Err(AskError::TooLong),
            Ok(_) => {}
            Err(error) => return finish(answer, Some(error)),
        }
    }
}

fn finish(answer: Vec<u8>, interrupted: Option<io::Error>) -> Result<Answer, AskError> {
    match interrupted {
        Some(error) if answer.is_empty() => Err(AskError::Lost(error)),
        interrupted => Ok(Answer {
            text: String::from_utf8_lossy(&answer).into_owned(),
            interrupted,
        }),
    }
}

type Asked = Result<Answer, AskError>;

/// The first answer that is not empty. If there is none, the result of the first connection, or of the
/// second if only the first one failed.
async fn first_answer(
    first: impl Future<Output = Asked>,
    second: impl Future<Output = Asked>,
) -> Asked {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_ended, mut second_ended) = (None, None);
    poll_fn(|cx| {
        if let Some(answer) = poll_answer(first.as_mut(), &mut first_ended, cx)
            .or_else(|| poll_answer(second.as_mut(), &mut second_ended, cx))
        {
            return Poll::Ready(Ok(answer));
        }
        match (first_ended.take(), second_ended.take()) {
            (Some(Err(_)), Some(Ok(empty))) => Poll::Ready(Ok(empty)),
            (Some(ended), Some(_)) => Poll::Ready(ended),
            (first, second) => {
                (first_ended, second_ended) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}

/// Polls one connection until it has `ended`, and returns its answer if that is not empty.
fn poll_answer(
    asked: Pin<&mut impl Future<Output = Asked>>,
    ended: &mut Option<Asked>,
    cx: &mut Context<'_>,
) -> Option<Answer> {
    if ended.is_some() {
        return None;
    }
    match asked.poll(cx) {
        Poll::Ready(Ok(answer)) if !answer.is_empty() => Some(answer),
        Poll::Ready(nothing) => {
            *ended = Some(nothing);
            None
        }
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncRead, DuplexStream, ReadBuf, duplex};

    use super::*;
    use crate::dial::Dialing;

    const SRVR: &str = "Zookeeper version: 3.8.0\nMode: standalone\n";

    /// Serves every connection with a function of its number, counted from 0.
    struct Rig<F>(F, Arc<AtomicUsize>);

    impl<F> std::fmt::Debug for Rig<F> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Rig")
        }
    }

    impl<F, S> Dial for Rig<F>
    where
        F: Fn(usize, DuplexStream) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
            let (near, far) = duplex(1 << 16);
            let number = self.1.fetch_add(1, Ordering::Relaxed);
            tokio::spawn((self.0)(number, far));
            Box::pin(async move { Ok(Box::new(near) as Box<dyn Transport>) })
        }
    }

    /// The answer, and how many connections it took.
    async fn ask_rig<F, S>(word: &str, serve: F) -> (Asked, usize)
    where
        F: Fn(usize, DuplexStream) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let connections = Arc::<AtomicUsize>::default();
        let rig = Rig(serve, connections.clone());
        let host = "zk1:2181".parse().unwrap();
        let answer = ask(&rig, &host, word).await;
        (answer, connections.load(Ordering::Relaxed))
    }

    /// A server that answers with and without a line feed.
    async fn answer_words(_: usize, mut stream: DuplexStream) {
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(SRVR.as_bytes()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_enough() {
        let (answer, connections) = ask_rig("srvr", answer_words).await;
        let answer = answer.unwrap();
        assert_eq!((&*answer.text, connections), (SRVR, 1));
        assert!(answer.interrupted.is_none());
    }

    /// Guards: P14.
    #[tokio::test(start_paused = true)]
    async fn a_proxy_gets_the_line_feed_it_waits_for() {
        let (answer, connections) = ask_rig("srvr", |_, mut stream: DuplexStream| async move {
            let mut byte = [0];
            while byte != *b"\n" {
                if stream.read_exact(&mut byte).await.is_err() {
                    return;
                }
            }
            stream.write_all(SRVR.as_bytes()).await.unwrap();
        })
        .await;
        assert_eq!((&*answer.unwrap().text, connections), (SRVR, 2));
    }

    /// Guards: P14.
    #[tokio::test(start_paused = true)]
    async fn a_slow_server_is_not_given_up() {
        let (answer, connections) =
            ask_rig("wchc", |number, mut stream: DuplexStream| async move {
                // The second connection is reset.
                if number == 0 {
                    tokio::time::sleep(FIRST_BYTE_TIMEOUT * 100).await;
                    stream.write_all(b"0x1\n").await.unwrap();
                }
            })
            .await;
        assert_eq!((&*answer.unwrap().text, connections), ("0x1\n", 2));
    }

    /// Guards: P14.
    #[tokio::test(start_paused = true)]
    async fn no_answer_to_either_question_is_empty() {
        let (answer, connections) = ask_rig("dump", |_, stream: DuplexStream| async move {
            tokio::time::sleep(FIRST_BYTE_TIMEOUT * 3).await;
            drop(stream);
        })
        .await;
        assert_eq!((&*answer.unwrap().text, connections), ("", 2));
    }

    /// Guards: P15.
    #[tokio::test(start_paused = true)]
    async fn a_long_answer_is_whole_or_an_error() {
        const LINE: &[u8] = b" /192.0.2.7:52852[1](queued=0,recved=1,sent=1)\n";
        for bytes in [3_000_000, MAX_ANSWER, MAX_ANSWER + 1] {
            let serve = move |_, mut stream: DuplexStream| async move {
                let mut left = bytes;
                while left > 0 {
                    let line = LINE.get(..left.min(LINE.len())).unwrap();
                    if stream.write_all(line).await.is_err() {
                        return;
                    }
                    left -= line.len();
                }
            };
            match ask_rig("cons", serve).await.0 {
                Ok(answer) => assert_eq!(answer.len(), bytes),
                Err(error) => {
                    assert!(bytes > MAX_ANSWER, "{bytes}");
                    assert!(error.to_string().contains("longer than 67108864"));
                }
            }
        }
    }

    /// A stream that is reset after `answer`.
    struct Reset {
        answer: &'static [u8],
        write: tokio::io::Sink,
    }

    impl AsyncRead for Reset {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.answer.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            buf.put_slice(std::mem::take(&mut self.answer));
            Poll::Ready(Ok(()))
        }
    }

    impl tokio::io::AsyncWrite for Reset {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.write).poll_write(cx, buf)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Debug)]
    struct Resetting(&'static [u8]);

    impl Dial for Resetting {
        fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
            let stream = Reset {
                answer: self.0,
                write: tokio::io::sink(),
            };
            Box::pin(async move { Ok(Box::new(stream) as Box<dyn Transport>) })
        }
    }

    /// Guards: P16.
    #[tokio::test]
    async fn what_came_before_a_reset_is_kept() {
        let host = "zk1:2181".parse().unwrap();
        let answer = ask(&Resetting(SRVR.as_bytes()), &host, "srvr")
            .await
            .unwrap();
        assert_eq!(answer.text, SRVR);
        let cause = answer.interrupted.map(|error| error.kind());
        assert_eq!(cause, Some(io::ErrorKind::ConnectionReset));
        assert!(ask(&Resetting(b""), &host, "srvr").await.is_err());
    }
}
