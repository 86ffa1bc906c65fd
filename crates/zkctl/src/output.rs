//! Standard output, for data, and standard error, for what is said about them.
//!
//! Both are written without blocking the runtime: a pager that is not read must neither cost the
//! session nor keep a lock's command alive past its deadline.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::args::Format;
use crate::failure::Failure;

const BUFFER: usize = 16 * 1024;
/// How long the end waits for notices that nobody reads.
const LAST_NOTICES: Duration = Duration::from_secs(1);

/// Where results go.
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

    /// A line, written sooner or later.
    pub(crate) async fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.raw(format!("{text}\n").as_bytes()).await
    }

    /// An object on a line of its own, written sooner or later.
    pub(crate) async fn json(&mut self, value: &Value) -> Result<(), Failure> {
        self.line(value).await
    }

    /// Bytes as they are, written sooner or later.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush().await?;
        }
        Ok(())
    }

    /// Ends a line that data have left open, where a person is looking.
    pub(crate) async fn end_line_on_terminal(&mut self, data: &[u8]) -> Result<(), Failure> {
        if io::stdout().is_terminal() && !data.is_empty() && !data.ends_with(b"\n") {
            self.raw(b"\n").await?;
        }
        Ok(())
    }

    /// Writes what is left to write.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.buffer);
        let written = match self.stdout.write_all(&bytes).await {
            Ok(()) => self.stdout.flush().await,
            Err(error) => Err(error),
        };
        written.map_err(Failure::output)
    }
}

/// Says things on standard error, in order, without waiting for anybody to read them.
#[derive(Clone)]
pub(crate) struct Notices {
    queue: mpsc::UnboundedSender<String>,
}

/// The end of [`Notices`].
pub(crate) struct NoticeWriter(JoinHandle<()>);

impl Notices {
    pub(crate) fn start() -> (Self, NoticeWriter) {
        let (queue, mut unsaid) = mpsc::unbounded_channel::<String>();
        let writer = tokio::spawn(async move {
            let mut stderr = tokio::io::stderr();
            while let Some(text) = unsaid.recv().await {
                // There is nowhere left to say that standard error is gone.
                let _ = stderr.write_all(text.as_bytes()).await;
                let _ = stderr.flush().await;
            }
        });
        (Notices { queue }, NoticeWriter(writer))
    }

    /// A line that begins with the program's name.
    pub(crate) fn say(&self, text: impl Display) {
        self.print(format!("zkctl: {}\n", shown(&text.to_string())));
    }

    /// Text as it is.
    pub(crate) fn print(&self, text: String) {
        // The writer ends only with the runtime.
        let _ = self.queue.send(text);
    }
}

impl NoticeWriter {
    /// Waits until all is said, if anybody listens. Every [`Notices`] must be gone by now.
    pub(crate) async fn finish(self) {
        // On a timeout, nobody reads.
        let _ = tokio::time::timeout(LAST_NOTICES, self.0).await;
    }
}

/// A text with its control characters made visible: a name must not command the terminal.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let tame = |c: char| !c.is_control() || c == '\n';
    if text.chars().all(tame) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if tame(c) {
            shown.push(c);
        } else {
            // Writing to a String does not fail.
            let _ = write!(shown, "{}", c.escape_default());
        }
    }
    Cow::Owned(shown)
}

/// A path or name on a line of its own: with line breaks made visible as well.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    match shown(text) {
        text if text.contains('\n') => Cow::Owned(text.replace('\n', "\\n")),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_not_obeyed() {
        assert_eq!(name("/a\u{1b}[2J\r\n/b"), "/a\\u{1b}[2J\\r\\n/b");
        assert_eq!(name("/grüße"), "/grüße");
        assert_eq!(shown("two\nlines"), "two\nlines");
    }
}
