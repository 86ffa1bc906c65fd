//! Under which names recipes keep their znodes.

/// Whose names a lock, an election or a semaphore uses for its znodes, and whose it understands.
/// Every program that contends for the same thing must be able to see every other's znodes, or two
/// of them will have it at a time.
///
/// | | [`Lock`](crate::Lock) and [`Election`](crate::Election) | [`ReadLock`](crate::ReadLock), [`WriteLock`](crate::WriteLock) | sees also |
/// |---|---|---|---|
/// | `Default` | `_c_<uuid>-lock-<sequence>` | `_c_<uuid>-__READ__<sequence>`, `_c_<uuid>-__WRIT__<sequence>` | the names of kazoo |
/// | `Curator` | the same | the same | |
/// | `Kazoo` | `<hex>__lock__<sequence>` | `<hex>__rlock__<sequence>`, `<hex>__lock__<sequence>` | |
///
/// # Which one
///
/// *All programs are written in Rust, or some use Curator:* the default. Curator's recipes see these
/// names as their own.
///
/// *Some use kazoo:* either `Kazoo`, and nothing need be changed on their side; or the default, and
/// kazoo is told to look for it: `Lock(path, extra_lock_patterns=["-lock-"])`,
/// `ReadLock(path, extra_lock_patterns=["__WRIT__"])`,
/// `WriteLock(path, extra_lock_patterns=["__WRIT__", "__READ__"])`.
///
/// *Some use kazoo and some Curator:* these two cannot share a lock by themselves. Curator takes
/// kazoo's znodes for contenders, but sorts them by their whole names, so that two can hold the lock
/// at a time.
///
/// The default is Curator's form because it is the only one that both can be made to see. It
/// understands kazoo's names as well, which costs nothing, and makes a Rust program wait for a
/// kazoo program that came first even where nobody has thought of telling kazoo.
///
/// # When the sequence overflows
///
/// After 2³¹ contenders under one znode the ensemble's numbers become negative. The recipes here keep
/// to the order of arrival. kazoo compares the numbers as texts, and does not see those above
/// −1,000,000,000 at all, which have only nine digits; Curator compares texts, too. A lock that is
/// shared with them should be moved to another path before that: at a thousand acquisitions a
/// second, after three weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Layout {
    /// Curator's names, which kazoo can be told to see; kazoo's are seen as well.
    #[default]
    Default,
    /// kazoo's, and nobody else's.
    Kazoo,
    /// Curator's, and nobody else's.
    Curator,
}

/// What a contender contends for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A lock, or an election that is one.
    Lock,
    Read,
    Write,
    /// Curator's `LeaderLatch`.
    Latch,
}

/// How a contender's own znode is called: what stands between its id and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// After `_c_<uuid>-`.
    Protected(&'static str),
    /// After 32 hexadecimal digits.
    Hex(&'static str),
}

impl Layout {
    pub(crate) fn own(self, role: Role) -> Own {
        match (self, role) {
            (Layout::Kazoo, Role::Read) => Own::Hex("__rlock__"),
            (Layout::Kazoo, _) => Own::Hex("__lock__"),
            (_, Role::Lock) => Own::Protected("lock-"),
            (_, Role::Read) => Own::Protected("__READ__"),
            (_, Role::Write) => Own::Protected("__WRIT__"),
            (_, Role::Latch) => Own::Protected("latch-"),
        }
    }

    /// What stands before the number of those who want it for themselves.
    pub(crate) fn exclusive(self, role: Role) -> &'static [&'static str] {
        match (self, role) {
            (Layout::Kazoo, _) => &["__lock__"],
            (Layout::Default, Role::Lock) => &["-lock-", "__lock__"],
            (Layout::Curator, Role::Lock) => &["-lock-"],
            (Layout::Default, Role::Read | Role::Write) => &["__WRIT__", "__lock__"],
            (Layout::Curator, Role::Read | Role::Write) => &["__WRIT__"],
            (_, Role::Latch) => &["-latch-"],
        }
    }

    /// The same of those who share it with others like them.
    pub(crate) fn shared(self, role: Role) -> &'static [&'static str] {
        match (self, role) {
            (_, Role::Lock | Role::Latch) => &[],
            (Layout::Kazoo, _) => &["__rlock__"],
            (Layout::Default, _) => &["__READ__", "__rlock__"],
            (Layout::Curator, _) => &["__READ__"],
        }
    }

    /// Whether the znode that all contend under goes when nobody needs it. kazoo's stays.
    pub(crate) fn has_container(self) -> bool {
        self != Layout::Kazoo
    }
}
