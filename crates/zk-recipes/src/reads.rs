//! Reads that wait until the client has room for them, one or many.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use zk_client::{Client, ErrorKind, Pending, Stat, Window};

use crate::retry::RetryBackoff;

/// The number of reads in flight at once, unless the program has chosen another.
pub(crate) const READS: usize = 128;

/// Makes a read when the client has room for it, and again after an error that may pass.
///
/// # Cancel safety
/// Dropping the future discards the reply.
pub(crate) async fn read<T, F>(client: &Client, read: impl Fn(Client) -> F) -> zk_client::Result<T>
where
    F: Future<Output = zk_client::Result<T>>,
{
    let mut backoff = RetryBackoff::new();
    loop {
        match read(client.wait_for_room().await?).await {
            Ok(found) => return Ok(found),
            Err(error) => backoff.sleep_after(error).await?,
        }
    }
}

/// A read that was sent with a creation. Its reply is taken as it arrives, since a reply that is not taken
/// takes up room, which another attempt at the creation may need.
pub(crate) struct Alongside<F: Future> {
    future: F,
    output: Option<F::Output>,
}

impl<F: Future + Unpin> Alongside<F> {
    pub(crate) fn new(future: F) -> Self {
        Alongside {
            future,
            output: None,
        }
    }

    /// Awaits the creation. Its result is returned at once: a drop must not lose what was created.
    pub(crate) async fn with<C: Future>(&mut self, creation: C) -> C::Output {
        let mut creation = pin!(creation);
        poll_fn(|cx| {
            if let Poll::Ready(created) = creation.as_mut().poll(cx) {
                return Poll::Ready(created);
            }
            if self.output.is_none()
                && let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx)
            {
                self.output = Some(output);
            }
            Poll::Pending
        })
        .await
    }

    /// The read itself.
    pub(crate) async fn finish(self) -> F::Output {
        match self.output {
            Some(output) => output,
            None => self.future.await,
        }
    }
}

/// Waits for both futures.
///
/// # Cancel safety
/// Dropping the future drops both, and the result of the one that is ready: neither may create a znode.
pub(crate) async fn both<A: Future, B: Future>(one: A, other: B) -> (A::Output, B::Output) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(cx)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(cx)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            outputs => {
                (first, second) = outputs;
                Poll::Pending
            }
        }
    })
    .await
}

/// The reply to a request, if one was submitted.
pub(crate) async fn reply_to<T>(submitted: Option<Pending<T>>) -> Option<zk_client::Result<T>> {
    match submitted {
        Some(submitted) => Some(submitted.await),
        None => None,
    }
}

/// A znode that was read: the caller's key of it, its path, data and stat.
pub(crate) type Got<K> = (K, String, Bytes, Stat);

/// The reply to a read of data.
type Reply = zk_client::Result<(Bytes, Stat)>;

/// Reads the data of znodes, each given by a key and its path, in this order; those that do not exist are left
/// out. At most `most` reads are in flight at once, and a quarter of the client's `max_outstanding`; each waits
/// until the client has room for it. Reads that fail with an error that may pass are repeated.
///
/// # Cancel safety
/// Dropping the future discards the replies.
pub(crate) async fn get_all<K>(
    client: &Client,
    znodes: Vec<(K, String)>,
    most: usize,
) -> zk_client::Result<Vec<Got<K>>> {
    let most = Window::at_most(client, most).size();
    let replies = get_each(client, &znodes, most).await?;
    let mut got = Vec::with_capacity(znodes.len());
    for ((key, path), reply) in znodes.into_iter().zip(replies) {
        // Only now, when no reply takes up room that the repetition waits for.
        let reply = match reply {
            Err(error) if may_pass(&error) => {
                let path = &path;
                let read = read(client, |zk| async move { zk.get(path).await }).await;
                read.map(owned)
            }
            reply => reply,
        };
        match reply {
            Ok((data, stat)) => got.push((key, path, data, stat)),
            Err(error) if error.kind() == ErrorKind::NoNode => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// The replies to reads of the data of znodes, in this order, with at most `most` reads in flight at once. Ends
/// with the first error that neither may pass nor is about a znode that does not exist.
///
/// A reply takes up room until it is taken. It is therefore taken when it arrives, also while the next read
/// waits for room: calls that kept replies meanwhile could fill the client, and would wait for each other.
async fn get_each<K>(
    client: &Client,
    znodes: &[(K, String)],
    most: usize,
) -> zk_client::Result<Vec<Reply>> {
    let mut replies = Vec::with_capacity(znodes.len());
    let mut unread = znodes.iter();
    let mut in_flight = VecDeque::<Pending<(Bytes, Stat)>>::new();
    let mut room = None;
    loop {
        if room.is_none() && in_flight.len() < most && unread.len() > 0 {
            room = Some(client.wait_for_room().submit());
        }
        if room.is_none() && in_flight.is_empty() {
            return Ok(replies);
        }
        let step = poll_fn(|cx| {
            // The server answers in the order of submission.
            if let Some(reply) = in_flight.front_mut()
                && let Poll::Ready(reply) = Pin::new(reply).poll(cx)
            {
                return Poll::Ready(Step::Answered(reply));
            }
            match &mut room {
                Some(room) => room.as_mut().poll(cx).map(Step::Room),
                None => Poll::Pending,
            }
        });
        match step.await {
            Step::Answered(reply) => {
                in_flight.pop_front();
                match reply {
                    Err(error) if !may_pass(&error) && error.kind() != ErrorKind::NoNode => {
                        return Err(error);
                    }
                    reply => replies.push(reply.map(owned)),
                }
            }
            Step::Room(given) => {
                room = None;
                let client = given?;
                in_flight.extend(unread.next().map(|(_, path)| client.get(path).submit()));
            }
        }
    }
}

/// Whether another attempt may succeed.
fn may_pass(error: &zk_client::Error) -> bool {
    RetryBackoff::new().allows(error)
}

/// What [`get_each`] waits for.
enum Step {
    /// The first read in flight has been answered.
    Answered(Reply),
    /// The client has room for the next read.
    Room(zk_client::Result<Client>),
}

/// With a copy of the data: a slice of the received bytes would keep all of them in memory.
fn owned((data, stat): (Bytes, Stat)) -> (Bytes, Stat) {
    (Bytes::copy_from_slice(&data), stat)
}
