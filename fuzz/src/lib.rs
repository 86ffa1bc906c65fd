//! The bodies of the fuzz targets, plain functions so that ordinary tests can replay them.
//!
//! Each takes any bytes and checks its assertions; apart from these it must not panic.

use bytes::{Bytes, BytesMut};
use zk_proto::admin::{self, ServerStatus, ServerVersion, SessionDump};
use zk_proto::config::{EnsembleConfig, Server};
use zk_proto::records::*;
use zk_proto::{
    Acl, Chroot, ConnectString, ConnectTarget, Decoder, Encode, HostPort, OpCode, ReplyHeader,
    RequestHeader, WatcherEvent, acl, decode_frame, path,
};

/// Reads the frame as this record. A record that was read must be the same when it is written and read
/// again, and not longer, apart from the last byte of the handshake, which old servers leave out.
macro_rules! round_trip {
    ($frame:expr, $ty:ty) => {
        if let Ok(record) = decode_frame::<$ty>($frame, 0) {
            let written = encode(&record);
            assert!(written.len() <= $frame.len() + 1);
            assert_eq!(decode_frame::<$ty>(&written, 0).as_ref(), Ok(&record));
        }
    };
}

/// Picks one of the records by the first byte. The order is that of the seeds' first bytes: add at
/// the end only.
macro_rules! pick {
    ($data:expr; $($ty:ty,)*) => {
        if let Some((&choice, rest)) = $data.split_first() {
            let frame = Bytes::copy_from_slice(rest);
            let readers: &[fn(&Bytes)] = &[$(|frame| round_trip!(frame, $ty)),*];
            if let Some(read) = readers.get(usize::from(choice) % readers.len()) {
                read(&frame);
            }
        }
    };
}

/// Reads the body of the operation that the first byte selects, as [`round_trip`] does.
macro_rules! by_operation {
    ($data:expr, $body:ty) => {
        if let Some((&choice, rest)) = $data.split_first() {
            let op = OpCode::ALL[usize::from(choice) % OpCode::ALL.len()];
            let frame = Bytes::copy_from_slice(rest);
            if let Ok(body) = <$body>::decode(op, &mut Decoder::new(&frame)) {
                let written = encode(&body);
                assert!(written.len() <= frame.len());
                let again = <$body>::decode(op, &mut Decoder::new(&written));
                assert_eq!(again.as_ref(), Ok(&body));
                assert_eq!(body.op_code(), op);
            }
        }
    };
}

/// Frames from a server.
pub fn decode_reply(data: &[u8]) {
    by_operation!(data, Reply);
    pick! { data;
        ReplyHeader,
        ConnectResponse,
        WatcherEvent<'_>,
        CreateResponse,
        Create2Response,
        StatResponse,
        GetDataResponse,
        GetAclResponse,
        GetChildrenResponse,
        GetChildren2Response,
        SyncResponse,
        MultiResponse,
        SaslResponse,
        GetEphemeralsResponse,
        GetAllChildrenNumberResponse,
        WhoAmIResponse,
        ErrorResponse,
    }
}

