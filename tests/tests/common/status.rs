//! What the system reports about a process.

use std::fs;

/// A figure of `/proc/<process>/status`, in kilobytes where it is a size; none where the system has
/// no such file.
pub(crate) fn status(process: &str, name: &str) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mut lines = status.lines();
    let figure = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    figure.split_whitespace().next()?.parse().ok()
}
