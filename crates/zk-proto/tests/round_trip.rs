//! Records are read back as written, for any values, and a truncated frame is an error.
#![allow(clippy::unwrap_used, reason = "test code outside #[test] functions")]

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use zk_proto::acl::{self, Acl, Permissions};
use zk_proto::event::{EventType, KeeperState};
use zk_proto::path::{Chroot, WirePath, sequence_after, validate};
use zk_proto::records::*;
use zk_proto::{
    ConnectString, Decode, Decoder, Encode, ReplyHeader, RequestHeader, SessionId, SessionPassword,
    Stat, WatcherEvent, Zxid, decode_frame,
};

/// Values to fill records with.
#[derive(Debug)]
struct Values {
    path: String,
    text: Option<String>,
    names: Vec<String>,
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    stat: Stat,
    int: i32,
    long: i64,
    flag: bool,
}

fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(longs, ints)| {
        let [czxid, mzxid, ctime, mtime, ephemeral_owner, pzxid] = longs;
        let [version, cversion, aversion, data_length, num_children] = ints;
        let mut stat = Stat::default();
        (stat.czxid, stat.mzxid, stat.pzxid) = (Zxid(czxid), Zxid(mzxid), Zxid(pzxid));
        (stat.ctime, stat.mtime, stat.ephemeral_owner) = (ctime, mtime, ephemeral_owner);
        (stat.version, stat.cversion, stat.aversion) = (version, cversion, aversion);
        (stat.data_length, stat.num_children) = (data_length, num_children);
        stat
    })
}

fn values() -> impl Strategy<Value = Values> {
    let entry = (any::<i32>(), ".{0,6}", ".{0,12}");
    let entry = entry.prop_map(|(bits, scheme, id)| Acl::new(Permissions(bits), scheme, id));
    // Data on both sides of the limit below which it is copied.
    let data = prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 250..262)];
    (
        (
            ".{0,20}",
            option::of(".{0,20}"),
            vec(".{0,8}", 0..6),
            option::of(data),
        ),
        (
            vec(entry, 0..4),
            stat(),
            any::<i32>(),
            any::<i64>(),
            any::<bool>(),
        ),
    )
        .prop_map(
            |((path, text, names, data), (acl, stat, int, long, flag))| Values {
                path,
                text,
                names,
                data,
                acl,
                stat,
                int,
                long,
                flag,
            },
        )
}

fn encode(record: &impl Encode) -> Bytes {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.freeze()
}

macro_rules! survive {
    ($($ty:ty = $record:expr;)*) => {$({
        let record: $ty = $record;
        // Bytes instead of the header of a frame.
        let mut frame = BytesMut::from(&[0xa5; ReplyHeader::LEN][..]);
        record.encode(&mut frame);
        let frame = frame.freeze();
        let mut input = Decoder::at(&frame, ReplyHeader::LEN);
        prop_assert_eq!(&<$ty>::decode(&mut input).unwrap(), &record);
        prop_assert_eq!(input.finish(), Ok(()));
        for cut in ReplyHeader::LEN..frame.len() {
            let short = frame.slice(..cut);
            let error = decode_frame::<$ty>(&short, ReplyHeader::LEN).unwrap_err();
            prop_assert!(error.offset <= cut, "{}", error);
        }
    })*};
}

