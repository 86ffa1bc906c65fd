//! Whether a history of concurrent operations can be explained by operations that each take effect
//! at one moment between call and return: a linearizability checker.
//!
//! The search is Wing and Gong's, with Lowe's memory of what has been tried: it tries to let the
//! operations take effect one by one, always one that was called before any other that is left
//! returned, and goes back where the model refuses.
//!
//! - An operation whose outcome is unknown may take effect at any time after its call, or never.
//! - One that is known to have had no effect, and a read that failed, say nothing: leave them out.
//! - Histories of several independent objects are checked one object at a time: [`by_key`].
//! - The search is given a number of steps, and a history that takes more is no success:
//!   [`Verdict::GaveUp`]. Some eight processes and two hundred operations are well within reach.
//!
//! The checker is checked in `tests/offline/lincheck.rs`, against histories that are right or wrong
//! by construction and against a search that remembers nothing.

mod bits;
pub mod models;
mod record;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use bits::Bits;
pub use record::{Called, Recorder};

/// What one object does when operations follow one another.
pub trait Model {
    /// What it is like.
    type State: Clone + Eq + Hash + Debug;
    /// The operation.
    type Input: Clone + Debug;
    /// What it answers.
    type Output: Clone + Debug;

    /// What it is like at first.
    fn init(&self) -> Self::State;

    /// What it is like after an operation that was asked for this and answered that; `None` if it
    /// would not have answered that. `output` is `None` if the answer is unknown; then every state
    /// has a next one.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;
}

/// One operation of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<I, O> {
    /// When it was called.
    pub called: u64,
    /// What was asked.
    pub input: I,
    /// When it returned, and with what; `None` if its outcome is unknown.
    pub returned: Option<(u64, O)>,
}

/// An operation of a model.
pub type OperationOf<M> = Operation<<M as Model>::Input, <M as Model>::Output>;

/// What the checker has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains the history.
    Linearizable,
    /// There is none. These are the indices of the operations, in order, of the longest attempt.
    Violation {
        /// Those that could take effect.
        explained: Vec<usize>,
    },
    /// The search was longer than allowed. Not a success.
    GaveUp,
}

/// More than a history of recommended size takes.
pub const STEPS: u64 = 20_000_000;

/// One end of an operation, in a list of those left, in the order of time.
#[derive(Debug, Clone, Copy)]
struct End {
    operation: usize,
    /// Where the operation's other end is, for a call.
    is_call: bool,
    previous: usize,
    next: usize,
}

/// The list; its first element stands for the list itself.
struct Left {
    ends: Vec<End>,
    /// Where the return of each operation is, if it returned.
    returns: Vec<Option<usize>>,
}

const LIST: usize = 0;

impl Left {
    fn new<I, O>(history: &[Operation<I, O>]) -> Self {
        let mut times = Vec::new();
        for (operation, what) in history.iter().enumerate() {
            // Calls come before returns of the same time, so that they overlap.
            times.push((what.called, 0, operation));
            if let Some((at, _)) = &what.returned {
                times.push((*at, 1, operation));
            }
        }
        times.sort_unstable();
        let mut returns = vec![None; history.len()];
        let count = times.len();
        let list = End {
            operation: usize::MAX,
            is_call: false,
            previous: count,
            next: if count == 0 { LIST } else { 1 },
        };
        let mut ends = vec![list];
        for (before, (_, kind, operation)) in times.into_iter().enumerate() {
            let at = before + 1;
            let is_call = kind == 0;
            if !is_call && let Some(place) = returns.get_mut(operation) {
                *place = Some(at);
            }
            ends.push(End {
                operation,
                is_call,
                previous: before,
                next: if at == count { LIST } else { at + 1 },
            });
        }
        Left { ends, returns }
    }

    fn at(&self, place: usize) -> End {
        self.ends.get(place).copied().unwrap_or(End {
            operation: usize::MAX,
            is_call: false,
            previous: LIST,
            next: LIST,
        })
    }

