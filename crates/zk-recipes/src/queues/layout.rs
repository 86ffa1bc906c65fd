//! The znodes of a queue: where they are, and what their names mean.

use bytes::Bytes;

use super::item_format;
use crate::error::{Error, Result};

/// The priority of kazoo's items that are put without one.
const KAZOO_PRIORITY: i32 = 100;
/// The digits that the server appends.
const SEQUENCE: usize = 10;

/// Whose znodes a [`Queue`](crate::Queue) uses. All programs of one queue have to use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum QueueLayout {
    /// kazoo's `LockingQueue`: `entries/entry-PPP-S` and `taken/entry-PPP-S`. Priorities are 0 to 999,
    /// 100 unless given, and the lowest is delivered first. The default, since kazoo's consumers take
    /// claims, too.
    #[default]
    KazooLocking,
    /// kazoo's `Queue`: `entry-PPP-S`, with the priorities of `KazooLocking`. kazoo's consumers take no
    /// claim and see none: they also remove items that a consumer of ours has claimed.
    Kazoo,
    /// Curator's `DistributedQueue`: `queue-S`.
    Curator,
    /// Curator's `DistributedPriorityQueue`: `queue-1XXXXXXXXS`. Priorities are any `i32`, 0 unless
    /// given, and the lowest is delivered first.
    #[doc(alias = "DistributedPriorityQueue")]
    CuratorPriority,
    /// Curator's `DistributedDelayQueue`: `queue-|XXXXXXXX|S`. An item is delivered when its time has
    /// come by the consumer's clock.
    #[doc(alias = "DistributedDelayQueue")]
    CuratorDelay,
    /// Curator's `DistributedIdQueue`: `queue-|id|S`, from which [`Queue::remove`](crate::Queue::remove)
    /// can remove items.
    #[doc(alias = "DistributedIdQueue")]
    CuratorId,
    /// Curator's `SimpleDistributedQueue` and the queue among ZooKeeper's own recipes: `qn-S`. Their
    /// consumers take no claim and see none, as with `Kazoo`.
    Simple,
}

/// What a put can say about its items.
#[derive(Debug, Clone, Default)]
pub(crate) struct ItemOptions {
    pub(crate) priority: Option<i32>,
    /// In milliseconds since 1970.
    pub(crate) due: Option<u64>,
    pub(crate) id: Option<String>,
}

/// An item, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// In milliseconds since 1970; 0 for an item without a delay.
    pub(crate) due: u64,
}

/// The directories of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Directories {
    pub(crate) entries: String,
    pub(crate) claims: String,
    pub(crate) puts: String,
    pub(crate) consumer_line: String,
    pub(crate) put_line: String,
    pub(crate) deliveries: String,
    pub(crate) dead: String,
}

impl QueueLayout {
    pub(crate) fn directories(self, path: &str) -> Directories {
        match self {
            QueueLayout::KazooLocking => Directories {
                entries: format!("{path}/entries"),
                claims: format!("{path}/taken"),
                puts: format!("{path}/puts"),
                consumer_line: format!("{path}/waiting/consumers"),
                put_line: format!("{path}/waiting/puts"),
                deliveries: format!("{path}/deliveries"),
                dead: format!("{path}/dead"),
            },
            // Their consumers take every child for an item.
            _ => Directories {
                entries: path.to_owned(),
                claims: format!("{path}-claims"),
                puts: format!("{path}-puts"),
                consumer_line: format!("{path}-waiting/consumers"),
                put_line: format!("{path}-waiting/puts"),
                deliveries: format!("{path}-deliveries"),
                dead: format!("{path}-dead"),
            },
        }
    }

    /// Whether a znode can hold several items.
    pub(crate) fn has_item_format(self) -> bool {
        !matches!(
            self,
            QueueLayout::KazooLocking | QueueLayout::Kazoo | QueueLayout::Simple
        )
    }

    /// The name of an item, without the digits that the server appends.
    ///
    /// # Errors
    /// The layout has no place for an option.
    pub(crate) fn name(self, options: &ItemOptions) -> Result<String> {
        let has_due = self == QueueLayout::CuratorDelay;
        let has_id = self == QueueLayout::CuratorId;
        if options.due.is_some() && !has_due {
            return Err(Error::Unsupported("a delay, in a queue of this layout"));
        }
        if options.id.is_some() && !has_id {
            return Err(Error::Unsupported("an id, in a queue of this layout"));
        }
        let no_priority = Error::Unsupported("this priority, in a queue of this layout");
        match (self, options.priority) {
            (QueueLayout::KazooLocking | QueueLayout::Kazoo, priority) => {
                match priority.unwrap_or(KAZOO_PRIORITY) {
                    priority @ 0..=999 => Ok(format!("entry-{priority:03}-")),
                    _ => Err(no_priority),
                }
            }
            (QueueLayout::CuratorPriority, priority) => {
                let priority = priority.unwrap_or(0);
                let sign = u8::from(priority >= 0);
                Ok(format!("queue-{sign}{priority:08X}"))
            }
            (_, Some(_)) => Err(no_priority),
            (QueueLayout::Curator, None) => Ok("queue-".to_owned()),
            (QueueLayout::CuratorDelay, None) => {
                Ok(format!("queue-|{:08X}|", options.due.unwrap_or(0)))
            }
            (QueueLayout::CuratorId, None) => {
                let id = options.id.as_deref().unwrap_or_default();
                Ok(format!("queue-|{}|", fixed(id)))
            }
            (QueueLayout::Simple, None) => Ok("qn-".to_owned()),
        }
    }

