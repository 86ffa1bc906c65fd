//! Golden bytes made by ZooKeeper's own classes (`vectors/Vectors.java`): every record is read, its
//! values are compared, it is written again to the same bytes, and truncated and corrupted copies of the
//! bytes are read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::collections::HashMap;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use zk_proto::records::*;
use zk_proto::{
    Acl, Decode, Decoder, Encode, Id, Permissions, ReplyHeader, RequestHeader, SessionId,
    SessionPassword, Stat, WatcherEvent, WirePath, Zxid, decode_frame, event, path,
};

const VECTORS: &str = include_str!("vectors/vectors.txt");

/// A value as `Vectors.java` writes it.
trait Text {
    fn text(&self) -> String;
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

macro_rules! text {
    ($($ty:ty, $self:ident => $text:expr;)*) => {$(
        impl Text for $ty { fn text(&$self) -> String { $text } }
    )*};
}

text! {
    bool, self => self.to_string();
    i32, self => self.to_string();
    i64, self => self.to_string();
    Zxid, self => self.0.to_string();
    SessionId, self => self.0.to_string();
    SessionPassword, self => self.as_bytes().text();
    Permissions, self => self.0.to_string();
    event::EventType, self => self.code().to_string();
    event::KeeperState, self => self.code().to_string();
    WatcherType, self => self.code().to_string();
    AddWatchMode, self => self.code().to_string();
    [u8], self => format!("\"{}", hex(self));
    Bytes, self => self[..].text();
    str, self => self.as_bytes().text();
    String, self => self.as_bytes().text();
    WirePath<'_>, self => self.to_string().text();
    Children, self => list(self);
    [Acl], self => list(self);
    Vec<Acl>, self => list(self);
    std::borrow::Cow<'_, [Acl]>, self => list(self.iter());
    Vec<ClientInfo>, self => list(self);
}

impl<T: Text + ?Sized> Text for &T {
    fn text(&self) -> String {
        (**self).text()
    }
}

impl<T: Text> Text for Option<T> {
    fn text(&self) -> String {
        self.as_ref().map_or("~".to_owned(), Text::text)
    }
}

fn list<T: Text>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.text()).collect();
    format!("[{}]", items.join(" "))
}

/// Class and field names of Java on the left, of this crate on the right, in the same order.
macro_rules! records {
    ($($java:literal => $ty:ty { $($field:ident)* };)*) => {
        $(impl Text for $ty {
            fn text(&self) -> String {
                let fields: &[String] = &[$(self.$field.text()),*];
                format!("{{{}}}", fields.join(" "))
            }
        })*

        /// The names that Java has for each record and its fields, and the check of a record.
        fn records() -> Vec<(&'static str, fn(&Bytes) -> String)> {
            vec![$(($java, |frame| {
                every_cut_is_an_error(frame, |cut| decode_frame::<$ty>(cut, 0).is_err());
                hostile_words(frame, |bad| again!(bad, $ty));
                let mut input = Decoder::new(frame);
                let record = <$ty>::decode(&mut input).unwrap();
                input.finish().unwrap();
                assert_eq!(&encode(&record), frame, "{record:?}");
                record.text()
            })),*]
        }
    };
}

/// A record that can be read is the same when written and read again.
macro_rules! again {
    ($frame:expr, $ty:ty) => {
        if let Ok(record) = decode_frame::<$ty>($frame, 0) {
            let frame = encode(&record);
            assert_eq!(decode_frame::<$ty>(&frame, 0).as_ref(), Ok(&record));
        }
    };
}

