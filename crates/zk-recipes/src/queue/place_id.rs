//! The id of a contender, by which a later process of the same session recognises its znodes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Mutex, MutexGuard};
use zk_client::{Guid, path};

use super::layout::ZnodeName;
use super::names::NamePattern;

/// The digits of an id that are the contender's. The others distinguish its znodes from each other, since
/// a creation whose reply was lost is recognised by its id.
const FAMILY: usize = 24;
/// The same in the text of a UUID, with four hyphens.
const FAMILY_IN_UUID: usize = FAMILY + 4;

/// The id of a contender, shared by all clones of its recipe.
#[derive(Clone)]
pub(crate) struct PlaceId {
    id: Guid,
    shared: Arc<Shared>,
}

struct Shared {
    /// The rest of this process's first id, …
    first: u32,
    /// … and of its next.
    next: AtomicU32,
    /// Whether the znodes of an earlier process were looked for.
    looked: Mutex<bool>,
}

/// The look for the znodes of an earlier process, before this one has created any.
pub(crate) struct FirstLook<'a> {
    looked: MutexGuard<'a, bool>,
}

impl FirstLook<'_> {
    /// The look has succeeded; there is no other.
    pub(crate) fn done(mut self) {
        *self.looked = true;
    }
}

impl PlaceId {
    pub(crate) fn new(id: Guid) -> Self {
        let random = Guid::random().hex();
        let (_, rest) = random.split_at(FAMILY);
        let first = u32::from_str_radix(rest, 16).unwrap_or_default();
        let shared = Shared {
            first,
            next: AtomicU32::new(first),
            looked: Mutex::new(false),
        };
        PlaceId {
            id,
            shared: Arc::new(shared),
        }
    }

    /// The id of the contender's next znode.
    pub(crate) fn next(&self) -> Guid {
        let rest = self.shared.next.fetch_add(1, Ordering::Relaxed);
        in_family(self.id, rest)
    }

    /// The look for the znodes of an earlier process; `None` if it was done. Waits while another task
    /// looks.
    pub(crate) async fn first_look(&self) -> Option<FirstLook<'_>> {
        let looked = self.shared.looked.lock().await;
        (!*looked).then_some(FirstLook { looked })
    }

    /// Whether this is the name of a znode of the contender, in this naming scheme, with a number or,
    /// if not `numbered`, without.
    pub(crate) fn has_named(
        &self,
        name: &str,
        scheme: ZnodeName,
        names: Option<&NamePattern>,
        numbered: bool,
    ) -> bool {
        self.rest_in(name, scheme, names, numbered).is_some()
    }

    /// Whether this is the name of a znode, with a number, that an earlier process has created with
    /// this id.
    pub(crate) fn is_earlier(
        &self,
        name: &str,
        scheme: ZnodeName,
        names: Option<&NamePattern>,
    ) -> bool {
        let next = self.shared.next.load(Ordering::Relaxed);
        let issued = next.wrapping_sub(self.shared.first);
        self.rest_in(name, scheme, names, true)
            .is_some_and(|rest| rest.wrapping_sub(self.shared.first) >= issued)
    }

    /// The digits in the name that distinguish the contender's znodes.
    fn rest_in(
        &self,
        name: &str,
        scheme: ZnodeName,
        names: Option<&NamePattern>,
        numbered: bool,
    ) -> Option<u32> {
        let (hex, uuid) = (self.id.hex(), self.id.to_string());
        let (hex, uuid) = (hex.get(..FAMILY)?, uuid.get(..FAMILY_IN_UUID)?);
        let rest = |head: &str| match (names, scheme) {
            (Some(names), _) => rest_of(names.id_in(head)?, hex),
            (None, ZnodeName::Protected(mark)) => {
                let id = head.strip_prefix("_c_")?.strip_suffix(mark)?;
                rest_of(id.strip_suffix('-')?, uuid)
            }
            (None, ZnodeName::Hex(mark)) => rest_of(head.strip_suffix(mark)?, hex),
        };
        match numbered {
            false => rest(name),
            // The format is `%010d`: ten digits, or a minus sign and nine or ten digits.
            true => [11, 10].into_iter().find_map(|length| {
                let at = name.len().checked_sub(length)?;
                let (head, number) = name.split_at_checked(at)?;
                path::sequence_after(number, "")?;
                rest(head)
            }),
        }
    }
}

