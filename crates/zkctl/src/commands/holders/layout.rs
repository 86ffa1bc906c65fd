//! Contenders recognized by the names of their znodes, whichever client has created them.

use zk_client::{Stat, path};

/// A form of names. The contenders of one form exclude each other; whether they exclude those of another
/// depends on the options of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Names {
    /// `_c_<uuid>-lock-`, or `lock-` without protection: Curator's mutex and `LeaderSelector`, go-zk, and
    /// zk-recipes unless it is given a layout.
    CuratorLock,
    /// `_c_<uuid>-__READ__` and `_c_<uuid>-__WRIT__`.
    CuratorReadWrite,
    /// `<hex>__lock__` and `<hex>__rlock__`.
    Kazoo,
    /// `x-<session>-` of ZooKeeper's `WriteLock`.
    WriteLock,
    /// `_c_<uuid>-latch-` of Curator's `LeaderLatch`.
    Latch,
    /// `n_` of ZooKeeper's `LeaderElectionSupport`.
    LeaderElection,
}

impl Names {
    /// The client that the names come from, as in `--layout`.
    pub(super) fn layout(self) -> &'static str {
        match self {
            Names::CuratorLock | Names::CuratorReadWrite | Names::Latch => "curator",
            Names::Kazoo => "kazoo",
            Names::WriteLock | Names::LeaderElection => "zookeeper",
        }
    }

    /// The recipe that has such names, in a sentence.
    pub(super) fn recipe(self) -> &'static str {
        match self {
            Names::CuratorLock => "Curator's mutex",
            Names::CuratorReadWrite => "Curator's read-write lock",
            Names::Kazoo => "kazoo's locks",
            Names::WriteLock => "ZooKeeper's WriteLock",
            Names::Latch => "Curator's LeaderLatch",
            Names::LeaderElection => "ZooKeeper's LeaderElectionSupport",
        }
    }
}

/// What a command looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lock,
    Election,
}

impl Kind {
    /// Whether it has names of this form. Some elections have the names of locks.
    pub(super) fn has(self, names: Names) -> bool {
        match names {
            Names::CuratorLock | Names::Kazoo => true,
            Names::CuratorReadWrite | Names::WriteLock => self == Kind::Lock,
            Names::Latch | Names::LeaderElection => self == Kind::Election,
        }
    }
}

/// A contender's place in a queue, read from the name of its znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: i32,
    pub(super) names: Names,
    /// Whether it shares the lock with others: a reader.
    pub(super) shared: bool,
}

const MARKS: [(&str, Names, bool); 6] = [
    ("-lock-", Names::CuratorLock, false),
    ("-latch-", Names::Latch, false),
    ("__WRIT__", Names::CuratorReadWrite, false),
    ("__READ__", Names::CuratorReadWrite, true),
    ("__rlock__", Names::Kazoo, true),
    ("__lock__", Names::Kazoo, false),
];

impl Place {
    /// The place of the contender with this name; `None` if it is not the name of a contender.
    pub(super) fn read(name: &str) -> Option<Self> {
        // The format is `%010d`: ten digits, or a minus sign and nine or ten. A mark that ends with a hyphen
        // may look like the sign.
        [11, 10].into_iter().find_map(|length| {
            let (head, number) = name.split_at_checked(name.len().checked_sub(length)?)?;
            let sequence = path::sequence_after(number, "")?;
            let (names, shared) = recipe(head)?;
            Some(Place {
                sequence,
                names,
                shared,
            })
        })
    }
}

/// The recipe that has contenders with this name before the number, and whether this is a reader.
fn recipe(head: &str) -> Option<(Names, bool)> {
    let marked = MARKS.iter().find(|(mark, ..)| head.ends_with(mark));
    match (marked, head) {
        (Some(&(_, names, shared)), _) => Some((names, shared)),
        (None, "lock-") => Some((Names::CuratorLock, false)),
        (None, "latch-") => Some((Names::Latch, false)),
        (None, "n_") => Some((Names::LeaderElection, false)),
        (None, head) if is_write_lock(head) => Some((Names::WriteLock, false)),
        _ => None,
    }
}