records! {
    "Stat czxid mzxid ctime mtime version cversion aversion ephemeralOwner dataLength numChildren pzxid"
        => Stat { czxid mzxid ctime mtime version cversion aversion ephemeral_owner data_length num_children pzxid };
    "Id scheme id" => Id { scheme id };
    "ACL perms id" => Acl { perms id };
    "ClientInfo authScheme user" => ClientInfo { auth_scheme user };
    "RequestHeader xid type" => RequestHeader { xid op };
    "ReplyHeader xid zxid err" => ReplyHeader { xid zxid err };
    "WatcherEvent type state path" => WatcherEvent<'_> { kind state path };
    "MultiHeader type done err" => MultiHeader { op done err };
    "CreateRequest path data acl flags" => CreateRequest<'_> { path data acl flags };
    "CreateTTLRequest path data acl flags ttl" => CreateTtlRequest<'_> { path data acl flags ttl_ms };
    "CreateResponse path" => CreateResponse { path };
    "Create2Response path stat" => Create2Response { path stat };
    "DeleteRequest path version" => DeleteRequest<'_> { path version };
    "ExistsRequest path watch" => ExistsRequest<'_> { path watch };
    "ExistsResponse stat" => StatResponse { stat };
    "GetDataRequest path watch" => GetDataRequest<'_> { path watch };
    "GetDataResponse data stat" => GetDataResponse { data stat };
    "SetDataRequest path data version" => SetDataRequest<'_> { path data version };
    "GetACLRequest path" => GetAclRequest<'_> { path };
    "GetACLResponse acl stat" => GetAclResponse { acl stat };
    "SetACLRequest path acl version" => SetAclRequest<'_> { path acl version };
    "GetChildrenRequest path watch" => GetChildrenRequest<'_> { path watch };
    "GetChildrenResponse children" => GetChildrenResponse { children };
    "GetChildren2Request path watch" => GetChildren2Request<'_> { path watch };
    "GetChildren2Response children stat" => GetChildren2Response { children stat };
    "SyncRequest path" => SyncRequest<'_> { path };
    "SyncResponse path" => SyncResponse { path };
    "CheckVersionRequest path version" => CheckVersionRequest<'_> { path version };
    "ReconfigRequest joiningServers leavingServers newMembers curConfigId"
        => ReconfigRequest<'_> { joining leaving new_members cur_config_id };
    "CheckWatchesRequest path type" => CheckWatchesRequest<'_> { path kind };
    "RemoveWatchesRequest path type" => RemoveWatchesRequest<'_> { path kind };
    "AddWatchRequest path mode" => AddWatchRequest<'_> { path mode };
    "SetWatches relativeZxid dataWatches existWatches childWatches"
        => SetWatchesRequest { relative_zxid data exist child };
    "SetWatches2 relativeZxid dataWatches existWatches childWatches persistentWatches persistentRecursiveWatches"
        => SetWatches2Request { relative_zxid data exist child persistent recursive };
    "AuthPacket type scheme auth" => AuthRequest<'_> { auth_type scheme auth };
    "GetSASLRequest token" => SaslRequest<'_> { token };
    "SetSASLResponse token" => SaslResponse { token };
    "GetEphemeralsRequest prefixPath" => GetEphemeralsRequest<'_> { prefix };
    "GetEphemeralsResponse ephemerals" => GetEphemeralsResponse { paths };
    "GetAllChildrenNumberRequest path" => GetAllChildrenNumberRequest<'_> { path };
    "GetAllChildrenNumberResponse totalNumber" => GetAllChildrenNumberResponse { total };
    "WhoAmIResponse clientInfo" => WhoAmIResponse { clients };
    "ErrorResponse err" => ErrorResponse { err };
}

fn encode(record: &impl Encode) -> Bytes {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.freeze()
}

fn every_cut_is_an_error(frame: &Bytes, fails: impl Fn(&Bytes) -> bool) {
    for cut in 0..frame.len() {
        assert!(fails(&frame.slice(..cut)), "{cut} of {}", hex(frame));
    }
}

/// Every four bytes replaced by hostile lengths. A vector of `i32::MAX` items would need more memory
/// than there is.
fn hostile_words(frame: &Bytes, check: impl Fn(&Bytes)) {
    for at in 0..frame.len().saturating_sub(3) {
        for word in [i32::MAX, i32::MAX / 16, -1, -2, i32::MIN] {
            let mut bad = BytesMut::from(&frame[..]);
            bad[at..at + 4].copy_from_slice(&word.to_be_bytes());
            check(&bad.freeze());
        }
    }
}

/// The lines with this name: values and bytes.
fn vectors(name: &str) -> Vec<(&'static str, Bytes)> {
    let lines = VECTORS.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        (parts.next() == Some(name)).then(|| (parts.next().unwrap(), unhex(parts.next().unwrap())))
    });
    lines.collect()
}

#[test]
fn records_read_and_write_javas_bytes() {
    let mut checks: HashMap<_, _> = records().into_iter().collect();
    // These are the same record in this crate.
    let same = checks["ExistsResponse stat"];
    checks.insert("SetDataResponse stat", same);
    checks.insert("SetACLResponse stat", same);
    let mut seen = 0;
    for header in VECTORS.lines().filter_map(|line| line.strip_prefix("# ")) {
        let name = header.split(' ').next().unwrap();
        if name.starts_with("Connect") {
            continue;
        }
        let check = checks
            .remove(header)
            .unwrap_or_else(|| panic!("no record for {header:?}"));
        for (values, frame) in vectors(name) {
            assert_eq!(check(&frame), values, "{name}");
            seen += 1;
        }
    }
    assert!(checks.is_empty(), "no vectors for {:?}", checks.keys());
    assert_eq!(seen, 45 * 20);
}

