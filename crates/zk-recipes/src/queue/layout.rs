//! The names of the znodes of recipes.

/// The naming scheme that a lock, an election or a semaphore uses for its znodes, and the schemes
/// that it recognizes. Every program that contends for a lock must recognize the znodes of every
/// other one, or two of them will hold the lock at the same time.
///
/// | | [`Lock`](crate::Lock) and [`Election`](crate::Election) | [`ReadLock`](crate::ReadLock), [`WriteLock`](crate::WriteLock) | also recognizes |
/// |---|---|---|---|
/// | `Default` | `_c_<uuid>-lock-<sequence>` | `_c_<uuid>-__READ__<sequence>`, `_c_<uuid>-__WRIT__<sequence>` | the names of kazoo |
/// | `Curator` | the same | the same | |
/// | `Kazoo` | `<hex>__lock__<sequence>` | `<hex>__rlock__<sequence>`, `<hex>__lock__<sequence>` | |
///
/// # Choosing a layout
///
/// *All programs are written in Rust, or some use Curator:* the default. Curator's recipes recognize
/// these names as their own.
///
/// *Some use kazoo:* either `Kazoo`, without a change in the kazoo programs; or the default, with
/// an option in the kazoo programs: `Lock(path, extra_lock_patterns=["-lock-"])`,
/// `ReadLock(path, extra_lock_patterns=["__WRIT__"])`,
/// `WriteLock(path, extra_lock_patterns=["__WRIT__", "__READ__"])`.
///
/// *Some use kazoo and some Curator:* kazoo and Curator cannot share a lock. Curator counts kazoo's
/// znodes as contenders, but sorts them by their whole names, so that two contenders can hold the
/// lock at the same time.
///
/// The default is Curator's form because it is the only one that both can recognize. It recognizes
/// kazoo's names as well, which costs nothing, so that a Rust program waits for a kazoo program that
/// came first even if the kazoo program lacks the option.
///
/// *Some use the recipes that come with ZooKeeper, or names of their own:* choose the names with
/// [`Lock::names`](crate::Lock::names) or [`Election::names`](crate::Election::names) in place of a
/// layout.
///
/// # Sequence overflow
///
/// After 2³¹ contenders under one znode the ensemble's numbers become negative. The recipes here keep
/// the order of arrival. kazoo compares the numbers as texts, and ignores those above
/// −1,000,000,000, which have only nine digits; Curator compares texts, too. Move a lock that is
/// shared with them to another path before that: at a thousand acquisitions a second, after three
/// weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Layout {
    /// Curator's names, which kazoo recognizes with an option; recognizes kazoo's as well.
    #[default]
    Default,
    /// Only kazoo's names.
    Kazoo,
    /// Only Curator's names.
    Curator,
}

/// What a contender waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "locks", feature = "election")),
    allow(dead_code, reason = "each family constructs its own roles")
)]
pub(crate) enum Role {
    /// A lock, or an election with the znodes of a lock.
    Lock,
    Read,
    Write,
    /// Curator's `LeaderLatch`.
    Latch,
}

/// The name of a contender's own znode: the mark between its id and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZnodeName {
    /// The mark after `_c_<uuid>-`.
    Protected(&'static str),
    /// The mark after 32 hexadecimal digits.
    Hex(&'static str),
}

impl Layout {
    pub(crate) fn znode_name(self, role: Role) -> ZnodeName {
        match (self, role) {
            (Layout::Kazoo, Role::Read) => ZnodeName::Hex("__rlock__"),
            (Layout::Kazoo, _) => ZnodeName::Hex("__lock__"),
            (_, Role::Lock) => ZnodeName::Protected("lock-"),
            (_, Role::Read) => ZnodeName::Protected("__READ__"),
            (_, Role::Write) => ZnodeName::Protected("__WRIT__"),
            (_, Role::Latch) => ZnodeName::Protected("latch-"),
        }
    }

    /// The marks before the number of exclusive contenders.
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

    /// The marks before the number of contenders that share the lock with each other.
    pub(crate) fn shared(self, role: Role) -> &'static [&'static str] {
        match (self, role) {
            (_, Role::Lock | Role::Latch) => &[],
            (Layout::Kazoo, _) => &["__rlock__"],
            (Layout::Default, _) => &["__READ__", "__rlock__"],
            (Layout::Curator, _) => &["__READ__"],
        }
    }

    /// Whether the parent of the entries is a container, which servers delete when it is unused.
    /// kazoo's is persistent.
    pub(crate) fn has_container(self) -> bool {
        self != Layout::Kazoo
    }
}