/// The rest of an id, if it is of the family.
fn rest_of(id: &str, family: &str) -> Option<u32> {
    let rest = id.strip_prefix(family)?;
    let is_hex = rest.len() == 32 - FAMILY && rest.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(rest, 16).ok().filter(|_| is_hex)
}

fn in_family(id: Guid, rest: u32) -> Guid {
    let hex = id.hex();
    let (family, _) = hex.split_at(FAMILY);
    // Always 32 digits.
    format!("{family}{rest:08x}").parse().unwrap_or(id)
}

/// Another id of the same contender.
#[cfg(feature = "locks")]
pub(crate) fn sibling(id: Guid) -> Guid {
    PlaceId::new(id).next()
}

/// Two contenders are the same if their ids are.
impl PartialEq for PlaceId {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl fmt::Debug for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: [ZnodeName; 2] = [ZnodeName::Protected("lock-"), ZnodeName::Hex("__lock__")];

    fn head(scheme: ZnodeName, id: Guid) -> String {
        match scheme {
            ZnodeName::Protected(mark) => format!("{}{mark}", id.prefix()),
            ZnodeName::Hex(mark) => format!("{}{mark}", id.hex()),
        }
    }

    #[test]
    fn own_znodes_are_recognised_by_name() {
        let (id, other) = (Guid::random(), Guid::random());
        let mine = PlaceId::new(id);
        for scheme in MARKS {
            for number in ["0000000007", "-000000001", "-2147483648"] {
                let is_mine = |id, scheme| {
                    let name = format!("{}{number}", head(scheme, id));
                    mine.has_named(&name, scheme, None, true)
                };
                assert!(
                    is_mine(mine.next(), scheme) && is_mine(id, scheme),
                    "{number}"
                );
                assert!(!is_mine(other, scheme), "{number}");
                // Another kind of contender with the same id.
                let name = format!("{}{number}", head(ZnodeName::Hex("__rlock__"), id));
                assert!(!mine.has_named(&name, scheme, None, true));
            }
            let name = head(scheme, mine.next());
            assert!(!mine.has_named(&name, scheme, None, true), "{name}");
            assert!(mine.has_named(&name, scheme, None, false), "{name}");
        }
    }

    #[test]
    fn own_znodes_have_chosen_names() {
        let mine = PlaceId::new(Guid::random());
        let names = NamePattern::new("x-{id}-");
        let name = |id: Guid| format!("{}0000000003", names.with_id(&id.hex()));
        let is_mine = |id| mine.has_named(&name(id), MARKS[0], Some(&names), true);
        assert!(is_mine(mine.next()));
        assert!(!is_mine(Guid::random()));
    }

    #[test]
    fn each_znode_has_an_id_of_its_own() {
        let (mine, later) = (PlaceId::new(Guid::random()), Guid::random());
        let ids = [mine.next(), mine.clone().next(), mine.next()];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        let name = |id| format!("{}0000000001", head(MARKS[0], id));
        let is_earlier = |id| mine.is_earlier(&name(id), MARKS[0], None);
        assert!(!ids.into_iter().any(is_earlier));
        let earlier = PlaceId::new(mine.id);
        // By chance, one in billions is not.
        assert!(is_earlier(earlier.next()) && !is_earlier(Guid::random()));
        assert_eq!(in_family(later, 7).hex()[..FAMILY], later.hex()[..FAMILY]);
        assert_eq!(in_family(later, 0xa7).hex()[FAMILY..], *"000000a7");
    }

    #[tokio::test]
    async fn the_first_look_is_repeated_until_done() {
        let mine = PlaceId::new(Guid::random());
        drop(mine.first_look().await.unwrap());
        mine.clone().first_look().await.unwrap().done();
        assert!(mine.first_look().await.is_none());
    }
}