#[test]
fn fixed_sizes_are_right() {
    for (name, len) in [
        ("RequestHeader", RequestHeader::LEN),
        ("ReplyHeader", ReplyHeader::LEN),
        ("MultiHeader", MultiHeader::LEN),
        ("Stat", Stat::LEN),
    ] {
        assert!(
            vectors(name).iter().all(|(_, frame)| frame.len() == len),
            "{name}"
        );
    }
}

#[test]
fn handshakes_without_the_last_byte() {
    let requests = vectors("ConnectRequest");
    let full_requests = vectors("ConnectRequest+readOnly");
    assert_eq!((requests.len(), full_requests.len()), (20, 20));
    let text = |r: &ConnectRequest| {
        let (version, zxid) = (r.protocol_version.text(), r.last_zxid_seen.text());
        let (timeout, id) = (r.timeout_ms.text(), r.session_id.text());
        format!("{{{version} {zxid} {timeout} {id} {}}}", r.password.text())
    };
    for (values, frame) in &requests {
        every_cut_is_an_error(frame, |cut| decode_frame::<ConnectRequest>(cut, 0).is_err());
        hostile_words(frame, |bad| again!(bad, ConnectRequest));
        let request: ConnectRequest = decode_frame(frame, 0).unwrap();
        assert_eq!(
            (text(&request).as_str(), request.read_only),
            (*values, None)
        );
        assert_eq!(encode(&request), frame);
    }
    for (values, frame) in &full_requests {
        let request: ConnectRequest = decode_frame(frame, 0).unwrap();
        let read_only = request.read_only.unwrap();
        assert_eq!(format!("{} {read_only}", text(&request)), *values);
        assert_eq!(encode(&request), frame);
    }
    let responses = vectors("ConnectResponse");
    let full_responses = vectors("ConnectResponse+readOnly");
    assert_eq!((responses.len(), full_responses.len()), (20, 20));
    let text = |r: &ConnectResponse| {
        let (version, timeout) = (r.protocol_version.text(), r.timeout_ms.text());
        format!(
            "{{{version} {timeout} {} {}}}",
            r.session_id.text(),
            r.password.text()
        )
    };
    for (values, frame) in &responses {
        every_cut_is_an_error(frame, |cut| {
            decode_frame::<ConnectResponse>(cut, 0).is_err()
        });
        hostile_words(frame, |bad| again!(bad, ConnectResponse));
        let response: ConnectResponse = decode_frame(frame, 0).unwrap();
        assert_eq!(
            (text(&response).as_str(), response.read_only),
            (*values, false)
        );
        let mut out = BytesMut::new();
        response.encode_without_read_only(&mut out);
        assert_eq!(out, frame);
        assert_eq!(response.is_expired(), response.timeout_ms <= 0);
    }
    for (values, frame) in &full_responses {
        let response: ConnectResponse = decode_frame(frame, 0).unwrap();
        assert_eq!(
            format!("{} {}", text(&response), response.read_only),
            *values
        );
        assert_eq!(encode(&response), frame);
        // Bytes after the response are left to the next record (B4, B5).
        let longer = [frame, &[7, 7, 7][..]].concat().into();
        assert_eq!(
            decode_frame::<ConnectResponse>(&longer, 0).unwrap(),
            response
        );
    }
}

fn op_text(op: &MultiOp<'_>) -> String {
    let record = match op {
        MultiOp::Create(op) | MultiOp::Create2(op) | MultiOp::CreateContainer(op) => op.text(),
        MultiOp::CreateTtl(op) => op.text(),
        MultiOp::Delete(op) => op.text(),
        MultiOp::SetData(op) => op.text(),
        MultiOp::Check(op) => op.text(),
        // Java's own record of a read in a multi: it has a watch, always false.
        MultiOp::GetData(op) => op.text(),
        MultiOp::GetChildren(op) => op.text(),
    };
    format!("{}{record}", op.op_code().code())
}

