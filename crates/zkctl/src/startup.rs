//! What the system must give this process before anything is done.

use std::io;
use std::os::fd::AsFd;
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// What the runtime opens while it starts: three to wait for events, three for signals. Where it gets
/// fewer, it panics.
const DESCRIPTORS: usize = 6;

/// The runtime.
///
/// # Errors
/// There are too few file descriptors, or no thread can be started: output needs one.
pub(crate) fn runtime() -> io::Result<Runtime> {
    let advice =
        |what: &str, error: &io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let stderr = io::stderr();
    let mut reserve = Vec::with_capacity(DESCRIPTORS);
    for _ in 0..DESCRIPTORS {
        let descriptor = stderr.as_fd().try_clone_to_owned().map_err(|error| {
            advice(
                "there are too few file descriptors (see `ulimit -n`)",
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
    // It does nothing that could fail.
    let _ = thread.join();
    Builder::new_current_thread().enable_all().build()
}
