//! Recording a history while it happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Operation;

#[derive(Debug)]
struct Log<I, O> {
    now: u64,
    operations: Vec<Operation<I, O>>,
    /// Those known to have had no effect.
    void: Vec<usize>,
}

/// Records operations of any number of tasks and threads. Its time counts the calls and returns in
/// the order in which they are recorded. Cloning gives another handle to the same record.
#[derive(Debug)]
pub struct Recorder<I, O>(Arc<Mutex<Log<I, O>>>);

impl<I, O> Clone for Recorder<I, O> {
    fn clone(&self) -> Self {
        Recorder(self.0.clone())
    }
}

impl<I, O> Default for Recorder<I, O> {
    fn default() -> Self {
        Recorder(Arc::new(Mutex::new(Log {
            now: 0,
            operations: Vec::new(),
            void: Vec::new(),
        })))
    }
}

impl<I: Clone, O: Clone> Recorder<I, O> {
    fn log(&self) -> MutexGuard<'_, Log<I, O>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the call of an operation: before it is made.
    pub fn call(&self, input: I) -> Called<I, O> {
        let mut log = self.log();
        log.now += 1;
        let called = log.now;
        log.operations.push(Operation {
            called,
            input,
            returned: None,
        });
        Called {
            recorder: self.clone(),
            index: log.operations.len() - 1,
        }
    }

    /// What has been recorded, without what had no effect.
    pub fn history(&self) -> Vec<Operation<I, O>> {
        let log = self.log();
        let operations = log.operations.iter().enumerate();
        operations
            .filter(|(index, _)| !log.void.contains(index))
            .map(|(_, operation)| operation.clone())
            .collect()
    }
}

/// An operation that has been called. Dropped, its outcome is unknown.
#[derive(Debug)]
#[must_use = "an operation that is dropped has an unknown outcome"]
pub struct Called<I, O> {
    recorder: Recorder<I, O>,
    index: usize,
}

impl<I: Clone, O: Clone> Called<I, O> {
    /// Records its return: after it was made.
    pub fn returned(self, output: O) {
        let mut log = self.recorder.log();
        log.now += 1;
        let now = log.now;
        if let Some(operation) = log.operations.get_mut(self.index) {
            operation.returned = Some((now, output));
        }
    }

    /// It may or may not have had an effect, or still may.
    pub fn is_unknown(self) {}

    /// It had no effect.
    pub fn is_void(self) {
        let index = self.index;
        self.recorder.log().void.push(index);
    }
}
