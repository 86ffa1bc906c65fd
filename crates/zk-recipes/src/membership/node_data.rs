//! The data of a persistent node: the latest, what the znode has, and what became of each call that has set some.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{Error, Stat};

/// What became of a value, or of a later one that was written in its place.
pub(super) type Settled = Result<Stat, Arc<Error>>;

/// The data of the znode. Each value has a number, the first 1.
#[derive(Debug)]
pub(super) struct NodeData {
    latest: Bytes,
    number: u64,
    /// The number of the value that the znode has; 0 for none of them.
    written: u64,
    /// The last value that the znode had.
    accepted: Option<(Bytes, u64)>,
    /// The calls that wait for what becomes of their values, by number.
    calls: BTreeMap<u64, Option<Settled>>,
    /// The refusal of the last value that was set, if no call has returned it.
    unreported: Option<Arc<Error>>,
}

impl NodeData {
    pub(super) fn new(latest: Bytes) -> Self {
        NodeData {
            latest,
            number: 1,
            written: 0,
            accepted: None,
            calls: BTreeMap::new(),
            unreported: None,
        }
    }

    /// The latest data and their number.
    pub(super) fn latest(&self) -> (Bytes, u64) {
        (self.latest.clone(), self.number)
    }

    /// Whether the znode has the latest data.
    pub(super) fn is_written(&self) -> bool {
        self.written == self.number
    }

    /// Sets new data for a call, which has to [end](Self::end_call). Returns their number.
    pub(super) fn set(&mut self, data: Bytes) -> u64 {
        self.latest = data;
        self.number += 1;
        self.unreported = None;
        self.calls.insert(self.number, None);
        self.number
    }

    /// What became of the value of a call.
    pub(super) fn settled(&self, number: u64) -> Option<Settled> {
        self.calls.get(&number)?.clone()
    }

    /// The call has returned, or was dropped: `reported` if it has returned what became of its value.
    pub(super) fn end_call(&mut self, number: u64, reported: bool) {
        let settled = self.calls.remove(&number).flatten();
        if let Some(Err(error)) = settled
            && !reported
            && self.is_restored_from(number)
        {
            self.unreported = Some(error);
        }
    }

    /// Whether the latest data replace the refused ones with this number.
    fn is_restored_from(&self, number: u64) -> bool {
        self.number == number + 1 && (self.accepted.as_ref()).is_some_and(|it| it.1 == self.number)
    }

    /// Takes the refusal that no call has returned.
    pub(super) fn take_unreported(&mut self) -> Option<Arc<Error>> {
        self.unreported.take()
    }

    pub(super) fn has_unreported(&self) -> bool {
        self.unreported.is_some()
    }

    /// The znode has this value; `None` if its data are not known to be any of the values.
    pub(super) fn set_written(&mut self, value: Option<(Bytes, u64)>, stat: &Stat) {
        self.written = 0;
        if let Some((value, number)) = value {
            self.written = number;
            self.accepted = Some((value, number));
            self.settle(number, &Ok(*stat));
        }
    }

    /// Settles the calls up to this number.
    fn settle(&mut self, number: u64, settled: &Settled) -> bool {
        let mut some = false;
        let calls = self.calls.range_mut(..=number);
        for (_, open) in calls.filter(|(_, call)| call.is_none()) {
            *open = Some(settled.clone());
            some = true;
        }
        some
    }

    /// The ensemble refuses this value: the last one that the znode had is restored. False if there is none
    /// that could be written instead.
    pub(super) fn refuse(&mut self, value: &Bytes, number: u64, error: &Arc<Error>) -> bool {
        let Some((accepted, accepted_number)) = self.accepted.clone() else {
            return false;
        };
        let has_accepted = self.written == accepted_number;
        let has_call = self.settle(number, &Err(error.clone()));
        if accepted == *value && !has_accepted {
            return false;
        }
        if self.number == number {
            self.number += 1;
            self.latest = accepted.clone();
            self.accepted = Some((accepted, self.number));
            if has_accepted {
                self.written = self.number;
            }
            if !has_call {
                self.unreported = Some(error.clone());
            }
        }
        true
    }

    /// Whether another value than this was accepted last.
    pub(super) fn has_other(&self, value: &Bytes) -> bool {
        (self.accepted.as_ref()).is_some_and(|(accepted, _)| accepted != value)
    }
}
