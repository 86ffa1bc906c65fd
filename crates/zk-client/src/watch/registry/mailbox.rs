//! What a subscriber has been told and has not read.

use std::collections::VecDeque;

use zk_proto::Zxid;

use crate::slots::KEEP_AT_REST;
use crate::watch::{NodeEvent, NodeEventKind, WatchEvent};

/// An event, as small as can be: most are of the path that is watched.
#[derive(Debug)]
pub(super) enum Note {
    Node {
        kind: NodeEventKind,
        /// None for the path that the subscriber watches.
        path: Option<Box<str>>,
        zxid: Option<Zxid>,
    },
    Gap {
        since: Zxid,
    },
}

#[derive(Debug, Default)]
pub(super) struct Mailbox {
    notes: VecDeque<Note>,
    dropped: u64,
}

impl Mailbox {
    /// False if there is no room, or was none before: what comes after a loss is a part of it.
    pub(super) fn push(&mut self, note: Note, capacity: usize) -> bool {
        let room = self.dropped == 0 && self.notes.len() < capacity;
        if room {
            if self.notes.capacity() == 0 {
                // Most watches tell once.
                self.notes.reserve_exact(1);
            }
            self.notes.push_back(note);
        } else {
            self.dropped += u64::from(!zk_proto::seeded_bug!("A68"));
        }
        room
    }

    /// The next event of a subscriber who watches `path`.
    pub(super) fn pop(&mut self, path: &str) -> Option<WatchEvent> {
        let first = self.notes.pop_front();
        if self.notes.is_empty() && self.notes.capacity() > KEEP_AT_REST {
            self.notes = VecDeque::new();
        }
        match first {
            Some(Note::Node {
                kind,
                path: other,
                zxid,
            }) => {
                let path = other.unwrap_or_else(|| path.into()).into_string();
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

    /// Whether its last words are that something was missed.
    pub(super) fn tells_of_a_gap(&self) -> bool {
        self.dropped > 0 || matches!(self.notes.back(), Some(Note::Gap { .. }))
    }
}
