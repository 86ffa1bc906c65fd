//! A server that executes a request and answers with an error code: every write, and every code that
//! does not mean "not executed".

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;
use zk_client::{Client, Error, ErrorKind, Outcome, RetryPolicy};
use zk_embedded::Server;
use zk_embedded::fault::{Action, Matcher, on};
use zk_proto::{Acl, CreateMode, ErrorCode, OpCode};

use crate::common::memory::Wire;

/// Codes that leave open whether the request was executed; the last three are not known.
pub(crate) const OPEN: [i32; 9] = [-1, -2, -3, -4, -7, -122, -126, -999, 7];
/// Those of them after which the same request may be answered differently.
pub(crate) const TIMEOUTS: [i32; 3] = [-4, -7, -122];

pub(crate) fn code(code: i32) -> ErrorCode {
    ErrorCode::from_i32(code).unwrap()
}

/// What a server does before it answers with the code: executes the request, or nothing.
pub(crate) fn actions(code: ErrorCode) -> [Action; 2] {
    [Action::Misreport(code), Action::Refuse(code)]
}

/// Waits until background work has made something so; the clock is virtual.
pub(crate) async fn until(what: &str, fact: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(3600), async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A write on a tree that has `/x`, and how often it has been executed.
struct Write {
    op: OpCode,
    make: for<'a> fn(&'a Client) -> Doing<'a>,
    executed: fn(&Server) -> usize,
}

fn below(server: &Server, prefix: &str) -> usize {
    let paths = server.paths();
    paths.iter().filter(|path| path.starts_with(prefix)).count()
}

fn version(server: &Server) -> usize {
    usize::try_from(server.node("/x").unwrap().stat.version).unwrap()
}

macro_rules! write {
    ($op:ident, |$zk:ident| $make:expr, $executed:expr) => {
        Write {
            op: OpCode::$op,
            make: |$zk| Box::pin(async move { $make.await.map(drop) }),
            executed: $executed,
        }
    };
}

