//! Waiting until one more request may be outstanding.

use std::time::Duration;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::pending::Boxed;
use crate::ops::room::Room;
use crate::shared::now;

/// Waits until one more request may be outstanding
/// ([`max_outstanding`](crate::ClientBuilder::max_outstanding) and
/// [`max_outstanding_bytes`](crate::ClientBuilder::max_outstanding_bytes)). Made by
/// [`Client::wait_for_room`].
///
/// The output is a handle to the same session. Room is reserved for the first request that it, or a
/// handle made of it, submits; its other requests are like those of any handle. Room that is not used
/// is free again when these handles are dropped.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client, items: Vec<(String, Vec<u8>)>) -> zk_client::Result<()> {
/// for (path, data) in items {
///     let created = zk.wait_for_room().await?.create(&path, data).submit();
///     tokio::spawn(async move {
///         if let Err(error) = created.await {
///             eprintln!("{error}");
///         }
///     });
/// }
/// # Ok(()) }
/// ```
///
/// # Order
///
/// Calls are served in the order in which `wait_for_room().submit()` was called, or the builder was
/// awaited. When a request ends, the first call has its room before any other request can take it, and
/// no other call is woken. The last thirty-second of `max_outstanding`, at least one request, is given
/// alternately to calls that wait and to requests that do not: neither can keep the other out. As long
/// as there are no other requests, calls that wait leave it free. A client with `max_outstanding` below
/// 16 gives all room to the calls that wait, and requests that do not wait fail with
/// [`QueueFull`](ErrorKind::QueueFull) as long as there are such calls.
///
/// # Cost
///
/// No request. A call that waits takes some 50 bytes of the client, and no room for its request's data;
/// their number has no limit. Reserved room counts as one request, and as
/// [`max_request_bytes`](crate::ClientBuilder::max_request_bytes) bytes until the request is made: do
/// not keep it.
///
/// # Errors
/// [`DeadlineExceeded`](ErrorKind::DeadlineExceeded); those of a client that is over. A lost connection
/// or session is no error: the call continues to wait.
///
/// # Cancel safety
/// Dropping the future gives up the place among the calls, or the room.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct WaitForRoom<'a> {
    client: &'a Client,
    deadline: Option<Duration>,
}

impl<'a> WaitForRoom<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        WaitForRoom {
            client,
            deadline: None,
        }
    }

    /// How long to wait; by default as long as an operation of the client may take.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Takes the next place among the calls that wait. The future borrows nothing.
    pub fn submit(self) -> Boxed<Client> {
        let client = self.client.clone();
        let begun = now();
        let due = client.deadline_from(begun, self.deadline);
        let room = Room::enter(client.shared());
        Box::pin(async move {
            match due {
                None => room.wait().await?,
                Some(due) => match tokio::time::timeout_at(due.into(), room.wait()).await {
                    Ok(waited) => waited?,
                    Err(_) => {
                        let waited = now().saturating_duration_since(begun).as_millis();
                        let detail = format!(
                            "the deadline passed: too many requests were outstanding for {waited} ms"
                        );
                        let error = Error::new(ErrorKind::DeadlineExceeded, Outcome::NotSent);
                        return Err(error.with_detail(detail));
                    }
                },
            }
            Ok(client.with_room(room))
        })
    }
}

impl IntoFuture for WaitForRoom<'_> {
    type Output = Result<Client>;
    type IntoFuture = Boxed<Client>;

    fn into_future(self) -> Boxed<Client> {
        self.submit()
    }
}

