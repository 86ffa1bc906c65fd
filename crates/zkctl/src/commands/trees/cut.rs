//! An export in a file, which is continued after a cut.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use serde_json::Value;
use zk_client::Chroot;

use super::file::{MAX_LINE, SHRUNK};
use crate::commands::walk::After;
use crate::output::failure::Failure;
use crate::output::terminal::escape_json;
use crate::tree::Record;
use crate::tree::format::Parser;

/// The file of an export, locked against other processes that would continue it as well.
pub(super) struct CutExport {
    path: PathBuf,
    file: File,
    pub(super) before: Before,
}

/// What the file holds.
#[derive(Default)]
pub(super) struct Before {
    /// `None` if there is nothing, not even the first line.
    pub(super) root: Option<Chroot>,
    pub(super) after: Option<After>,
    pub(super) is_complete: bool,
    /// The bytes of whole lines.
    length: u64,
}

impl CutExport {
    /// Opens the file, or creates it, and reads it. `see` gets each element.
    ///
    /// # Errors
    /// The file cannot be read and written, another process writes it, or it is not the beginning of an export.
    pub(super) fn open(path: &Path, see: impl FnMut(&Record)) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io(&format!("open {}", path.display()), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(failed)?;
        retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive))
            .map_err(|error| failed(error.into()))?;
        let before = read(&file, see)
            .map_err(|problem| Failure::Failed(format!("{}: {problem}", path.display())))?;
        Ok(CutExport {
            path: path.to_owned(),
            file,
            before,
        })
    }

    /// The file, to be written behind its whole lines.
    pub(super) fn lines(&self) -> Result<Lines, Failure> {
        let mut file = self.file.try_clone().map_err(|error| self.failed(error))?;
        file.set_len(self.before.length)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(|error| self.failed(error))?;
        Ok(Lines {
            path: self.path.clone(),
            file: BufWriter::new(file),
        })
    }

    fn failed(&self, error: io::Error) -> Failure {
        written(&self.path, error)
    }
}

/// Reads up to the last whole line. The text of an error is without the name of the file.
fn read(file: &File, mut see: impl FnMut(&Record)) -> Result<Before, String> {
    let mut input = BufReader::with_capacity(1 << 16, file);
    let mut parser = Parser::default();
    let mut before = Before::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        line.shrink_to(SHRUNK);
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        let length = read.map_err(|error| error.to_string())?;
        // The rest of a line that was cut is written again.
        if line.last() != Some(&b'\n') {
            break;
        }
        let record = parser.parse(&line)?;
        before.length += length as u64;
        if let Some(record) = record {
            see(&record);
            before.after = Some(After {
                path: record.path().to_owned(),
                is_listed: matches!(record, Record::Node(_)),
            });
        }
    }
    before.root = parser.root().cloned();
    before.is_complete = parser.finish().is_ok();
    match before.root {
        None if !line.is_empty() => Err("it is not the beginning of an export".to_owned()),
        _ => Ok(before),
    }
}

/// The lines that are added to a file.
pub(super) struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    pub(super) fn add(&mut self, value: &Value) -> Result<(), Failure> {
        let text = value.to_string();
        let added = writeln!(self.file, "{}", escape_json(&text));
        added.map_err(|error| written(&self.path, error))
    }

    /// Writes what is buffered, so that it outlives a crash of the machine.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|error| written(&self.path, error))
    }
}

fn written(path: &Path, error: io::Error) -> Failure {
    Failure::io(&format!("write {}", path.display()), error)
}
