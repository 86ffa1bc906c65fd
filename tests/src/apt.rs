//! Debian's packages, which root may install.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

const INSTALL: [&str; 3] = ["install", "-y", "--no-install-recommends"];

/// The command that a user with the right to install has to run.
pub(crate) fn command(packages: &[&str]) -> String {
    format!("apt-get {} {}", INSTALL.join(" "), packages.join(" "))
}

/// Whether this process may install packages, and knows how.
pub(crate) fn can_install() -> bool {
    is_root() && on_path("apt-get").is_some()
}

pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let install = [&INSTALL, packages].concat();
    // Images ship without package lists, and old lists name packages that are gone.
    apt_get(&install).or_else(|_| apt_get(&["update"]).and_then(|()| apt_get(&install)))
}

/// Where a program of this name is.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let command = format!("apt-get {}", arguments.join(" "));
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|source| Error::io(format!("run `{command}`"), source))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Command {
            command,
            outcome: status.to_string(),
        })
    }
}
