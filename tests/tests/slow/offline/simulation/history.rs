//! What is known of a run: what was asked and answered, what was on the wire, what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Mutex;

use tokio::time::Instant;
use zk_client::NodeEventKind;
use zk_proto::OpCode;

/// A request to the ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Create,
    CreateEphemeral,
    CreateSequential,
    CreateProtected,
    Set,
    SetVersion,
    Delete,
    DeleteVersion,
    Multi,
    /// A transaction with retries.
    MultiRetried,
    Fenced,
    Get,
    Exists,
    Children,
    Sync,
    AddWatch,
    AddWatchRecursive,
    Lock,
    Lead,
    Close,
}

impl Kind {
    pub(crate) const ALL: [Kind; 20] = [
        Kind::Create,
        Kind::CreateEphemeral,
        Kind::CreateSequential,
        Kind::CreateProtected,
        Kind::Set,
        Kind::SetVersion,
        Kind::Delete,
        Kind::DeleteVersion,
        Kind::Multi,
        Kind::MultiRetried,
        Kind::Fenced,
        Kind::Get,
        Kind::Exists,
        Kind::Children,
        Kind::Sync,
        Kind::AddWatch,
        Kind::AddWatchRecursive,
        Kind::Lock,
        Kind::Lead,
        Kind::Close,
    ];

    /// Whether the operation writes its value into the log.
    pub(crate) fn writes(self) -> bool {
        matches!(
            self,
            Kind::Create
                | Kind::CreateEphemeral
                | Kind::CreateSequential
                | Kind::CreateProtected
                | Kind::Set
                | Kind::SetVersion
                | Kind::Multi
                | Kind::MultiRetried
                | Kind::Fenced
        )
    }

    pub(crate) fn deletes(self) -> bool {
        matches!(self, Kind::Delete | Kind::DeleteVersion)
    }
}

/// What a read saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Data { mzxid: i64, value: Option<u64> },
    Present { mzxid: i64 },
    Absent,
    Children { pzxid: i64 },
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    /// Done, in this transaction if the reply says so, at this path.
    Written {
        zxid: Option<i64>,
        path: Option<String>,
    },
    Read(Read),
    Done,
    NotSent,
    Rejected,
    Unknown,
    Cancelled,
}

impl Outcome {
    pub(crate) fn is_ok(&self) -> bool {
        matches!(
            self,
            Outcome::Written { .. } | Outcome::Read(_) | Outcome::Done
        )
    }
}

/// One operation of one client.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "read in what is said of a violation")]
pub(crate) struct Op {
    /// Unique; a write's data.
    pub(crate) id: u64,
    pub(crate) client: usize,
    /// The session at its submission, 0 for none, and its epoch.
    pub(crate) session: i64,
    pub(crate) epoch: u64,
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) outcome: Outcome,
    /// The epoch at its completion.
    pub(crate) end_epoch: u64,
    pub(crate) error: String,
    /// Milliseconds since the start.
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Which of a node's watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    Data,
    Child,
    Lasting,
}

/// What passes between a client and a server, as the client writes and reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wire {
    Connect {
        session: i64,
        last_zxid: i64,
    },
    Established {
        session: i64,
        timeout_ms: u64,
    },
    Sent {
        op: OpCode,
        xid: i32,
        path: String,
        watch: Option<Class>,
    },
    Rearm {
        xid: i32,
        relative: i64,
        watches: Vec<(Class, String)>,
        bytes: usize,
    },
    Reply {
        xid: i32,
        zxid: i64,
        err: i32,
    },
    /// A reply with an xid that is not due.
    Foreign {
        got: i32,
    },
    Event {
        path: String,
        child: bool,
        deleted: bool,
    },
    /// By the client, or seen by it.
    Closed,
}

/// Something on the wire, and when.
#[derive(Debug, Clone)]
pub(crate) struct OnWire {
    pub(crate) at: u64,
    pub(crate) client: usize,
    pub(crate) connection: usize,
    pub(crate) what: Wire,
}

/// A one-shot watch.
#[derive(Debug, Clone)]
pub(crate) struct OneShot {
    pub(crate) client: usize,
    pub(crate) path: String,
    pub(crate) class: Class,
    /// The state its owner knows: what the read that armed it saw.
    pub(crate) seen: Read,
    /// The last transaction of the ensemble when it was armed.
    pub(crate) armed: i64,
    pub(crate) delivered: Option<Delivered>,
    /// Everything up to this transaction is due to have been delivered; `None` if the watch was dropped.
    pub(crate) due: Option<i64>,
}

/// An event, or what stands in for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivered {
    Node {
        kind: NodeEventKind,
        path: String,
        zxid: Option<i64>,
    },
    /// What was missed came not after `until`.
    Gap {
        since: i64,
        until: i64,
    },
    Lagged {
        until: i64,
    },
    Ended,
}

/// A watch that lasts, and what it delivered, in order.
#[derive(Debug, Clone)]
pub(crate) struct Lasting {
    pub(crate) client: usize,
    pub(crate) path: String,
    pub(crate) recursive: bool,
    /// The last transaction of the ensemble when it was armed.
    pub(crate) armed: i64,
    pub(crate) delivered: Vec<Delivered>,
    /// Everything up to this transaction is due to be delivered, unless it ended; `None` if the watch was
    /// dropped.
    pub(crate) due: Option<i64>,
}

