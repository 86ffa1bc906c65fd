//! The bytes of the answers.

use std::io;

/// Setting this znode makes the server send as many events of its change as its new data say, a
/// decimal number, behind the answer. Other events follow a `getData` that sets a watch: one, at
/// once.
pub const FLOOD: &str = "/flood";

/// What an answer is made of, by the operation's number.
const CREATE: i32 = 1;
const DELETE: i32 = 2;
const EXISTS: i32 = 3;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const GET_ACL: i32 = 6;
const SET_ACL: i32 = 7;
const GET_CHILDREN: i32 = 8;
const SYNC: i32 = 9;
const PING: i32 = 11;
const GET_CHILDREN_2: i32 = 12;
const CREATE_2: i32 = 15;
const CHECK_WATCHES: i32 = 17;
const REMOVE_WATCHES: i32 = 18;
const CREATE_CONTAINER: i32 = 19;
const CREATE_TTL: i32 = 21;
const AUTH: i32 = 100;
const SET_WATCHES: i32 = 101;
const GET_EPHEMERALS: i32 = 103;
const COUNT_DESCENDANTS: i32 = 104;
const SET_WATCHES_2: i32 = 105;
const ADD_WATCH: i32 = 106;
const WHO_AM_I: i32 = 107;
const CLOSE: i32 = -11;

const UNIMPLEMENTED: i32 = -6;
/// Nothing here changes, and no client is shown a time before one it has seen.
const ZXID: i64 = 1;
const NO_ZXID: i64 = -1;
const NOTIFICATION: i32 = -1;
const DATA_CHANGED: i32 = 3;
const SYNC_CONNECTED: i32 = 3;
const EMPTY_LIST: [u8; 4] = [0; 4];

/// The prepared answers of one connection, and how far it has come.
pub(super) struct Answers {
    session: u64,
    stat: Vec<u8>,
    /// The frame that answers `getData`, length and header included.
    get: Vec<u8>,
    /// The notification of a change of [`FLOOD`].
    event: Vec<u8>,
    events_due: u64,
    greeted: bool,
    closed: bool,
}

impl Answers {
    pub(super) fn new(session: u64, size: usize) -> Self {
        let stat = stat(size);
        let data = [&length(size), &*vec![b'x'; size], &stat].concat();
        Self {
            session,
            get: framed(&[&header(0, 0), &data]),
            stat,
            event: event(FLOOD.as_bytes()),
            events_due: 0,
            greeted: false,
            closed: false,
        }
    }

    /// Whether the session has been ended, and its end is answered.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Writes the answer to one frame behind what is in `out`. True if events are due behind it.
    pub(super) fn answer(&mut self, frame: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
        if !self.greeted {
            self.greeted = true;
            out.extend(greeting(self.session, frame).ok_or_else(malformed)?);
            return Ok(false);
        }
        let (xid, op, body) = request(frame).ok_or_else(malformed)?;
        if op == GET_DATA {
            let start = out.len();
            out.extend_from_slice(&self.get);
            if let Some(place) = out.get_mut(start + 4..start + 8) {
                place.copy_from_slice(&xid.to_be_bytes());
            }
            // The last byte says whether there is to be a watch.
            if body.last() == Some(&1) {
                let (path, _) = buffer(body).ok_or_else(malformed)?;
                out.extend(event(path));
            }
            return Ok(false);
        }
        let header = |err| header(xid, err);
        match op {
            EXISTS | SET_ACL => put(out, &[&header(0), &self.stat]),
            SET_DATA => {
                put(out, &[&header(0), &self.stat]);
                self.events_due = events_asked(body).unwrap_or(0);
            }
            CREATE | SYNC => {
                let (path, _) = buffer(body).ok_or_else(malformed)?;
                put(out, &[&header(0), &length(path.len()), path]);
            }
            CREATE_2 | CREATE_CONTAINER | CREATE_TTL => {
                let (path, _) = buffer(body).ok_or_else(malformed)?;
                let length = length(path.len());
                put(out, &[&header(0), &length, path, &self.stat]);
            }
            GET_ACL => put(out, &[&header(0), &open_acl(), &self.stat]),
            GET_CHILDREN | GET_EPHEMERALS | WHO_AM_I | COUNT_DESCENDANTS | ADD_WATCH => {
                put(out, &[&header(0), &EMPTY_LIST]);
            }
            GET_CHILDREN_2 => put(out, &[&header(0), &EMPTY_LIST, &self.stat]),
            DELETE | PING | CHECK_WATCHES | REMOVE_WATCHES | AUTH | SET_WATCHES | SET_WATCHES_2 => {
                put(out, &[&header(0)]);
            }
            CLOSE => {
                put(out, &[&header(0)]);
                self.closed = true;
            }
            _ => put(out, &[&header(UNIMPLEMENTED)]),
        }
        Ok(self.events_due > 0)
    }

