//! Changes of the file with the contexts. What they do not concern stays as it is, comments included.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value, value};

use super::args::Set;
use super::choice::unknown;
use super::file::{CONTEXTS, CURRENT, File, location};
use super::keys::{Key, Kind};
use crate::output::failure::Failure;

/// The file, to be changed.
pub(crate) struct Edit {
    path: PathBuf,
    document: DocumentMut,
    /// As long as the directory is locked, no other zkctl changes the file.
    _lock: Option<fs::File>,
}

/// Whether a change needs the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The file, and its directory, are created.
    Create,
    Keep,
}

impl Edit {
    /// Reads the file, which need not exist. Blocks while another zkctl changes it.
    pub(crate) fn begin(missing: Missing) -> Result<Self, Failure> {
        let Some((path, _)) = location() else {
            return Err(Failure::Usage(
                "there is no home directory; name the file in ZKCTL_CONFIG".to_owned(),
            ));
        };
        // Such as /dev/null: a file in its place would break other programs.
        if fs::metadata(&path).is_ok_and(|old| !old.is_file()) {
            return Err(Failure::Failed(format!(
                "{} is no regular file, and cannot be changed",
                path.display()
            )));
        }
        let lock =
            lock(&path, missing).map_err(|error| failed("lock the directory of", &path, error))?;
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed("read", &path, error)),
            Ok(text) => text,
        };
        // Its errors name the line.
        File::parse(path.clone(), text.clone())?;
        let document = text
            .parse()
            .map_err(|_| Failure::Failed(format!("{}: it is not TOML", path.display())))?;
        Ok(Edit {
            path,
            document,
            _lock: lock,
        })
    }

    /// Creates or changes a context, and returns whether it is new.
    pub(crate) fn set(&mut self, set: &Set) -> Result<bool, Failure> {
        check_name(&set.name)?;
        let contexts = self.document.entry(CONTEXTS).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let contexts = contexts
            .as_table_like_mut()
            .ok_or_else(|| not_a_table(CONTEXTS))?;
        let is_new = contexts.get(&set.name).is_none();
        let context = contexts
            .entry(&set.name)
            .or_insert_with(|| Item::Table(Table::new()));
        let context = context
            .as_table_like_mut()
            .ok_or_else(|| not_a_table(&set.name))?;
        for name in &set.unset {
            let key = key(name)?;
            if context.remove(key.name).is_none() {
                return Err(Failure::Usage(format!("{} has no {name}", set.name)));
            }
        }
        for setting in &set.settings {
            put(context, setting)?;
        }
        Ok(is_new)
    }

    /// Makes a context the current one, or none.
    pub(crate) fn make_current(&mut self, name: Option<&str>) -> Result<(), Failure> {
        let Some(name) = name else {
            self.document.remove(CURRENT);
            return Ok(());
        };
        self.find(name)?;
        self.document.insert(CURRENT, value(name));
        Ok(())
    }

    /// Deletes a context, and returns whether it was the current one.
    pub(crate) fn delete(&mut self, name: &str) -> Result<bool, Failure> {
        self.find(name)?;
        let contexts = self.document.get_mut(CONTEXTS);
        if let Some(contexts) = contexts.and_then(Item::as_table_like_mut) {
            contexts.remove(name);
        }
        let was_current = self.document.get(CURRENT).and_then(Item::as_str) == Some(name);
        if was_current {
            self.document.remove(CURRENT);
        }
        Ok(was_current)
    }

    fn find(&self, name: &str) -> Result<(), Failure> {
        let contexts = self.document.get(CONTEXTS).and_then(Item::as_table_like);
        if contexts.is_some_and(|contexts| contexts.contains_key(name)) {
            return Ok(());
        }
        let file = File::parse(self.path.clone(), self.document.to_string())?;
        Err(Failure::Usage(unknown(&file, name, "the command line")))
    }

    /// Writes the file, unless `context` would have errors.
    pub(crate) fn write(self, context: Option<&str>) -> Result<PathBuf, Failure> {
        let text = self.document.to_string();
        if let Some(context) = context {
            File::parse(self.path.clone(), text.clone())?
                .context(context)
                .map_err(|failure| self.unwritten(failure))?;
        }
        replace(&target(&self.path), &text).map_err(|error| failed("write", &self.path, error))?;
        Ok(self.path)
    }

    /// The error of a file that was not written, without a line that no reader can look at.
    fn unwritten(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Usage(text) => {
                let place = format!("{}:", self.path.display());
                let text = text.strip_prefix(&place).unwrap_or(&text);
                let text = text.split_once(": ").map_or(text, |(_, problem)| problem);
                Failure::Usage(text.to_owned())
            }
            failure => failure,
        }
    }
}

