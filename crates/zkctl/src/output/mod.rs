//! Standard output for results, standard error for messages.
//!
//! Both are written without blocking the runtime: a pager that does not read must neither cost the
//! session nor keep a lock's command alive past its deadline.
//!
//! - [`notices`], [`progress`]: messages and progress on standard error.
//! - [`between`]: what a shell shows between the lines that it reads.
//! - [`failure`], [`explain`]: why a command failed, its exit code, the text of an error.
//! - [`node_text`], [`data_text`], [`session_changes`], [`timestamp`]: how values are shown.
//! - [`terminal`], [`colour`]: escaping of control characters and hidden ones; whether there are colours.

pub(crate) mod between;
pub(crate) mod colour;
pub(crate) mod data_text;
pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod node_text;
pub(crate) mod notices;
pub(crate) mod partial;
pub(crate) mod progress;
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
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use between::{Between, Lines};
use colour::Colour;
use failure::Failure;
use terminal::{escape_json, unhidden, visible_data};

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
    colour: Colour,
    is_terminal: bool,
    buffer: Vec<u8>,
    /// Of a shell.
    between: Option<Between>,
    /// Whether everything goes there, in place of standard output.
    in_background: bool,
    /// Whether this command has written before.
    has_begun: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Output {
            format,
            colour: Colour::default(),
            is_terminal: io::stdout().is_terminal(),
            buffer: Vec::new(),
            between: None,
            in_background: false,
            has_begun: false,
        }
    }

    pub(crate) fn with_colour(self, colour: Colour) -> Self {
        Output { colour, ..self }
    }

    /// Whether text gets colours.
    pub(crate) fn has_colours(&self) -> bool {
        self.colour.is_wanted()
    }

    /// The output of a command in a shell, which continues while the events of the command's watches arrive.
    pub(crate) fn of_shell(format: Format, between: Between) -> Self {
        Output {
            between: Some(between),
            ..Self::new(format)
        }
    }

    /// The output of a command that runs while a shell reads lines.
    pub(crate) fn in_background(format: Format, between: Between) -> Self {
        Output {
            in_background: true,
            ..Self::of_shell(format, between)
        }
    }

    /// Where the events of watches go, if the command's end must not wait for them.
    pub(crate) fn between(&self) -> Option<&Between> {
        match self.in_background {
            true => None,
            false => self.between.as_ref(),
        }
    }

    pub(crate) fn is_in_background(&self) -> bool {
        self.in_background
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a line.
    pub(crate) async fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.text(&format!("{text}\n")).await
    }

    /// Writes text; to a terminal with the characters escaped that are not seen.
    pub(crate) async fn text(&mut self, text: &str) -> Result<(), Failure> {
        match self.is_terminal {
            true => self.raw(unhidden(text).as_bytes()).await,
            false => self.raw(text.as_bytes()).await,
        }
    }

    /// Writes an object on a line of its own.
    pub(crate) async fn json(&mut self, value: &Value) -> Result<(), Failure> {
        let text = format!("{}\n", escape_json(&value.to_string()));
        self.raw(text.as_bytes()).await
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
        if !self.is_terminal || data.is_empty() {
            return self.raw(data).await;
        }
        self.text(&visible_data(data)).await
    }

    /// Writes what the buffer holds.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.buffer);
        if self.in_background
            && let Some(between) = &self.between
        {
            if !bytes.is_empty() {
                between.show(Lines::Results(visible_data(&bytes))).await;
            }
            return Ok(());
        }
        let mut stdout = tokio::io::stdout();
        let line_break = self.line_break(&bytes);
        if !line_break.is_empty() {
            stdout
                .write_all(line_break)
                .await
                .map_err(Failure::output)?;
        }
        let written = match stdout.write_all(&bytes).await {
            Ok(()) => stdout.flush().await,
            Err(error) => Err(error),
        };
        written.map_err(Failure::output)
    }

    /// The line break between the data of one command in a shell and what the next one writes.
    fn line_break(&mut self, bytes: &[u8]) -> &'static [u8] {
        let begins = !bytes.is_empty() && !std::mem::replace(&mut self.has_begun, true);
        let missing = match &self.between {
            Some(between) => between.line_breaks().before(bytes),
            None => b"",
        };
        match begins {
            true => missing,
            false => b"",
        }
    }
}

/// Completes with [`Failure::ReaderGone`] when the reader of standard output has closed its end of the
/// pipe; never if standard output is not a pipe.
///
/// # Cancel safety
/// Dropping the future leaves a thread that waits until the pipe closes or the process ends.
pub(crate) async fn reader_gone() -> Failure {
    // The end of a terminal is a signal. A shell would leave a thread for each command.
    if io::stdout().is_terminal() {
        return std::future::pending().await;
    }
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
