//! What things do that are to be linearizable.
//!
//! Something that was taken with an unknown outcome counts as not taken: no caller relies on it, so
//! it excludes no other. Whether it is given back some time is not a matter of linearizability.

use super::Model;

/// A value with a version, as a znode has: version 0 at first, one more with each write.
#[derive(Debug, Clone, Copy, Default)]
pub struct Register;

/// An operation on a [`Register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterInput {
    /// Reads it.
    Read,
    /// Writes this value, if the version is this one, or any.
    Write(u64, Option<i32>),
}

/// What a [`Register`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterOutput {
    /// It has this value and this version.
    Value(u64, i32),
    /// It was written and has this version now.
    Written(i32),
    /// It has another version.
    BadVersion,
}

impl Model for Register {
    type State = (u64, i32);
    type Input = RegisterInput;
    type Output = RegisterOutput;

    fn init(&self) -> Self::State {
        (0, 0)
    }

    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State> {
        let (value, version) = *state;
        let (next, answer) = match *input {
            RegisterInput::Read => (*state, RegisterOutput::Value(value, version)),
            RegisterInput::Write(new, expected) if expected.is_none_or(|v| v == version) => {
                let next = version.wrapping_add(1);
                ((new, next), RegisterOutput::Written(next))
            }
            RegisterInput::Write(..) => (*state, RegisterOutput::BadVersion),
        };
        output
            .is_none_or(|output| *output == answer)
            .then_some(next)
    }
}

/// At most one holder at a time, each with a greater token than the last: a lock, or an election, of
/// which the terms do not overlap.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mutex;

/// Taking something and giving it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Takes it, and is given a token.
    Acquire,
    /// Gives back what was taken with this token. A holder that has lost it may still hold it for an
    /// unknown time.
    Release(i64),
}

impl Model for Mutex {
    /// The holder's token, and the greatest.
    type State = (Option<i64>, i64);
    type Input = Hold;
    type Output = i64;

    fn init(&self) -> Self::State {
        (None, i64::MIN)
    }

    fn step(&self, state: &Self::State, input: &Hold, token: Option<&i64>) -> Option<Self::State> {
        let (holder, greatest) = *state;
        match (*input, token) {
            (Hold::Acquire, Some(&token)) => {
                (holder.is_none() && token > greatest).then_some((Some(token), token))
            }
            // The token is unknown, so no operation shows that it was held.
            (Hold::Acquire, None) => Some(*state),
            (Hold::Release(token), Some(_)) => (holder == Some(token)).then_some((None, greatest)),
            (Hold::Release(token), None) if holder == Some(token) => Some((None, greatest)),
            (Hold::Release(_), None) => Some(*state),
        }
    }
}

/// Something that takes writes with a token, and refuses one with a smaller token than it has seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fenced;

impl Model for Fenced {
    /// The greatest token.
    type State = i64;
    /// The token of a write.
    type Input = i64;
    /// Whether it was taken.
    type Output = bool;

    fn init(&self) -> i64 {
        i64::MIN
    }

    fn step(&self, greatest: &i64, token: &i64, taken: Option<&bool>) -> Option<i64> {
        let takes = token >= greatest;
        let next = if takes { *token } else { *greatest };
        taken.is_none_or(|taken| *taken == takes).then_some(next)
    }
}

/// At most so many holders at a time.
#[derive(Debug, Clone, Copy)]
pub struct Semaphore(pub usize);

impl Model for Semaphore {
    /// The holders' tokens, sorted.
    type State = Vec<i64>;
    type Input = Hold;
    type Output = i64;

    fn init(&self) -> Vec<i64> {
        Vec::new()
    }

    fn step(&self, holders: &Vec<i64>, input: &Hold, token: Option<&i64>) -> Option<Vec<i64>> {
        let mut holders = holders.clone();
        match (*input, token) {
            (Hold::Acquire, Some(token)) => {
                let place = holders.binary_search(token).err()?;
                if holders.len() >= self.0 {
                    return None;
                }
                holders.insert(place, *token);
            }
            (Hold::Acquire, None) => {}
            (Hold::Release(released), answered) => match holders.binary_search(&released) {
                Ok(place) => drop(holders.remove(place)),
                Err(_) if answered.is_some() => return None,
                Err(_) => {}
            },
        }
        Some(holders)
    }
}

/// Any number of readers, or one writer.
#[derive(Debug, Clone, Copy, Default)]
pub struct RwLock;

/// An operation on a [`RwLock`]. Tokens name holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RwHold {
    /// Takes it for reading.
    Read,
    /// Takes it for writing.
    Write,
    /// The holder for writing holds it for reading from now on.
    Downgrade(i64),
    /// Gives it back, whatever for.
    Release(i64),
}

impl Model for RwLock {
    /// The readers' tokens, sorted, and the writer's.
    type State = (Vec<i64>, Option<i64>);
    type Input = RwHold;
    type Output = i64;

    fn init(&self) -> Self::State {
        (Vec::new(), None)
    }

    fn step(
        &self,
        state: &Self::State,
        input: &RwHold,
        token: Option<&i64>,
    ) -> Option<Self::State> {
        let (mut readers, mut writer) = state.clone();
        match (*input, token) {
            (RwHold::Read, Some(token)) => {
                let place = readers.binary_search(token).err()?;
                if writer.is_some() {
                    return None;
                }
                readers.insert(place, *token);
            }
            (RwHold::Write, Some(token)) => {
                if writer.is_some() || !readers.is_empty() {
                    return None;
                }
                writer = Some(*token);
            }
            (RwHold::Read | RwHold::Write, None) => {}
            (RwHold::Downgrade(own), answered) => {
                if writer == Some(own) {
                    writer = None;
                    readers.insert(readers.partition_point(|other| *other < own), own);
                } else if answered.is_some() {
                    return None;
                }
            }
            (RwHold::Release(own), answered) => {
                if writer == Some(own) {
                    writer = None;
                } else if let Ok(place) = readers.binary_search(&own) {
                    readers.remove(place);
                } else if answered.is_some() {
                    return None;
                }
            }
        }
        Some((readers, writer))
    }
}

/// A number that is added to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counter;

impl Model for Counter {
    type State = i64;
    /// What is added; 0 reads.
    type Input = i64;
    /// What it is then.
    type Output = i64;

    fn init(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, added: &i64, now: Option<&i64>) -> Option<i64> {
        let next = state.wrapping_add(*added);
        now.is_none_or(|now| *now == next).then_some(next)
    }
}
