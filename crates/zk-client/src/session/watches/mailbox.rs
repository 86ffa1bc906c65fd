//! The events of a subscriber that it has not read.

use std::collections::VecDeque;

use zk_proto::Zxid;

use crate::session::wakers::IDLE_CAPACITY;
use crate::session::watches::event::{NodeEvent, NodeEventKind, WatchEvent};

/// An event, without its path if that is the watched one, which most are.
#[derive(Debug)]
pub(super) enum Note {
    Node {
        kind: NodeEventKind,
        /// `None` for the watched path.
        path: Option<Box<str>>,
        zxid: Option<Zxid>,
    },
    Gap {
        since: Zxid,
    },
}

/// Limits of a subscriber's unread events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MailboxLimits {
    pub(crate) events: usize,
    /// Bytes of paths.
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Mailbox {
    notes: VecDeque<Note>,
    /// Bytes of the paths in the notes.
    bytes: usize,
    dropped: u64,
}

impl Note {
    fn bytes(&self) -> usize {
        match self {
            Note::Node { path, .. } => path.as_ref().map_or(0, |path| path.len()),
            Note::Gap { .. } => 0,
        }
    }
}

impl Mailbox {
    /// False if the event was dropped: the mailbox is full, or events before this one were dropped and the
    /// subscriber has not read that yet.
    #[inline]
    pub(super) fn push(&mut self, note: Note, limits: MailboxLimits) -> bool {
        let bytes = self.bytes.saturating_add(note.bytes());
        let room = self.dropped == 0 && self.notes.len() < limits.events && bytes <= limits.bytes;
        if room {
            self.bytes = bytes;
            if self.notes.capacity() == 0 {
                // Most watches have one event.
                self.notes.reserve_exact(1);
            }
            self.notes.push_back(note);
        } else {
            self.dropped += 1;
        }
        room
    }

    /// The next event of a subscriber whose watch is at `path`.
    #[inline]
    pub(super) fn pop(&mut self, path: &str) -> Option<WatchEvent> {
        let first = self.notes.pop_front();
        if self.notes.is_empty() && self.notes.capacity() > IDLE_CAPACITY {
            self.notes = VecDeque::new();
        }
        match first {
            Some(Note::Node {
                kind,
                path: other,
                zxid,
            }) => {
                let path = match other {
                    Some(other) => {
                        self.bytes -= other.len();
                        other.into_string()
                    }
                    None => path.to_owned(),
                };
                Some(WatchEvent::Node(NodeEvent { kind, path, zxid }))
            }
            Some(Note::Gap { since }) => Some(WatchEvent::Gap { since }),
            None if self.dropped > 0 => {
                let dropped = std::mem::take(&mut self.dropped);
                Some(WatchEvent::Lagged { dropped })
            }
            None => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.dropped == 0
    }

    /// Whether the last unread entry says that events are missing.
    pub(super) fn ends_in_a_gap(&self) -> bool {
        self.dropped > 0 || matches!(self.notes.back(), Some(Note::Gap { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note::Gap { since: Zxid::ZERO }
    }

    #[test]
    fn what_is_read_makes_room_for_more() {
        let limits = MailboxLimits {
            events: 9,
            bytes: 4,
        };
        let of = |path: &str| Note::Node {
            kind: NodeEventKind::Created,
            path: Some(path.into()),
            zxid: None,
        };
        let mut mailbox = Mailbox::default();
        for _ in 0..3 {
            assert!(mailbox.push(of("/a"), limits) && mailbox.push(of("/b"), limits));
            let first = mailbox.pop("/").unwrap();
            assert!(matches!(first, WatchEvent::Node(node) if node.path == "/a"));
            assert!(mailbox.push(of("/c"), limits));
            assert!(mailbox.pop("/").is_some() && mailbox.pop("/").is_some());
            assert!(mailbox.is_empty());
        }
        assert!(!mailbox.push(of("/long"), limits));
        let lagged = mailbox.pop("/");
        assert_eq!(lagged, Some(WatchEvent::Lagged { dropped: 1 }));
    }

    /// A program may hold a million watches, and most of them have no unread event.
    #[test]
    fn a_read_mailbox_keeps_little_room() {
        let limits = MailboxLimits {
            events: 100,
            bytes: 0,
        };
        let mut mailbox = Mailbox::default();
        for (events, keeps) in [(1, true), (100, false)] {
            for _ in 0..events {
                assert!(mailbox.push(note(), limits));
            }
            for left in (0..events).rev() {
                assert!(mailbox.pop("/a").is_some());
                assert_eq!(mailbox.notes.len(), left);
            }
            assert_eq!(mailbox.notes.capacity() > 0, keeps, "{events} events");
            assert!(mailbox.notes.capacity() <= IDLE_CAPACITY);
            assert_eq!(mailbox.pop("/a"), None);
        }
    }
}
