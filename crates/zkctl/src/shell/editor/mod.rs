//! The line editor, on a thread of its own: reading a key blocks.
//!
//! - [`status`]: the prompt.
//! - [`keys`]: what is pressed while no line is read.
//! - [`history`], [`secrets`]: the lines that are kept.
//! - [`completion`], [`znodes`], [`menu`]: what Tab offers.

mod completion;
mod history;
mod keys;
mod menu;
pub(super) mod secrets;
pub(super) mod status;
pub(super) mod znodes;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as blocking};
use std::thread;
use std::time::Duration;

use clap::Command;
use reedline::{
    ColumnarMenu, Completer, Emacs, KeyCode, KeyModifiers, MenuBuilder, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, Span, Suggestion, default_emacs_keybindings,
};
use tokio::sync::{mpsc, oneshot};

use crate::cli::context::file::File;
use crate::output::failure::Failure;
use crate::output::terminal::{unhidden, visible_line};
use completion::{Candidate, Names, candidates};
use history::Kept;
use keys::{Ahead, Keys};
use menu::Offers;
use status::Status;

const MENU: &str = "completion";
/// How long the editor waits for the names of znodes. Longer than the request may take.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(700);
/// How often the editor looks for a line to print.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// What a user has done at a prompt.
pub(super) enum Input {
    Line(String),
    /// Ctrl-C.
    Cancelled,
    /// Ctrl-D.
    End,
    /// The terminal cannot be used; the text says why.
    Failed(String),
}

/// A request of the editor for the paths that begin with a text.
pub(super) struct PathsRequest {
    pub(super) beginning: String,
    pub(super) reply: blocking::Sender<Vec<String>>,
}

pub(super) struct Editor {
    read: Option<blocking::Sender<()>>,
    inputs: mpsc::UnboundedReceiver<Input>,
    printer: Printer,
    /// Whether keys are read, of which Ctrl-C is one.
    reading: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
}

/// Prints lines above the one that is edited.
#[derive(Clone)]
pub(super) struct Printer {
    status: Status,
    editing: Arc<AtomicBool>,
}

impl Printer {
    /// Whether a line is being edited now.
    pub(super) fn is_editing(&self) -> bool {
        self.editing.load(Ordering::Acquire)
    }

    /// Prints lines, now or above the next prompt.
    pub(super) async fn print(&self, lines: &str) {
        for line in lines.lines() {
            self.status.print(line.to_owned()).await;
        }
    }
}

