//! ClickHouse Keeper, by the files named in [`Pose`](super::Pose).
//!
//! The operations are those of `ZooKeeperRequestFactory`, and for 26.1 of
//! `KeeperContext::isOperationSupported` with the feature flags that are on by default. Keeper's own
//! operations, numbered from 500, are not imitated: no other client sends them.

use std::time::Duration;

use zk_proto::{ErrorCode, OpCode};

use super::behaviour::{
    AclRules, Behaviour, CreateFlags, Handshake, Texts, UnknownOp, Unreadable, WatchKinds,
};
use super::ops::OpSet;

const OPS_OLD: OpSet = OpSet::of(&[
    OpCode::Create,
    OpCode::Delete,
    OpCode::Exists,
    OpCode::GetData,
    OpCode::SetData,
    OpCode::GetAcl,
    OpCode::SetAcl,
    OpCode::GetChildren,
    OpCode::Sync,
    OpCode::Ping,
    OpCode::GetChildren2,
    OpCode::Check,
    OpCode::Multi,
    OpCode::Auth,
    OpCode::CloseSession,
]);

const OPS_NEW: OpSet = OPS_OLD.with(&[
    OpCode::Reconfig,
    OpCode::CheckWatches,
    OpCode::RemoveWatches,
    OpCode::MultiRead,
    OpCode::SetWatches,
    OpCode::SetWatches2,
    OpCode::AddWatch,
]);

const MULTI: OpSet = OpSet::of(&[
    OpCode::Create,
    OpCode::Delete,
    OpCode::SetData,
    OpCode::Check,
]);

/// Flag n is bit 7 − n % 8 of byte n / 8: all of the first eight, then not `CREATE_WITH_STATS`, but
/// `TRY_REMOVE` and `LIST_WITH_STAT_AND_DATA`.
const FEATURE_FLAGS: &[u8] = &[0b1111_1111, 0b0110_0000];

pub(super) const OLD: Behaviour = Behaviour {
    version: "v22.8.21.38-lts-embedded",
    texts: Texts::Keeper,
    words: &[
        "conf", "cons", "crst", "dirs", "dump", "envi", "isro", "mntr", "ruok", "srst", "srvr",
        "stat", "wchc", "wchp", "wchs",
    ],
    ops: OPS_OLD,
    ops_in_multi: MULTI,
    unknown_op: UnknownOp::Close,
    unreadable: Unreadable::Closes,
    handshake: Handshake::Keeper,
    session_timeouts: Some((Duration::from_secs(10), Duration::from_secs(100))),
    system_nodes: &[],
    reserved: None,
    create_flags: CreateFlags::TwoBits,
    flags_decide_in_multi: true,
    null_is_empty: true,
    acls: AclRules::KeeperOld,
    exists_checks_acl: false,
    keeps_pzxid: true,
    set_moves_cversion: true,
    stat_with_children: true,
    watches: WatchKinds::EventEach,
    events_check_acl: false,
    events_have_zxid: false,
    add_watch_has_body: false,
    answers_check: true,
    answers_close: false,
    reads_delete_container: false,
    reconfig_disabled: ErrorCode::Unimplemented,
};

pub(super) const NEW: Behaviour = Behaviour {
    version: "v26.1.1.1-stable-embedded",
    words: &[
        "apiv", "conf", "cons", "crst", "dirs", "dump", "envi", "ftfl", "isro", "mntr", "ruok",
        "srst", "srvr", "stat", "wchc", "wchp", "wchs",
    ],
    ops: OPS_NEW,
    system_nodes: &[
        ("/keeper", b""),
        ("/keeper/api_version", b"2"),
        ("/keeper/feature_flags", FEATURE_FLAGS),
    ],
    reserved: Some("/keeper"),
    acls: AclRules::KeeperNew,
    stat_with_children: false,
    ..OLD
};
