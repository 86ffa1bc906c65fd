//! The instances in the znodes of a service: what the znodes contain, and how one list of instances
//! differs from the next. No requests, no clock.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{Stat, Zxid};

use super::instance::ServiceInstance;
use super::service_change::ServiceChange;

/// Why data are no instance.
pub(super) type DecodeError = Arc<dyn StdError + Send + Sync>;

/// The meaning of a znode, by its name and its data.
pub(super) enum Meaning<P> {
    Instance(Box<ServiceInstance<P>>),
    Unreadable(DecodeError),
    /// The znode is not for an instance.
    Foreign,
}

/// How a format reads its znodes.
pub(super) type Decode<P> = Arc<dyn Fn(&str, &[u8]) -> Meaning<P> + Send + Sync>;

/// An instance, and the name of its znode.
pub(super) struct Found<P> {
    pub(super) node: Arc<str>,
    pub(super) instance: Arc<ServiceInstance<P>>,
}

impl<P> Clone for Found<P> {
    fn clone(&self) -> Self {
        Found {
            node: self.node.clone(),
            instance: self.instance.clone(),
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Found<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Found")
            .field(&self.node)
            .field(&self.instance)
            .finish()
    }
}

/// Sorted by the names of the znodes.
pub(super) type Instances<P> = Arc<[Found<P>]>;

/// A znode whose data are no instance.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    pub(super) node: Arc<str>,
    pub(super) error: DecodeError,
}

/// A znode as it was last seen.
struct Known<P> {
    node: Arc<str>,
    czxid: Zxid,
    mzxid: Zxid,
    data: Bytes,
    meaning: Result<Option<Arc<ServiceInstance<P>>>, DecodeError>,
    /// The round in which it was last listed.
    round: u64,
}

/// The znodes of a service with their meanings, so that only those that have changed are decoded.
pub(super) struct Catalog<P> {
    decode: Decode<P>,
    known: BTreeMap<Arc<str>, Known<P>>,
    round: u64,
}

impl<P> Catalog<P> {
    pub(super) fn new(decode: Decode<P>) -> Self {
        Catalog {
            decode,
            known: BTreeMap::new(),
            round: 0,
        }
    }

    /// Takes over the present znodes of the service. True if an instance is different, new or gone.
    ///
    /// Zxids are compared for equality only, and data as well: zxids restart in a restored ensemble.
    pub(super) fn absorb<'a>(
        &mut self,
        znodes: impl Iterator<Item = (&'a str, &'a Bytes, &'a Stat)>,
    ) -> bool {
        self.round += 1;
        let round = self.round;
        let mut changed = false;
        for (name, data, stat) in znodes {
            if let Some(known) = self.known.get_mut(name) {
                known.round = round;
                let same_zxids = (known.czxid, known.mzxid) == (stat.czxid, stat.mzxid);
                if same_zxids && known.data == *data {
                    continue;
                }
            }
            changed = true;
            let node: Arc<str> = name.into();
            let meaning = match (self.decode)(name, data) {
                Meaning::Instance(instance) => Ok(Some(Arc::from(instance))),
                Meaning::Foreign => Ok(None),
                Meaning::Unreadable(error) => Err(error),
            };
            let known = Known {
                node: node.clone(),
                czxid: stat.czxid,
                mzxid: stat.mzxid,
                data: data.clone(),
                meaning,
                round,
            };
            self.known.insert(node, known);
        }
        let before = self.known.len();
        self.known.retain(|_, known| known.round == round);
        changed || self.known.len() < before
    }

    pub(super) fn instances(&self) -> Instances<P> {
        let found = self.known.values().filter_map(|known| {
            let instance = known.meaning.as_ref().ok()?.clone()?;
            let node = known.node.clone();
            Some(Found { node, instance })
        });
        found.collect()
    }

    pub(super) fn unreadable(&self) -> Arc<[Unreadable]> {
        let unreadable = self.known.values().filter_map(|known| {
            let error = known.meaning.as_ref().err()?.clone();
            let node = known.node.clone();
            Some(Unreadable { node, error })
        });
        unreadable.collect()
    }
}