crate::ops::operation::blocking!([] WaitForRoom<'_>, Client, |op| op.client);

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::ops::pending::Pending;

    /// A client without a server, for so many requests.
    fn client(most: usize) -> Client {
        let builder = Client::builder("127.0.0.1:1").max_outstanding(most);
        builder.start().unwrap()
    }

    /// The room of a call that has been given some.
    fn room(call: &mut Boxed<Client>) -> Option<Result<Client>> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(call).poll(&mut cx) {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        }
    }

    fn fill(zk: &Client, requests: usize) -> Vec<Pending<Option<zk_proto::Stat>>> {
        let request = |_| zk.exists("/a").submit();
        (0..requests).map(request).collect()
    }

    async fn is_full(zk: &Client) -> bool {
        let mut request = zk.exists("/a").submit();
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut request).poll(&mut cx) {
            Poll::Ready(refused) => {
                assert_eq!(refused.unwrap_err().kind(), ErrorKind::QueueFull);
                true
            }
            Poll::Pending => false,
        }
    }

    #[tokio::test]
    async fn calls_for_room_are_served_in_order() {
        let zk = client(2);
        let mut held = fill(&zk, 2);
        let mut calls: Vec<_> = (0..3).map(|_| zk.wait_for_room().submit()).collect();
        // The last is polled first.
        assert!(calls.iter_mut().rev().all(|call| room(call).is_none()));
        assert_eq!(zk.statistics().waiting, 3);
        held.pop();
        assert!(room(&mut calls[2]).is_none() && room(&mut calls[1]).is_none());
        let first = room(&mut calls[0]).unwrap().unwrap();
        // The room is the call's, and only its first request has it.
        assert!(is_full(&zk).await);
        let request = first.exists("/b").submit();
        assert!(is_full(&first).await);
        assert_eq!(zk.statistics().outstanding, 2);
        // The second gives up its place, and the third follows.
        drop(calls.remove(1));
        assert_eq!(zk.statistics().waiting, 1);
        drop(request);
        let third = room(&mut calls[1]).unwrap().unwrap();
        // A handle that is dropped gives its room back, once the last of them is gone.
        let other = third.chroot("/c").unwrap();
        drop(third);
        assert!(is_full(&zk).await);
        drop(other);
        assert!(!is_full(&zk).await);
    }

    #[tokio::test]
    async fn requests_and_calls_share_the_last_room() {
        let zk = client(32);
        let mut held = fill(&zk, 32);
        let mut calls: Vec<_> = (0..9).map(|_| zk.wait_for_room().submit()).collect();
        assert!(calls.iter_mut().all(|call| room(call).is_none()));
        let (mut rooms, mut others) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            held.pop();
            rooms.extend(calls.iter_mut().filter_map(room));
            calls.drain(..rooms.len() + calls.len() - 9);
            let before = zk.statistics().outstanding;
            let other = zk.exists("/other").submit();
            if zk.statistics().outstanding > before {
                others.push(other);
            }
        }
        assert_eq!((rooms.len(), others.len()), (4, 4));
    }

    #[tokio::test]
    async fn calls_alone_have_nearly_all_room() {
        // The last thirty-second, at least one from 16 on, is also for other requests.
        for (most, shared) in [(15, 0), (16, 1), (47, 1), (64, 2), (96, 3)] {
            let zk = client(most);
            let mut calls: Vec<_> = (0..2 * most).map(|_| zk.wait_for_room().submit()).collect();
            let mut requests = std::collections::VecDeque::new();
            let mut served = 0;
            // A request ends only when no call has room.
            loop {
                let given: Vec<_> = calls.iter_mut().filter_map(room).collect();
                calls.drain(..given.len());
                served += given.len();
                let given = given
                    .into_iter()
                    .map(|zk| zk.unwrap().exists("/a").submit());
                requests.extend(given);
                if calls.is_empty() {
                    break;
                }
                assert!(
                    requests.len() >= most - shared,
                    "{} of {most}",
                    requests.len()
                );
                requests.pop_front();
            }
            assert_eq!(served, 2 * most);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_room_has_a_deadline() {
        let zk = client(2);
        let _held = fill(&zk, 2);
        let waiting = zk.wait_for_room().deadline(Duration::from_secs(3));
        let error = waiting.await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(
            error.to_string(),
            "the deadline passed: too many requests were outstanding for 3000 ms (see that the \
             servers run and can be reached, or give it more time)"
        );
        let own = zk.with_deadline(Duration::from_secs(1));
        let error = own.wait_for_room().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(is_full(&zk).await);
    }

    #[tokio::test]
    async fn the_end_of_the_client_ends_the_waits() {
        let zk = client(2);
        let held = fill(&zk, 2);
        let calls = (0..3).map(|_| tokio::spawn(zk.wait_for_room().submit()));
        let calls: Vec<_> = calls.collect();
        tokio::task::yield_now().await;
        let closing = tokio::spawn(async move { zk.close().await });
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        drop(held);
        drop(closing);
    }
}