/// A change to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Create {
        path: String,
        value: Option<u64>,
        owner: i64,
    },
    Set {
        path: String,
        value: Option<u64>,
        /// The fencing token of the guard under which it was written.
        token: Option<i64>,
    },
    Delete {
        path: String,
    },
    Check,
}

/// A transaction that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) zxid: i64,
    pub(crate) session: i64,
    /// Whether it ends the session.
    pub(crate) closes: bool,
    pub(crate) changes: Vec<Change>,
}

/// A guard was given.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "read in what is said of a violation")]
pub(crate) struct Grant {
    pub(crate) at: u64,
    pub(crate) lock: &'static str,
    pub(crate) client: usize,
    pub(crate) token: i64,
    /// Whether it could be trusted at once.
    pub(crate) trusted: bool,
    /// Tokens of the other guards of this lock that could be trusted at that time.
    pub(crate) others: Vec<i64>,
}

/// Something that was to be kept: a guard, or a connection.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "read in what is said of a violation")]
pub(crate) struct Kept {
    pub(crate) invariant: &'static str,
    pub(crate) client: usize,
    pub(crate) at: u64,
    /// What was lost of it.
    pub(crate) lost: Option<String>,
}

/// A read showed a change that a watch of the same client had not delivered.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "read in what is said of a violation")]
pub(crate) struct Overtaken {
    pub(crate) client: usize,
    pub(crate) path: String,
    pub(crate) known: i64,
    pub(crate) read: i64,
}

/// A run, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) ops: Vec<Op>,
    pub(crate) wire: Vec<OnWire>,
    pub(crate) one_shots: Vec<OneShot>,
    pub(crate) lasting: Vec<Lasting>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) kept: Vec<Kept>,
    /// How many watches and caches were held against the truth.
    pub(crate) compared: u64,
    pub(crate) overtaken: Vec<Overtaken>,
    pub(crate) log: Vec<Commit>,
    /// Number of credentials of each client.
    pub(crate) credentials: Vec<usize>,
    /// The most requests outstanding, and how many were allowed.
    pub(crate) outstanding: Vec<(usize, usize)>,
    /// What went against expectations outside what the checker looks at.
    pub(crate) findings: Vec<String>,
    /// Sessions that were ended although their time was not over; what rests on that time does not
    /// hold for them.
    pub(crate) ended_early: BTreeSet<i64>,
    /// Sessions whose `close` was acknowledged.
    pub(crate) closed: Vec<i64>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

/// Records a run, and a hash of it that is the same whenever the run is.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Instant,
    inner: Mutex<Recording>,
}

#[derive(Debug)]
struct Recording {
    history: History,
    hash: DefaultHasher,
    /// Random ids, in the order in which they came up.
    ids: BTreeMap<String, usize>,
    trace: Option<String>,
}

impl Recorder {
    pub(crate) fn new(trace: bool) -> Self {
        Self {
            start: Instant::now(),
            inner: Mutex::new(Recording {
                history: History::default(),
                hash: DefaultHasher::new(),
                ids: BTreeMap::new(),
                trace: trace.then(String::new),
            }),
        }
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut History) -> T) -> T {
        work(&mut self.inner.lock().unwrap().history)
    }

    /// Makes a line part of the run's hash.
    pub(crate) fn note(&self, line: std::fmt::Arguments<'_>) {
        let now = self.now();
        let mut inner = self.inner.lock().unwrap();
        let line = inner.without_ids(&line.to_string());
        inner.hash.write_u64(now);
        inner.hash.write(line.as_bytes());
        if let Some(trace) = &mut inner.trace {
            writeln!(trace, "{now:>7} {line}").unwrap();
        }
    }

    pub(crate) fn on_wire(&self, client: usize, connection: usize, what: Wire) {
        self.note(format_args!("client {client} link {connection} {what:?}"));
        let at = self.now();
        self.with(|history| {
            history.wire.push(OnWire {
                at,
                client,
                connection,
                what,
            });
        });
    }

    pub(crate) fn fault(&self, kind: &'static str) {
        self.note(format_args!("fault {kind}"));
        self.with(|history| *history.faults.entry(kind).or_default() += 1);
    }

    pub(crate) fn finding(&self, finding: String) {
        self.note(format_args!("finding {finding}"));
        self.with(|history| history.findings.push(finding));
    }

    /// The run, its hash, and its trace if one was asked for.
    pub(crate) fn finish(&self) -> (History, u64, Option<String>) {
        let mut inner = self.inner.lock().unwrap();
        let hash = inner.hash.finish();
        (std::mem::take(&mut inner.history), hash, inner.trace.take())
    }
}

impl Recording {
    /// Names that are made by chance, such as `_c_<uuid>-lock-0000000001`, with a number instead.
    fn without_ids(&mut self, line: &str) -> String {
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(at) = rest.find("_c_") {
            let (before, after) = rest.split_at(at + 3);
            out.push_str(before);
            let id: String = after.chars().take(36).collect();
            let next = self.ids.len();
            let number = *self.ids.entry(id.clone()).or_insert(next);
            write!(out, "#{number}").unwrap();
            rest = &after[id.len()..];
        }
        out.push_str(rest);
        out
    }
}