proptest! {
    #[test]
    fn every_record(v in values()) {
        let path = WirePath::from(&v.path);
        let data = v.data.as_deref();
        let bytes = v.data.clone().map(Bytes::from);
        let acl = || Cow::Borrowed(v.acl.as_slice());
        let text = v.text.as_deref();
        let names = || v.names.iter().collect::<Children>();
        let (stat, zxid, watch) = (v.stat, Zxid(v.long), v.flag);
        let (version, flags, err) = (v.int, v.int, v.int);
        let password = SessionPassword::new(bytes.clone().unwrap_or_default());
        survive! {
            RequestHeader = RequestHeader { xid: v.int, op: v.int };
            ReplyHeader = ReplyHeader { xid: v.int, zxid, err };
            WatcherEvent<'_> = WatcherEvent {
                kind: EventType::from_i32(v.int),
                state: KeeperState::from_i32(v.int),
                path: &v.path,
            };
            Stat = stat;
            CreateRequest<'_> = CreateRequest { path, data, acl: acl(), flags };
            CreateTtlRequest<'_> =
                CreateTtlRequest { path, data, acl: acl(), flags, ttl_ms: v.long };
            CreateResponse = CreateResponse { path: v.path.clone() };
            Create2Response = Create2Response { path: v.path.clone(), stat };
            DeleteRequest<'_> = DeleteRequest { path, version };
            ExistsRequest<'_> = ExistsRequest { path, watch };
            StatResponse = StatResponse { stat };
            GetDataRequest<'_> = GetDataRequest { path, watch };
            GetDataResponse = GetDataResponse { data: bytes.clone(), stat };
            SetDataRequest<'_> = SetDataRequest { path, data, version };
            GetAclRequest<'_> = GetAclRequest { path };
            GetAclResponse = GetAclResponse { acl: v.acl.clone(), stat };
            SetAclRequest<'_> = SetAclRequest { path, acl: acl(), version };
            GetChildrenRequest<'_> = GetChildrenRequest { path, watch };
            GetChildrenResponse = GetChildrenResponse { children: names() };
            GetChildren2Request<'_> = GetChildren2Request { path, watch };
            GetChildren2Response = GetChildren2Response { children: names(), stat };
            SyncRequest<'_> = SyncRequest { path };
            SyncResponse = SyncResponse { path: v.path.clone() };
            CheckVersionRequest<'_> = CheckVersionRequest { path, version };
            DeleteContainerRequest<'_> = DeleteContainerRequest { path };
            ErrorResponse = ErrorResponse { err };
            ReconfigRequest<'_> = ReconfigRequest {
                joining: text,
                leaving: None,
                new_members: text,
                cur_config_id: v.long,
            };
            CheckWatchesRequest<'_> =
                CheckWatchesRequest { path, kind: WatcherType::from_i32(v.int) };
            RemoveWatchesRequest<'_> =
                RemoveWatchesRequest { path, kind: WatcherType::from_i32(v.int) };
            AddWatchRequest<'_> = AddWatchRequest { path, mode: AddWatchMode::from_i32(v.int) };
            SetWatchesRequest = SetWatchesRequest {
                relative_zxid: zxid,
                data: names(),
                exist: Children::default(),
                child: names(),
            };
            SetWatches2Request = SetWatches2Request {
                relative_zxid: zxid,
                data: names(),
                exist: Children::default(),
                child: names(),
                persistent: Children::default(),
                recursive: names(),
            };
            AuthRequest<'_> = AuthRequest { auth_type: v.int, scheme: &v.path, auth: data };
            SaslRequest<'_> = SaslRequest { token: data };
            SaslResponse = SaslResponse { token: bytes.clone() };
            GetEphemeralsRequest<'_> = GetEphemeralsRequest { prefix: text };
            GetEphemeralsResponse = GetEphemeralsResponse { paths: names() };
            GetAllChildrenNumberRequest<'_> = GetAllChildrenNumberRequest { path };
            GetAllChildrenNumberResponse = GetAllChildrenNumberResponse { total: v.int };
            WhoAmIResponse = WhoAmIResponse {
                clients: v.names.iter().map(|name| ClientInfo {
                    auth_scheme: name.clone(),
                    user: v.path.clone(),
                }).collect(),
            };
            ConnectRequest = ConnectRequest {
                protocol_version: v.int,
                last_zxid_seen: zxid,
                timeout_ms: v.int,
                session_id: SessionId(v.long),
                password: password.clone(),
                read_only: None,
            };
            MultiHeader = MultiHeader { op: v.int, done: v.flag, err };
        }
        // Without their last byte these are whole as well, so they cannot be cut anywhere.
        let response = ConnectResponse {
            protocol_version: v.int,
            timeout_ms: v.int,
            session_id: SessionId(v.long),
            password,
            read_only: v.flag,
        };
        prop_assert_eq!(decode_frame::<ConnectResponse>(&encode(&response), 0), Ok(response));
    }

    #[test]
    fn multis_of_any_kinds(values in vec((values(), 0..9_usize), 0..8)) {
        let ops = values.iter().map(|(v, kind)| {
            let (path, data, version) = (WirePath::from(&v.path), v.data.as_deref(), v.int);
            let acl = Cow::Borrowed(v.acl.as_slice());
            let create = CreateRequest { path, data, acl: acl.clone(), flags: v.int };
            match kind {
                0 => MultiOp::Create(create),
                1 => MultiOp::Create2(create),
                2 => MultiOp::CreateContainer(create),
                3 => MultiOp::CreateTtl(CreateTtlRequest {
                    path, data, acl, flags: v.int, ttl_ms: v.long,
                }),
                4 => MultiOp::Delete(DeleteRequest { path, version }),
                5 => MultiOp::SetData(SetDataRequest { path, data, version }),
                6 => MultiOp::Check(CheckVersionRequest { path, version }),
                7 => MultiOp::GetData(GetDataRequest { path, watch: v.flag }),
                _ => MultiOp::GetChildren(GetChildrenRequest { path, watch: v.flag }),
            }
        }).collect();
        let results = values.iter().map(|(v, kind)| {
            let (path, stat) = (v.path.clone(), v.stat);
            match kind {
                0 => MultiResult::Create { path },
                1 => MultiResult::Create2 { path, stat },
                2 => MultiResult::SetData { stat },
                3 => MultiResult::Delete,
                4 => MultiResult::Check,
                5 => MultiResult::GetData { data: v.data.clone().map(Bytes::from), stat },
                6 => MultiResult::Children { children: v.names.iter().collect() },
                _ => MultiResult::Error(v.int),
            }
        }).collect();
        survive! {
            MultiRequest<'_> = MultiRequest { ops };
            MultiResponse = MultiResponse { results };
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let frame = Bytes::from(bytes);
        if let Ok(response) = decode_frame::<MultiResponse>(&frame, 0) {
            prop_assert_eq!(decode_frame::<MultiResponse>(&encode(&response), 0), Ok(response));
        }
        if let Ok(response) = decode_frame::<GetChildren2Response>(&frame, 0) {
            prop_assert_eq!(response.children.iter().count(), response.children.len());
        }
    }

    #[test]
    fn a_chroot_gives_back_what_it_took(
        root in "(/[a-z]{1,3}){0,3}",
        below in "(/[a-z]{1,3}){1,3}|/",
        other in "(/[a-z]{1,3}){1,3}",
    ) {
        let chroot = Chroot::new(&root).unwrap();
        let whole = chroot.join(&below);
        prop_assert_eq!(validate(&whole), Ok(()));
        prop_assert_eq!(chroot.strip(&whole), Some(below.as_str()));
        prop_assert_eq!(chroot.wire(&below), whole.as_str());
        if let Some(inside) = chroot.strip(&other) {
            prop_assert!(inside.starts_with('/'));
            prop_assert_eq!(chroot.join(inside), other);
        }
    }

    #[test]
    fn texts_are_read_as_they_are_written(text in "\\PC{0,40}|[a-z:,\\[\\]/0-9@. -]{0,40}") {
        if let Ok(parsed) = text.parse::<ConnectString>() {
            prop_assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        if let Ok(parsed) = acl::parse(&text) {
            prop_assert_eq!(acl::parse(&acl::display(&parsed)), Ok(parsed));
        }
    }

    #[test]
    fn every_sequence_number_is_read_back(number in any::<i32>(), prefix in "[a-z0-9-]{0,12}") {
        let name = format!("{prefix}{number:010}");
        prop_assert_eq!(sequence_after(&name, &prefix), Some(number));
    }
}