fn result_text(result: &MultiResult) -> String {
    match result {
        MultiResult::Create { path } => format!("1{{{}}}", path.text()),
        MultiResult::Create2 { path, stat } => format!("15{{{} {}}}", path.text(), stat.text()),
        MultiResult::SetData { stat } => format!("5{{{}}}", stat.text()),
        MultiResult::Delete => "2{}".to_owned(),
        MultiResult::Check => "13{}".to_owned(),
        MultiResult::GetData { data, stat } => format!("4{{{} {}}}", data.text(), stat.text()),
        MultiResult::Children { children } => format!("8{{{}}}", children.text()),
        MultiResult::Error(code) => format!("-1{{{code}}}"),
    }
}

/// Reads, compares, writes and corrupts the vectors of a multi.
fn check_multi<T: for<'a> Check<'a>>(name: &str) {
    let vectors = vectors(name);
    assert_eq!(vectors.len(), 60);
    for (values, frame) in &vectors {
        every_cut_is_an_error(frame, |cut| T::read(cut).is_none());
        hostile_words(frame, |bad| {
            if let Some((_, written)) = T::read(bad) {
                assert_eq!(T::read(&written).unwrap().1, written);
            }
        });
        let (text, written) = T::read(frame).unwrap();
        assert_eq!((text.as_str(), written), (*values, frame.clone()));
    }
}

trait Check<'a> {
    /// The values, and the bytes when written again.
    fn read(frame: &'a Bytes) -> Option<(String, Bytes)>;
}

struct Requests;
impl<'a> Check<'a> for Requests {
    fn read(frame: &'a Bytes) -> Option<(String, Bytes)> {
        let request: MultiRequest<'a> = decode_frame(frame, 0).ok()?;
        let text: Vec<_> = request.ops.iter().map(op_text).collect();
        Some((text.join(" "), encode(&request)))
    }
}

struct Responses;
impl<'a> Check<'a> for Responses {
    fn read(frame: &'a Bytes) -> Option<(String, Bytes)> {
        let response: MultiResponse = decode_frame(frame, 0).ok()?;
        let text: Vec<_> = response.results.iter().map(result_text).collect();
        Some((text.join(" "), encode(&response)))
    }
}

#[test]
fn multis_read_and_write_javas_bytes() {
    check_multi::<Requests>("MultiRequest");
    check_multi::<Responses>("MultiResponse");
}

/// Java writes characters outside the BMP as CESU-8. They are read, and written as UTF-8, which Java
/// reads.
///
/// Guards: B14.
#[test]
fn javas_cesu_8_is_read() {
    fn check<T>(name: &str)
    where
        T: for<'a> Decode<'a> + Encode + Text + PartialEq + Debug,
    {
        let vectors = vectors(&format!("cesu8 {name}"));
        assert_eq!(vectors.len(), 3);
        for (values, frame) in vectors {
            assert!(std::str::from_utf8(&frame).is_err());
            let record: T = decode_frame(&frame, 0).unwrap();
            assert_eq!(record.text(), values);
            assert_eq!(decode_frame::<T>(&encode(&record), 0), Ok(record));
        }
    }
    check::<GetAclResponse>("GetACLResponse");
    check::<WhoAmIResponse>("WhoAmIResponse");
    check::<CreateResponse>("CreateResponse");
}

#[test]
fn paths_are_valid_when_java_says_so() {
    let forbidden = VECTORS
        .lines()
        .find_map(|line| line.strip_prefix("forbidden\t"))
        .unwrap();
    let ranges: Vec<_> = forbidden
        .split(' ')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap();
            let unit = |text| u16::from_str_radix(text, 16).unwrap();
            unit(first)..=unit(last)
        })
        .collect();
    for c in ('\0'..=char::MAX).filter(|&c| c != '/') {
        let allowed = c
            .encode_utf16(&mut [0; 2])
            .iter()
            .all(|u| ranges.iter().all(|r| !r.contains(u)));
        assert_eq!(path::validate(&format!("/{c}x")).is_ok(), allowed, "{c:?}");
    }
    let paths = VECTORS
        .lines()
        .filter_map(|line| line.strip_prefix("path\t"));
    let mut seen = 0;
    for (hex, expected) in paths.map(|line| line.split_once('\t').unwrap()) {
        let text = String::from_utf8(unhex(hex).to_vec()).unwrap();
        let (plain, sequential) = (path::validate(&text), path::validate_sequential(&text));
        assert_eq!(
            format!("{} {}", plain.is_ok(), sequential.is_ok()),
            expected,
            "{text:?}"
        );
        seen += 1;
    }
    assert_eq!(seen, 14 * 14 * 2);
}
