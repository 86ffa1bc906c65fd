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
