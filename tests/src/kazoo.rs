//! kazoo, the Python client, in a virtual environment of its own: a client that we did not write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, PoisonError};

use crate::command::run;
use crate::error::{Error, Result};

/// What is installed.
pub const VERSION: &str = "2.11.0";

/// A Python that has kazoo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kazoo {
    python: PathBuf,
}

impl Kazoo {
    /// Finds the virtual environment below `directory`, or makes it there, for which it needs
    /// `python3` with its `venv` module and, once, a package index. `directory` may be shared with
    /// other processes that do the same.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with what Python or pip said, or what could not be done with the directory.
    pub fn find_or_install(directory: &Path) -> Result<Self> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = directory.join(format!("kazoo-{VERSION}"));
        let kazoo = Self::of(&environment);
        if !kazoo.is_complete() {
            fs::create_dir_all(directory)
                .map_err(|source| Error::io(format!("create {}", directory.display()), source))?;
            // Made elsewhere and then renamed, so that a directory of this name is complete, even if
            // another process makes one at the same time.
            let draft = directory.join(format!("kazoo-{VERSION}-{}", process::id()));
            make(&draft)?;
            let moved = fs::rename(&draft, &environment);
            if !kazoo.is_complete() {
                let doing = format!("move {} to {}", draft.display(), environment.display());
                let unusable = || io::Error::other("there is something else in its place");
                return Err(Error::io(doing, moved.err().unwrap_or_else(unusable)));
            }
            if moved.is_err() {
                // Another process was quicker. This copy is not needed, and harmless if it stays.
                let _ = fs::remove_dir_all(&draft);
            }
        }
        Ok(kazoo)
    }

    fn of(environment: &Path) -> Self {
        Self {
            python: environment.join("bin").join("python"),
        }
    }

    /// The interpreter.
    #[must_use]
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Whether an installation was finished here.
    fn is_complete(&self) -> bool {
        let check = format!("from kazoo.version import __version__ as v; assert v == '{VERSION}'");
        let output = Command::new(&self.python).args(["-c", &check]).output();
        output.is_ok_and(|output| output.status.success())
    }
}

fn make(environment: &Path) -> Result<()> {
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(environment))?;
    let wanted = format!("kazoo=={VERSION}");
    run(Command::new(Kazoo::of(environment).python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        &wanted,
    ]))
}
