//! What a client sends and receives, frame by frame.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use zk_proto::jute::decode_frame;
use zk_proto::records::{
    AddWatchRequest, ConnectRequest, ConnectResponse, SetWatches2Request, SetWatchesRequest,
};
use zk_proto::{Decode, Decoder, EventType, OpCode, ReplyHeader, RequestHeader, WatcherEvent, xid};

use super::history::{Class, Recorder, Wire};
use super::pipe::Watcher;

/// The frames in a stream of bytes, without their length.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: BytesMut,
}

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let length: [u8; 4] = *self.bytes.first_chunk()?;
        let length = 4 + usize::try_from(u32::from_be_bytes(length)).unwrap();
        (self.bytes.len() >= length).then(|| {
            let mut frame = self.bytes.split_to(length).freeze();
            frame.split_off(4)
        })
    }

    /// What is not a whole frame yet.
    pub(crate) fn rest(&mut self) -> BytesMut {
        self.bytes.split()
    }
}

#[derive(Debug, Default)]
struct Seen {
    sent: Frames,
    received: Frames,
    greeted: bool,
    answered: bool,
    due: VecDeque<i32>,
    foreign: bool,
}

/// Records what one connection of a client sends and receives.
#[derive(Debug)]
pub(crate) struct Observer {
    recorder: Arc<Recorder>,
    client: usize,
    connection: usize,
    seen: Mutex<Seen>,
    /// How many requests to re-arm watches were sent.
    pub(crate) rearms: AtomicUsize,
}

impl Observer {
    pub(crate) fn new(recorder: Arc<Recorder>, client: usize, connection: usize) -> Self {
        Self {
            recorder,
            client,
            connection,
            seen: Mutex::default(),
            rearms: AtomicUsize::new(0),
        }
    }

    fn record(&self, what: Wire) {
        self.recorder.on_wire(self.client, self.connection, what);
    }

    fn request(&self, seen: &mut Seen, frame: &Bytes) {
        if !std::mem::replace(&mut seen.greeted, true) {
            let request: ConnectRequest = decode_frame(frame, 0).unwrap();
            return self.record(Wire::Connect {
                session: request.session_id.0,
                last_zxid: request.last_zxid_seen.0,
            });
        }
        let mut input = Decoder::new(frame);
        let header = RequestHeader::decode(&mut input).unwrap();
        let op = header.op_code().unwrap();
        let xid = header.xid;
        if xid > 0 {
            seen.due.push_back(xid);
        }
        let all = |class: Class, paths: &zk_proto::records::Children| {
            paths
                .iter()
                .map(|path| (class, path.to_owned()))
                .collect::<Vec<_>>()
        };
        if matches!(op, OpCode::SetWatches | OpCode::SetWatches2) {
            self.rearms.fetch_add(1, Ordering::Relaxed);
            let mut watches = Vec::new();
            let relative;
            if op == OpCode::SetWatches2 {
                let asked = SetWatches2Request::decode(&mut input).unwrap();
                relative = asked.relative_zxid.0;
                watches.extend(all(Class::Data, &asked.data));
                watches.extend(all(Class::Data, &asked.exist));
                watches.extend(all(Class::Child, &asked.child));
                watches.extend(all(Class::Lasting, &asked.persistent));
                watches.extend(all(Class::Lasting, &asked.recursive));
            } else {
                let asked = SetWatchesRequest::decode(&mut input).unwrap();
                relative = asked.relative_zxid.0;
                watches.extend(all(Class::Data, &asked.data));
                watches.extend(all(Class::Data, &asked.exist));
                watches.extend(all(Class::Child, &asked.child));
            }
            let bytes = frame.len();
            return self.record(Wire::Rearm {
                xid,
                relative,
                watches,
                bytes,
            });
        }
        let (path, watch) = match op {
            OpCode::AddWatch => {
                let asked = AddWatchRequest::decode(&mut input).unwrap();
                (asked.path.to_string(), Some(Class::Lasting))
            }
            OpCode::GetData | OpCode::Exists | OpCode::GetChildren | OpCode::GetChildren2 => {
                let path = input.str("path").unwrap().to_owned();
                let class = match op {
                    OpCode::GetData | OpCode::Exists => Class::Data,
                    _ => Class::Child,
                };
                (path, input.bool("watch").unwrap().then_some(class))
            }
            OpCode::Ping | OpCode::Auth | OpCode::CloseSession | OpCode::Multi => {
                (String::new(), None)
            }
            _ => (input.str("path").unwrap_or_default().to_owned(), None),
        };
        self.record(Wire::Sent {
            op,
            xid,
            path,
            watch,
        });
    }

    fn reply(&self, seen: &mut Seen, frame: &Bytes) {
        if seen.foreign {
            return;
        }
        if !std::mem::replace(&mut seen.answered, true) {
            let mut input = Decoder::new(frame);
            if let Ok(response) = ConnectResponse::decode(&mut input) {
                self.record(Wire::Established {
                    session: response.session_id.0,
                    timeout_ms: u64::try_from(response.timeout_ms).unwrap_or_default(),
                });
            }
            return;
        }
        let mut input = Decoder::new(frame);
        let header = ReplyHeader::decode(&mut input).unwrap();
        match header.xid {
            xid::NOTIFICATION => {
                let event = WatcherEvent::decode(&mut input).unwrap();
                self.record(Wire::Event {
                    path: event.path.to_owned(),
                    child: event.kind == EventType::NodeChildrenChanged,
                    deleted: event.kind == EventType::NodeDeleted,
                });
            }
            xid::PING | xid::AUTH => self.record(Wire::Reply {
                xid: header.xid,
                zxid: header.zxid.0,
                err: header.err,
            }),
            got if seen.due.front() == Some(&got) => {
                seen.due.pop_front();
                self.record(Wire::Reply {
                    xid: got,
                    zxid: header.zxid.0,
                    err: header.err,
                });
            }
            got => {
                seen.foreign = true;
                self.record(Wire::Foreign { got });
            }
        }
    }
}

impl Watcher for Observer {
    fn wrote(&self, bytes: &[u8]) {
        let mut seen = self.seen.lock().unwrap();
        seen.sent.push(bytes);
        while let Some(frame) = seen.sent.next() {
            self.request(&mut seen, &frame);
        }
    }

    fn read(&self, bytes: &[u8]) {
        let mut seen = self.seen.lock().unwrap();
        seen.received.push(bytes);
        while let Some(frame) = seen.received.next() {
            self.reply(&mut seen, &frame);
        }
    }

    fn closed(&self) {
        self.record(Wire::Closed);
    }

    fn failed(&self, passed: usize) {
        self.recorder.fault(match passed {
            0 => "X3 broken before a write",
            _ => "X3 broken inside a write",
        });
    }
}
