//! What znodes prove of a transaction.

use zk_proto::path::WirePath;
use zk_proto::records::{CheckVersionRequest, CreateRequest, DeleteRequest, SetDataRequest};

use super::*;

const SEEN: Zxid = Zxid(100);
const ME: SessionId = SessionId(7);

fn wire(path: &str) -> WirePath<'_> {
    WirePath::new("", path)
}

fn create(path: &str, flags: i32) -> (&str, MultiOp<'_>) {
    let request = CreateRequest {
        path: wire(path),
        data: Some(b"ours"),
        acl: Vec::new().into(),
        flags,
    };
    (path, MultiOp::Create2(request))
}

fn set(path: &str, version: i32) -> (&str, MultiOp<'_>) {
    let request = SetDataRequest {
        path: wire(path),
        data: Some(b"ours"),
        version,
    };
    (path, MultiOp::SetData(request))
}

fn delete(path: &str) -> (&str, MultiOp<'_>) {
    let request = DeleteRequest {
        path: wire(path),
        version: -1,
    };
    (path, MultiOp::Delete(request))
}

fn check(path: &str) -> (&str, MultiOp<'_>) {
    let request = CheckVersionRequest {
        path: wire(path),
        version: 3,
    };
    (path, MultiOp::Check(request))
}

fn stat(czxid: i64, mzxid: i64, version: i32) -> Stat {
    let mut stat = Stat::default();
    (stat.czxid, stat.mzxid, stat.pzxid) = (Zxid(czxid), Zxid(mzxid), Zxid(czxid));
    stat.version = version;
    stat
}

fn found(stat: Stat) -> Found {
    Found {
        stat: Some(stat),
        data: Some(Bytes::from_static(b"ours")),
        parent: None,
    }
}

fn below(pzxid: i64) -> Found {
    let mut parent = stat(1, 1, 0);
    parent.pzxid = Zxid(pzxid);
    Found {
        parent: Some(parent),
        ..Found::default()
    }
}