/// `x-<session>-`: Java writes the session in decimal, with a sign, and C in hexadecimal.
fn is_write_lock(head: &str) -> bool {
    let session = head
        .strip_prefix("x-")
        .and_then(|rest| rest.strip_suffix('-'));
    session
        .map(|session| session.strip_prefix('-').unwrap_or(session))
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// A contender, as far as it could be read.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) path: String,
    pub(super) place: Place,
    /// `None` if the contents may not be read.
    pub(super) identifier: Option<Vec<u8>>,
    /// `None` if the stat may not be read.
    pub(super) stat: Option<Stat>,
}

/// Sorts contenders by the order in which they hold the lock, and returns how many hold it.
///
/// The numbers are compared by their distance from that of the contender that was created first, because
/// the servers' counter overflows. The zxids alone are not enough: a writer that becomes a reader, with
/// Curator, creates a second znode with the number of the first.
pub(super) fn sort(contenders: &mut [Contender]) -> usize {
    let created = |contender: &&Contender| contender.stat.map(|stat| stat.czxid);
    let first = contenders
        .iter()
        .filter(|contender| contender.stat.is_some())
        .min_by_key(created);
    let origin = first.map_or(0, |first| first.place.sequence);
    contenders.sort_by(|a, b| {
        let key = |contender: &Contender| {
            let place = &contender.place;
            (place.sequence.wrapping_sub(origin), place.shared)
        };
        key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path))
    });
    let Some(head) = contenders.first().map(|head| head.place.clone()) else {
        return 0;
    };
    let holds = |place: &Place| {
        // A writer of Curator that also reads has two znodes with one number.
        place.shared && (head.shared || place.sequence == head.sequence)
    };
    let others = contenders.iter().skip(1);
    1 + others
        .take_while(|contender| holds(&contender.place))
        .count()
}