impl Editor {
    /// Starts the thread. `warn` is called with what is wrong with the history.
    pub(super) fn start(
        status: Status,
        definition: Command,
        paths: mpsc::UnboundedSender<PathsRequest>,
        colors: bool,
        warn: impl FnOnce(String),
    ) -> Result<Self, Failure> {
        let history = match history::file() {
            None => Kept::in_memory(),
            Some(file) => Kept::open(&file).unwrap_or_else(|error| {
                warn(format!(
                    "the lines of this shell are not kept: {}: {error}",
                    file.display()
                ));
                Kept::in_memory()
            }),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let printer = Printer {
            status: status.clone(),
            editing: Arc::default(),
        };
        let reading = Arc::new(AtomicBool::new(false));
        let ahead = Ahead::default();
        let keys = Keys::new(emacs(), ahead.clone(), Arc::clone(&reading));
        let completion = Completion {
            definition,
            ahead: ahead.clone(),
            paths,
        };
        let mut editor = editor(completion, keys, history)
            .with_external_printer(status.printer())
            .with_poll_interval(POLL_INTERVAL)
            .with_break_signal(Arc::clone(&stop))
            .with_ansi_colors(colors);
        let (read, reads) = blocking::channel::<()>();
        let (send, inputs) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn({
                let reading = Arc::clone(&reading);
                move || {
                    while reads.recv().is_ok() {
                        let input = read_line(&mut editor, &status, &reading, &ahead);
                        if send.send(input).is_err() {
                            break;
                        }
                    }
                    drop(editor);
                    // An error means that the shell does not wait for it.
                    let _ = end.send(());
                }
            })
            .map_err(|error| Failure::io("start the line editor", error))?;
        Ok(Editor {
            read: Some(read),
            inputs,
            printer,
            reading,
            stop,
            ended,
        })
    }

    pub(super) fn printer(&self) -> Printer {
        self.printer.clone()
    }

    /// Begins to read a line. Returns whether keys are read, so that Ctrl-C is one of them and no signal.
    pub(super) fn begin(&mut self) -> Arc<AtomicBool> {
        self.printer.editing.store(true, Ordering::Release);
        self.reading.store(true, Ordering::Release);
        // An error means that the thread has ended, which the end of `inputs` says.
        let _ = self.read.as_ref().map(|read| read.send(()));
        Arc::clone(&self.reading)
    }

    /// The line that is being read.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the editor reading: it must be [ended](Self::end) then.
    pub(super) async fn next(&mut self) -> Input {
        let input = self.inputs.recv().await;
        self.printer.editing.store(false, Ordering::Release);
        input.unwrap_or(Input::End)
    }

    /// Ends the editor, also within a line, so that the terminal is as it was before and the history is written.
    pub(super) async fn end(mut self) {
        self.stop.store(true, Ordering::Release);
        self.read = None;
        // A timeout means that the terminal does not answer.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.ended).await;
    }
}

fn read_line(editor: &mut Reedline, status: &Status, reading: &AtomicBool, ahead: &Ahead) -> Input {
    let read = editor.read_line(status);
    reading.store(false, Ordering::Release);
    let input = match read {
        Ok(Signal::Success(line)) => match ahead.cancels() {
            Ok(true) => Input::Cancelled,
            Ok(false) => Input::Line(line),
            Err(error) => Input::Failed(failed(&error)),
        },
        Ok(Signal::CtrlC) => Input::Cancelled,
        Ok(_) => Input::End,
        Err(error) => Input::Failed(failed(&error)),
    };
    // At once, so that a shell that is killed keeps its lines. The lines stay in memory if it fails.
    let _ = editor.sync_history();
    input
}

fn failed(error: &io::Error) -> String {
    format!("cannot edit lines on this terminal: {error}; `zkctl shell < FILE` needs none")
}

/// The bindings of keys.
fn emacs() -> Emacs {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]),
    );
    keys.add_binding(
        KeyModifiers::SHIFT,
        KeyCode::BackTab,
        ReedlineEvent::MenuPrevious,
    );
    // What Enter was if it was pressed while a command ran, as when several lines are pasted.
    keys.add_binding(
        KeyModifiers::CONTROL,
        KeyCode::Char('j'),
        ReedlineEvent::Enter,
    );
    Emacs::new(keys)
}

fn editor(completion: Completion, keys: Keys, history: Kept) -> Reedline {
    let menu = ColumnarMenu::default().with_name(MENU);
    Reedline::create()
        .with_completer(Box::new(completion))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(Offers(menu))))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(keys))
        .with_history(Box::new(history))
        .with_history_exclusion_prefix(Some(" ".to_owned()))
}

struct Completion {
    definition: Command,
    ahead: Ahead,
    paths: mpsc::UnboundedSender<PathsRequest>,
}

impl Names for Completion {
    fn znodes(&self, beginning: &str) -> Vec<String> {
        let (reply, replies) = blocking::channel();
        let request = PathsRequest {
            beginning: beginning.to_owned(),
            reply,
        };
        match self.paths.send(request) {
            Ok(()) => replies.recv_timeout(COMPLETION_TIMEOUT).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    fn contexts(&self) -> Vec<String> {
        // A file that cannot be read offers nothing; a command with a context says why.
        let file = File::read().ok().flatten();
        let names = file.as_ref().map(File::names).unwrap_or_default();
        names.into_iter().map(str::to_owned).collect()
    }
}

impl Completer for Completion {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let before = line.get(..pos).unwrap_or(line);
        let (start, found) = candidates(before, &self.definition, self);
        let suggestion = |candidate: Candidate| Suggestion {
            display_override: Some(unhidden(&visible_line(&candidate.text)).into_owned()),
            value: candidate.text,
            span: Span::new(start, before.len()),
            append_whitespace: candidate.complete,
            ..Suggestion::default()
        };
        found.into_iter().map(suggestion).collect()
    }

    /// The editor calls this whenever it is about to wait for keys.
    fn has_pending(&mut self) -> bool {
        self.ahead.replay();
        false
    }
}