    /// The items among the children, the first to be delivered first.
    pub(crate) fn entries<'a>(self, children: impl Iterator<Item = &'a str>) -> Vec<Entry> {
        let prefix = match self {
            QueueLayout::KazooLocking | QueueLayout::Kazoo => "entry-",
            QueueLayout::Simple => "qn-",
            _ => "queue-",
        };
        let names = children.filter(|name| name.starts_with(prefix));
        let mut entries: Vec<_> = names
            .map(|name| Entry {
                name: name.to_owned(),
                due: match self {
                    QueueLayout::CuratorDelay => due(name).unwrap_or(0),
                    _ => 0,
                },
            })
            .collect();
        match self {
            QueueLayout::CuratorId => entries.sort_by(|a, b| {
                let key = |entry: &Entry| sequence(&entry.name).to_owned();
                key(a).cmp(&key(b))
            }),
            _ => entries.sort_by(|a, b| (a.due, &a.name).cmp(&(b.due, &b.name))),
        }
        entries
    }

    /// Whether an item has the id.
    pub(crate) fn has_id(self, name: &str, id: &str) -> bool {
        let prefix = format!("queue-|{}|", fixed(id));
        self == QueueLayout::CuratorId
            && name
                .strip_prefix(&prefix)
                .is_some_and(|rest| !rest.contains('|'))
    }

    /// The data of the znodes for the items.
    pub(crate) fn payloads(self, items: &[Bytes]) -> Vec<Bytes> {
        match self.has_item_format() {
            true => vec![item_format::encode(items).into()],
            false => items.to_vec(),
        }
    }
}

/// As Curator replaces what the name of an item cannot contain.
fn fixed(id: &str) -> String {
    id.replace(['/', '|'], "_")
}

fn due(name: &str) -> Option<u64> {
    let (due, _) = name.strip_prefix("queue-|")?.split_once('|')?;
    u64::from_str_radix(due, 16).ok()
}

/// The digits that the server has appended.
fn sequence(name: &str) -> &str {
    let start = name.len().saturating_sub(SEQUENCE);
    name.get(start..).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(layout: QueueLayout, children: &[&str]) -> Vec<String> {
        let entries = layout.entries(children.iter().copied());
        entries.into_iter().map(|entry| entry.name).collect()
    }

    fn of_priority(layout: QueueLayout, priority: i32) -> Result<String> {
        layout.name(&ItemOptions {
            priority: Some(priority),
            ..ItemOptions::default()
        })
    }

    #[test]
    fn names_are_those_of_kazoo_and_curator() {
        let plain = |layout: QueueLayout| layout.name(&ItemOptions::default()).unwrap();
        assert_eq!(plain(QueueLayout::Kazoo), "entry-100-");
        assert_eq!(plain(QueueLayout::Curator), "queue-");
        assert_eq!(plain(QueueLayout::CuratorPriority), "queue-100000000");
        assert_eq!(plain(QueueLayout::CuratorId), "queue-||");
        assert_eq!(plain(QueueLayout::Simple), "qn-");
        let kazoo = |priority| of_priority(QueueLayout::KazooLocking, priority);
        assert_eq!(kazoo(7).unwrap(), "entry-007-");
        let curator = |priority| of_priority(QueueLayout::CuratorPriority, priority).unwrap();
        assert_eq!(curator(255), "queue-1000000FF");
        assert_eq!(curator(-1), "queue-0FFFFFFFF");
        assert!(curator(i32::MIN) < curator(-1) && curator(-1) < curator(0));
        let delayed = QueueLayout::CuratorDelay.name(&ItemOptions {
            due: Some(0x0199_0000_0001),
            ..ItemOptions::default()
        });
        assert_eq!(delayed.unwrap(), "queue-|19900000001|");
        let named = QueueLayout::CuratorId.name(&ItemOptions {
            id: Some("a/b|c".to_owned()),
            ..ItemOptions::default()
        });
        assert_eq!(named.unwrap(), "queue-|a_b_c|");
    }

    #[test]
    fn an_option_without_a_place_is_refused() {
        for priority in [-1, 1000] {
            assert!(of_priority(QueueLayout::Kazoo, priority).is_err());
        }
        assert!(of_priority(QueueLayout::Simple, 1).is_err());
        let due = ItemOptions {
            due: Some(1),
            ..ItemOptions::default()
        };
        assert!(QueueLayout::CuratorPriority.name(&due).is_err());
        let id = ItemOptions {
            id: Some(String::new()),
            ..ItemOptions::default()
        };
        assert!(QueueLayout::Curator.name(&id).is_err());
    }

    #[test]
    fn items_are_in_the_order_of_delivery() {
        let children = [
            "entry-100-0000000001",
            "x",
            "entry-099-0000000002",
            "entry-100-0000000000",
        ];
        let expected = [
            "entry-099-0000000002",
            "entry-100-0000000000",
            "entry-100-0000000001",
        ];
        assert_eq!(names(QueueLayout::Kazoo, &children), expected);
        // A longer number is a later time.
        let children = ["queue-|100000000|0000000000", "queue-|FFFFFFFF|0000000001"];
        let entries = QueueLayout::CuratorDelay.entries(children.into_iter());
        let due: Vec<_> = entries.iter().map(|entry| entry.due).collect();
        assert_eq!(due, [0xFFFF_FFFF, 0x1_0000_0000]);
        let children = ["queue-|a|0000000002", "queue-|b|0000000001"];
        let expected = ["queue-|b|0000000001", "queue-|a|0000000002"];
        assert_eq!(names(QueueLayout::CuratorId, &children), expected);
    }

    #[test]
    fn an_id_is_compared_as_a_whole() {
        let layout = QueueLayout::CuratorId;
        assert!(layout.has_id("queue-|a_b|0000000002", "a/b"));
        assert!(!layout.has_id("queue-|ab|0000000002", "a"));
        assert!(!QueueLayout::CuratorDelay.has_id("queue-|a|0000000002", "a"));
    }
}
