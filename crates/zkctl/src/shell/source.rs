//! Where the lines of a shell come from.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::thread;

use tokio::sync::mpsc;

use super::editor::{Editor, Input};
use crate::output::failure::Failure;

/// How many lines may be read before the first of them is run.
const LINES_AHEAD: usize = 16;

pub(super) enum Source {
    Editor(Editor),
    /// Of standard input.
    Script(mpsc::Receiver<io::Result<String>>),
    /// Of the command line.
    Given(VecDeque<String>),
}

impl Source {
    pub(super) fn given(lines: &str) -> Self {
        Source::Given(lines.lines().map(str::to_owned).collect())
    }

    pub(super) fn stdin() -> Result<Self, Failure> {
        let (send, lines) = mpsc::channel(LINES_AHEAD);
        thread::Builder::new()
            .spawn(move || {
                for line in io::stdin().lock().lines() {
                    let ends = line.is_err();
                    if send.blocking_send(line).is_err() || ends {
                        return;
                    }
                }
            })
            .map_err(|error| Failure::io("read standard input", error))?;
        Ok(Source::Script(lines))
    }

    pub(super) async fn next(&mut self) -> Result<Input, Failure> {
        Ok(match self {
            Source::Editor(editor) => editor.next().await,
            Source::Script(lines) => match lines.recv().await {
                Some(Ok(line)) => Input::Line(line),
                Some(Err(error)) => return Err(Failure::io("read standard input", error)),
                None => Input::End,
            },
            Source::Given(lines) => lines.pop_front().map_or(Input::End, Input::Line),
        })
    }
}