/// The forms of names in a queue, without repetitions.
pub(super) fn forms(contenders: &[Contender]) -> Vec<Names> {
    let mut forms: Vec<_> = contenders
        .iter()
        .map(|contender| contender.place.names)
        .collect();
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// What to do if a znode with these children has no contender of this kind.
pub(super) fn hint<'a>(
    kind: Kind,
    mut children: impl Iterator<Item = &'a str>,
) -> Option<&'static str> {
    children.find_map(|name| match name {
        "leases" => Some("it is a semaphore: see `zkctl semaphores`"),
        "lease_holder" => Some("it is a lease of kazoo: its child lease_holder names the holder"),
        name => match (kind, Place::read(name)?) {
            (Kind::Lock, place) if Kind::Election.has(place.names) => {
                Some("it is an election: see `zkctl elections`")
            }
            (Kind::Election, place) if Kind::Lock.has(place.names) => {
                Some("it is a lock: see `zkctl locks`")
            }
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use zk_client::Zxid;

    use super::*;

    fn contender(name: &str, czxid: i64) -> Contender {
        let mut stat = Stat::default();
        stat.czxid = Zxid(czxid);
        Contender {
            path: format!("/l/{name}"),
            place: Place::read(name).unwrap(),
            identifier: None,
            stat: Some(stat),
        }
    }

    /// The order, and how many hold the lock, of contenders that were created in the order given.
    fn sorted(names: &[&str]) -> (Vec<String>, usize) {
        let created = names.iter().zip(1..);
        let mut contenders: Vec<_> = created.map(|(name, at)| contender(name, at)).collect();
        contenders.reverse();
        let holding = sort(&mut contenders);
        let paths = contenders.into_iter().map(|contender| contender.path);
        let order = paths.map(|path| path.trim_start_matches("/l/").to_owned());
        (order.collect(), holding)
    }

    #[test]
    fn each_client_is_recognized_by_its_names() {
        let uuid = "_c_6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
        let hex = "6f9619ff8b864d01b42d00cf4fc964ff";
        for (head, names, shared) in [
            (format!("{uuid}-lock-"), Names::CuratorLock, false),
            ("lock-".to_owned(), Names::CuratorLock, false),
            (format!("{uuid}-__READ__"), Names::CuratorReadWrite, true),
            (format!("{uuid}-__WRIT__"), Names::CuratorReadWrite, false),
            (format!("{uuid}-latch-"), Names::Latch, false),
            (format!("{hex}__lock__"), Names::Kazoo, false),
            (format!("{hex}__rlock__"), Names::Kazoo, true),
            ("x-72057594037927936-".to_owned(), Names::WriteLock, false),
            ("x--72057594037927936-".to_owned(), Names::WriteLock, false),
            ("x-01000a-".to_owned(), Names::WriteLock, false),
            ("n_".to_owned(), Names::LeaderElection, false),
        ] {
            for sequence in [0, 42, i32::MAX, i32::MIN, -1] {
                let place = Place {
                    sequence,
                    names,
                    shared,
                };
                assert_eq!(Place::read(&format!("{head}{sequence:010}")), Some(place));
            }
        }
    }

    #[test]
    fn other_children_are_no_contenders() {
        for name in [
            "",
            "config",
            "lock",
            "0000000001",
            "entry-100-0000000001",
            "queue-0000000001",
            "qn-0000000001",
            "_c_u-lease-0000000001",
            "x-lock-000000000a",
            "x-y-0000000001",
            "x--0000000001",
            "lease_holder",
            "é-lock-000000000",
        ] {
            assert_eq!(Place::read(name), None, "{name}");
        }
    }

    #[test]
    fn the_first_contender_holds_a_lock() {
        let (order, holding) = sorted(&["z-lock-0000000001", "a-lock-0000000002"]);
        assert_eq!(order, ["z-lock-0000000001", "a-lock-0000000002"]);
        assert_eq!(holding, 1);
        assert_eq!(sort(&mut []), 0);
    }

    #[test]
    fn readers_hold_up_to_the_first_writer() {
        let queue = [
            "a-__READ__0000000001",
            "b-__READ__0000000002",
            "c-__WRIT__0000000003",
            "d-__READ__0000000004",
        ];
        assert_eq!(sorted(&queue), (queue.map(str::to_owned).to_vec(), 2));
        assert_eq!(sorted(&queue[2..]).1, 1);
    }

    /// CURATOR-621: the znode of the reader is created after those of the contenders behind it.
    #[test]
    fn a_writer_that_reads_keeps_its_place() {
        let created = [
            "a-__WRIT__0000000001",
            "b-__READ__0000000002",
            "c-__WRIT__0000000003",
            "a-__READ__0000000001",
        ];
        let (order, holding) = sorted(&created);
        assert_eq!(order, [created[0], created[3], created[1], created[2]]);
        assert_eq!(holding, 2);
        let (order, holding) = sorted(&created[1..]);
        assert_eq!(order, [created[3], created[1], created[2]]);
        assert_eq!(holding, 2);
    }

    #[test]
    fn the_order_survives_a_counter_overflow() {
        let queue = [
            "a-lock-2147483647",
            "b-lock--2147483648",
            "c-lock--2147483647",
        ];
        assert_eq!(sorted(&queue).0, queue);
    }

    #[test]
    fn forms_that_are_mixed_are_all_named() {
        let queue: Vec<_> = [
            "a__lock__0000000001",
            "b-lock-0000000002",
            "c__rlock__0000000003",
        ]
        .map(|name| contender(name, 1))
        .to_vec();
        assert_eq!(forms(&queue), [Names::CuratorLock, Names::Kazoo]);
    }

    #[test]
    fn another_recipe_is_named_in_the_hint() {
        let hint = |kind, name| hint(kind, ["config", name].into_iter()).unwrap_or_default();
        assert!(hint(Kind::Lock, "leases").contains("zkctl semaphores"));
        assert!(hint(Kind::Lock, "a-latch-0000000001").contains("zkctl elections"));
        assert!(hint(Kind::Election, "a-__READ__0000000001").contains("zkctl locks"));
        assert_eq!(hint(Kind::Election, "x"), "");
    }
}