fn proof_of(op: &(&str, MultiOp<'_>), found: &Found) -> Proof {
    proof(op.0, &op.1, found, ME, SEEN)
}

#[test]
fn sets_prove_transactions() {
    let proof = |version, stat| proof_of(&set("/a", version), &found(stat));
    assert_eq!(proof(3, stat(50, 105, 4)), Proof::Applied(Zxid(105)));
    assert_eq!(proof(3, stat(50, 90, 3)), Proof::NotApplied);
    // Written before the first attempt, or by another client since.
    assert_eq!(proof(3, stat(50, 90, 4)), Proof::NotApplied);
    assert_eq!(proof(3, stat(50, 110, 5)), Proof::None);
    assert_eq!(proof(3, stat(101, 105, 4)), Proof::None);
    let mut theirs = found(stat(50, 105, 4));
    theirs.data = None;
    assert_eq!(proof_of(&set("/a", 3), &theirs), Proof::NotApplied);
    // Without a version the data prove nothing, and their age does.
    assert_eq!(proof(-1, stat(50, 105, 4)), Proof::None);
    assert_eq!(proof(-1, stat(50, 100, 4)), Proof::NotApplied);
    assert_eq!(proof_of(&set("/a", 3), &Found::default()), Proof::None);
    assert_eq!(proof_of(&set("/a", -1), &Found::default()), Proof::None);
}

#[test]
fn creations_prove_transactions() {
    let mut mine = stat(105, 105, 0);
    mine.ephemeral_owner = ME.0;
    let ephemeral = create("/a", EPHEMERAL);
    assert_eq!(
        proof_of(&ephemeral, &found(mine)),
        Proof::Applied(Zxid(105))
    );
    let mut theirs = mine;
    theirs.ephemeral_owner = 8;
    assert_eq!(proof_of(&ephemeral, &found(theirs)), Proof::None);
    // Another part of this program may have created it, or has changed it.
    let mut other = found(mine);
    other.data = None;
    assert_eq!(proof_of(&ephemeral, &other), Proof::None);
    let mut changed = mine;
    changed.version = 1;
    assert_eq!(proof_of(&ephemeral, &found(changed)), Proof::None);
    let guarded = format!("/q/{}item", Guid::random().prefix());
    let later = found(stat(105, 107, 2));
    assert_eq!(
        proof_of(&create(&guarded, 0), &later),
        Proof::Applied(Zxid(105))
    );
    // Another client can have created the same, also one with a TTL.
    for flags in [0, 4, 5] {
        let op = create("/a", flags);
        assert_eq!(proof_of(&op, &later), Proof::None);
        assert_eq!(proof_of(&op, &found(stat(100, 107, 2))), Proof::NotApplied);
    }
    for flags in [0, 1, 2, 3] {
        // Nothing was created below the parent; or something was, and may have been deleted.
        assert_eq!(
            proof_of(&create("/q/a", flags), &below(100)),
            Proof::NotApplied
        );
        assert_eq!(proof_of(&create("/q/a", flags), &below(101)), Proof::None);
    }
}

#[test]
fn undeleted_znodes_disprove_a_transaction() {
    let proof = |found| proof_of(&delete("/a"), &found);
    assert_eq!(proof(found(stat(100, 120, 9))), Proof::NotApplied);
    assert_eq!(proof(found(stat(101, 101, 0))), Proof::None);
    assert_eq!(proof(Found::default()), Proof::None);
    assert_eq!(proof(below(50)), Proof::None);
}

#[test]
fn only_what_happens_once_is_repeated() {
    assert!(happens_once(&[check("/a"), check("/b")]));
    assert!(happens_once(&[create("/a", 2), create("/b", 0)]));
    assert!(happens_once(&[set("/a", -1), delete("/b")]));
    assert!(happens_once(&[set("/a", 0)]));
    assert!(!happens_once(&[set("/a", -1), check("/b")]));
    for flags in SEQUENTIAL {
        assert!(!happens_once(&[create("/a", flags), set("/b", -1)]));
    }
}

#[test]
fn one_proof_is_enough_for_a_transaction() {
    let ops = [
        check("/c"),
        set("/a", 3),
        create("/b", 0),
        create("/s-", 2),
        set("/a", -1),
        delete("/d"),
    ];
    let mut wrote = [const {
        Found {
            stat: None,
            data: None,
            parent: None,
        }
    }; 6];
    assert_eq!(verdict(&ops, &wrote, ME, SEEN), Verdict::Unknown);
    let last = stat(50, 105, 4);
    (wrote[1], wrote[4]) = (found(last), found(last));
    wrote[2] = found(stat(105, 105, 0));
    let Verdict::Applied(results) = verdict(&ops, &wrote, ME, SEEN) else {
        panic!("{:?}", verdict(&ops, &wrote, ME, SEEN));
    };
    let created = OpResult::Created {
        path: "/b".to_owned(),
        stat: Some(stat(105, 105, 0)),
    };
    let expected = [
        OpResult::Checked,
        OpResult::Applied,
        created,
        OpResult::Applied,
        OpResult::Set(last),
        OpResult::Deleted,
    ];
    assert_eq!(results, expected);
    // Changed since.
    wrote[2] = found(stat(105, 109, 1));
    let Verdict::Applied(results) = verdict(&ops, &wrote, ME, SEEN) else {
        panic!("{:?}", verdict(&ops, &wrote, ME, SEEN));
    };
    assert!(matches!(&results[2], OpResult::Created { stat: None, .. }));
    // What is older than the first attempt disproves all.
    wrote[5] = found(stat(60, 60, 0));
    assert_eq!(verdict(&ops, &wrote, ME, SEEN), Verdict::NotApplied);
    assert_eq!(
        verdict(&[check("/c")], &[Found::default()], ME, SEEN),
        Verdict::NotApplied
    );
}
