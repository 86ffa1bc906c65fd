//! Standard output for results, standard error for messages.
//!
//! Both are written without blocking the runtime: a pager that does not read must neither cost the
//! session nor keep a lock's command alive past its deadline.
//!
//! - [`notices`]: messages on standard error.
//! - [`failure`], [`explain`]: why a command failed, its exit code, the text of an error.
//! - [`node_text`], [`session_changes`], [`timestamp`]: how values are shown.
//! - [`terminal`]: escaping of control characters.

pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod node_text;
pub(crate) mod notices;
pub(crate) mod session_changes;
pub(crate) mod terminal;
pub(crate) mod timestamp;

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::thread;

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::oneshot;

use failure::Failure;
use terminal::{escape_json, visible_data};

const BUFFER_SIZE: usize = 16 * 1024;

/// The format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Plain,
    Json,
}

/// Buffered standard output. Everything is written once the buffer is full, or by
/// [`flush`](Self::flush).
pub(crate) struct Output {
    format: Format,
    stdout: Stdout,
    buffer: Vec<u8>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Output {
            format,
            stdout: tokio::io::stdout(),
            buffer: Vec::new(),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line.
    pub(crate) async fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.raw(format!("{text}\n").as_bytes()).await
    }

    /// Writes an object on a line of its own.
    pub(crate) async fn json(&mut self, value: &Value) -> Result<(), Failure> {
        self.line(escape_json(&value.to_string())).await
    }

    /// Writes bytes unchanged.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_SIZE {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes a znode's data: unchanged to a file or pipe; to a terminal with control characters
    /// escaped, because the terminal would execute them, and with a line break at the end.
    pub(crate) async fn data(&mut self, data: &[u8]) -> Result<(), Failure> {
        if !io::stdout().is_terminal() || data.is_empty() {
            return self.raw(data).await;
        }
        self.raw(visible_data(data).as_bytes()).await
    }

    /// Writes what the buffer holds.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.buffer);
        let written = match self.stdout.write_all(&bytes).await {
            Ok(()) => self.stdout.flush().await,
            Err(error) => Err(error),
        };
        written.map_err(Failure::output)
    }
}

/// Completes with [`Failure::ReaderGone`] when the reader of standard output has closed its end of the
/// pipe; never if standard output is not a pipe.
///
/// # Cancel safety
/// Dropping the future leaves a thread that waits until the pipe closes or the process ends.
pub(crate) async fn reader_gone() -> Failure {
    let (gone, is_gone) = oneshot::channel();
    // A thread, because the runtime cannot poll a file descriptor that it does not own.
    let watcher = thread::Builder::new().spawn(move || {
        let stdout = io::stdout();
        // `poll` reports errors and hang-ups even without flags.
        let mut files = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut files, None) == Err(Errno::INTR) {}
        let [file] = &files;
        if file.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            // An error means that the future was dropped.
            let _ = gone.send(());
        }
    });
    match (watcher, is_gone.await) {
        (Ok(_), Ok(())) => Failure::ReaderGone,
        // Without the thread, the next write to the closed pipe fails instead.
        _ => std::future::pending().await,
    }
}