fn writes() -> Vec<Write> {
    let made = |server: &Server| below(server, "/y");
    vec![
        write!(Create2, |zk| zk.create("/y-", "").sequential(), made),
        write!(Create2, |zk| zk.create("/y", "").ephemeral(), made),
        write!(Create2, |zk| zk.create("/y", "").parents(), made),
        write!(CreateContainer, |zk| zk.create("/y", "").container(), made),
        write!(SetData, |zk| zk.set("/x", "1"), version),
        write!(SetData, |zk| zk.set("/x", "1").version(0), version),
        write!(Delete, |zk| zk.delete("/x"), |server| 1 - below(
            server, "/x"
        )),
        write!(SetAcl, |zk| zk.set_acl("/x", Acl::open()), |server| {
            usize::try_from(server.node("/x").unwrap().stat.aversion).unwrap()
        }),
        write!(
            Multi,
            |zk| {
                let mode = CreateMode::PersistentSequential;
                zk.multi().set("/x", "1").create_mode("/y-", "", mode)
            },
            made
        ),
    ]
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn writes_are_unknown_and_made_once() {
    for open in OPEN {
        for action in actions(code(open)) {
            for write in writes() {
                let wire = Wire::new().await;
                let zk = wire.client().await;
                zk.create("/x", "0").await.unwrap();
                let before = (write.executed)(&wire.server);
                wire.server.faults().rule(on(write.op).then(action.clone()));
                let error = (write.make)(&zk).await.unwrap_err();
                let context = format!("{action:?}: {error}");
                assert_eq!(error.outcome(), Outcome::Unknown, "{context}");
                assert_eq!(error.kind(), ErrorKind::Server, "{context}");
                assert_eq!(error.code(), Some(code(open)), "{context}");
                assert!(!error.is_retryable(), "{context}");
                assert_eq!(error.failed_op(), None, "{context}");
                let text = error.to_string();
                assert!(
                    text.contains("whether it took effect is unknown"),
                    "{context}"
                );
                zk.sync("/").await.unwrap();
                let executed = (write.executed)(&wire.server) - before;
                let expected = usize::from(matches!(action, Action::Misreport(_)));
                assert_eq!(executed, expected, "{context}");
                assert_eq!(zk.statistics().writes.unknown, 1, "{context}");
            }
        }
    }
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn refusals_are_rejected() {
    for refusal in [
        -5, -6, -8, -101, -102, -103, -110, -111, -114, -119, -125, -127,
    ] {
        let wire = Wire::new().await;
        let zk = wire.client().await;
        zk.create("/x", "0").await.unwrap();
        let refuse = Action::Refuse(code(refusal));
        wire.server.faults().rule(on(OpCode::SetData).then(refuse));
        let error = zk.set("/x", "1").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    }
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn a_conditional_retry_resolves_it() {
    for open in OPEN {
        for action in actions(code(open)) {
            let wire = Wire::new().await;
            let zk = wire.client().await;
            zk.create("/x", "0").await.unwrap();
            wire.server
                .faults()
                .rule(on(OpCode::SetData).then(action.clone()));
            let set = zk
                .set("/x", "1")
                .version(0)
                .retry(&RetryPolicy::new())
                .await;
            assert_eq!(set.unwrap().version, 1, "{action:?}");
            assert_eq!(version(&wire.server), 1, "{action:?}");
            // A deletion that took effect looks like one by another client.
            wire.server
                .faults()
                .rule(on(OpCode::Delete).then(action.clone()));
            let deleted = zk.delete("/x").version(1).retry(&RetryPolicy::new()).await;
            match action {
                Action::Misreport(_) => {
                    assert_eq!(deleted.unwrap_err().outcome(), Outcome::Unknown);
                }
                _ => deleted.unwrap(),
            }
            assert_eq!(below(&wire.server, "/x"), 0, "{action:?}");
        }
    }
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn a_protected_create_is_found() {
    for ephemeral in [false, true] {
        for open in OPEN {
            for action in actions(code(open)) {
                let wire = Wire::new().await;
                let zk = wire.client().await;
                wire.server
                    .faults()
                    .rule(on(OpCode::Create2).then(action.clone()));
                let create = zk.create("/y-", "").sequential();
                let create = if ephemeral {
                    create.ephemeral()
                } else {
                    create
                };
                let created = create.protected().await;
                let executed = matches!(action, Action::Misreport(_));
                if executed || TIMEOUTS.contains(&open) {
                    let created = created.unwrap();
                    assert!(wire.server.node(&created.path).is_some(), "{action:?}");
                    assert_eq!(below(&wire.server, "/_c_"), 1, "{action:?}");
                } else {
                    let error = created.unwrap_err();
                    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
                    assert_eq!(error.op(), Some("create2"), "{error}");
                    assert_eq!(below(&wire.server, "/_c_"), 0, "{error}");
                }
            }
        }
    }
}

/// Guards: M2. The look for the znode, and its removal, are answered with the code as well.
#[tokio::test(start_paused = true)]
async fn a_dropped_protected_create_is_removed() {
    for open in OPEN {
        for faulty in [OpCode::Sync, OpCode::GetChildren2, OpCode::Delete] {
            for action in actions(code(open)) {
                let wire = Wire::new().await;
                let zk = wire.client().await;
                let create = zk.create("/y-", "").sequential().protected();
                drop(create.submit());
                wire.server.faults().rule(on(faulty).then(action.clone()));
                until("used", || wire.server.faults().pending() == 0).await;
                until("removed", || below(&wire.server, "/_c_") == 0).await;
            }
        }
    }
}

/// Guards: M2. A code that never passes ends the work.
#[tokio::test(start_paused = true)]
async fn background_work_ends_at_a_lasting_error() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    zk.create("/x", "").await.unwrap();
    let refuse = Action::Refuse(ErrorCode::SystemError);
    wire.server
        .faults()
        .rule(on(OpCode::Delete).then(refuse).always());
    zk.delete("/x").guaranteed();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let made = zk.statistics().writes.submitted;
    assert!((2..=11).contains(&made), "{made}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(zk.statistics().writes.submitted, made);
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn a_guaranteed_delete_goes_on() {
    for open in OPEN {
        for action in actions(code(open)) {
            let wire = Wire::new().await;
            let zk = wire.client().await;
            zk.create("/x", "").await.unwrap();
            wire.server
                .faults()
                .rule(on(OpCode::Delete).then(action.clone()));
            zk.delete("/x").guaranteed();
            until("deleted", || below(&wire.server, "/x") == 0).await;
        }
    }
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn a_path_is_ensured_through_timeouts() {
    for open in TIMEOUTS {
        for action in actions(code(open)) {
            let wire = Wire::new().await;
            let zk = wire.client().await;
            let faulty = |path: &str| -> Matcher { on(OpCode::Create2).path(path) };
            let faults = wire.server.faults();
            faults.rule(faulty("/y/y").then(action.clone()));
            faults.rule(faulty("/y").then(action.clone()));
            zk.ensure_path("/y/y").await.unwrap();
            assert_eq!(below(&wire.server, "/y"), 2, "{action:?}");
        }
    }
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn reads_are_made_again_by_a_policy() {
    for open in OPEN {
        let wire = Wire::new().await;
        let zk = wire.client().await;
        let rule = on(OpCode::GetData).then(Action::Misreport(code(open)));
        wire.server.faults().rule(rule.times(2));
        let error = zk.get("/").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        let policy = RetryPolicy::new();
        zk.retry_read(&policy, || zk.get("/")).await.unwrap();
        assert_eq!(error.is_transient(), TIMEOUTS.contains(&open), "{error}");
    }
}

/// Guards: M3. The barrier of a read is a transaction that changes nothing.
#[tokio::test(start_paused = true)]
async fn a_barrier_is_not_said_to_have_effects() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let rule = on(OpCode::Multi).then(Action::Misreport(code(-7)));
    wire.server.faults().rule(rule);
    let error = zk.get("/").linearizable().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "sync /: operation timed out (OperationTimeout, -7); it changes no znode (it can be made \
         again)"
    );
}

/// Guards: M2. The watch that the server may have set is removed from it.
#[tokio::test(start_paused = true)]
async fn a_watch_in_doubt_is_not_left() {
    for open in OPEN {
        for faulty in [OpCode::GetData, OpCode::AddWatch] {
            let wire = Wire::new().await;
            let zk = wire.client().await;
            let rule = on(faulty).then(Action::Misreport(code(open)));
            wire.server.faults().rule(rule);
            match faulty {
                OpCode::GetData => drop(zk.get("/").watch().await.unwrap_err()),
                _ => drop(
                    zk.watch("/", zk_client::WatchMode::Persistent)
                        .await
                        .unwrap_err(),
                ),
            }
            zk.sync("/").await.unwrap();
            let left = wire.server.watch_counts();
            assert_eq!((left.data, left.child), (0, 0), "{faulty:?} {open}");
            assert_eq!(zk.statistics().watches, 0);
        }
    }
}

/// Guards: M2. A timeout is no refusal of credentials; any other code is, so that they are not tried
/// until the account is locked.
#[tokio::test(start_paused = true)]
async fn credentials_in_doubt_are_sent_again() {
    for open in TIMEOUTS {
        let wire = Wire::new().await;
        let zk = wire.client().await;
        let rule = on(OpCode::Auth).then(Action::Misreport(code(open)));
        wire.server.faults().rule(rule);
        zk.add_auth("digest", "user:secret").await.unwrap();
        zk.create("/mine", "")
            .acl(Acl::creator_all())
            .await
            .unwrap();
        assert_eq!(zk.session().epoch, 1, "{open}");
    }
}

/// Guards: M2. The session's end is not said to be acknowledged.
#[tokio::test(start_paused = true)]
async fn a_close_in_doubt_is_unknown() {
    for open in OPEN {
        let wire = Wire::new().await;
        let zk = wire.client().await;
        let rule = on(OpCode::CloseSession).then(Action::Misreport(code(open)));
        wire.server.faults().rule(rule);
        let error = zk.close().await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    }
}
