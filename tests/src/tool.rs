//! Programs that count what another program does.

use std::fmt;
use std::process::Command;

use crate::apt;
use crate::error::{Error, Result};

/// A program that runs another and counts. Debian's package has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Counts system calls.
    Strace,
    /// Counts instructions.
    Valgrind,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Strace, Self::Valgrind];

    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Strace => "strace",
            Self::Valgrind => "valgrind",
        }
    }

    /// Tries it on a program that does nothing: a container may have `strace` and not let it trace.
    ///
    /// # Errors
    ///
    /// [`Error::Command`], which says what to install, or what it said.
    pub fn find(self) -> Result<()> {
        let name = self.name();
        if apt::on_path(name).is_none() {
            return Err(Error::Command {
                command: name.to_owned(),
                outcome: format!(
                    "is not installed. On Debian or Ubuntu run `{}` as root",
                    apt::command(&[name])
                ),
            });
        }
        let output = Command::new(name)
            .arg("true")
            .output()
            .map_err(|source| Error::io(format!("run {name}"), source))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Command {
            command: format!("{name} true"),
            outcome: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// As [`find`](Self::find), or installs Debian's package when run by root on a system with
    /// `apt-get`.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find), and what became of the installation.
    pub fn find_or_install(self) -> Result<()> {
        if apt::on_path(self.name()).is_none() && apt::can_install() {
            apt::install(&[self.name()])?;
        }
        self.find()
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
