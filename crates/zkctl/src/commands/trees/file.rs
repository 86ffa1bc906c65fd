//! Reads a tree from a file or from standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use tokio::sync::mpsc;
use zk_client::Chroot;

use crate::output::failure::Failure;
use crate::tree::Record;
use crate::tree::format::Parser;

/// How many elements may have been read that are not needed yet.
const AHEAD: usize = 16;
/// The length of the longest line: more than any znode makes, and not all of a file without line breaks.
pub(super) const MAX_LINE: u64 = 1 << 30;

/// A line may be as long as the largest znode, and the next ones short: how much of its memory is kept.
pub(super) const SHRUNK: usize = 1 << 20;

/// A tree in a file.
pub(super) struct TreeFile {
    name: String,
    root: Chroot,
    elements: mpsc::Receiver<Result<Element, String>>,
}

enum Element {
    Root(Chroot),
    Record(Record),
    End,
}

impl TreeFile {
    /// Opens the file, or standard input if the name is `-`.
    ///
    /// # Errors
    /// It cannot be opened, or is no export.
    pub(super) async fn open(name: &str) -> Result<Self, Failure> {
        let (shown, input): (_, Box<dyn Read + Send>) = match name {
            "-" => ("standard input".to_owned(), Box::new(io::stdin())),
            _ => {
                let file = File::open(name)
                    .map_err(|error| Failure::io(&format!("open {name}"), error))?;
                (name.to_owned(), Box::new(file))
            }
        };
        let (sender, mut elements) = mpsc::channel(AHEAD);
        thread::Builder::new()
            .spawn(move || read(input, &sender))
            .map_err(|error| Failure::io("start a thread", error))?;
        match next(&mut elements, &shown).await? {
            Element::Root(root) => Ok(TreeFile {
                name: shown,
                root,
                elements,
            }),
            Element::Record(_) | Element::End => Err(failure(&shown, "there is no tree in it")),
        }
    }

    /// The root of the tree when it was exported.
    pub(super) fn root(&self) -> &Chroot {
        &self.root
    }

    /// The next element; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Record>, Failure> {
        match next(&mut self.elements, &self.name).await? {
            Element::Record(record) => Ok(Some(record)),
            Element::Root(_) | Element::End => Ok(None),
        }
    }
}

fn failure(name: &str, problem: &str) -> Failure {
    Failure::Failed(format!("{name}: {problem}"))
}

async fn next(
    elements: &mut mpsc::Receiver<Result<Element, String>>,
    name: &str,
) -> Result<Element, Failure> {
    match elements.recv().await {
        Some(Ok(element)) => Ok(element),
        Some(Err(problem)) => Err(failure(name, &problem)),
        None => Err(failure(name, "the thread that reads it has ended")),
    }
}

/// Reads to the end. Errors of sending mean that the reader has been dropped.
fn read(input: impl Read, elements: &mpsc::Sender<Result<Element, String>>) {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut parser = Parser::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        line.shrink_to(SHRUNK);
        let element = match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Err(error) => Err(error.to_string()),
            Ok(0) => parser.finish().map(|()| Element::End),
            Ok(_) => {
                let had_root = parser.root().is_some();
                match parser.parse(&line) {
                    Err(problem) => Err(problem),
                    Ok(Some(record)) => Ok(Element::Record(record)),
                    Ok(None) => match parser.root() {
                        Some(root) if !had_root => Ok(Element::Root(root.clone())),
                        _ => continue,
                    },
                }
            }
        };
        let is_last = !matches!(element, Ok(Element::Root(_) | Element::Record(_)));
        if elements.blocking_send(element).is_err() || is_last {
            return;
        }
    }
}
