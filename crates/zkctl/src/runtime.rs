//! The tokio runtime.

use std::io;
use std::os::fd::AsFd;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinSet};

use crate::output::failure::Failure;

/// The number of file descriptors that the runtime opens while it starts: three to wait for events,
/// three for signals. tokio panics if it cannot open them.
const DESCRIPTORS: usize = 6;

/// Builds the runtime.
///
/// # Errors
/// Too few file descriptors are left, or no thread can be started, which writing output needs.
pub(crate) fn build() -> io::Result<Runtime> {
    let advice =
        |what: &str, error: &io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let stderr = io::stderr();
    let mut reserve = Vec::with_capacity(DESCRIPTORS);
    for _ in 0..DESCRIPTORS {
        let descriptor = stderr.as_fd().try_clone_to_owned().map_err(|error| {
            advice(
                "too few file descriptors are left (see `ulimit -n`)",
                &error,
            )
        })?;
        reserve.push(descriptor);
    }
    drop(reserve);
    let thread = thread::Builder::new().spawn(|| ()).map_err(|error| {
        advice(
            "no thread can be started (see `ulimit -u` and `ulimit -v`)",
            &error,
        )
    })?;
    // The thread does nothing that could fail.
    let _ = thread.join();
    Builder::new_current_thread().enable_all().build()
}

/// Waits until a task of the set panics, and meanwhile removes those that end otherwise.
///
/// # Cancel safety
/// Dropping the future loses nothing.
pub(crate) async fn panicked(tasks: &mut JoinSet<()>) -> Failure {
    loop {
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => return panic_failure(&error),
            // It ended, or was aborted.
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// The failure of a command whose task panicked; the panic itself has been reported.
pub(crate) fn panic_failure(error: &JoinError) -> Failure {
    Failure::Failed(format!("the command is ended by a fault of zkctl: {error}"))
}