    fn link(&mut self, previous: usize, next: usize) {
        if let Some(end) = self.ends.get_mut(previous) {
            end.next = next;
        }
        if let Some(end) = self.ends.get_mut(next) {
            end.previous = previous;
        }
    }

    /// Takes out both ends of the operation whose call is here.
    fn lift(&mut self, call: usize) {
        let end = self.at(call);
        self.link(end.previous, end.next);
        if let Some(place) = self.returns.get(end.operation).copied().flatten() {
            let end = self.at(place);
            self.link(end.previous, end.next);
        }
    }

    /// Puts back what was taken out last.
    fn unlift(&mut self, call: usize) {
        let end = self.at(call);
        if let Some(place) = self.returns.get(end.operation).copied().flatten() {
            let end = self.at(place);
            self.link(end.previous, place);
            self.link(place, end.next);
        }
        self.link(end.previous, call);
        self.link(call, end.next);
    }
}

/// Checks a history, with [`STEPS`] at most.
pub fn check<M: Model>(model: &M, history: &[OperationOf<M>]) -> Verdict {
    check_within(model, history, STEPS)
}

/// Checks a history, with at most this many steps of the search.
pub fn check_within<M: Model>(model: &M, history: &[OperationOf<M>], steps: u64) -> Verdict {
    let mut left = Left::new(history);
    let mut unexplained = history
        .iter()
        .filter(|operation| operation.returned.is_some())
        .count();
    let mut done = Bits::new(history.len());
    let mut tried: HashSet<(Bits, M::State)> = HashSet::new();
    let mut order: Vec<(usize, M::State)> = Vec::new();
    let mut longest = Vec::new();
    let mut state = model.init();
    let mut at = left.at(LIST).next;
    for _ in 0..steps {
        if unexplained == 0 {
            return Verdict::Linearizable;
        }
        let end = left.at(at);
        if end.is_call
            && let Some(operation) = history.get(end.operation)
        {
            let output = operation.returned.as_ref().map(|(_, output)| output);
            let next = model.step(&state, &operation.input, output);
            done.set(end.operation, true);
            if let Some(next) = next
                && tried.insert((done.clone(), next.clone()))
            {
                left.lift(at);
                order.push((at, std::mem::replace(&mut state, next)));
                unexplained -= usize::from(output.is_some());
                at = left.at(LIST).next;
            } else {
                done.set(end.operation, false);
                at = end.next;
            }
            continue;
        }
        // Something returned that has not taken effect: what was tried last was wrong.
        if order.len() > longest.len() {
            let explained = order.iter().map(|(place, _)| left.at(*place).operation);
            longest = explained.collect();
        }
        let Some((place, before)) = order.pop() else {
            return Verdict::Violation { explained: longest };
        };
        state = before;
        let end = left.at(place);
        done.set(end.operation, false);
        left.unlift(place);
        let returned = left.returns.get(end.operation).copied().flatten();
        unexplained += usize::from(returned.is_some());
        at = left.at(place).next;
    }
    Verdict::GaveUp
}

/// Panics, and says why, unless a history is linearizable.
///
/// # Panics
/// It is not, or it could not be decided.
#[allow(clippy::panic, reason = "an assertion")]
pub fn assert_linearizable<M: Model>(model: &M, history: &[OperationOf<M>], what: &str) {
    match check(model, history) {
        Verdict::Linearizable => {}
        Verdict::GaveUp => panic!("{what}: {} operations are too many", history.len()),
        Verdict::Violation { explained } => {
            let mut text = String::new();
            for (index, operation) in history.iter().enumerate() {
                let order = explained.iter().position(|other| *other == index);
                text.push_str(&format!("{operation:?}, explained as {order:?}\n"));
            }
            panic!("{what}: no order of these explains them:\n{text}");
        }
    }
}

/// One history for each key.
pub fn by_key<K: Ord, I, O>(
    history: impl IntoIterator<Item = (K, Operation<I, O>)>,
) -> BTreeMap<K, Vec<Operation<I, O>>> {
    let mut histories: BTreeMap<K, Vec<_>> = BTreeMap::new();
    for (key, operation) in history {
        histories.entry(key).or_default().push(operation);
    }
    histories
}
