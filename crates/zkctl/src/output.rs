//! Standard output, for data, and standard error, for what is said about them.
//!
//! Both are written without blocking the runtime: a pager that does not read must neither cost the
//! session nor keep a lock's command alive past its deadline.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::args::Format;
use crate::failure::Failure;

const BUFFER: usize = 16 * 1024;
/// How long the end waits for notices that are not read.
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
        self.line(escaped(&value.to_string())).await
    }

    /// Bytes as they are, written sooner or later.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush().await?;
        }
        Ok(())
    }

    /// A znode's data, written sooner or later: as they are, except to a terminal, which would obey
    /// escape sequences and needs the end of the line.
    pub(crate) async fn data(&mut self, data: &[u8]) -> Result<(), Failure> {
        if !io::stdout().is_terminal() || data.is_empty() {
            return self.raw(data).await;
        }
        self.raw(on_terminal(data).as_bytes()).await
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

/// Returns when the reader of standard output is gone, which is [`Failure::ReaderGone`], and never if
/// it is no pipe. Dropping the future changes nothing, except for a thread that waits on.
pub(crate) async fn reader_gone() -> Failure {
    let (gone, is_gone) = oneshot::channel();
    // The runtime waits for events of files of its own only.
    let watcher = thread::Builder::new().spawn(move || {
        let stdout = io::stdout();
        // Errors and the end are reported unasked.
        let mut files = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut files, None) == Err(Errno::INTR) {}
        let [file] = &files;
        if file.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            // The command may be over.
            let _ = gone.send(());
        }
    });
    match (watcher, is_gone.await) {
        (Ok(_), Ok(())) => Failure::ReaderGone,
        // Then the next write will show it.
        _ => std::future::pending().await,
    }
}

/// Says things on standard error, in order, without waiting for them to be read.
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
    /// Waits until all is written, if it is read. Every [`Notices`] must be gone by now.
    pub(crate) async fn finish(self) {
        // On a timeout, they are not read.
        let _ = tokio::time::timeout(LAST_NOTICES, self.0).await;
    }
}

/// Control characters that JSON allows in a text and a terminal obeys, as JSON escapes.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.chars().any(char::is_control) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c.is_control() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// Data as a terminal should see them: bytes that are no text are shown, not sent.
fn on_terminal(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len() + 1);
    for chunk in data.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => text.push(c),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
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

    /// Guards: P63.
    #[test]
    fn data_cannot_command_a_terminal() {
        let data = b"a\x1b]0;owned\x07\r\xc2\x9b2J\xff\tb\n";
        let shown = "a\\u{1b}]0;owned\\u{7}\\r\\u{9b}2J\\xff\tb\n";
        assert_eq!(on_terminal(data), shown);
        assert_eq!(on_terminal("grüße".as_bytes()), "grüße\n");
    }

    /// Guards: P63.
    #[test]
    fn json_has_no_control_characters() {
        let value = serde_json::json!({ "data": "\u{1b}\u{7f}\u{9b}é" });
        let text = value.to_string();
        let text = escaped(&text);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_hostile_name_is_shown_not_obeyed() {
        assert_eq!(name("/a\u{1b}[2J\r\n/b"), "/a\\u{1b}[2J\\r\\n/b");
        assert_eq!(name("/grüße"), "/grüße");
        assert_eq!(shown("two\nlines"), "two\nlines");
    }
}
