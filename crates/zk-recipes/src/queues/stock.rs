//! The items that a consumer has listed and not yet tried to claim.

use std::collections::VecDeque;

use super::layout::Entry;

/// The number of items that are kept from one list. An item that is put later with a higher priority
/// is delivered after at most as many.
const KEPT: usize = 32;
/// The number of claims that may fail one after the other before the items are listed again.
const MISSES: u32 = 3;

/// What a consumer knows of the queue.
///
/// Alone, a consumer tries the items in their order. Among others it tries one of the first at
/// random, as many as there were claims when it listed them, so that consumers claim different items.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    entries: VecDeque<Entry>,
    window: usize,
    misses: u32,
}

/// What a list of the queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The number of items that are claimed.
    pub(crate) claimed: usize,
    /// When the first of the others is due.
    pub(crate) next_due: Option<u64>,
}

impl Stock {
    /// Replaces the stock by what was listed, without the items that are claimed.
    ///
    /// Returns what the list has, which other handles with the stock may pick from at once.
    pub(crate) fn fill<'a>(
        &mut self,
        listed: Vec<Entry>,
        claims: impl Iterator<Item = &'a str>,
    ) -> Listed {
        let claims: std::collections::HashSet<_> = claims.collect();
        let count = listed.len();
        let free = listed
            .into_iter()
            .filter(|entry| !claims.contains(entry.name.as_str()));
        let free: Vec<_> = free.collect();
        let claimed = count - free.len();
        // After claims that failed, there are more consumers than claims.
        self.window = self.window.clamp(1, KEPT) / 2 + 1 + 2 * claimed;
        if self.misses == 0 && claimed == 0 {
            self.window = 1;
        }
        self.misses = 0;
        self.entries = free.into_iter().take(KEPT.max(self.window)).collect();
        Listed {
            claimed,
            next_due: self.next_due(),
        }
    }

    /// An item that is due, to be claimed; it is removed from the stock. `random` returns a number less
    /// than its argument.
    pub(crate) fn pick(&mut self, now: u64, random: impl FnOnce(usize) -> usize) -> Option<Entry> {
        let due = (self.entries.iter()).take_while(|entry| entry.due <= now);
        let window = due.take(self.window.max(1)).count();
        match window {
            0 => None,
            1 => self.entries.pop_front(),
            _ => self.entries.remove(random(window)),
        }
    }

    /// When the next item is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.due)
    }

    /// The item that was picked has another consumer, or is gone.
    pub(crate) fn miss(&mut self) {
        self.misses += 1;
        self.window = self.window.saturating_mul(2).min(KEPT);
        if self.misses >= MISSES {
            self.entries.clear();
        }
    }

    /// The item that was picked is claimed.
    pub(crate) fn hit(&mut self) {
        self.misses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, due: u64) -> Entry {
        Entry {
            name: name.to_owned(),
            due,
        }
    }

    fn picked(stock: &mut Stock, random: usize) -> Option<String> {
        let entry = stock.pick(0, |bound| random.min(bound - 1));
        entry.map(|entry| entry.name)
    }

    #[test]
    fn alone_a_consumer_keeps_the_order() {
        let mut stock = Stock::default();
        let listed = ["a", "b", "c"].map(|name| entry(name, 0));
        let listed = stock.fill(listed.to_vec(), std::iter::empty());
        assert_eq!(listed.claimed, 0);
        for name in ["a", "b", "c"] {
            assert_eq!(picked(&mut stock, 9).as_deref(), Some(name));
            stock.hit();
        }
        assert_eq!(picked(&mut stock, 0), None);
    }

    #[test]
    fn among_others_it_spreads() {
        let mut stock = Stock::default();
        let listed = ["a", "b", "c", "d", "e", "f"].map(|name| entry(name, 0));
        let listed = stock.fill(listed.to_vec(), ["a", "gone"].into_iter());
        assert_eq!(listed.claimed, 1);
        assert_eq!(picked(&mut stock, 9).as_deref(), Some("d"), "of b, c, d");
        assert_eq!(picked(&mut stock, 0).as_deref(), Some("b"));
    }

    #[test]
    fn some_misses_empty_the_stock() {
        let mut stock = Stock::default();
        let listed: Vec<_> = (0..9).map(|n| entry(&n.to_string(), 0)).collect();
        stock.fill(listed, std::iter::empty());
        for _ in 0..MISSES {
            assert!(picked(&mut stock, 0).is_some());
            stock.miss();
        }
        assert_eq!(picked(&mut stock, 0), None);
    }

    #[test]
    fn an_item_waits_until_it_is_due() {
        let mut stock = Stock::default();
        let listed = stock.fill(vec![entry("a", 5), entry("b", 7)], std::iter::empty());
        assert_eq!(listed.next_due, Some(5));
        assert_eq!(stock.pick(4, |_| 0), None);
        assert_eq!(stock.next_due(), Some(5));
        assert_eq!(stock.pick(5, |_| 0).unwrap().name, "a");
        assert_eq!(stock.pick(6, |_| 0), None);
    }
}