/// What is different in `new`, in the order of the names of the znodes.
pub(super) fn changes<P>(old: &[Found<P>], new: &[Found<P>]) -> Vec<ServiceChange<P>> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.node.cmp(&new.node),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        let change = match (before, after) {
            (None, Some(Found { node, instance })) => ServiceChange::Added {
                node: node.clone(),
                instance: instance.clone(),
            },
            (Some(Found { node, instance }), None) => ServiceChange::Removed {
                node: node.clone(),
                before: instance.clone(),
            },
            (Some(before), Some(after)) if !Arc::ptr_eq(&before.instance, &after.instance) => {
                ServiceChange::Changed {
                    node: after.node.clone(),
                    before: before.instance.clone(),
                    instance: after.instance.clone(),
                }
            }
            _ => continue,
        };
        changes.push(change);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local!(static DECODED: Cell<usize> = const { Cell::new(0) });

    fn decode(node: &str, data: &[u8]) -> Meaning<()> {
        DECODED.set(DECODED.get() + 1);
        match data {
            b"" => Meaning::Unreadable(Arc::from(Box::from("empty"))),
            b"foreign" => Meaning::Foreign,
            data => {
                let address = String::from_utf8_lossy(data);
                Meaning::Instance(Box::new(ServiceInstance::new("s", address).id(node)))
            }
        }
    }

    struct Service {
        catalog: Catalog<()>,
        seen: Instances<()>,
    }

    impl Service {
        fn new() -> Self {
            Service {
                catalog: Catalog::new(Arc::new(decode)),
                seen: Arc::new([]),
            }
        }

        /// What changes when these are the names, zxids and data of the znodes.
        fn becomes(&mut self, znodes: &[(&str, i64, &'static str)]) -> Vec<String> {
            let znodes: Vec<_> = (znodes.iter())
                .map(|(name, zxid, data)| {
                    let mut stat = Stat::default();
                    (stat.czxid, stat.mzxid) = (Zxid(*zxid), Zxid(*zxid));
                    (*name, Bytes::from_static(data.as_bytes()), stat)
                })
                .collect();
            let znodes = znodes.iter().map(|(name, data, stat)| (*name, data, stat));
            let changed = self.catalog.absorb(znodes);
            let now = self.catalog.instances();
            let texts: Vec<_> = changes(&self.seen, &now).iter().map(text).collect();
            assert!(changed || texts.is_empty());
            self.seen = now;
            texts
        }
    }

    fn text(change: &ServiceChange<()>) -> String {
        match change {
            ServiceChange::Added { node, .. } => format!("+{node}"),
            ServiceChange::Removed { node, .. } => format!("-{node}"),
            ServiceChange::Changed { node, .. } => format!("~{node}"),
        }
    }

    #[test]
    fn changes_are_those_of_the_instances() {
        let mut service = Service::new();
        assert!(service.becomes(&[]).is_empty());
        let znodes = [("a", 1, "x"), ("c", 2, "x"), ("d", 3, "foreign")];
        assert_eq!(service.becomes(&znodes), ["+a", "+c"]);
        assert!(service.becomes(&znodes).is_empty());
        let znodes = [("b", 4, "x"), ("c", 5, "y"), ("d", 3, "foreign")];
        assert_eq!(service.becomes(&znodes), ["-a", "+b", "~c"]);
        // As after a restore: other data with the zxid of the earlier ones.
        let znodes = [("b", 4, "z"), ("c", 5, "y")];
        assert_eq!(service.becomes(&znodes), ["~b"]);
        assert_eq!(service.becomes(&[]), ["-b", "-c"]);
    }

    #[test]
    fn bad_data_do_no_harm_to_the_others() {
        let mut service = Service::new();
        assert_eq!(service.becomes(&[("a", 1, ""), ("b", 1, "x")]), ["+b"]);
        let unreadable = service.catalog.unreadable();
        assert_eq!((unreadable.len(), &*unreadable[0].node), (1, "a"));
        assert_eq!(service.becomes(&[("a", 2, "x"), ("b", 1, "x")]), ["+a"]);
        assert_eq!(service.becomes(&[("a", 3, ""), ("b", 1, "x")]), ["-a"]);
    }

    #[test]
    fn only_changed_data_are_decoded() {
        let mut service = Service::new();
        let names: Vec<_> = (0..100).map(|n| format!("{n:03}")).collect();
        let mut znodes: Vec<_> = names.iter().map(|name| (&**name, 1, "x")).collect();
        service.becomes(&znodes);
        let before = DECODED.get();
        znodes[7].1 = 2;
        assert_eq!(service.becomes(&znodes), ["~007"]);
        assert_eq!(DECODED.get(), before + 1);
    }
}