    /// Writes events that are due to `out`, but not many more bytes than `limit`; false if there
    /// were none left.
    pub(super) fn events(&mut self, limit: usize, out: &mut Vec<u8>) -> bool {
        let any = self.events_due > 0;
        while self.events_due > 0 && out.len() < limit {
            out.extend_from_slice(&self.event);
            self.events_due -= 1;
        }
        any
    }
}

/// The session that was asked for.
fn greeting(session: u64, request: &[u8]) -> Option<Vec<u8>> {
    const UP_TO_TIMEOUT: usize = 12;
    const WITHOUT_READ_ONLY: usize = 44;
    let (_, rest) = request.split_at_checked(UP_TO_TIMEOUT)?;
    let (timeout, rest) = rest.split_first_chunk::<4>()?;
    let (asked, _) = rest.split_first_chunk()?;
    let session = match u64::from_be_bytes(*asked) {
        0 => session,
        resumed => resumed,
    };
    let version = [0; 4];
    let password = [&length(16)[..], &[b'p'; 16]].concat();
    let read_only: &[u8] = match request.len() {
        WITHOUT_READ_ONLY => &[],
        _ => &[0],
    };
    let session = session.to_be_bytes();
    Some(framed(&[&version, timeout, &session, &password, read_only]))
}

/// The xid, the operation and the record.
fn request(frame: &[u8]) -> Option<(i32, i32, &[u8])> {
    let (xid, rest) = frame.split_first_chunk()?;
    let (op, body) = rest.split_first_chunk()?;
    Some((i32::from_be_bytes(*xid), i32::from_be_bytes(*op), body))
}

/// A string or buffer, and what comes behind it.
fn buffer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(i32::from_be_bytes(*length)).ok()?)
}

/// How many events a `setData` requests.
fn events_asked(body: &[u8]) -> Option<u64> {
    let (path, rest) = buffer(body)?;
    if path != FLOOD.as_bytes() {
        return None;
    }
    let (data, _) = buffer(rest)?;
    std::str::from_utf8(data).ok()?.parse().ok()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no request")
}

fn length(length: usize) -> [u8; 4] {
    i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes()
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut frame = Vec::new();
    put(&mut frame, parts);
    frame
}

/// Writes a frame of these parts behind what is in `out`.
fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.extend(length(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn header(xid: i32, err: i32) -> [u8; 16] {
    header_at(xid, ZXID, err)
}

fn header_at(xid: i32, zxid: i64, err: i32) -> [u8; 16] {
    let number = (u128::from(xid.cast_unsigned()) << 96)
        | (u128::from(zxid.cast_unsigned()) << 32)
        | u128::from(err.cast_unsigned());
    number.to_be_bytes()
}

fn event(path: &[u8]) -> Vec<u8> {
    framed(&[
        &header_at(NOTIFICATION, NO_ZXID, 0),
        &DATA_CHANGED.to_be_bytes(),
        &SYNC_CONNECTED.to_be_bytes(),
        &length(path.len()),
        path,
    ])
}

/// Of a persistent znode without children that was created and never set.
fn stat(size: usize) -> Vec<u8> {
    const ZXID_BYTES: [u8; 8] = ZXID.to_be_bytes();
    let times_versions_owner = [0; 36];
    let children = [0; 4];
    [
        &ZXID_BYTES[..],
        &ZXID_BYTES,
        &times_versions_owner,
        &length(size),
        &children,
        &ZXID_BYTES,
    ]
    .concat()
}

/// All permissions for `world:anyone`.
fn open_acl() -> Vec<u8> {
    const ALL: i32 = 31;
    let string = |text: &str| [&length(text.len())[..], text.as_bytes()].concat();
    let entry = [&ALL.to_be_bytes()[..], &string("world"), &string("anyone")];
    [&length(1)[..], &entry.concat()].concat()
}