/// Frames from a client.
pub fn decode_request(data: &[u8]) {
    by_operation!(data, Request<'_>);
    pick! { data;
        RequestHeader,
        ConnectRequest,
        CreateRequest<'_>,
        CreateTtlRequest<'_>,
        DeleteRequest<'_>,
        ExistsRequest<'_>,
        SetDataRequest<'_>,
        SetAclRequest<'_>,
        GetEphemeralsRequest<'_>,
        MultiRequest<'_>,
        ReconfigRequest<'_>,
        RemoveWatchesRequest<'_>,
        AddWatchRequest<'_>,
        SetWatchesRequest,
        SetWatches2Request,
        AuthRequest<'_>,
        SaslRequest<'_>,
    }
}

/// Every reader of text.
pub fn parse_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(parsed) = text.parse::<ConnectTarget>() {
        assert_eq!(parsed.to_string().parse().as_ref(), Ok(&parsed));
    }
    if let Ok(parsed) = text.parse::<ConnectString>() {
        assert!(!parsed.hosts.is_empty());
        assert_eq!(parsed.to_string().parse().as_ref(), Ok(&parsed));
    }
    if let Ok(parsed) = text.parse::<HostPort>() {
        assert_eq!(parsed.to_string().parse().as_ref(), Ok(&parsed));
    }
    let Ok(config) = text.parse::<EnsembleConfig>();
    let Ok(again) = config.to_string().parse::<EnsembleConfig>();
    // Written without comments, unreadable lines have other numbers.
    assert_eq!(again.to_string(), config.to_string());
    assert_eq!(again.servers, config.servers);
    for hosts in [config.connect_string(), config.secure_connect_string()] {
        if !hosts.hosts.is_empty() {
            assert_eq!(hosts.to_string().parse(), Ok(hosts));
        }
    }
    if let Ok(parsed) = text.parse::<Server>() {
        assert_eq!(parsed.to_string().parse().as_ref(), Ok(&parsed));
    }
    if let Ok(parsed) = acl::parse(text) {
        let written = acl::display(&parsed);
        assert_eq!(acl::parse(&written).as_ref(), Ok::<&Vec<Acl>, _>(&parsed));
    }
    paths(text);
    // These texts are only read: the readers must not panic.
    let _ = text.parse::<ServerStatus>();
    let _ = admin::connections(text);
    let _ = admin::mntr(text);
    let _ = admin::properties(text);
    let _ = admin::isro(text);
    let _ = admin::ruok(text);
    let _ = admin::reset(text);
    let _ = admin::trace_mask(text);
    let _ = admin::apiv(text);
    let _ = admin::dirs(text);
    let _ = admin::hash(text);
    let _ = admin::wchs(text);
    let _ = admin::wchc(text);
    let _ = admin::wchp(text);
    let _ = text.parse::<SessionDump>();
    if let Ok(version) = text.parse::<ServerVersion>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
}

/// A chroot and a path, separated by a space.
fn paths(text: &str) {
    let (root, path) = text.split_once(' ').unwrap_or(("", text));
    if let Ok(chroot) = Chroot::new(root) {
        if let Some(inside) = chroot.strip(path) {
            assert!(inside.starts_with('/'));
            assert!(path == "/" || path.ends_with('/') || chroot.join(inside) == path);
        }
        if path::validate(path).is_ok() {
            assert_eq!(chroot.strip(&chroot.join(path)), Some(path));
        }
    }
    if path::validate(path).is_ok() {
        assert!(path::validate_sequential(path).is_ok());
        if let Some(parent) = path::parent(path) {
            assert_eq!(path::join(parent, path::name(path)), path);
        }
    }
    let _ = path::sequence(path);
    if let Some(number) = path::sequence_after(path, root) {
        assert_eq!(format!("{root}{number:010}"), path);
    }
}

/// Names of the znodes of a lock, one on each line of the text. The first line is the mark before their
/// numbers. Other names are left out, and the rest is in the order of the numbers.
pub fn lock_names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (mark, names) = text.split_once('\n').unwrap_or(("", text));
    let mut contenders: Vec<(i32, &str)> = names
        .lines()
        .filter_map(|name| {
            Some((
                path::sequence_after(name.get(name.rfind(mark)?..)?, mark)?,
                name,
            ))
        })
        .collect();
    contenders.sort_unstable();
    for (number, name) in &contenders {
        let prefix = name.len() - format!("{number:010}").len();
        assert_eq!(
            name.get(prefix..),
            Some(&*format!("{number:010}")),
            "{name}"
        );
        // A minus sign may belong to the mark or to the number. After a mark that ends with another
        // character, nothing is ambiguous.
        if *number >= 0 && !mark.ends_with('-') {
            assert_eq!(path::sequence(name), Some(*number), "{name}");
        }
    }
    // Every number has a name that is read as that number.
    for number in data.windows(4).take(16) {
        let number = number
            .iter()
            .fold(0, |n: i32, byte| n << 8 | i32::from(*byte));
        let name = format!("_c_{mark}{number:010}");
        let read = path::sequence_after(name.get(3..).unwrap_or_default(), mark);
        assert_eq!(read, Some(number), "{name}");
        assert!(path::sequence(&name).is_some(), "{name}");
    }
}

fn encode(record: &impl Encode) -> Bytes {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.freeze()
}
