//! A client's machine without sockets, tasks or a clock, for fuzzing: the fuzzer plays the network, the
//! clock and the callers; and ids of a seed, for simulations. No part of the API; no stability is promised.

use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::records::{
    AddWatchMode, AddWatchRequest, CreateRequest, DeleteRequest, ExistsRequest,
    GetChildren2Request, GetDataRequest, SetDataRequest, SyncRequest,
};
use zk_proto::{Acl, Encode, ErrorCode, OpCode};
use zk_transport::{Disconnect, FrameReader};

use crate::session::failure::Replay;
use crate::session::requests::{Reply, SlotKey};
use crate::session::watches::WatchIntent;
use crate::session::watches::{SubId, WatchKind};
use crate::session::{Core, Limits, OpSet, Request};
use crate::{Error, SessionPolicy, State, Statistics, WatchEvent};

/// From now on [`Guid::random`](crate::Guid::random) draws the ids of this thread from `seed`. For a
/// simulation that is to be repeated, with all of its clients on one thread: two clients of one ensemble must
/// never have the same ids.
pub fn seed_ids(seed: u64) {
    crate::ops::guid::seeded::set(seed);
}

/// A request, as a caller makes it.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// Reads data, and may watch them.
    Get(&'a str, bool),
    /// Asks whether there is a znode, and may watch for it.
    Exists(&'a str, bool),
    /// Reads the names of children, and may watch them.
    Children(&'a str, bool),
    /// Sets data.
    Set(&'a str, &'a [u8]),
    /// Creates a znode, ephemeral or not.
    Create(&'a str, &'a [u8], bool),
    /// Deletes a znode.
    Delete(&'a str),
    /// Brings the server up to date.
    Sync(&'a str),
    /// Sets a lasting watch, over a subtree or not.
    Watch(&'a str, bool),
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Ticket(SlotKey);

/// A watch that is set.
#[derive(Debug)]
pub struct Subscription(SubId);

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    /// The record, or the server's refusal.
    pub result: Result<Bytes, ErrorCode>,
    /// The watch that was set with it.
    pub watch: Option<Subscription>,
}

/// The machine, and the connection that it has at most one of.
#[derive(Debug)]
pub struct Machine {
    core: Core,
    frames: FrameReader,
    frame_limit: usize,
    /// Output that was taken from the core and has not been written.
    wire: BytesMut,
    written: u64,
    connected: bool,
}

impl Machine {
    /// A client that asks for sessions of this length, and renews them or does not.
    pub fn new(now: Instant, timeout: Duration, renew: bool, outstanding: usize) -> Self {
        const FRAME_LIMIT: usize = 1 << 16;
        let limits = Limits {
            outstanding,
            request_bytes: 1024,
            outstanding_bytes: usize::MAX,
            mailbox: crate::session::watches::MailboxLimits {
                events: 8,
                bytes: 1024,
            },
            close_timeout: Duration::from_secs(2),
        };
        let policy = if renew {
            SessionPolicy::Renew
        } else {
            SessionPolicy::Close
        };
        Machine {
            core: Core::new(now, timeout, policy, false, limits),
            frames: FrameReader::new(FRAME_LIMIT),
            frame_limit: FRAME_LIMIT,
            wire: BytesMut::new(),
            written: 0,
            connected: false,
        }
    }

    /// Whether there is a connection, be it only to shake hands over.
    pub fn has_connection(&self) -> bool {
        self.connected
    }

    /// A connection is open. Returns false if the client needs none any more.
    pub fn connect(&mut self, now: Instant, budget: Duration) -> bool {
        self.frames = FrameReader::new(self.frame_limit);
        self.wire.clear();
        self.written = 0;
        self.connected = self.core.begin(now, budget);
        self.connected
    }

    /// What the socket accepts of the output, if it accepts this much.
    pub fn output(&mut self, max: usize) -> Bytes {
        if self.wire.is_empty() {
            self.core.poll_output(&mut self.wire);
        }
        let len = max.min(self.wire.len());
        self.written += len as u64;
        self.wire.split_to(len).freeze()
    }

    /// Bytes from the server.
    ///
    /// # Errors
    /// Why the connection has to end; the caller then [`disconnect`](Self::disconnect)s.
    pub fn input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Disconnect> {
        self.frames.extend(bytes);
        let result = self.core.handle_input(now, &mut self.frames);
        self.core.wakeups.clear();
        result
    }

    /// The connection has ended.
    pub fn disconnect(&mut self, now: Instant, reason: &Disconnect) {
        let rest = std::mem::take(&mut self.wire);
        self.core.disconnected(now, reason, self.written, &rest);
        self.core.wakeups.clear();
        self.connected = false;
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub fn due(&self) -> Option<Instant> {
        let link = self.core.poll_link_timeout().filter(|_| self.connected);
        self.core.poll_timeout().into_iter().chain(link).min()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// As [`input`](Self::input).
    pub fn tick(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.core.handle_timeout(now);
        self.core.wakeups.clear();
        if self.connected {
            self.core.handle_link_timeout(now)
        } else {
            Ok(())
        }
    }

    /// Submits a request.
    ///
    /// # Errors
    /// It was not accepted.
    pub fn submit(
        &mut self,
        now: Instant,
        ask: Ask<'_>,
        deadline: Option<Duration>,
    ) -> Result<Ticket, Error> {
        let acl = Acl::open();
        let (op, path, watch, record): (_, _, _, Box<dyn Encode + '_>) = match ask {
            Ask::Get(path, watch) => {
                let record = GetDataRequest {
                    path: path.into(),
                    watch,
                };
                let kind = watch.then_some(WatchKind::Data);
                (OpCode::GetData, path, kind, Box::new(record))
            }
            Ask::Exists(path, watch) => {
                let record = ExistsRequest {
                    path: path.into(),
                    watch,
                };
                let kind = watch.then_some(WatchKind::Data);
                (OpCode::Exists, path, kind, Box::new(record))
            }
            Ask::Children(path, watch) => {
                let record = GetChildren2Request {
                    path: path.into(),
                    watch,
                };
                let kind = watch.then_some(WatchKind::Child);
                (OpCode::GetChildren2, path, kind, Box::new(record))
            }
            Ask::Set(path, data) => {
                let record = SetDataRequest {
                    path: path.into(),
                    data: Some(data),
                    version: -1,
                };
                (OpCode::SetData, path, None, Box::new(record))
            }
            Ask::Create(path, data, ephemeral) => {
                let record = CreateRequest {
                    path: path.into(),
                    data: Some(data),
                    acl: (&acl[..]).into(),
                    flags: i32::from(ephemeral),
                };
                (OpCode::Create2, path, None, Box::new(record))
            }
            Ask::Delete(path) => {
                let record = DeleteRequest {
                    path: path.into(),
                    version: -1,
                };
                (OpCode::Delete, path, None, Box::new(record))
            }
            Ask::Sync(path) => {
                let record = SyncRequest { path: path.into() };
                (OpCode::Sync, path, None, Box::new(record))
            }
            Ask::Watch(path, recursive) => {
                let (mode, kind) = if recursive {
                    (AddWatchMode::PersistentRecursive, WatchKind::Recursive)
                } else {
                    (AddWatchMode::Persistent, WatchKind::Persistent)
                };
                let record = AddWatchRequest {
                    path: path.into(),
                    mode,
                };
                (OpCode::AddWatch, path, Some(kind), Box::new(record))
            }
        };
        let request = Request {
            op,
            needs: OpSet::of(op),
            path,
            record: &*record,
            replay: match ask {
                Ask::Set(..) | Ask::Create(..) | Ask::Delete(..) => Replay::Never,
                _ => Replay::Always,
            },
            watch: watch.map(|kind| WatchIntent {
                kind,
                path: path.into(),
                overridden: false,
            }),
            deadline: deadline.and_then(|deadline| now.checked_add(deadline)),
            cleanup: false,
            only_in: None,
            room: None,
        };
        let submitted = self.core.submit(now, &request);
        self.core.wakeups.clear();
        submitted.map(Ticket).map_err(|failure| (*failure).into())
    }

    /// Adds credentials.
    ///
    /// # Errors
    /// They were not accepted.
    pub fn add_auth(&mut self, secret: &[u8]) -> Result<Ticket, Error> {
        let scheme = "digest".to_owned();
        let added = self.core.add_credential(scheme, secret.to_vec(), None);
        self.core.wakeups.clear();
        added.map(Ticket).map_err(Error::from)
    }

    /// The answer to a request; the ticket comes back while there is none.
    ///
    /// # Errors
    /// The ticket.
    pub fn poll(&mut self, ticket: Ticket) -> Result<Result<Answer, Error>, Ticket> {
        let polled = self.core.poll_reply(ticket.0, Waker::noop());
        self.core.wakeups.clear();
        match polled.map(|answer| answer.result) {
            None => Err(ticket),
            Some(Ok(Reply { result, watch, .. })) => Ok(Ok(Answer {
                result,
                watch: watch.map(Subscription),
            })),
            Some(Err(failure)) => Ok(Err((*failure).into())),
        }
    }

    /// The caller drops the future of a request.
    pub fn abandon(&mut self, now: Instant, ticket: Ticket) {
        self.core.abandon(now, ticket.0);
        self.core.wakeups.clear();
    }

    /// The next event of a watch.
    pub fn event(&mut self, watch: &Subscription) -> Option<WatchEvent> {
        self.core.poll_event(watch.0, Waker::noop())
    }

    /// The handle of a watch is dropped.
    pub fn unsubscribe(&mut self, now: Instant, watch: &Subscription) {
        self.core.unsubscribe(now, watch.0);
        self.core.wakeups.clear();
    }

    /// Asks for the end.
    pub fn close(&mut self, now: Instant) {
        self.core.close(now);
        self.core.wakeups.clear();
    }

    /// Whether the end has been reached.
    pub fn is_over(&self) -> bool {
        self.core.is_over()
    }

    /// The state.
    pub fn state(&self) -> State {
        self.core.state()
    }

    /// The session's id, or 0.
    pub fn session(&self) -> i64 {
        self.core.session.id().0
    }

    /// What the client holds.
    pub fn statistics(&self, now: Instant) -> Statistics {
        self.core.snapshot(now)
    }
}