/// The file may be a link to one that a repository has.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn directory(path: &Path) -> &Path {
    let directory = path.parent();
    let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// Locks the directory of the file: the file itself is replaced by each change. `None` if there is no directory.
fn lock(path: &Path, missing: Missing) -> io::Result<Option<fs::File>> {
    let path = target(path);
    let directory = directory(&path);
    if missing == Missing::Create {
        fs::create_dir_all(directory)?;
    }
    let opened = match fs::File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match retry_on_intr(|| flock(&opened, FlockOperation::LockExclusive)) {
        // Of a file system without locks.
        Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK | Errno::INVAL) => Ok(None),
        locked => Ok(locked.map(|()| Some(opened))?),
    }
}

/// Replaces the file at once: a reader sees the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = directory(path);
    fs::create_dir_all(directory)?;
    let new = directory.join(format!(".config.toml.{}", std::process::id()));
    let written = write_new(&new, path, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(new: &Path, old: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(new)?;
    if let Ok(old) = fs::metadata(old) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts `KEY=VALUE` into a context.
fn put(context: &mut dyn TableLike, setting: &str) -> Result<(), Failure> {
    let Some((name, text)) = setting.split_once('=') else {
        return Err(Failure::Usage(
            "a setting is written KEY=VALUE, such as server=zk1:2181".to_owned(),
        ));
    };
    let key = key(name)?;
    let texts = match key.kind {
        Kind::Texts => text.split(',').collect(),
        _ => vec![text],
    };
    for text in &texts {
        key.check(text)
            .map_err(|problem| Failure::Usage(format!("{name}: {problem}")))?;
    }
    let mut new = match key.kind {
        Kind::Switch => Value::from(text == "true"),
        Kind::Texts => Value::from(texts.into_iter().collect::<Array>()),
        Kind::File => Value::from(absolute(text)),
        Kind::Secret(_) => match text.strip_prefix("file:") {
            Some(path) => Value::from(format!("file:{}", absolute(path))),
            None => Value::from(text),
        },
        _ => Value::from(text),
    };
    match context.get_mut(key.name) {
        Some(item) => {
            // The comment behind the value. That above it belongs to the key, which an insertion would replace.
            if let Some(old) = item.as_value() {
                *new.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(new);
        }
        None => {
            context.insert(key.name, Item::Value(new));
        }
    }
    Ok(())
}

/// A file of the command line is relative to its directory, one in the configuration to that of the configuration.
fn absolute(path: &str) -> String {
    match std::path::absolute(path) {
        Ok(absolute) if !path.starts_with("~/") => absolute.to_string_lossy().into_owned(),
        _ => path.to_owned(),
    }
}

fn key(name: &str) -> Result<&'static Key, Failure> {
    Key::named(name).map_err(|hint| Failure::Usage(format!("{name}: there is no such key; {hint}")))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !name.is_empty() && name.chars().all(letter) && !name.starts_with('-') {
        true => Ok(()),
        false => Err(Failure::Usage(
            "the name of a context has letters, digits, '-', '_' and '.'".to_owned(),
        )),
    }
}

fn not_a_table(name: &str) -> Failure {
    Failure::Usage(format!("{name}: a context has keys"))
}

fn failed(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::io(&format!("{what} {}", path.display()), error)
}
