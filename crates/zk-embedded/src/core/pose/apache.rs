//! Apache ZooKeeper, by `ZooDefs.OpCode`, `Request.isValid`, `PrepRequestProcessor`,
//! `FinalRequestProcessor` and `MultiTransactionRecord` (later `MultiOperationRecord`) of the releases
//! named in [`Pose`](super::Pose).

use zk_proto::{ErrorCode, OpCode};

use super::behaviour::{
    AclRules, Behaviour, CreateFlags, Handshake, Texts, UnknownOp, Unreadable, WatchKinds,
};
use super::ops::OpSet;

const OPS_3_4: OpSet = OpSet::of(&[
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
    OpCode::SetWatches,
    OpCode::Sasl,
    OpCode::CloseSession,
]);

const OPS_3_5: OpSet = OPS_3_4.with(&[
    OpCode::Create2,
    OpCode::Reconfig,
    OpCode::CheckWatches,
    OpCode::RemoveWatches,
    OpCode::CreateContainer,
    OpCode::DeleteContainer,
    OpCode::CreateTtl,
]);

const OPS_3_6: OpSet = OPS_3_5.with(&[
    OpCode::MultiRead,
    OpCode::GetEphemerals,
    OpCode::GetAllChildrenNumber,
    OpCode::SetWatches2,
    OpCode::AddWatch,
]);

const OPS_3_8: OpSet = OPS_3_6.with(&[OpCode::WhoAmI]);

const MULTI_3_4: OpSet = OpSet::of(&[
    OpCode::Create,
    OpCode::Delete,
    OpCode::SetData,
    OpCode::Check,
]);

const MULTI_3_5: OpSet =
    MULTI_3_4.with(&[OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl]);

const WORDS_3_4: &[&str] = &[
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "isro", "mntr", "ruok", "srst", "srvr",
    "stat", "stmk", "wchc", "wchp", "wchs",
];

const WORDS: &[&str] = &[
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "lead", "mntr", "ruok",
    "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs", "zabs",
];

pub(super) const V3_9: Behaviour = Behaviour {
    version: "3.9.5-embedded, built on 2026-01-01 00:00 UTC",
    texts: Texts::Apache,
    words: WORDS,
    ops: OPS_3_8.without(&[OpCode::Check]),
    ops_in_multi: MULTI_3_5,
    unknown_op: UnknownOp::AnswerAndClose,
    unreadable: Unreadable::TakesNone,
    handshake: Handshake::Apache,
    session_timeouts: None,
    system_nodes: &[
        ("/zookeeper", b""),
        ("/zookeeper/quota", b""),
        ("/zookeeper/config", b""),
    ],
    reserved: None,
    create_flags: CreateFlags::UpTo(6),
    flags_decide_in_multi: false,
    null_is_empty: false,
    acls: AclRules::Apache,
    // Since 3.9.2 and 3.8.4.
    exists_checks_acl: true,
    keeps_pzxid: false,
    set_moves_cversion: false,
    stat_with_children: false,
    watches: WatchKinds::OneEvent,
    events_check_acl: true,
    events_have_zxid: true,
    add_watch_has_body: true,
    answers_check: false,
    answers_close: true,
    reads_delete_container: true,
    reconfig_disabled: ErrorCode::ReconfigDisabled,
};

pub(super) const V3_8: Behaviour = Behaviour {
    version: "3.8.0-embedded, built on 2022-02-25 08:49 UTC",
    ops: OPS_3_8,
    unreadable: Unreadable::TakesZxid,
    flags_decide_in_multi: true,
    exists_checks_acl: false,
    watches: WatchKinds::LastSet,
    events_have_zxid: false,
    reads_delete_container: false,
    ..V3_9
};

pub(super) const V3_6: Behaviour = Behaviour {
    version: "3.6.4-embedded, built on 2022-12-18 19:53 UTC",
    ops: OPS_3_6,
    events_check_acl: false,
    ..V3_8
};

pub(super) const V3_5: Behaviour = Behaviour {
    version: "3.5.10-embedded, built on 05/31/2022 21:52 GMT",
    texts: Texts::ApacheOld,
    words: WORDS_3_4,
    ops: OPS_3_5,
    ..V3_6
};

pub(super) const V3_4: Behaviour = Behaviour {
    version: "3.4.14-embedded, built on 03/06/2019 16:18 GMT",
    ops: OPS_3_4,
    ops_in_multi: MULTI_3_4,
    system_nodes: &[("/zookeeper", b""), ("/zookeeper/quota", b"")],
    create_flags: CreateFlags::UpTo(3),
    ..V3_5
};
