//! What is measured.

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Tasks that get, each awaiting its own.
    Get,
    /// One task that puts gets on the wire and then awaits them.
    GetTogether,
    Set,
    Create,
    /// Events of a watch, which the server sends as fast as it can.
    Events,
    /// A session, from connecting to its end.
    Connect,
    /// One session that acquires an uncontended lock, and waits until it is released.
    Lock,
    /// The same, with a guard that is dropped: the release is sent and not waited for.
    LockDropped,
    /// From the begin of a release to the end of the next acquisition, with sessions that all want it.
    Handoff,
}

impl Kind {
    pub fn is_recipe(self) -> bool {
        matches!(self, Self::Lock | Self::LockDropped | Self::Handoff)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is called on the command line.
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    /// How many operations, or contenders, there are at a time.
    pub in_flight: usize,
    /// The length of a znode's data, in bytes.
    pub size: usize,
    /// Whether it needs a server that keeps znodes.
    pub real: bool,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

const SMALL: usize = 100;
const LARGE: usize = 64 * 1024;

const fn workload(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    in_flight: usize,
) -> Workload {
    Workload {
        name,
        title,
        kind,
        in_flight,
        size: SMALL,
        real: false,
        tls: false,
    }
}

const fn over_tls(workload: Workload) -> Workload {
    Workload {
        tls: true,
        ..workload
    }
}

const fn really(workload: Workload) -> Workload {
    Workload {
        real: true,
        ..workload
    }
}

pub const WORKLOADS: [Workload; 17] = [
    workload("get1", "get ×1", Kind::Get, 1),
    workload("get64", "get ×64", Kind::Get, 64),
    workload("get1024", "get ×1024", Kind::Get, 1024),
    workload("together64", "get ×64, one task", Kind::GetTogether, 64),
    workload(
        "together1024",
        "get ×1024, one task",
        Kind::GetTogether,
        1024,
    ),
    workload("set64", "set ×64", Kind::Set, 64),
    workload("create64", "create ×64", Kind::Create, 64),
    Workload {
        size: LARGE,
        ..workload("large", "get ×64 of 64 KiB", Kind::Get, 64)
    },
    over_tls(workload("tls64", "get ×64 over TLS", Kind::Get, 64)),
    over_tls(workload(
        "tlstogether64",
        "get ×64 over TLS, one task",
        Kind::GetTogether,
        64,
    )),
    over_tls(Workload {
        size: LARGE,
        ..workload("tlslarge", "get ×64 of 64 KiB over TLS", Kind::Get, 64)
    }),
    workload("events", "watch events", Kind::Events, 1000),
    workload("connect", "connect and close", Kind::Connect, 1),
    really(workload("real64", "get ×64, real server", Kind::Get, 64)),
    really(workload("lock", "lock and release, alone", Kind::Lock, 1)),
    really(workload(
        "lockdrop",
        "lock and drop the guard, alone",
        Kind::LockDropped,
        1,
    )),
    really(workload(
        "handoff",
        "handoff, 16 contenders",
        Kind::Handoff,
        16,
    )),
];

impl Workload {
    pub fn find(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Whether it is a time, in seconds, and not a rate.
    pub fn is_time(&self) -> bool {
        self.kind == Kind::Handoff
    }

    /// How many times better the first is.
    pub fn ratio(&self, one: f64, other: f64) -> f64 {
        match self.is_time() {
            true => other / one,
            false => one / other,
        }
    }
}

/// What a client's tasks run on. When the process is pinned, either has one thread that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    CurrentThread,
    MultiThread,
}

impl Runtime {
    pub const ALL: [Self; 2] = [Self::MultiThread, Self::CurrentThread];

    pub fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current-thread",
            Self::MultiThread => "multi-thread",
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name)
    }
}

/// Which server gets the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Ours,
    ZookeeperClient,
    TokioZookeeper,
    Kazoo,
    /// No client: a socket, and frames encoded before.
    Bare,
}

impl Contender {
    pub const ALL: [Self; 5] = [
        Self::Ours,
        Self::ZookeeperClient,
        Self::TokioZookeeper,
        Self::Kazoo,
        Self::Bare,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "zk-client",
            Self::ZookeeperClient => "zookeeper-client",
            Self::TokioZookeeper => "tokio-zookeeper",
            Self::Kazoo => "kazoo",
            Self::Bare => "bare socket",
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|contender| contender.name() == name)
    }

    /// Whether it is the client of another project.
    pub fn is_peer(self) -> bool {
        !matches!(self, Self::Ours | Self::Bare)
    }

    pub fn can(self, workload: &Workload, runtime: Runtime) -> bool {
        let kind = workload.kind;
        if workload.tls {
            // tokio-zookeeper has no TLS; the others are not written for it here.
            return matches!(self, Self::Ours | Self::ZookeeperClient);
        }
        match self {
            Self::Ours | Self::ZookeeperClient => true,
            Self::TokioZookeeper => !kind.is_recipe(),
            // It has threads of its own, whatever the runtime, and no guard to drop.
            Self::Kazoo => runtime == Runtime::MultiThread && kind != Kind::LockDropped,
            Self::Bare => !workload.real && kind != Kind::Events,
        }
    }
}
